//! Which keys has the oracle turned down lately?

/// A direct-mapped table of the hashes of keys that were turned down.
///
/// An entry is 4 bytes. Together with its place it tells hashes apart by 32 bits and the bits of
/// the place: a key is taken for one that was turned down with probability 2^-32 a look-up. Such a
/// key stays in the sketch until the entry is overwritten. The memory is asked for with the first
/// key that is turned down.
#[derive(Clone, Debug)]
pub(super) struct Verdicts {
    entries: usize,
    /// As many, or none yet.
    tags: Vec<u32>,
}

impl Verdicts {
    /// A table of `2^bits` entries, or none.
    pub(super) fn new(bits: Option<u32>) -> Self {
        Self {
            entries: Self::entries_of(bits),
            tags: Vec::new(),
        }
    }

    fn entries_of(bits: Option<u32>) -> usize {
        bits.map_or(0, |bits| 1 << bits)
    }

    /// Bytes of a table of so many bits.
    pub(super) fn bytes_of(bits: Option<u32>) -> usize {
        Self::entries_of(bits) * size_of::<u32>()
    }

    /// The place comes from the lower half, the tag from the upper.
    #[inline]
    fn place(&self, hash: u64) -> usize {
        hash as usize & (self.tags.len() - 1)
    }

    #[inline]
    pub(super) fn turned_down(&self, hash: u64) -> bool {
        // The tag 0 stands for an empty place.
        let tag = (hash >> 32) as u32;
        !self.tags.is_empty() && self.tags[self.place(hash)] == tag && tag != 0
    }

    #[inline]
    pub(super) fn turn_down(&mut self, hash: u64) {
        if self.entries > 0 {
            if self.tags.is_empty() {
                self.tags = vec![0; self.entries];
            }
            let place = self.place(hash);
            self.tags[place] = (hash >> 32) as u32;
        }
    }

    pub(super) fn clear(&mut self) {
        self.tags.fill(0);
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.entries * size_of::<u32>()
    }

    pub(super) fn entries(&self) -> usize {
        self.entries
    }
}
