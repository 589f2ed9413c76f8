//! What the seven systems of Septet share: how randomness is named, how numbers are judged, how
//! an experiment is run and what it leaves behind.
//!
//! - [`seed::SeedTree`] names every generator by a path from one master seed.
//! - [`stats`] turns samples into estimates with intervals.
//! - `io` (feature `io`) replaces files atomically and reads them with positions for error messages;
//!   feature `compression` adds gzip, zstd and xz.
//! - `cli` (feature `cli`) is the frame of a command-line program: exit codes and error messages;
//!   `cli::testing` (feature `cli-testing`) tests it.
//! - `data` (feature `data`) finds named data sets and verifies them by hash; `data::fetch`
//!   (feature `fetch`) downloads them.
//! - `paper` (feature `paper`) is the facts of a paper, as the manifest of its experiment states
//!   them.
//! - `experiment` (feature `experiment`) runs an experiment: the whole of a `reproduce-<system>`
//!   program is one call of `experiment::main`.
//! - `report` (feature `experiment`) is what a run leaves: a `Report` as JSON, as an HTML page and
//!   as a table of claims.
//! - `telemetry` is progress bars (feature `progress`) and logging (feature `telemetry`) for
//!   programs.
//! - `wrap` (feature `wrap`) breaks paragraphs for a terminal, and nothing that is copied.
//! - `nn` (feature `nn`) is what training on candle needs: seeded parameters, operations
//!   with tested gradients, optimizers; `test-util` adds the check of gradients.
//!
//! Without features there are `seed` and `stats` only, so that a library that depends on the core
//! stays light.
//!
//! ```
//! use septet_core::seed::SeedTree;
//! use septet_core::stats;
//!
//! let mut rng = SeedTree::new(7).child("resampling").rng();
//! let ratios = [1.21, 1.19, 1.24, 1.20, 1.22];
//! let interval = stats::bca(&ratios, stats::mean, 2_000, 0.95, &mut rng).unwrap();
//! assert!(interval.low < 1.212 && 1.212 < interval.high);
//! ```

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "data")]
pub mod data;
#[cfg(feature = "experiment")]
pub mod experiment;
#[cfg(feature = "io")]
pub mod io;
#[cfg(feature = "nn")]
pub mod nn;
#[cfg(feature = "paper")]
pub mod paper;
#[cfg(feature = "experiment")]
pub mod report;
pub mod seed;
pub mod stats;
#[cfg(feature = "progress")]
pub mod telemetry;
#[cfg(feature = "wrap")]
pub mod wrap;
