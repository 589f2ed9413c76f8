//! Prediction serving that answers although a worker fails or straggles.
//!
//! Queries are spread over workers. Instead of sending each query twice, the system sends one extra
//! *parity* query for a group of `k`, computed without knowing who will fail; from its answer and
//! the `k - 1` answers that arrived, the missing answer is reconstructed. How the parity query is
//! made, and what answers it, is a *code*. T. Dinh, K. Lee, "Coded-InvNet for Resilient Prediction
//! Serving Systems" (ICML 2021) let the workers' own model, an invertible network, answer a parity
//! query that a learned encoder makes; this crate holds that code beside its rivals, each with its
//! cost.
//!
//! # The principal types
//!
//! * A [`Code`](code::Code) turns a group of queries into tasks for workers, and the outputs that
//!   arrived into answers. Codes are pure mathematics on [`Tensor`]s; [`code`] compares them.
//! * With the feature `network`, an `InvertibleClassifier` is a base model whose answers can be coded,
//!   and a `SetEncoder` makes its parity queries; neither needs a tensor library.
//! * With the feature `train`, `CouplingNetwork` and `EncoderNetwork` become these two.
//! * With the feature `engine`, an `Engine` serves queries through a code, on any pool of workers; with
//!   `load`, workers that only take time, and load for them, in virtual time or real.
//! * With the feature `server`, a `Host` of engines answers over HTTP and gRPC as the Open Inference
//!   Protocol says, and servers of that protocol are workers of a `Pool`. The tool `coded-serving`
//!   (feature `cli`) is made of these.
//!
//! # A first example
//!
//! Any model can be served with `NeRCC`, whose every answer is approximate: six queries become nine
//! tasks, of which two may be lost.
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
//! // Workers 2 and 7 do not answer.
//! let arrived: Vec<_> = outputs.iter().enumerate().filter(|(slot, _)| ![2, 7].contains(slot)).collect();
//! for answer in code.decode(6, &arrived, Slots::below(6))? {
//!     let right = model(&queries[answer.query]);
//!     assert!((answer.output.values()[0] - right.values()[0]).abs() < 0.05);
//! }
//! # Ok::<(), septet_coded_serving::CodeError>(())
//! ```
//!
//! # Serving answers that are exact as long as nobody is late
//!
//! Systematic codes send the queries as they are and only reconstruct what is missing. An engine asks
//! [`decodable`](code::Code::decodable) whenever an output arrives, and
//! [`decode`](code::Code::decode) for the answers that are worth reconstructing. Too little never gives a
//! wrong answer, but [`CodeError::Unrecoverable`]; what is not a number is named, to be dropped.
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
//!     // What the redundancy costs, in inferences and in queries sent.
//!     let cost = code.cost(Inference { operations: 813_000, values: 784 });
//!     assert!(cost.operations < 2.1 && cost.ingress <= 2.0);
//! }
//! # Ok::<(), CodeError>(())
//! ```
//!
//! # What a code can promise
//!
//! With Coded-InvNet an error of the encoder comes out multiplied by `k`: judge encoders by decoded
//! answers, never by how much a parity query looks like the exact one. Codes work on what a model gives
//! before any softmax. A small student beside the base model
//! ([`ApproximateBackup`](code::ApproximateBackup)) recovers as much for fewer multiply-adds, wherever
//! one can be trained; the codes send less and need no worker for each query.

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
