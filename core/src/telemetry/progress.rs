//! Progress bars.

use std::io::{self, IsTerminal as _};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// All bars of this process: what is logged goes above them.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Time between two redraws of a bar that does not move.
const TICK: Duration = Duration::from_millis(200);

/// Without a terminal, progress is logged at most this often.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

const STEPS: &str = "{prefix:>24} {wide_bar:.cyan/dim} {human_pos}/{human_len} {elapsed:>4} \
                     {eta:>4} left {msg}";
const BYTES: &str = "{prefix:>24} {wide_bar:.cyan/dim} {bytes}/{total_bytes} {eta:>4} left {msg}";
const BYTES_WITHOUT_END: &str = "{prefix:>24} {spinner} {bytes} {elapsed} {msg}";
const SPINNER: &str = "{prefix:>24} {spinner} {elapsed} {msg}";

/// The progress of some work: a bar on a terminal, a log line every ten seconds elsewhere.
///
/// A bar that is dropped before [`finish`](Self::finish) disappears, which is also how a program ends
/// one whose result speaks for itself.
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
    /// `None` when the end is unknown.
    total: Option<u64>,
    unit: &'static str,
    position: AtomicU64,
    start: Instant,
    /// When progress was logged last, in seconds since the start.
    last_logged: AtomicU64,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// The progress through a number of steps: requests, cells, training steps.
    #[must_use]
    pub fn new(name: &str, total: usize) -> Self {
        Self::with(name, Some(total as u64), "", STEPS)
    }

    /// The progress through a number of bytes; `None` when it is unknown, as of standard input.
    #[must_use]
    pub fn bytes(name: &str, total: Option<u64>) -> Self {
        let template = match total {
            Some(_) => BYTES,
            None => BYTES_WITHOUT_END,
        };
        Self::with(name, total, " bytes", template)
    }

    /// Work of unknown length.
    #[must_use]
    pub fn spinner(name: &str) -> Self {
        Self::with(name, None, "", SPINNER)
    }

    fn with(name: &str, total: Option<u64>, unit: &'static str, template: &str) -> Self {
        // A bar needs a terminal; elsewhere `log` writes lines.
        let bar = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(template)
                .expect("the template is valid")
                .progress_chars("━╸─");
            let bar = match total {
                Some(total) => ProgressBar::new(total),
                None => ProgressBar::no_length(),
            };
            let bar = BARS.add(bar.with_style(style).with_prefix(name.to_owned()));
            bar.enable_steady_tick(TICK);
            bar
        });
        Self {
            name: name.to_owned(),
            total,
            unit,
            position: AtomicU64::new(0),
            start: Instant::now(),
            last_logged: AtomicU64::new(0),
            bar,
        }
    }

    /// Moves forward.
    pub fn advance(&self, steps: usize) {
        let steps = steps as u64;
        let position = self.position.fetch_add(steps, Ordering::Relaxed) + steps;
        match &self.bar {
            Some(bar) => bar.inc(steps),
            None => self.log(position),
        }
    }

    /// Moves to a position.
    pub fn set_position(&self, position: u64) {
        self.position.store(position, Ordering::Relaxed);
        match &self.bar {
            Some(bar) => bar.set_position(position),
            None => self.log(position),
        }
    }

    /// Shows a text beside the bar, such as the current loss.
    pub fn set_message(&self, text: impl Into<String>) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.into());
        }
    }

    /// Logs the position when it is time to.
    fn log(&self, position: u64) {
        let now = self.start.elapsed().as_secs();
        let last = self.last_logged.load(Ordering::Relaxed);
        // The end is logged by `finish`.
        if now < last + LOG_INTERVAL.as_secs() || self.total == Some(position) {
            return;
        }
        // One of several threads logs.
        let order = Ordering::Relaxed;
        if self
            .last_logged
            .compare_exchange(last, now, order, order)
            .is_ok()
        {
            let (name, unit) = (&self.name, self.unit);
            match self.total {
                Some(total) => tracing::info!("{name}: {position} of {total}{unit} after {now} s"),
                None => tracing::info!("{name}: {position}{unit} after {now} s"),
            }
        }
    }

    /// Everything is done: the bar stays, with the time that it took.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish();
            return;
        }
        let seconds = self.start.elapsed().as_secs_f64();
        let done = self
            .total
            .unwrap_or_else(|| self.position.load(Ordering::Relaxed));
        tracing::info!("{}: {done}{} done in {seconds:.1} s", self.name, self.unit);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take_if(|bar| !bar.is_finished()) {
            bar.finish_and_clear();
        }
    }
}

/// Runs something that writes to the terminal with the bars out of the way.
pub fn above_bars<T>(write: impl FnOnce() -> T) -> T {
    BARS.suspend(write)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_add_up_with_and_without_an_end() {
        for progress in [
            Progress::new("steps", 10),
            Progress::bytes("file", Some(10)),
            Progress::bytes("stream", None),
            Progress::spinner("writing"),
        ] {
            progress.set_position(4);
            progress.advance(3);
            progress.set_message("loss 0.5");
            assert_eq!(progress.position.load(Ordering::Relaxed), 7);
            progress.finish();
        }
    }

    #[test]
    fn templates_are_valid() {
        // Without a terminal no bar is made that would check them.
        for template in [STEPS, BYTES, BYTES_WITHOUT_END, SPINNER] {
            ProgressStyle::with_template(template).unwrap();
        }
    }
}
