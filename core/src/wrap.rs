//! Paragraphs for a terminal, in which nothing that is copied is broken.

use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

/// Stands for a space that is not broken: a private-use character, which no text has.
const HELD: char = '\u{e000}';

/// Breaks a text into lines of at most `width` columns, the first behind `first`, the others behind
/// `rest`.
///
/// It is broken at spaces only, so that a path, an address, a name or a number stays whole, and not
/// within a command: text in backquotes, or a whole text that begins with `cargo` or `sudo`.
/// A line is longer than `width` when a single one of these is.
///
/// ```
/// use septet_core::wrap::wrap;
///
/// let lines = wrap("get it with `cargo xtask data fetch mnist` or by hand", 30, "- ", "  ");
/// assert_eq!(
///     lines,
///     ["- get it with", "  `cargo xtask data fetch mnist`", "  or by hand"],
/// );
/// ```
#[must_use]
pub fn wrap(text: &str, width: usize, first: &str, rest: &str) -> Vec<String> {
    let is_command = ["cargo ", "sudo "]
        .iter()
        .any(|program| text.starts_with(program));
    // Spaces of commands are replaced while the text is wrapped: textwrap does not break at them.
    let mut is_held = is_command;
    let held: String = text
        .chars()
        .map(|c| {
            is_held ^= c == '`';
            if is_held && c == ' ' { HELD } else { c }
        })
        .collect();
    let options = Options::new(width)
        .initial_indent(first)
        .subsequent_indent(rest)
        .break_words(false)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    let lines = textwrap::wrap(&held, options).into_iter();
    lines.map(|line| line.replace(HELD, " ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_copied_stays_whole() {
        let address = "https://example.org/a-very-long/332b216a-data/tencentBlock.ns1326.csv";
        let command = "`cargo xtask data fetch cache-brightkite --now`";
        let text = format!("it is at {address} and comes with {command} one day");
        let lines = wrap(&text, 40, "  ", "  ");
        for whole in [address, command] {
            assert!(lines.iter().any(|line| line.contains(whole)), "{lines:?}");
        }
        for line in &lines {
            let is_one_thing = line.contains(address) || line.contains(command);
            assert!(line.chars().count() <= 40 || is_one_thing, "{line}");
        }
        let bare = "sudo apt-get install dataset-fashion-mnist";
        assert_eq!(wrap(bare, 20, "", ""), [bare]);
    }
}
