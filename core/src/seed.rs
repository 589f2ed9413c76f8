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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;
    use rand_chacha::rand_core::RngCore;

    use super::*;

    fn draw(tree: &SeedTree) -> [u64; 3] {
        let mut rng = tree.rng();
        std::array::from_fn(|_| rng.next_u64())
    }

    // From an independent implementation: Python's hashlib for the path, and ChaCha with eight
    // rounds written out from RFC 8439, with a 64-bit counter and a nonce of zero.
    #[test]
    fn the_streams_are_the_same_for_ever() {
        let root = SeedTree::new(7);
        for (tree, expected) in [
            (
                SeedTree::new(0),
                [
                    0x1556_90f0_fa3c_3597,
                    0x98eb_957c_949f_e7d9,
                    0x0d75_eb49_2014_39db,
                ],
            ),
            (
                root,
                [
                    0x4b5a_f38b_0ff8_9e82,
                    0x54f9_bd75_2658_66c2,
                    0x0cbb_c2ea_8e0a_1d33,
                ],
            ),
            (
                root.child("weights"),
                [
                    0xd658_0fb8_be60_2548,
                    0x0c51_6de9_1d12_3f7e,
                    0xdae8_56e5_e7ee_1c39,
                ],
            ),
            (
                root.child("weights").index(3),
                [
                    0xce7e_c1a4_e998_ed4a,
                    0xc57e_52ee_d5f4_ce89,
                    0x32a2_5046_364b_2000,
                ],
            ),
            (
                root.child("weights").child("3"),
                [
                    0xb782_d245_b581_687b,
                    0xcafe_7a0f_42e2_13d9,
                    0x031d_ed8e_aab3_ba59,
                ],
            ),
        ] {
            assert_eq!(draw(&tree), expected);
        }
    }

    proptest! {
        #[test]
        fn siblings_differ(master: u64, names in prop::collection::hash_set(".{0,8}", 2..8)) {
            let root = SeedTree::new(master);
            let mut streams: HashSet<[u64; 3]> =
                names.iter().map(|name| draw(&root.child(name))).collect();
            prop_assert_eq!(streams.len(), names.len());
            // A number in letters is another place than the number.
            for index in 0..4 {
                prop_assert!(streams.insert(draw(&root.index(index))) );
                let in_letters = index.to_string();
                prop_assert!(names.contains(&in_letters) || streams.insert(draw(&root.child(&in_letters))));
            }
        }

        #[test]
        fn paths_do_not_run_together(master: u64, path in "[a-z/]{2,12}", cut in 1_usize..11) {
            let cut = cut.min(path.len() - 1);
            let (first, second) = path.split_at(cut);
            let root = SeedTree::new(master);
            let whole = root.child(&path);
            let parts = root.child(first).child(second);
            let swapped = root.child(second).child(first);
            prop_assert_ne!(draw(&whole), draw(&parts));
            prop_assert_eq!(draw(&parts) == draw(&swapped), first == second);
        }

        #[test]
        fn masters_differ(a: u64, b: u64) {
            prop_assert_eq!(draw(&SeedTree::new(a)) == draw(&SeedTree::new(b)), a == b);
        }
    }
}
