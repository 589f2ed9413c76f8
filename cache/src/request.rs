//! Pages and requests.

/// A page (or object), numbered densely from 0 in order of first appearance.
pub type PageId = u32;

/// The next-access time of a page that is not requested again. No request has this index.
pub const NEVER: u32 = u32::MAX;

/// A request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request {
    /// The requested page.
    pub page: PageId,
    /// Its size, in the unit of the cache's capacity; 1 in paging.
    pub size: u32,
    /// Index of this request in its trace: the clock.
    pub now: u32,
    /// Index of the next request of the same page; [`NEVER`] if there is none or it is unknown.
    /// Only offline policies read it.
    pub next: u32,
    /// Predicted index of the next request of the same page. Any value is legal; NaN ranks as the
    /// furthest. Only learned policies read it.
    pub predicted: f64,
}

impl Request {
    /// A unit-size request without next access or prediction.
    #[must_use]
    pub fn new(page: PageId, now: u32) -> Self {
        Self {
            page,
            size: 1,
            now,
            next: NEVER,
            predicted: f64::INFINITY,
        }
    }
}
