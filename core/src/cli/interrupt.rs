//! The end of a process by a signal.

use std::process;
use std::sync::Once;

/// Lets Ctrl-C end the process with [`Exit::Interrupted`](super::Exit::Interrupted), after removing
/// the files that are being written ([`WholeFile`](crate::io::WholeFile)). On Unix so do SIGTERM and
/// SIGHUP, with 128 plus the number of the signal; a SIGHUP that the process was started to ignore
/// (`nohup`) stays ignored.
///
/// For programs without a shutdown of their own: a server that finishes its requests on Ctrl-C must
/// not call it. Without it the system ends the process, which a shell shows with the same codes, but
/// partial files stay. Later calls have no effect.
pub fn exit_on_interrupt() {
    static ONCE: Once = Once::new();
    ONCE.call_once(handle);
}

/// Waits for a signal in a thread of its own.
#[cfg(unix)]
fn handle() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    let mut ending = vec![SIGINT, SIGTERM];
    if !is_hangup_ignored() {
        ending.push(SIGHUP);
    }
    // On an error, signals end the process as without a handler.
    let Ok(mut signals) = Signals::new(ending) else {
        return;
    };
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            crate::io::remove_unfinished();
            process::exit(128 + signal);
        }
    });
}

/// Whether this process was started to ignore SIGHUP. Where the system does not say so in
/// `/proc/self/status`, it is assumed: then that signal keeps its meaning.
#[cfg(unix)]
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // SIGHUP is 1, the lowest bit.
    mask.is_none_or(|mask| mask & 1 == 1)
}

#[cfg(not(unix))]
fn handle() {
    // An error means that there is a handler already, which then decides.
    let _ = ctrlc::set_handler(|| {
        crate::io::remove_unfinished();
        process::exit(super::Exit::Interrupted.code().into());
    });
}
