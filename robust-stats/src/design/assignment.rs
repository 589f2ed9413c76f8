//! Which client belongs to which group: the server's choice.

use core::hash::Hasher;

use siphasher::sip::SipHasher24;
#[cfg(feature = "std")]
use siphasher::sip128::{Hasher128, SipHasher24 as SipHasher24x128};

use super::DesignParameters;
#[cfg(feature = "std")]
use crate::error::RobustStatsError;

/// The assignment of clients to groups by a keyed pseudo-random function (SipHash-2-4) of the epoch and
/// the client's name.
///
/// The key is the server's secret: whoever knows it can register names until enough of them fall
/// into the groups that matter most.
#[derive(Clone, Copy)]
pub struct Assignment {
    key: [u8; 16],
    epoch: u32,
    groups: u32,
}

impl Assignment {
    /// The assignment to the groups of a design, for its epoch.
    #[must_use]
    pub fn new(key: [u8; 16], parameters: &DesignParameters) -> Self {
        Self {
            key,
            epoch: parameters.epoch(),
            groups: u32::try_from(parameters.groups()).expect("a design has 32-bit groups"),
        }
    }

    /// The group of a client. Groups are even up to `2^-32`.
    #[must_use]
    pub fn group(&self, client: &[u8]) -> usize {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write(&self.epoch.to_le_bytes());
        hasher.write(client);
        let product = u128::from(hasher.finish()) * u128::from(self.groups);
        usize::try_from(product >> 64).expect("below the number of groups")
    }

    /// Checks that the assignment is one for this design.
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
        Ok(())
    }

    /// A keyed hash of a client's name, by which duplicates are found: 128 bits, so that no two of
    /// `2^40` clients share it by chance.
    #[cfg(feature = "std")]
    pub(crate) fn fingerprint(&self, client: &[u8]) -> u128 {
        let mut hasher = SipHasher24x128::new_with_key(&self.key);
        hasher.write(client);
        hasher.finish128().as_u128()
    }
}

impl core::fmt::Debug for Assignment {
    // Without the key: what is printed ends up in logs.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Assignment")
            .field("epoch", &self.epoch)
            .field("groups", &self.groups)
            .finish_non_exhaustive()
    }
}
