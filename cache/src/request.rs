//! Pages and requests as a policy sees them.

/// A page (or object), numbered densely from 0 in the order of first appearance.
pub type PageId = u32;

/// The time of something that does not happen: no request of a trace has this index.
pub const NEVER: u32 = u32::MAX;

/// One request, as a policy sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request {
    /// The page asked for.
    pub page: PageId,
    /// Its size, in the unit of the cache's capacity; 1 in paging.
    pub size: u32,
    /// Index of this request in its trace: the clock.
    pub now: u32,
    /// Index of the next request of the same page, [`NEVER`] when there is none or when it is
    /// unknown. Only policies that look into the future read it.
    pub next: u32,
    /// Predicted index of the next request of the same page. Any value is legal, also NaN, which
    /// ranks behind everything else (as the furthest). Only policies that follow predictions read
    /// it.
    pub predicted: f64,
}

impl Request {
    /// A request of unit size about which nothing more is known.
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
