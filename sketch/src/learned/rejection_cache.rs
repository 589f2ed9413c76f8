//! A cache of the keys that the oracle has rejected recently.

/// A direct-mapped cache of the hashes of rejected keys.
///
/// An entry is 4 bytes: 32 bits of the hash, besides those that select the entry. A key is mistaken
/// for a rejected one with probability 2^-32 per lookup, and then stays in the sketch until the entry
/// is overwritten. Memory is allocated with the first rejection.
#[derive(Clone, Debug)]
pub(super) struct RejectionCache {
    entries: usize,
    /// Of length `entries`, or empty before the first rejection. The tag 0 marks a free entry.
    tags: Vec<u32>,
}

impl RejectionCache {
    /// A cache of `2^bits` entries, or none.
    pub(super) fn new(bits: Option<u32>) -> Self {
        Self {
            entries: Self::entries_of(bits),
            tags: Vec::new(),
        }
    }

    fn entries_of(bits: Option<u32>) -> usize {
        bits.map_or(0, |bits| 1 << bits)
    }

    /// Bytes of a cache of `2^bits` entries.
    pub(super) fn bytes_of(bits: Option<u32>) -> usize {
        Self::entries_of(bits) * size_of::<u32>()
    }

    /// The entry comes from the lower half of the hash, the tag from the upper half.
    #[inline]
    fn position(&self, hash: u64) -> usize {
        hash as usize & (self.tags.len() - 1)
    }

    /// Whether the key with this hash was rejected recently.
    #[inline]
    pub(super) fn contains(&self, hash: u64) -> bool {
        // A key with the tag 0 is never found, so it is scored each time.
        let tag = (hash >> 32) as u32;
        !self.tags.is_empty() && self.tags[self.position(hash)] == tag && tag != 0
    }

    /// Records a rejection, in place of an earlier one.
    #[inline]
    pub(super) fn insert(&mut self, hash: u64) {
        if self.entries > 0 {
            if self.tags.is_empty() {
                self.tags = vec![0; self.entries];
            }
            let position = self.position(hash);
            self.tags[position] = (hash >> 32) as u32;
        }
    }

    pub(super) fn clear(&mut self) {
        self.tags.fill(0);
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.entries * size_of::<u32>()
    }

    /// The logarithm of the number of entries; `None` for an empty cache.
    pub(super) fn bits(&self) -> Option<u32> {
        self.entries.checked_ilog2()
    }
}
