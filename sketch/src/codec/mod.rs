//! Sketches as bytes: the binary format of this crate, and that of Apache DataSketches.

pub mod datasketches;
mod input;
mod murmur3;
