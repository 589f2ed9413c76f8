//! Logging and progress bars for programs. Libraries write `tracing` events and spans and leave it
//! to the program whether anybody sees them.
//!
//! A program calls [`init`] once and keeps the [`Guard`] until its end:
//!
//! ```
//! let _guard = septet_core::telemetry::init().expect("the environment names a writable file");
//! tracing::info!(requests = 1_000, "simulated");
//! ```
//!
//! | Variable | Meaning |
//! |---|---|
//! | `SEPTET_LOG` | what is logged: `debug`, or `warn,septet_cache=trace`; `info` by default |
//! | `SEPTET_LOG_FORMAT` | `text` (the default) or `json`, one object a line |
//! | `SEPTET_TRACE` | a file for the spans, to be opened with Perfetto or `chrome://tracing` |
//!
//! Everything goes to standard error.

use std::env::{self, VarError};
use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tracing_chrome::{ChromeLayerBuilder, FlushGuard};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt};

/// All bars of this process: what is logged goes above them.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Without a terminal, a line says how far the work is at most this often.
const QUIET_INTERVAL: Duration = Duration::from_secs(10);

/// Why logging cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// A variable has a value that means nothing.
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
        /// What the system says.
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

/// Sets up logging as the environment says. When it is set up already, it stays as it is.
///
/// # Errors
///
/// [`TelemetryError`] when a variable makes no sense or the trace file cannot be written.
pub fn init() -> Result<Guard, TelemetryError> {
    let filter = match variable("SEPTET_LOG")? {
        None => Targets::new().with_default(LevelFilter::INFO),
        Some(value) => value.parse().map_err(|_| TelemetryError::Variable {
            variable: "SEPTET_LOG",
            value,
            expected: "a level, or targets with levels: `debug`, `warn,septet_cache=trace`",
        })?,
    };
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

/// The progress through a number of equal steps: a bar on a terminal, a line now and then
/// elsewhere.
///
/// ```
/// use septet_core::telemetry::Progress;
///
/// let progress = Progress::new("traces", 3);
/// for _trace in ["OLTP", "P3", "w106"] {
///     progress.advance(1);
/// }
/// progress.finish();
/// ```
#[derive(Debug)]
pub struct Progress {
    name: String,
    total: usize,
    done: AtomicUsize,
    start: Instant,
    /// When the last line was written, in seconds since the start.
    last_line: AtomicU64,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Nothing of `total` steps done yet.
    #[must_use]
    pub fn new(name: &str, total: usize) -> Self {
        let template =
            "{prefix:>24} {wide_bar:.cyan/dim} {human_pos}/{human_len} {elapsed:>4} {eta:>4} left";
        let bar = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(template)
                .expect("the template is valid")
                .progress_chars("━╸─");
            let bar = BARS.add(ProgressBar::new(total as u64).with_style(style));
            bar.set_prefix(name.to_owned());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self {
            name: name.to_owned(),
            total,
            done: AtomicUsize::new(0),
            start: Instant::now(),
            last_line: AtomicU64::new(0),
            bar,
        }
    }

    /// So many steps more are done.
    pub fn advance(&self, steps: usize) {
        let done = self.done.fetch_add(steps, Ordering::Relaxed) + steps;
        if let Some(bar) = &self.bar {
            bar.inc(steps as u64);
            return;
        }
        let now = self.start.elapsed().as_secs();
        let last = self.last_line.load(Ordering::Relaxed);
        let is_due = now >= last + QUIET_INTERVAL.as_secs() && done < self.total;
        let claim_line = || {
            let order = Ordering::Relaxed;
            self.last_line.compare_exchange(last, now, order, order)
        };
        if is_due && claim_line().is_ok() {
            tracing::info!("{}: {done} of {} after {now} s", self.name, self.total);
        }
    }

    /// Everything is done.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish();
        } else {
            let seconds = self.start.elapsed().as_secs_f64();
            tracing::info!("{}: {} done in {seconds:.1} s", self.name, self.total);
        }
    }
}

/// A bar of work that was given up is taken away.
impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take_if(|bar| !bar.is_finished()) {
            bar.abandon();
        }
    }
}

/// Runs something that writes to the terminal with the bars out of the way.
pub fn above_bars<T>(write: impl FnOnce() -> T) -> T {
    BARS.suspend(write)
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
