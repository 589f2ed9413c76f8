//! The clients whose reports were counted.

use std::collections::HashSet;
use std::fmt;

use siphasher::sip128::SipHasher24;

use crate::error::RobustStatsError;

/// Keyed 128-bit hashes of names: collisions among `2^40` clients are negligible. Who knows the key
/// could search for names that collide, so that the report of an honest client is rejected.
#[derive(Clone)]
pub(super) struct Clients {
    key: [u8; 16],
    seen: HashSet<u128>,
}

impl Clients {
    pub(super) fn new(key: [u8; 16]) -> Self {
        let seen = HashSet::new();
        Self { key, seen }
    }

    pub(super) fn fingerprint(&self, client: &[u8]) -> u128 {
        let hasher = SipHasher24::new_with_key(&self.key);
        hasher.hash(client).as_u128()
    }

    pub(super) fn contains(&self, fingerprint: u128) -> bool {
        self.seen.contains(&fingerprint)
    }

    pub(super) fn insert(&mut self, fingerprint: u128) {
        self.seen.insert(fingerprint);
    }

    /// Checks that the fingerprints of both are by the same key.
    pub(super) fn check_key(&self, other: &Self) -> Result<(), RobustStatsError> {
        if self.key == other.key {
            return Ok(());
        }
        Err(RobustStatsError::mismatch(
            "key of the duplicate detection",
            "that of this aggregate",
            "another one",
        ))
    }

    pub(super) fn extend(&mut self, other: &Self) {
        self.seen.extend(&other.seen);
    }
}

impl fmt::Debug for Clients {
    // Omits the key: debug output ends up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients")
            .field("seen", &self.seen.len())
            .finish_non_exhaustive()
    }
}
