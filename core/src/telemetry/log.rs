//! Logging, configured by the environment.

use std::env::{self, VarError};
use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;

use tracing_chrome::{ChromeLayerBuilder, FlushGuard};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt};

use super::above_bars;

/// Why logging cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// A variable has an invalid value.
    #[error("the environment variable {variable} is `{value}`, expected {expected}")]
    Variable {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What it can be.
        expected: &'static str,
    },
    /// The file for the spans cannot be written.
    #[error("the trace file {} cannot be written", file.display())]
    TraceFile {
        /// The file.
        file: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
}

/// Keeps the trace file open; when it is dropped, the file is complete.
#[derive(Default)]
#[must_use = "the trace file is complete only after the guard is dropped"]
pub struct Guard {
    _trace: Option<FlushGuard>,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}

/// Sets up logging as the environment configures it. When it is set up already, it stays as it is.
///
/// # Errors
///
/// [`TelemetryError`] when a variable has an invalid value or the trace file cannot be written.
pub fn init() -> Result<Guard, TelemetryError> {
    let filter = match variable("SEPTET_LOG")? {
        None => Targets::new().with_default(LevelFilter::INFO),
        Some(value) => value.parse().map_err(|_| TelemetryError::Variable {
            variable: "SEPTET_LOG",
            value,
            expected: "a level, or targets with levels: `debug`, `warn,septet_cache=trace`",
        })?,
    };
    // Events become lines above the progress bars.
    let lines = fmt::layer().with_writer(|| AboveBars).with_target(false);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match variable("SEPTET_LOG_FORMAT")? {
        Some(format) if format == "json" => lines.json().with_filter(filter).boxed(),
        Some(format) if format != "text" => {
            return Err(TelemetryError::Variable {
                variable: "SEPTET_LOG_FORMAT",
                value: format,
                expected: "`text` or `json`",
            });
        }
        _ => lines
            .with_ansi(io::stderr().is_terminal())
            .with_filter(filter)
            .boxed(),
    };
    // Spans are recorded on request only: there may be very many.
    let (spans, guard) = match variable("SEPTET_TRACE")? {
        None => (None, None),
        Some(file) => {
            let file = PathBuf::from(file);
            let writer = File::create(&file);
            let writer = writer.map_err(|source| TelemetryError::TraceFile { file, source })?;
            let builder = ChromeLayerBuilder::new().writer(writer).include_args(true);
            let (layer, guard) = builder.build();
            (Some(layer), Some(guard))
        }
    };
    // An error says that logging is set up already.
    let _ = Registry::default().with(lines).with(spans).try_init();
    Ok(Guard { _trace: guard })
}

/// The value of a variable; an empty one is none.
fn variable(variable: &'static str) -> Result<Option<String>, TelemetryError> {
    match env::var(variable) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(value)) => Err(TelemetryError::Variable {
            variable,
            value: value.to_string_lossy().into_owned(),
            expected: "text in UTF-8",
        }),
    }
}

/// Standard error, with the bars out of the way while a line is written.
#[derive(Debug)]
struct AboveBars;

impl Write for AboveBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        above_bars(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
