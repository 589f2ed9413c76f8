//! Estimation and testing of the distribution of clients' values under manipulation attacks.
//!
//! Every client holds one of `k` symbols and sends one message: the symbol itself, a few bits, or a
//! locally private randomization. An adversary that knows the protocol and sees all messages may replace
//! a fraction `gamma` of them. This crate implements both ends: a client library that privatizes or
//! compresses a value, and a server library that aggregates, estimates and tests, with stated bounds on
//! the effect of manipulation. The bounds are those of J. Acharya, Z. Sun, H. Zhang, "Robust Testing and
//! Estimation under Manipulation Attacks" (ICML 2021), rederived with constants and verified by
//! experiment. The bound on an estimate is proved for the partitions at hand
//! ([`DesignMatrix::certify`](design::DesignMatrix::certify)).
//!
//! All distances are in total variation, half the sum of absolute differences.
//!
//! # Main types
//!
//! * A [`HashDesign`](design::HashDesign) is the robust protocol: the *server* assigns each client one
//!   of many random partitions of the domain, and the client reports the cell of its value, optionally
//!   randomized. A [`GroupClient`](design::GroupClient) is the client side, a
//!   [`DesignAggregator`](aggregate::DesignAggregator) the server side.
//! * A [`Mechanism`](mechanism::Mechanism) is any other encoding of a value: randomized response, unary
//!   encodings, subset selection, local hashing, Hadamard response, RAPPOR, count-mean sketches.
//!   [`Aggregate`](aggregate::Aggregate) counts its reports.
//! * A [`Decoder`](decode::Decoder) turns counts into an [`Estimate`](decode::Estimate): masses with
//!   standard errors, a bound on the shift by manipulation, and a certified lower bound on the fraction
//!   of manipulated reports.
//!
//! # From clients to an estimate
//!
//! ```
//! use septet_robust_stats::aggregate::DesignAggregator;
//! use septet_robust_stats::design::{Assignment, DesignParameters, DesignReport, GroupClient};
//! use septet_robust_stats::mechanism::client_generator_from_seed;
//! use septet_robust_stats::{Epsilon, Gamma};
//!
//! // Public: 20 symbols in 2 cells, epsilon 3; the best of eight random designs, with a proof of what
//! // it keeps. Secret: the key that assigns clients to groups.
//! let parameters = DesignParameters::new(20, 2, [7; 32])?.with_epsilon(Epsilon::new(3.0)?)?;
//! let drawn = parameters.drawn()?;
//! let design = drawn.parameters;
//! let assignment = Assignment::new([1; 16], &design);
//! let mut server = DesignAggregator::new(design, assignment)?.with_duplicate_detection();
//!
//! // In production each client uses a generator from `client_generator()`.
//! let mut rng = client_generator_from_seed([3; 32]);
//! for number in 0..40_000_usize {
//!     let name = number.to_le_bytes();
//!     let client = GroupClient::new(&design, assignment.group(&name))?;
//!     let value = number % 5; // every client holds one of the symbols 0 to 4
//!     server.push(&name, &DesignReport::encode(&client, value, &mut rng)?).expect("an honest report");
//! }
//!
//! let estimate = server.estimate(drawn.certificate, Gamma::new(0.001)?)?;
//! assert!((estimate.masses[0] - 0.2).abs() < 0.08);
//! // The maximum movement by 40 manipulated reports, in two parts, and no detected manipulation.
//! let bound = estimate.manipulation_bound.expect("converged and certified");
//! assert!(bound.manipulation < 0.06 && bound.noise < 0.5);
//! assert_eq!(estimate.gamma_lower_bound, 0.0);
//! # Ok::<(), septet_robust_stats::RobustStatsError>(())
//! ```
//!
//! # Why the server assigns the partition
//!
//! A client that chooses its own hash function or column of a Hadamard matrix shifts an estimate by
//! about `k / epsilon` times its share; one with an assigned random partition by about
//! `sqrt(k) / epsilon` times (claims Q7 of the package `septet-robust-stats-reproduce`). Therefore the
//! aggregator rejects reports for other groups, the assignment key is secret to the server, and the
//! partitions are random, not algebraic: an adversary could take over one row of a Hadamard matrix.
//!
//! # Robust tests
//!
//! ```
//! use septet_core::seed::SeedTree;
//! use septet_robust_stats::testing::{IdentityTest, Statistic, ClassicalTest};
//! use septet_robust_stats::{Gamma, Pmf};
//!
//! // 20 000 clients, 2 000 equally frequent symbols; 200 corrupted clients report the first symbol.
//! let uniform = Pmf::uniform(2_000)?;
//! let mut counts = vec![10_u64; 2_000];
//! counts[0] += 200;
//! counts[1..=20].fill(0);
//! let seed = SeedTree::new(1);
//! let test = IdentityTest::new(&uniform, 20_000, 999, &seed)?;
//! let report = test.run(&counts, Gamma::new(0.01)?, 0.05)?;
//! assert!(report.robust_p_value > 0.05, "explained by 200 manipulated samples");
//! # Ok::<(), septet_robust_stats::RobustStatsError>(())
//! ```
//!
//! [`planner::plan`] computes the number of clients for a target error, or states that no number is
//! sufficient. [`attack`] contains adversaries for testing a pipeline.
//!
//! # Generators
//!
//! Encoding takes a cryptographic generator of the traits in [`rand_core`], version 0.9, which are those
//! of the crate `rand` 0.9. [`client_generator`](mechanism::client_generator) returns one. A generator of
//! another version of `rand` needs an adapter:
//!
//! ```
//! use septet_robust_stats::Epsilon;
//! use septet_robust_stats::mechanism::{Mechanism, RandomizedResponse};
//! use septet_robust_stats::rand_core::{CryptoRng, RngCore};
//!
//! /// The platform's generator: any cryptographic source of bytes.
//! struct Adapter<F>(F);
//!
//! impl<F: FnMut(&mut [u8])> RngCore for Adapter<F> {
//!     fn next_u32(&mut self) -> u32 {
//!         let mut bytes = [0; 4];
//!         self.fill_bytes(&mut bytes);
//!         u32::from_le_bytes(bytes)
//!     }
//!
//!     fn next_u64(&mut self) -> u64 {
//!         let mut bytes = [0; 8];
//!         self.fill_bytes(&mut bytes);
//!         u64::from_le_bytes(bytes)
//!     }
//!
//!     fn fill_bytes(&mut self, bytes: &mut [u8]) {
//!         (self.0)(bytes);
//!     }
//! }
//!
//! impl<F: FnMut(&mut [u8])> CryptoRng for Adapter<F> {}
//!
//! # let platform_random_bytes = |bytes: &mut [u8]| bytes.fill(0x5a);
//! let mechanism = RandomizedResponse::new(10, Epsilon::new(1.0)?)?;
//! let report = mechanism.encode(3, &mut Adapter(platform_random_bytes))?;
//! assert!(report < 10);
//! # Ok::<(), septet_robust_stats::RobustStatsError>(())
//! ```
//!
//! # Features
//!
//! `std` (default) is the server; without it the crate contains the client only, for targets with `alloc`
//! but no `std`. `audit` compares the exact message probabilities of every mechanism with `e^epsilon`;
//! `cli` builds the program `robust-stats`.

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
#[cfg(feature = "std")]
pub mod labels;
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
/// The traits of generators, version 0.9, which [`Mechanism::encode`](mechanism::Mechanism::encode) takes.
pub use rand_chacha::rand_core;
