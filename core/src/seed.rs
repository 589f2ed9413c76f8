//! Reproducible randomness: every generator is named by a path from one master seed.
//!
//! A [`SeedTree`] is a place in a tree of names. Its generator depends on the master seed and on
//! the names along the path, and on nothing else: not on the order in which generators are made,
//! not on threads, not on how many numbers other generators have drawn.
//!
//! ```
//! use rand_chacha::rand_core::RngCore;
//! use septet_core::seed::SeedTree;
//!
//! let tree = SeedTree::new(7);
//! let mut first = tree.child("weights").index(3).rng();
//! let mut again = tree.child("weights").index(3).rng();
//! assert_eq!(first.next_u64(), again.next_u64());
//! ```

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};

/// A place in the tree of seeds: a 256-bit key, derived by SHA-256 from the master seed and the
/// path of names and indices that led here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeedTree {
    key: [u8; 32],
}

impl SeedTree {
    /// The root of the tree for one master seed.
    #[must_use]
    pub fn new(master: u64) -> Self {
        Self {
            key: derive(b"septet seed tree 1", b'm', &master.to_le_bytes()),
        }
    }

    /// The child with this name.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        Self {
            key: derive(&self.key, b'n', name.as_bytes()),
        }
    }

    /// The child with this number. It differs from the child whose name is the number in letters.
    #[must_use]
    pub fn index(&self, index: u64) -> Self {
        Self {
            key: derive(&self.key, b'i', &index.to_le_bytes()),
        }
    }

    /// The generator of this place: ChaCha with 8 rounds, the same on every platform.
    #[must_use]
    pub fn rng(&self) -> ChaCha8Rng {
        ChaCha8Rng::from_seed(self.key)
    }
}

/// The tag keeps names and indices apart, and its fixed position after a key of fixed length keeps
/// any two different paths from hashing the same bytes.
fn derive(parent: &[u8], tag: u8, bytes: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(parent)
        .chain_update([tag])
        .chain_update(bytes)
        .finalize()
        .into()
}
