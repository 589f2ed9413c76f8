//! Which distribution do the values of many clients follow, when some of the clients lie?
//!
//! Every client holds one value out of a domain of `k` symbols and sends one message: the value
//! itself, a few bits of it, or a randomised form that keeps it private. A fraction `gamma` of the
//! messages may be replaced by whoever knows the protocol and sees all messages. This crate holds
//! both ends: a client library that privatises or compresses a value, and a server library that
//! aggregates, estimates and tests, with a stated bound on what the liars can do. The bounds are
//! those of J. Acharya, Z. Sun, H. Zhang, "Robust Testing and Estimation under Manipulation Attacks"
//! (ICML 2021), derived anew with constants and checked by experiment.
//!
//! All distances are in total variation, half the sum of absolute differences.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

#[cfg(feature = "std")]
pub mod aggregate;
#[cfg(feature = "std")]
pub mod attack;
#[cfg(feature = "audit")]
pub mod audit;
#[cfg(feature = "std")]
pub mod decode;
pub mod design;
#[cfg(feature = "std")]
pub mod distribution;
pub mod error;
#[cfg(feature = "std")]
pub mod interop;
pub mod mechanism;
pub mod parameter;
#[cfg(feature = "std")]
pub mod planner;
#[cfg(feature = "reproduce")]
pub mod reproduce;
#[cfg(feature = "std")]
pub mod simulate;
#[cfg(feature = "std")]
pub mod testing;
#[cfg(feature = "std")]
pub mod theory;
pub mod wire;

#[cfg(feature = "std")]
pub use distribution::Pmf;
pub use error::RobustStatsError;
pub use parameter::{Epsilon, Gamma};
