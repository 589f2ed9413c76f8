//! Robust learning-augmented caching.

pub mod error;
pub mod request;
pub mod trace;

pub use error::CacheError;
