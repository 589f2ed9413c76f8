//! Which client belongs to which group: the server's choice.

use core::hash::Hasher;

use siphasher::sip::SipHasher24;

use super::DesignParameters;

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
