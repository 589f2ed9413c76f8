//! Closed forms that only claims compare with: the power of attacks, by protocol.
//!
//! - [`amplification`]: how far one corrupted client moves the estimate.
//! - [`targeted`]: the gain of attacks that promote chosen symbols.

pub(crate) mod amplification;
pub(crate) mod targeted;
