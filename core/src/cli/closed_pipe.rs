//! Standard output whose reader has closed it, as in `program | head -1`.
//!
//! Rust programs ignore SIGPIPE, so that the end of the reader comes as an error of kind
//! `BrokenPipe`, or as a panic of `println!`. A broken pipe may also be a network connection or a
//! child process: only a closed standard output is a success.

use std::any::Any;
use std::io;
use std::panic;
use std::sync::Once;

/// Whether an error comes from writing to a closed standard output.
pub(super) fn ended(error: &anyhow::Error) -> bool {
    let is_broken_pipe = error.chain().any(|cause| {
        let cause = cause.downcast_ref::<io::Error>();
        cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
    });
    is_broken_pipe && stdout_is_closed()
}

/// What the panic of `println!` or `eprintln!` says when it cannot print; `None` for any other panic.
pub(super) fn printing_failed(payload: &(dyn Any + Send)) -> Option<&str> {
    let text = payload.downcast_ref::<String>()?;
    text.starts_with("failed printing to std").then_some(text)
}

/// Whether a panic is that of `println!` on a closed pipe, or of `eprintln!` on the same one.
pub(super) fn panicked(payload: &(dyn Any + Send)) -> bool {
    printing_failed(payload).is_some() && stdout_is_closed()
}

/// Leaves the panics of `println!` unreported: they are no bugs. Any other is reported as before.
pub(super) fn silence_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if printing_failed(info.payload()).is_none() {
                report(info);
            }
        }));
    });
}

#[cfg(unix)]
fn stdout_is_closed() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let stdout = io::stdout();
    let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
    // The writing end of a pipe without a reader is in error, and only that.
    let now = Timespec::default();
    poll(&mut fds, Some(&now)).is_ok()
        && fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

/// Without `poll`, a broken pipe is taken for standard output.
#[cfg(not(unix))]
fn stdout_is_closed() -> bool {
    true
}
