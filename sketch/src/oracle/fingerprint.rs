//! The hash of all that scores depend on.

use xxhash_rust::xxh3::Xxh3;

/// Collects what an oracle's scores depend on.
pub(super) struct Fingerprint(Xxh3);

impl Fingerprint {
    /// `kind` keeps oracles of different kinds apart.
    pub(super) fn new(kind: &str) -> Self {
        Self(Xxh3::new()).text(kind)
    }

    // Each part is preceded by its length, so that no two sequences of parts hash the same bytes.
    pub(super) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    pub(super) fn numbers(mut self, numbers: &[f32]) -> Self {
        self.0.update(&(numbers.len() as u64).to_le_bytes());
        for number in numbers {
            self.0.update(&number.to_bits().to_le_bytes());
        }
        self
    }

    pub(super) fn finish(&self) -> [u8; 16] {
        self.0.digest128().to_le_bytes()
    }
}
