//! Paragraphs on the terminal.

use septet_core::wrap::wrap;

/// How wide text is laid out.
pub(crate) const WIDTH: usize = 80;

/// A paragraph in lines of at most [`WIDTH`] columns.
pub(crate) fn indented(text: &str, first: &str, rest: &str) -> String {
    wrap(text, WIDTH, first, rest).join("\n")
}
