//! Messages on standard error.

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write as _};

use serde_json::json;

use super::Exit;

/// How messages are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Text,
    /// One object a line.
    Json,
}

impl Style {
    /// JSON when `--json` is among the arguments. They need not be valid: the message may be about
    /// them.
    pub(super) fn of(arguments: &[OsString]) -> Self {
        // Behind `--` there are no options, even if they look like one.
        let mut options = arguments.iter().take_while(|word| *word != "--");
        match options.any(|word| word == "--json") {
            true => Self::Json,
            false => Self::Text,
        }
    }
}

/// The texts of an error and its causes, outermost first, each once: a cause that an earlier text
/// contains is left out.
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> Vec<String> {
    let causes =
        std::iter::successors(Some(error), |&cause| -> Option<&'a (dyn Error + 'static)> {
            cause.source()
        });
    let mut texts: Vec<String> = Vec::new();
    for cause in causes {
        let text = cause.to_string();
        // Some errors repeat their source in their own text.
        if !texts.iter().any(|shown| shown.contains(&text)) {
            texts.push(text);
        }
    }
    texts
}

/// Prints an error with its causes. When standard error is closed, the exit code must suffice.
pub(super) fn print_error(style: Style, error: &anyhow::Error, exit: Exit) {
    let texts = chain(error.as_ref());
    let message = match style {
        Style::Text => format!("error: {}", texts.join("\n  caused by: ")),
        Style::Json => json!({"error": texts.join(": "), "exit_code": exit.code()}).to_string(),
    };
    let _ = writeln!(io::stderr(), "{message}");
}

/// Prints a warning on standard error: what is odd, although the work was done. As an error, it is
/// one object, `{"warning":".."}`, in a program that was called with `--json`.
pub fn warn(text: &str) {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let message = match Style::of(&arguments) {
        Style::Text => format!("warning: {text}"),
        Style::Json => json!({"warning": text}).to_string(),
    };
    let _ = writeln!(io::stderr(), "{message}");
}
