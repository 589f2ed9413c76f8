//! The word n-grams of a text, day by day.
//!
//! A substitute for logs of search queries, which are private: short strings with a heavy-tailed
//! distribution, most of which occur once a day, and half of which are unseen on previous days.

use std::collections::HashMap;
use std::io::{BufRead, Read};

use xxhash_rust::xxh3::Xxh3DefaultBuilder;

use crate::error::SketchError;

/// The days of a text. Its words are `[a-z0-9']+` in lower case, its keys are `order` consecutive words
/// joined by spaces, and a day has `tokens_per_day` keys. An incomplete day at the end is dropped.
///
/// A form feed (which separates two books) also separates n-grams.
///
/// ```
/// use septet_sketch::stream::NGramDays;
///
/// let text = "The cat and the dog: the cat sleeps.\x0cAnd the dog barks.";
/// let days: Result<Vec<_>, _> = NGramDays::new(text.as_bytes(), 2, 5)?.collect();
/// let days = days?;
/// assert_eq!(days.len(), 2);
/// assert_eq!(days[0].keys[0], "the cat");
/// assert_eq!(days[0].counts, [1, 1, 1, 1, 1]);
/// assert_eq!(days[1].keys[0], "the cat");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct NGramDays<R> {
    text: R,
    order: usize,
    tokens_per_day: u64,
    /// The last `order - 1` words or fewer.
    recent: Vec<String>,
    line: Vec<u8>,
    /// The unused words of the current line, in reverse order.
    waiting: Vec<Word>,
}

#[derive(Debug)]
enum Word {
    Text(String),
    Break,
}

/// The keys of a day with their counts, in the order of their first occurrence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    /// The keys.
    pub keys: Vec<String>,
    /// Their counts.
    pub counts: Vec<u64>,
    /// The stream of the day, each occurrence as the index of its key.
    pub stream: Vec<u32>,
}

/// A longer line is read in parts, which may split a word.
const MAX_LINE_BYTES: u64 = 1 << 20;

impl<R: BufRead> NGramDays<R> {
    /// The days of a text with `order` words per key, at least 1, and `tokens_per_day` keys per day, 1 to
    /// 2^32 - 1.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] for a parameter out of range.
    pub fn new(text: R, order: usize, tokens_per_day: u64) -> Result<Self, SketchError> {
        if order == 0 {
            return Err(SketchError::parameter("order", "at least 1", order));
        }
        if tokens_per_day == 0 || u32::try_from(tokens_per_day).is_err() {
            return Err(SketchError::parameter(
                "tokens_per_day",
                "1 to 4294967295",
                tokens_per_day,
            ));
        }
        Ok(Self {
            text,
            order,
            tokens_per_day,
            recent: Vec::new(),
            line: Vec::new(),
            waiting: Vec::new(),
        })
    }

    /// The next key; `None` at the end of the text.
    fn next_key(&mut self) -> std::io::Result<Option<String>> {
        // A sliding window over the words; a break empties it.
        loop {
            let Some(word) = self.waiting.pop() else {
                self.line.clear();
                let mut text = (&mut self.text).take(MAX_LINE_BYTES);
                if text.read_until(b'\n', &mut self.line)? == 0 {
                    return Ok(None);
                }
                self.waiting = words(&self.line);
                self.waiting.reverse();
                continue;
            };
            match word {
                Word::Break => self.recent.clear(),
                Word::Text(word) => {
                    self.recent.push(word);
                    if self.recent.len() == self.order {
                        let key = self.recent.join(" ");
                        self.recent.remove(0);
                        return Ok(Some(key));
                    }
                }
            }
        }
    }
}

/// The words of a line. Non-ASCII bytes separate words.
fn words(line: &[u8]) -> Vec<Word> {
    let mut words = Vec::new();
    let mut word = String::new();
    for &byte in line {
        let byte = byte.to_ascii_lowercase();
        if byte.is_ascii_alphanumeric() || byte == b'\'' {
            word.push(char::from(byte));
        } else {
            if !word.is_empty() {
                words.push(Word::Text(std::mem::take(&mut word)));
            }
            if byte == b'\x0c' {
                words.push(Word::Break);
            }
        }
    }
    if !word.is_empty() {
        words.push(Word::Text(word));
    }
    words
}

impl<R: BufRead> Iterator for NGramDays<R> {
    type Item = std::io::Result<Day>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut day = Day {
            keys: Vec::new(),
            counts: Vec::new(),
            stream: Vec::new(),
        };
        // Keys are numbered in the order of their first occurrence.
        let mut indices: HashMap<String, u32, Xxh3DefaultBuilder> = HashMap::default();
        for _ in 0..self.tokens_per_day {
            let key = match self.next_key() {
                Ok(Some(key)) => key,
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            };
            let index = if let Some(&index) = indices.get(&key) {
                index
            } else {
                let index = day.keys.len() as u32;
                day.keys.push(key.clone());
                day.counts.push(0);
                indices.insert(key, index);
                index
            };
            day.counts[index as usize] += 1;
            day.stream.push(index);
        }
        Some(Ok(day))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_cross_lines_but_not_books() {
        let text = "One two\nthree\x0cfour, FIVE--don't";
        let days = NGramDays::new(text.as_bytes(), 2, 1).unwrap();
        let keys: Vec<String> = days.flat_map(|day| day.unwrap().keys).collect();
        assert_eq!(keys, ["one two", "two three", "four five", "five don't"]);
    }

    #[test]
    fn the_counts_are_those_of_the_stream() {
        let text = "a b a b a c ".repeat(50);
        let day = NGramDays::new(text.as_bytes(), 1, 300)
            .unwrap()
            .next()
            .unwrap()
            .unwrap();
        assert_eq!(day.keys, ["a", "b", "c"]);
        assert_eq!(day.counts, [150, 100, 50]);
        assert_eq!(day.stream.len(), 300);
    }

    #[test]
    fn a_text_that_is_too_short_has_no_day() {
        assert!(
            NGramDays::new("a b".as_bytes(), 2, 2)
                .unwrap()
                .next()
                .is_none()
        );
        assert!(NGramDays::new("".as_bytes(), 0, 2).is_err());
        assert!(NGramDays::new("".as_bytes(), 2, 0).is_err());
    }
}
