//! Robust learning-augmented caching.

pub mod combine;
pub mod error;
pub mod learned;
pub mod miss_ratio_curve;
pub mod policy;
pub mod predict;
#[cfg(feature = "reproduce")]
#[doc(hidden)]
pub mod reproduce;
pub mod request;
pub mod set_associative;
mod spec;
pub mod trace;

pub use error::CacheError;
pub use septet_core::seed::SeedTree;
pub use spec::PolicySpec;
