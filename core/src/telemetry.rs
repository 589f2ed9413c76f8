//! Logging and progress bars for programs. Libraries write `tracing` events and leave it to the
//! program whether anybody sees them.

use std::io::{self, IsTerminal as _, Write};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// All bars of this process: what is logged goes above them.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Without a terminal, a group says how far it is at most this often.
const QUIET_INTERVAL: Duration = Duration::from_secs(10);

/// The progress through a number of equal steps: a bar on a terminal, a line now and then
/// elsewhere.
#[derive(Debug)]
pub struct Progress {
    name: String,
    total: usize,
    done: AtomicUsize,
    start: Instant,
    last_line: AtomicU64,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Nothing of `total` done yet.
    #[must_use]
    pub fn new(name: &str, total: usize) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let template =
                "{prefix:>24.bold} {wide_bar:.cyan/dim} {pos}/{len} {elapsed:>4} {eta:>4} left";
            let style = ProgressStyle::with_template(template).expect("the template is valid");
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

    /// One step more is done.
    pub fn advance(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
            return;
        }
        let now = self.start.elapsed().as_secs();
        let last = self.last_line.load(Ordering::Relaxed);
        let is_due = now >= last + QUIET_INTERVAL.as_secs();
        let swap = |last| {
            let ordering = Ordering::Relaxed;
            self.last_line
                .compare_exchange(last, now, ordering, ordering)
        };
        if done < self.total && is_due && swap(last).is_ok() {
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

/// Standard error, with the bars out of the way while a line is written.
#[derive(Debug)]
struct AboveBars;

impl Write for AboveBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        BARS.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Sets up logging for a program.
pub fn init() {
    let subscriber = tracing_subscriber::fmt()
        .with_writer(|| AboveBars)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .finish();
    // A second call leaves the first set-up in place.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
