//! Logging and progress bars for programs. Libraries write `tracing` events and spans and leave it
//! to the program whether they are shown.
//!
//! [`Progress`] (feature `progress`) needs no set-up. For logging (feature `telemetry`), a program
//! calls `init` once and keeps the `Guard` until its end:
//!
//! ```
//! # #[cfg(feature = "telemetry")]
//! # fn main() {
//! let _guard = septet_core::telemetry::init().expect("the environment names a writable file");
//! tracing::info!(requests = 1_000, "simulated");
//! # }
//! # #[cfg(not(feature = "telemetry"))]
//! # fn main() {}
//! ```
//!
//! | Variable | Meaning |
//! |---|---|
//! | `SEPTET_LOG` | what is logged: `debug`, or `warn,septet_cache=trace`; `info` by default |
//! | `SEPTET_LOG_FORMAT` | `text` (the default) or `json`, one object a line |
//! | `SEPTET_TRACE` | a file for the spans, to be opened with Perfetto or `chrome://tracing` |
//!
//! Everything goes to standard error.

#[cfg(feature = "telemetry")]
mod log;
mod progress;

#[cfg(feature = "telemetry")]
pub use log::{Guard, TelemetryError, init};
pub use progress::{Progress, above_bars};
