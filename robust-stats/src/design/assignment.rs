//! The server's assignment of clients to groups.

use core::hash::Hasher;

use sha2::{Digest, Sha256};
use siphasher::sip::SipHasher24;
#[cfg(feature = "std")]
use siphasher::sip128::{Hasher128, SipHasher24 as SipHasher24x128};

use super::{DesignId, DesignParameters};
#[cfg(feature = "std")]
use crate::error::RobustStatsError;

/// The assignment of clients to groups by a pseudorandom function (SipHash-2-4) of the client's name,
/// keyed with the server's key and the id of the design, hence its epoch. The groups of a client in two
/// designs are independent.
///
/// The key is secret to the server: with it an attacker can register names until enough of them are in
/// the most valuable groups.
#[derive(Clone, Copy)]
pub struct Assignment {
    /// The hash of the server's key and the id of the design.
    key: [u8; 16],
    design: DesignId,
    epoch: u32,
    groups: u32,
}

impl Assignment {
    /// The assignment to the groups of a design, for its epoch.
    #[must_use]
    pub fn new(key: [u8; 16], parameters: &DesignParameters) -> Self {
        let design = parameters.id();
        let hash = Sha256::new()
            .chain_update(b"septet assignment 1")
            .chain_update(key)
            .chain_update(design.0)
            .finalize();
        let mut key = [0; 16];
        key.copy_from_slice(&hash[..16]);
        Self {
            key,
            design,
            epoch: parameters.epoch(),
            groups: u32::try_from(parameters.groups()).expect("a design has 32-bit groups"),
        }
    }

    /// The group of a client, uniform up to `2^-32`.
    #[must_use]
    pub fn group(&self, client: &[u8]) -> usize {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write(client);
        // Multiply-shift maps the 64-bit hash to 0..groups.
        let product = u128::from(hasher.finish()) * u128::from(self.groups);
        usize::try_from(product >> 64).expect("below the number of groups")
    }

    /// Whether another assignment to the groups of the same design has the same key.
    #[cfg(feature = "std")]
    pub(crate) fn has_key_of(&self, other: &Self) -> bool {
        self.key == other.key
    }

    /// Checks that the assignment belongs to this design.
    #[cfg(feature = "std")]
    pub(crate) fn check(&self, parameters: &DesignParameters) -> Result<(), RobustStatsError> {
        if self.epoch != parameters.epoch() {
            let (left, right) = (self.epoch, parameters.epoch());
            return Err(RobustStatsError::mismatch("epoch", left, right));
        }
        if self.groups as usize != parameters.groups() {
            let (left, right) = (self.groups as usize, parameters.groups());
            return Err(RobustStatsError::mismatch("number of groups", left, right));
        }
        if self.design != parameters.id() {
            return Err(RobustStatsError::mismatch(
                "design of the assignment",
                self.design,
                parameters.id(),
            ));
        }
        Ok(())
    }

    /// A keyed 128-bit hash of a client's name for duplicate detection: collisions among `2^40`
    /// clients are negligible.
    #[cfg(feature = "std")]
    pub(crate) fn fingerprint(&self, client: &[u8]) -> u128 {
        let mut hasher = SipHasher24x128::new_with_key(&self.key);
        hasher.write(client);
        hasher.finish128().as_u128()
    }
}

impl core::fmt::Debug for Assignment {
    // Omits the key: debug output ends up in logs.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Assignment")
            .field("design", &self.design)
            .field("epoch", &self.epoch)
            .field("groups", &self.groups)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Designs that differ in their seed only share no group except by accident: of 1 000 clients about one
    // in 100, and with a probability below 1e-9 more than 40.
    #[test]
    fn groups_depend_on_the_whole_design() {
        let design = |seed| {
            let design = DesignParameters::new(100, 4, [seed; 32]).expect("in range");
            design.with_groups(100).expect("in range")
        };
        let (first, second) = (design(1), design(2));
        let a = Assignment::new([7; 16], &first);
        let b = Assignment::new([7; 16], &second);
        let same = (0..1_000_u32)
            .filter(|client| a.group(&client.to_le_bytes()) == b.group(&client.to_le_bytes()))
            .count();
        assert!(same <= 40, "{same}");
        #[cfg(feature = "std")]
        {
            assert!(a.check(&first).is_ok());
            assert!(a.check(&second).is_err());
        }
    }
}
