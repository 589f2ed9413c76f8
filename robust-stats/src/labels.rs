//! Names of symbols.

use std::collections::HashMap;

use crate::error::RobustStatsError;

/// Maximum length of a label in bytes.
pub const MAX_LABEL_BYTES: usize = 1_024;

/// Characters that change the direction of text, and so can make a terminal show another text.
const OVERRIDES: [char; 9] = [
    '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}',
    '\u{2069}',
];

/// The names of the symbols `0..k`, all different.
#[derive(Clone, Debug, PartialEq)]
pub struct Labels {
    names: Vec<String>,
    symbols: HashMap<String, usize>,
}

impl Labels {
    /// The labels of the symbols, in their order.
    ///
    /// # Errors
    ///
    /// When there is none, when one is empty, longer than [`MAX_LABEL_BYTES`], starts or ends with white
    /// space, or contains a control character such as a line break or a change of direction, or when two
    /// are equal.
    pub fn new(names: Vec<String>) -> Result<Self, RobustStatsError> {
        let wrong = |expected: &str, found: String| {
            Err(RobustStatsError::parameter("labels", expected, found))
        };
        if names.is_empty() {
            return wrong("at least one", "none".to_owned());
        }
        let mut symbols = HashMap::with_capacity(names.len());
        for (symbol, name) in names.iter().enumerate() {
            if name.is_empty() || name.len() > MAX_LABEL_BYTES {
                let expected = format!("names of 1 to {MAX_LABEL_BYTES} bytes");
                return wrong(&expected, format!("{} as number {symbol}", name.len()));
            }
            if name.contains(|c: char| c.is_control() || OVERRIDES.contains(&c)) {
                return wrong("names without control characters", format!("{name:?}"));
            }
            if name.trim() != name {
                return wrong("names without white space around them", format!("{name:?}"));
            }
            if let Some(before) = symbols.insert(name.clone(), symbol) {
                let found = format!("{name:?} as numbers {before} and {symbol}");
                return wrong("different names", found);
            }
        }
        Ok(Self { names, symbols })
    }

    /// The labels, by symbol.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The symbol of a label.
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<usize> {
        self.symbols.get(name).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(names: &[&str]) -> Result<Labels, RobustStatsError> {
        Labels::new(names.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn labels_are_names_of_symbols() {
        let labels = labels(&["cat", "dog, small", "été"]).unwrap();
        assert_eq!(labels.symbol("dog, small"), Some(1));
        assert_eq!(labels.symbol("bird"), None);
        assert_eq!(labels.names()[2], "été");
    }

    #[test]
    fn ambiguous_or_unprintable_labels_are_refused() {
        for (names, found) in [
            (&[][..], "none"),
            (&["a", ""], "0 as number 1"),
            (&["a\n"], "\"a\\n\""),
            (&["a\u{202e}b"], "\"a\\u{202e}b\""),
            (&["a", " b"], "\" b\""),
            (&["a", "b", "a"], "\"a\" as numbers 0 and 2"),
        ] {
            let error = labels(names).unwrap_err().to_string();
            assert!(error.ends_with(&format!("found {found}")), "{error}");
        }
    }
}
