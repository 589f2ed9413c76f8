//! From aggregated counts to an estimate with a bound on what liars can have done.

pub mod matrix;
pub mod min_l1;
pub mod projection;

pub use matrix::DesignMatrix;
pub use min_l1::{MinL1Options, MinL1Solution};
pub use projection::Projection;
