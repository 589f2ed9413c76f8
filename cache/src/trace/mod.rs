//! Traces: reading and writing them as [`Record`]s, and holding them as dense columns ([`Trace`]).

mod columns;
mod record;

pub use columns::Trace;
pub use record::{NextAccess, Record};
