//! One request as trace files hold it.

/// One request as trace files hold it. Formats that lack a field leave its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Record {
    /// Time stamp in the unit of the trace (usually seconds); 0 when the format has none.
    pub time: u64,
    /// The page, object or address.
    pub id: u64,
    /// Size in bytes; 1 when the format has none.
    pub size: u32,
    /// When the same id is requested next.
    pub next: NextAccess,
    /// Address of the instruction that made the request.
    pub pc: Option<u64>,
}

impl Record {
    /// A record of unit size with nothing but an id.
    #[must_use]
    pub fn of(id: u64) -> Self {
        Self {
            id,
            size: 1,
            ..Self::default()
        }
    }
}

/// When an id is requested next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum NextAccess {
    /// The trace does not say.
    #[default]
    Unknown,
    /// Not again.
    Never,
    /// At the request of this number, counted from 1 at the start of the trace, as the files of
    /// libCacheSim do. Readers accept files that count from 0 too, so a number read from a file
    /// tells the order of accesses rather than an index.
    At(u64),
}
