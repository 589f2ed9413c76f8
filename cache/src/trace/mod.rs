//! Traces: reading and writing them as [`Record`]s, and holding them as dense columns ([`Trace`]).

#[cfg(feature = "compression")]
mod archive;
mod columns;
mod compression;
mod format;
mod input;
mod number;
mod options;
mod reader;
mod record;

#[cfg(feature = "compression")]
pub use archive::Archive;
pub use columns::Trace;
pub use format::TraceFormat;
pub use options::ReadOptions;
pub use reader::{Reader, open};
pub use record::{NextAccess, Record};
