//! Which distribution do the values of many clients follow, when some of the clients lie?
//!
//! Every client holds one value out of a domain of `k` symbols and sends one message: the value
//! itself, a few bits of it, or a randomized form that keeps it private. A fraction `gamma` of the
//! messages may be replaced by whoever knows the protocol and sees all messages. This crate holds
//! both ends: a client library that privatizes or compresses a value, and a server library that
//! aggregates, estimates and tests, with a stated bound on what the liars can do. The bounds are
//! those of J. Acharya, Z. Sun, H. Zhang, "Robust Testing and Estimation under Manipulation Attacks"
//! (ICML 2021), derived anew with constants and checked by experiment.
//!
//! All distances are in total variation, half the sum of absolute differences.
//!
//! # The principal types
//!
//! * A [`HashDesign`](design::HashDesign) is the robust protocol: the *server* assigns each client one
//!   of many random partitions of the domain, and the client answers with the cell of its value,
//!   randomized if it is to be private. A [`GroupClient`](design::GroupClient) is the client's side,
//!   a [`DesignAggregator`](aggregate::DesignAggregator) the server's.
//! * A [`Mechanism`](mechanism::Mechanism) is any other way of encoding a value: randomized response,
//!   unary encodings, subset selection, local hashing, Hadamard response, RAPPOR, count-mean sketches.
//!   [`Aggregate`](aggregate::Aggregate) counts the reports of any of them.
//! * A [`Decoder`](decode::Decoder) turns counts into an [`Estimate`](decode::Estimate): masses with
//!   standard errors, a bound on manipulation, and a certified lower bound on how many reports lie.
//!
//! # From clients to an estimate
//!
//! ```
//! use septet_robust_stats::aggregate::DesignAggregator;
//! use septet_robust_stats::decode::{Decoder, DesignMatrix, Observation};
//! use septet_robust_stats::design::{Assignment, DesignParameters, DesignReport, GroupClient, HashDesign};
//! use septet_robust_stats::mechanism::client_generator_from_seed;
//! use septet_robust_stats::{Epsilon, Gamma};
//!
//! // Public: 20 symbols in 2 cells, and epsilon 3. Secret: the key by which clients get their groups.
//! let design = DesignParameters::new(20, 2, [7; 32])?.with_epsilon(Epsilon::new(3.0)?)?;
//! let assignment = Assignment::new([1; 16], &design);
//! let mut server = DesignAggregator::new(design.clone(), assignment)?.remembering_clients();
//!
//! // In production each client has a generator from `client_generator()`.
//! let mut rng = client_generator_from_seed([3; 32]);
//! for number in 0..40_000_usize {
//!     let name = number.to_le_bytes();
//!     let client = GroupClient::new(&design, assignment.group(&name))?;
//!     let value = number % 5; // four of five clients hold one of the symbols 0 to 4
//!     server.push(&name, &DesignReport::encode(&client, value, &mut rng)?).expect("an honest report");
//! }
//!
//! let matrix = DesignMatrix::from_design(&HashDesign::new(design)?)?;
//! let observation = Observation::from_counts(&matrix, &server.counts().matrix)?;
//! let estimate = Decoder::default().decode(&matrix, &observation, Gamma::new(0.01)?)?;
//! assert!((estimate.masses[0] - 0.2).abs() < 0.08);
//! // What one client in a hundred could have done, and that nobody was caught.
//! assert!(estimate.manipulation_bound.is_some_and(|bound| bound < 0.5));
//! assert_eq!(estimate.gamma_lower, 0.0);
//! # Ok::<(), septet_robust_stats::RobustStatsError>(())
//! ```
//!
//! # Why the server assigns the partition
//!
//! A client that may choose its own hash function, or its own column of a Hadamard matrix, moves an
//! estimate by about `k / epsilon` times its share; one that was assigned a random partition by about
//! `sqrt(k) / epsilon` times (the claims Q7 of the package `septet-robust-stats-reproduce`). So the
//! aggregator rejects a report for another group instead of counting it there, the key of the
//! assignment stays with the server, and the partitions are random and not algebraic: one row of a
//! Hadamard matrix can be taken over.
//!
//! # A finding that survives liars
//!
//! ```
//! use septet_core::seed::SeedTree;
//! use septet_robust_stats::testing::{IdentityTest, Statistic, ClassicalTest};
//! use septet_robust_stats::{Gamma, Pmf};
//!
//! // 20 000 clients, 2 000 equally frequent symbols; 200 liars all name the first symbol.
//! let uniform = Pmf::uniform(2_000)?;
//! let mut counts = vec![10_u64; 2_000];
//! counts[0] += 200;
//! counts[1..=20].fill(0);
//! let seed = SeedTree::new(1);
//! let test = IdentityTest::new(&uniform, 20_000, 999, &seed)?;
//! let report = test.run(&counts, Gamma::new(0.01)?, 0.05)?;
//! assert!(report.robust_p_value > 0.05, "200 lies explain it");
//! # Ok::<(), septet_robust_stats::RobustStatsError>(())
//! ```
//!
//! [`planner::plan`] says beforehand how many clients an error needs, or that no number of them is
//! enough; [`attack`] holds the adversaries, to try a pipeline of one's own.
//!
//! # Features
//!
//! `std` (default) is the server; without it there is the client alone, for targets that have `alloc`
//! but no `std`. `audit` compares every mechanism's exact message probabilities with `e^epsilon`,
//! `cli` is the program `robust-stats`.

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
