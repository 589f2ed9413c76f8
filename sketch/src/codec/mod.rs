//! Sketches as bytes: the binary format of this crate and that of Apache DataSketches.

pub mod datasketches;
pub(crate) mod input;
mod murmur3;
#[cfg(feature = "std")]
pub mod native;
#[cfg(feature = "serde")]
pub mod serde_bytes;
