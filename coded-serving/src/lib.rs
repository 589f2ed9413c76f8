//! Prediction serving that is resilient to failed and straggling workers.
//!
//! Instead of sending every query twice, a coded system sends one extra *parity* query per group of `k`
//! queries, computed without knowing which worker will fail. From its output and the `k - 1` outputs that
//! arrived, the missing one is reconstructed. A *code* defines how the parity query is computed and which
//! model answers it. In Coded-InvNet (T. Dinh, K. Lee, "Coded-InvNet for Resilient Prediction Serving
//! Systems", ICML 2021) the served model itself, an invertible network, answers parity queries of a learned
//! encoder. This crate implements that code and its competitors, each with its cost.
//!
//! # Main types
//!
//! * A [`Code`](code::Code) encodes a group of queries into tasks for workers, and decodes the outputs that
//!   arrived into answers. Codes are pure functions of [`Tensor`]s; [`code`] compares them.
//! * Feature `network`: an `InvertibleClassifier` is a base model for Coded-InvNet, a `SetEncoder` computes
//!   its parity queries. Neither needs a tensor library.
//! * Feature `train`: `CouplingNetwork` and `EncoderNetwork` train these two.
//! * Feature `engine`: an `Engine` serves queries through a code on any pool of workers. Feature `load`:
//!   simulated workers and load generation, in virtual or real time.
//! * Feature `server`: a `Host` serves engines over HTTP and gRPC with the Open Inference Protocol, and a
//!   `Pool` uses servers of that protocol as workers. The program `coded-serving` (feature `cli`) combines
//!   all of these.
//!
//! # Example
//!
//! `NeRCC` works with any model, but every answer is approximate. Here six queries become nine tasks, any
//! two of which may be lost.
//!
//! ```
//! use septet_coded_serving::Tensor;
//! use septet_coded_serving::code::{Code, Interpolation, Slots, Smoother};
//!
//! let model = |x: &Tensor| Tensor::vector(x.values().iter().map(|v| 1.0 - 2.0 * v).collect());
//! let code = Interpolation::new(6, 9, 2, Smoother::SPLINE)?;
//! let queries: Vec<Tensor> = (0..6).map(|i| Tensor::vector(vec![0.1 * i as f32])).collect();
//!
//! let outputs: Vec<Tensor> = code.encode(&queries)?.iter().map(|task| model(&task.input)).collect();
//! // The outputs of tasks 2 and 7 are lost.
//! let arrived: Vec<_> = outputs.iter().enumerate().filter(|(slot, _)| ![2, 7].contains(slot)).collect();
//! for answer in code.decode(6, &arrived, Slots::below(6))? {
//!     let right = model(&queries[answer.query]);
//!     assert!((answer.output.values()[0] - right.values()[0]).abs() < 0.05);
//! }
//! # Ok::<(), septet_coded_serving::CodeError>(())
//! ```
//!
//! # Systematic codes
//!
//! Systematic codes send the queries unchanged and reconstruct only missing answers. Call
//! [`decodable`](code::Code::decodable) when an output arrives, and [`decode`](code::Code::decode) for the
//! missing answers. Too few outputs give [`CodeError::Unrecoverable`], never a wrong answer; an output that
//! is not finite is reported by its slot, so that it can be dropped.
//!
//! ```
//! use septet_coded_serving::code::{Code, Inference, InvNet, MixedQueries, Slots, SumParity};
//! use septet_coded_serving::{CodeError, Tensor};
//!
//! let codes: [Box<dyn Code>; 2] = [
//!     Box::new(SumParity::new(4, 600_000)?),
//!     Box::new(InvNet::new(4, 2, MixedQueries)?),
//! ];
//! for code in codes {
//!     // The outputs of queries 0 and 2, and of the first parity, are here.
//!     let arrived: Slots = [0, 2, 4].into_iter().collect();
//!     assert_eq!(code.decodable(4, arrived).iter().collect::<Vec<_>>(), [0, 2]);
//!     let output = Tensor::vector(vec![0.0, 1.0]);
//!     let outputs = [(0, &output), (2, &output), (4, &output)];
//!     let lost = code.decode(4, &outputs, Slots::EMPTY.with(1));
//!     assert!(matches!(lost, Err(CodeError::Unrecoverable { missing: 2, received: 1 })));
//!     // The cost of the redundancy, in inferences and in queries sent.
//!     let cost = code.cost(Inference { operations: 813_000, values: 784 });
//!     assert!(cost.operations < 2.1 && cost.ingress <= 2.0);
//! }
//! # Ok::<(), CodeError>(())
//! ```
//!
//! # Limits
//!
//! Coded-InvNet multiplies errors of the encoder by `k`: evaluate encoders by decoded answers, not by the
//! distance of a parity query from the exact one. Codes work on outputs before any softmax. Where a small
//! student model can be trained, [`ApproximateBackup`](code::ApproximateBackup) recovers as much with fewer
//! multiply-adds; the codes send fewer bytes, and need no second worker per query.

#[cfg(feature = "server")]
pub mod backend;
pub mod code;
#[cfg(feature = "engine")]
pub mod engine;
pub mod error;
#[cfg(feature = "network")]
pub mod images;
#[cfg(feature = "load")]
pub mod load;
#[cfg(feature = "network")]
pub mod network;
#[cfg(feature = "server")]
pub mod protocol;
#[cfg(feature = "server")]
pub mod server;
pub mod tensor;
#[cfg(feature = "train")]
pub mod train;

pub use error::{CodeError, TensorError};
pub use tensor::Tensor;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
