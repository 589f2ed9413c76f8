//! Lines on standard output.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write as _};

use septet_core::wrap::wrap;

/// Prints a line on standard output, as `println!` does, but ends the program quietly when nobody
/// reads any more (`cargo xtask data list | head`).
macro_rules! say {
    () => {
        $crate::terminal::line(format_args!(""))
    };
    ($($text:tt)*) => {
        $crate::terminal::line(format_args!($($text)*))
    };
}
pub(crate) use say;

/// How wide text is laid out.
pub(crate) const WIDTH: usize = 80;

/// A paragraph in lines of at most [`WIDTH`] columns.
pub(crate) fn indented(text: &str, first: &str, rest: &str) -> String {
    wrap(text, WIDTH, first, rest).join("\n")
}

pub(crate) fn line(text: Arguments<'_>) {
    let written = writeln!(std::io::stdout().lock(), "{text}");
    if let Err(error) = written {
        let code = match error.kind() {
            ErrorKind::BrokenPipe => crate::outcome::Outcome::Success,
            _ => crate::outcome::Outcome::Crash,
        };
        std::process::exit(code.code().into());
    }
}
