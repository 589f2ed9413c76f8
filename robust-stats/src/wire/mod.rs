//! The byte formats of reports, protocols and counts.
//!
//! Every message starts with a version and a kind. Integers are variable-length (LEB128), and only the
//! shortest form is accepted, so that equal messages have equal bytes. Allocations are bounded by the
//! bytes present, never by a number in a message.
//!
//! - A report is `version, kind, tag, fields`. The tag is a truncated hash of the protocol, which
//!   detects reports for another domain, epsilon or design. Reading a malformed report returns a
//!   [`RejectReason`](crate::aggregate::RejectReason).
//! - A [`Protocol`] contains all parameters that a client requires; a `ProtocolFile` adds the
//!   certificate of a hash design and the names of the symbols.
//! - Counts are a protocol and its integers.
//! - Envelopes contain reports with the names of their clients.
//!
//! ```
//! use septet_robust_stats::Epsilon;
//! use septet_robust_stats::aggregate::Aggregate;
//! use septet_robust_stats::mechanism::{Mechanism, RandomizedResponse, client_generator};
//! use septet_robust_stats::wire::{Protocol, read_report, write_report};
//!
//! let mechanism = RandomizedResponse::new(10, Epsilon::new(1.0)?)?;
//! let tag = Protocol::from(mechanism).tag();
//! let report = mechanism.encode(3, &mut client_generator()?)?;
//! let bytes = write_report(tag, &report);
//! assert_eq!(read_report(tag, &bytes), Ok(report));
//! # Ok::<(), septet_robust_stats::RobustStatsError>(())
//! ```

#[cfg(feature = "std")]
mod counts;
mod envelope;
mod protocol;
#[cfg(feature = "std")]
mod protocol_file;
#[cfg(feature = "std")]
mod read;
mod report;
mod write;

#[cfg(feature = "std")]
pub use counts::{read_counts, read_design_counts, write_counts, write_design_counts};
#[cfg(feature = "std")]
pub use envelope::Envelopes;
pub use envelope::write_envelope;
pub use protocol::Protocol;
#[cfg(feature = "std")]
pub use protocol_file::ProtocolFile;
pub use report::{WireReport, write_design_report, write_report};
#[cfg(feature = "std")]
pub use report::{read_design_report, read_report};

/// The version of all formats.
pub const VERSION: u8 = 1;

// The kinds of messages. A design report is written with a cell of two bytes; the other kind, with a
// cell of variable length, was written before, and is read.
const KIND_DESIGN_REPORT: u8 = 8;
const KIND_VARIABLE_DESIGN_REPORT: u8 = 1;
const KIND_PROTOCOL: u8 = 64;
#[cfg(feature = "std")]
const KIND_PROTOCOL_FILE: u8 = 67;
#[cfg(feature = "std")]
const KIND_COUNTS: u8 = 65;
#[cfg(feature = "std")]
const KIND_DESIGN_COUNTS: u8 = 66;
