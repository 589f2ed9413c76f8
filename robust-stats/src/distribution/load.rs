//! Readers of count files: `label,count` lines, and columns of tables.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::Pmf;
use crate::error::RobustStatsError;

/// Maximum length of a line in bytes, which bounds the memory that a file without line ends takes.
pub const MAX_LINE_LEN: usize = 1 << 20;

/// Labels and weights of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Counts {
    /// The label of each symbol.
    pub labels: Vec<String>,
    /// The weight of each symbol: a count or a frequency.
    pub weights: Vec<f64>,
}

impl Counts {
    /// The relative frequencies.
    ///
    /// # Errors
    ///
    /// When there is no symbol, or no weight is positive.
    pub fn pmf(&self) -> Result<Pmf, RobustStatsError> {
        Pmf::from_weights(&self.weights)
    }

    /// Keeps the symbols with a weight of at least `min_weight`, in order.
    #[must_use]
    pub fn with_min_weight(&self, min_weight: f64) -> Self {
        let kept = self.labels.iter().zip(&self.weights);
        let (labels, weights) = kept
            .filter(|(_, weight)| **weight >= min_weight)
            .map(|(label, weight)| (label.clone(), *weight))
            .unzip();
        Self { labels, weights }
    }
}

/// Reads lines `label,weight`. The label is everything before the last comma and may contain commas.
///
/// A first line whose last field is a word without digits is a header; a field such as `1O0` is a
/// mistyped number. Empty lines are skipped. Labels must be unique.
///
/// # Errors
///
/// When the file cannot be read; or, with the line number, when a line has no comma or more than
/// [`MAX_LINE_LEN`] bytes, its weight is not a finite nonnegative number, or its label is a duplicate.
pub fn read_counts(path: &Path) -> Result<Counts, RobustStatsError> {
    let mut counts = Counts {
        labels: Vec::new(),
        weights: Vec::new(),
    };
    let mut first_lines = BTreeMap::new();
    for_each_line(path, |line, text| {
        let (label, last) = text
            .rsplit_once(',')
            .ok_or_else(|| wrong(path, line, "label,weight", text))?;
        match last.trim().parse::<f64>() {
            Ok(weight) if weight.is_finite() && weight >= 0.0 => {
                if let Some(first) = first_lines.insert(label.to_owned(), line) {
                    let expected = format!("a label other than that of line {first}");
                    return Err(wrong(path, line, &expected, label));
                }
                counts.labels.push(label.to_owned());
                counts.weights.push(weight);
                Ok(())
            }
            // Only the first line may be a header.
            Err(_) if line == 1 && is_heading(last) => Ok(()),
            _ => Err(wrong(path, line, "a finite nonnegative weight", last)),
        }
    })?;
    Ok(counts)
}

/// Whether a field is a column name rather than a mistyped number.
fn is_heading(field: &str) -> bool {
    field.chars().any(char::is_alphabetic) && !field.chars().any(char::is_numeric)
}

/// Counts the values of a column, numbered from 0, of a comma-separated table (such as the UCI Adult
/// data). Fields are trimmed; labels are sorted.
///
/// # Errors
///
/// When the file cannot be read, or, with the line number, when a line has too few fields or more than
/// [`MAX_LINE_LEN`] bytes.
pub fn read_column(path: &Path, column: usize) -> Result<Counts, RobustStatsError> {
    let mut tally: BTreeMap<String, f64> = BTreeMap::new();
    for_each_line(path, |line, text| {
        let field = text.split(',').nth(column).ok_or_else(|| {
            let expected = format!("at least {} fields", column.saturating_add(1));
            wrong(path, line, &expected, text)
        })?;
        match tally.get_mut(field.trim()) {
            Some(count) => *count += 1.0,
            None => {
                tally.insert(field.trim().to_owned(), 1.0);
            }
        }
        Ok(())
    })?;
    let (labels, weights) = tally.into_iter().unzip();
    Ok(Counts { labels, weights })
}

/// Calls `each` with every nonempty line and its number from 1.
fn for_each_line(
    path: &Path,
    mut each: impl FnMut(u64, &str) -> Result<(), RobustStatsError>,
) -> Result<(), RobustStatsError> {
    let failed = |source| RobustStatsError::File {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mut reader = BufReader::new(file);
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        // One byte more than the line and its end: a longer line is not read to its end.
        let mut bounded = (&mut reader).take(MAX_LINE_LEN as u64 + 2);
        if bounded.read_until(b'\n', &mut bytes).map_err(failed)? == 0 {
            break;
        }
        let len = bytes.strip_suffix(b"\n").unwrap_or(&bytes).len();
        if len > MAX_LINE_LEN {
            let expected = format!("a line of at most {MAX_LINE_LEN} bytes");
            return Err(wrong(path, line, &expected, "a longer one"));
        }
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| wrong(path, line, "text in UTF-8", "other bytes"))?;
        let text = text.trim_end_matches(['\n', '\r']);
        if !text.trim().is_empty() {
            each(line, text)?;
        }
    }
    Ok(())
}

fn wrong(path: &Path, line: u64, expected: &str, found: &str) -> RobustStatsError {
    RobustStatsError::Line {
        path: path.display().to_string(),
        line,
        expected: expected.to_owned(),
        // Lines are of any length, so only the beginning is quoted.
        found: found.chars().take(60).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Counts, RobustStatsError> {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), text).expect("written");
        read_counts(file.path())
    }

    #[test]
    fn a_header_is_a_word_and_no_mistyped_number() {
        for header in ["label,count", "x,y,Anzahl der F\u{e4}lle", "a, n"] {
            let counts = read(format!("{header}\na,3\n").as_bytes()).unwrap();
            assert_eq!((counts.labels.len(), counts.weights[0]), (1, 3.0));
        }
        for wrong in [
            "a,1O0\n",
            "a,1 000\n",
            "a,-1\n",
            "a,nan\n",
            "a,\n",
            "a,x\nb,y\n",
        ] {
            assert!(read(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lines_are_of_bounded_length() {
        let longest = format!("{},1", "a".repeat(MAX_LINE_LEN - 2));
        for end in ["", "\n", "\nb,1\n"] {
            assert!(read(format!("x,1\n{longest}{end}").as_bytes()).is_ok());
            let error = read(format!("x,1\na{longest}{end}").as_bytes()).unwrap_err();
            assert!(
                matches!(error, RobustStatsError::Line { line: 2, .. }),
                "{error}"
            );
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_told_with_their_line() {
        let error = read(b"a,1\n\xff\xfe,2\n").unwrap_err();
        assert!(
            matches!(error, RobustStatsError::Line { line: 2, .. }),
            "{error}"
        );
    }
}
