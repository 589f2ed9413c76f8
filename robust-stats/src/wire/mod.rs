//! The byte formats of reports, protocols and counts.
//!
//! Every message begins with a version and a kind. Integers are variable-length, seven bits a byte from
//! the lowest on, and only the shortest form is accepted, so that equal messages are equal bytes. A
//! number in a message never sizes an allocation before the bytes that it speaks of are there.
//!
//! - A report is `version, kind, tag, fields`: the tag is the beginning of a hash of the protocol, so
//!   that a report made for another domain, epsilon or design is known as such. Reading one gives a
//!   [`Reject`](crate::aggregate::Reject) when it is wrong.
//! - A [`Protocol`] is all that a client must know, and is written and read whole.
//! - Counts are a protocol and its integers.
//! - Envelopes carry many reports, each with the name of its client.
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
mod read;
mod report;
mod write;

#[cfg(feature = "std")]
pub use counts::{read_counts, read_design_counts, write_counts, write_design_counts};
#[cfg(feature = "std")]
pub use envelope::Envelopes;
pub use envelope::write_envelope;
pub use protocol::Protocol;
pub use report::{WireReport, write_design_report, write_report};
#[cfg(feature = "std")]
pub use report::{read_design_report, read_report};

/// The version of all formats.
pub const VERSION: u8 = 1;

/// The first byte after the version: what follows.
const KIND_DESIGN_REPORT: u8 = 1;
const KIND_PROTOCOL: u8 = 64;
#[cfg(feature = "std")]
const KIND_COUNTS: u8 = 65;
#[cfg(feature = "std")]
const KIND_DESIGN_COUNTS: u8 = 66;
