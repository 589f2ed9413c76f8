//! Prediction serving that answers although a worker fails or straggles.
//!
//! Queries are spread over workers. Instead of sending each query twice, the system sends one extra
//! *parity* query for a group of `k`, computed without knowing who will fail; from its answer and
//! the `k - 1` answers that arrived, the missing answer is reconstructed. How the parity query is
//! made, and what answers it, is a *code*. T. Dinh, K. Lee, "Coded-InvNet for Resilient Prediction
//! Serving Systems" (ICML 2021) let the workers' own model, an invertible network, answer a parity
//! query that a learned encoder makes; this crate holds that code beside its rivals, each with its
//! cost, an engine that runs them, and a gateway that a person puts in front of existing servers.
//!
//! # The principal types
//!
//! * A [`Code`](code::Code) turns a group of queries into tasks for workers, and the outputs that
//!   arrived into answers. Codes are pure mathematics on [`Tensor`]s.

pub mod code;
pub mod error;
#[cfg(feature = "network")]
pub mod images;
#[cfg(feature = "network")]
pub mod network;
#[cfg(feature = "reproduce")]
pub mod reproduce;
pub mod tensor;
#[cfg(feature = "train")]
pub mod train;

pub use error::{CodeError, TensorError};
pub use tensor::Tensor;
