//! Features of short texts such as queries.

use super::{Features, mix};
use crate::key::hash_bytes;

/// Words and the letters at their ends.
///
/// The features are, in this order: for each of the first `words` words, the word, its first three
/// bytes and its last three bytes; the last word; the whole text; the number of words, up to 15; and
/// the length in bytes, up to 63. Words are separated by spaces. Missing words count as empty words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextFeatures {
    /// The number of words with features of their own.
    pub words: u8,
}

/// The number of features of a word.
const OF_A_WORD: usize = 3;

/// The number of features other than those of words.
const OTHERS: usize = 4;

impl Default for TextFeatures {
    /// Two words: ten features.
    fn default() -> Self {
        Self { words: 2 }
    }
}

impl TextFeatures {
    fn hash_text(&self, text: &[u8], hashes: &mut [u32]) {
        let mut put = |index: usize, bytes: &[u8]| hashes[index] = mix(index, hash_bytes(bytes, 0));
        let mut words = text.split(|&byte| byte == b' ').filter(|w| !w.is_empty());
        let mut count = 0;
        let mut last: &[u8] = b"";
        let mut index = 0;
        for _ in 0..self.words {
            let word = words.next().unwrap_or_default();
            if !word.is_empty() {
                last = word;
                count += 1;
            }
            put(index, word);
            put(index + 1, &word[..word.len().min(3)]);
            put(index + 2, &word[word.len().saturating_sub(3)..]);
            index += OF_A_WORD;
        }
        // Words without features still count, and the last may be one of them.
        for word in words {
            last = word;
            count += 1;
        }
        put(index, last);
        put(index + 1, text);
        hashes[index + 2] = mix(index + 2, count.min(15));
        hashes[index + 3] = mix(index + 3, text.len().min(63) as u64);
    }
}

impl Features<str> for TextFeatures {
    fn count(&self) -> usize {
        OF_A_WORD * usize::from(self.words) + OTHERS
    }

    fn hash(&self, key: &str, hashes: &mut [u32]) {
        self.hash_text(key.as_bytes(), hashes);
    }

    fn describe(&self) -> String {
        format!("text, {} words", self.words)
    }
}

impl Features<String> for TextFeatures {
    fn count(&self) -> usize {
        Features::<str>::count(self)
    }

    fn hash(&self, key: &String, hashes: &mut [u32]) {
        self.hash_text(key.as_bytes(), hashes);
    }

    fn describe(&self) -> String {
        Features::<str>::describe(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_their_ends_are_features() {
        let features = TextFeatures::default();
        let hashes = |key: &str| {
            let mut hashes = [0; 10];
            features.hash(key, &mut hashes);
            hashes
        };
        let changed = |a: &str, b: &str| -> Vec<usize> {
            let (a, b) = (hashes(a), hashes(b));
            (0..10).filter(|&i| a[i] != b[i]).collect()
        };
        assert_eq!(changed("white house", "white house"), [0; 0]);
        // The same beginning, the same length.
        assert_eq!(changed("white house", "white hours"), [3, 5, 6, 7]);
        // A third word: the last one, the whole, the number, the length.
        assert_eq!(changed("white house", "white house x"), [6, 7, 8, 9]);
        assert_eq!(changed("", "a").len(), 7);
        let mut owned = [0; 10];
        features.hash(&"white house".to_owned(), &mut owned);
        assert_eq!(owned, hashes("white house"));
    }
}
