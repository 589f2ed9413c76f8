//! Robust learning-augmented caching.

pub mod combine;
pub mod error;
pub mod learned;
pub mod policy;
pub mod predict;
pub mod request;
pub mod trace;

pub use error::CacheError;
