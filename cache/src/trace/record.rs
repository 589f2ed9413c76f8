//! Records of trace files.

/// A request in a trace file. Fields that a format lacks have their default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Record {
    /// Time stamp in the unit of the trace (usually seconds); 0 by default.
    pub time: u64,
    /// The page, object or address.
    pub id: u64,
    /// Size in bytes; 1 by default.
    pub size: u32,
    /// The next request of the same id.
    pub next: NextAccess,
    /// Address of the instruction that made the request.
    pub pc: Option<u64>,
}

impl Record {
    /// A unit-size record without further fields.
    #[must_use]
    pub fn from_id(id: u64) -> Self {
        Self {
            id,
            size: 1,
            ..Self::default()
        }
    }
}

/// The next request of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum NextAccess {
    /// Not recorded.
    #[default]
    Unknown,
    /// None.
    Never,
    /// The request with this number, from 1 at the start of the trace, as in libCacheSim's files.
    /// Readers also accept files that count from 0, so a number read from a file gives an order
    /// of accesses, not an exact index.
    At(u64),
}
