//! What the seven systems of Septet share.

pub mod seed;
