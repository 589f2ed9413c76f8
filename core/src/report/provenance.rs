//! The program and the machine behind a report.

use std::fs;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// The program and the machine that made a report, and when. What the system does not provide is
/// `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// When the run began, in UTC as RFC 3339 writes it.
    pub started: String,
    /// The command line.
    pub command: Vec<String>,
    /// The SHA-256 of the program.
    pub program_sha256: Option<String>,
    /// Whether the program was built with optimization and without debug assertions.
    pub release_build: bool,
    /// The sources and the compiler that the program was built from.
    pub build: Build,
    /// The operating system and the architecture.
    pub platform: String,
    /// The kernel's version.
    pub kernel: Option<String>,
    /// The processor's name.
    pub processor: Option<String>,
    /// The processors that the process may use.
    pub processors: usize,
    /// The threads that cells were computed on.
    pub threads: usize,
    /// The memory of the machine, in bytes.
    pub memory_bytes: Option<u64>,
    /// The mean number of runnable processes in the minute before the run.
    pub load_before: Option<f64>,
    /// The same at its end.
    pub load_after: Option<f64>,
}

/// What a program was built from, as its build script found it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// The commit of its sources; `None` when they were no checkout.
    pub commit: Option<String>,
    /// Whether the sources differed from that commit.
    pub changed: bool,
    /// The compiler.
    pub compiler: Option<String>,
}

impl Provenance {
    /// Looks at this process and its machine.
    pub(crate) fn collect(build: Build) -> Self {
        let program = std::env::current_exe();
        Self {
            started: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            command: std::env::args_os()
                .map(|argument| argument.to_string_lossy().into_owned())
                .collect(),
            program_sha256: program
                .ok()
                .and_then(|path| crate::data::sha256_of_file(&path).ok()),
            release_build: !cfg!(debug_assertions),
            build,
            platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            // These files exist on Linux; elsewhere the facts are absent.
            kernel: line_of("/proc/sys/kernel/osrelease"),
            processor: field_of("/proc/cpuinfo", "model name"),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            threads: rayon::current_num_threads(),
            memory_bytes: field_of("/proc/meminfo", "MemTotal")
                .as_deref()
                .and_then(kibibytes),
            load_before: load(),
            load_after: None,
        }
    }

    /// The warning that other work on the machine makes measured times unreliable.
    pub(crate) fn load_warning(&self) -> Option<String> {
        let load = self.load_before?;
        let is_busy = load > 0.5 * self.processors as f64;
        is_busy.then(|| {
            let processors = self.processors;
            format!("the load is {load:.1} on {processors} processors: times measured now mislead")
        })
    }
}

/// The load of the last minute.
pub(crate) fn load() -> Option<f64> {
    line_of("/proc/loadavg")?.split(' ').next()?.parse().ok()
}

/// The time of all threads of this process, in seconds.
#[cfg(unix)]
pub(crate) fn processor_seconds() -> Option<f64> {
    use rustix::time::{ClockId, clock_gettime};
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Some(time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9)
}

/// The time of all threads of this process: not known on this system.
#[cfg(not(unix))]
pub(crate) fn processor_seconds() -> Option<f64> {
    None
}

/// The peak memory of this process, in bytes.
pub(crate) fn peak_memory_bytes() -> Option<u64> {
    kibibytes(&field_of("/proc/self/status", "VmHWM")?)
}

fn line_of(file: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    Some(text.lines().next()?.trim().to_owned())
}

/// The value of the first line `name: value`.
fn field_of(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

fn kibibytes(text: &str) -> Option<u64> {
    let number: u64 = text.strip_suffix("kB")?.trim().parse().ok()?;
    number.checked_mul(1024)
}
