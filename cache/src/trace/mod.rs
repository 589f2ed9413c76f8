//! Traces: files of [`Record`]s, and dense columns in memory ([`Trace`]).

#[cfg(feature = "compression")]
mod archive;
mod columns;
mod format;
pub mod generate;
mod input;
mod number;
mod numbering;
mod options;
mod reader;
mod record;
mod writer;

#[cfg(feature = "compression")]
pub use archive::Archive;
pub use columns::Trace;
pub use format::TraceFormat;
pub use options::{Column, CsvOptions, ReadOptions};
pub use reader::{Reader, open};
pub use record::{NextAccess, Record};
pub use writer::{write, write_to};
