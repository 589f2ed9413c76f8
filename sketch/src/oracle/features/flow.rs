//! Features of network flows.

use super::{Features, mix};
use crate::error::SketchError;
use crate::key::FlowKey;

/// Prefixes of both addresses, the ports and the protocol.
///
/// The features are, in this order: each prefix of the source address, each prefix of the destination
/// address, the source port, the destination port, the upper eight bits of the destination port, and
/// the protocol. Source ports from 1024, which clients choose at random, count as one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowFeatures {
    prefixes: Vec<u8>,
}

/// The number of features other than prefixes.
const OTHERS: usize = 4;

/// The first unprivileged port.
const FIRST_EPHEMERAL: u16 = 1024;

impl Default for FlowFeatures {
    /// Prefixes of 8, 16 and 24 bits: ten features.
    fn default() -> Self {
        Self {
            prefixes: vec![8, 16, 24],
        }
    }
}

impl FlowFeatures {
    /// Features with prefixes of these lengths, in bits.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] for a length outside `1..=32`.
    pub fn new(prefixes: &[u8]) -> Result<Self, SketchError> {
        match prefixes.iter().find(|bits| !(1..=32).contains(*bits)) {
            Some(bits) => Err(SketchError::parameter("prefixes", "1 to 32 bits", bits)),
            None => Ok(Self {
                prefixes: prefixes.to_vec(),
            }),
        }
    }
}

impl Features<FlowKey> for FlowFeatures {
    fn count(&self) -> usize {
        2 * self.prefixes.len() + OTHERS
    }

    #[inline]
    fn hash(&self, key: &FlowKey, hashes: &mut [u32]) {
        let (source, destination) = (key.source.ip().to_bits(), key.destination.ip().to_bits());
        // The same prefix lengths for both addresses.
        let prefixes = self.prefixes.len();
        for (index, &bits) in self.prefixes.iter().enumerate() {
            let shift = 32 - u32::from(bits);
            hashes[index] = mix(index, u64::from(source >> shift));
            let index = prefixes + index;
            hashes[index] = mix(index, u64::from(destination >> shift));
        }
        // Ephemeral source ports carry no information.
        let source_port = key.source.port().min(FIRST_EPHEMERAL);
        let destination_port = key.destination.port();
        let others = [
            u64::from(source_port),
            u64::from(destination_port),
            u64::from(destination_port >> 8),
            u64::from(key.protocol),
        ];
        for (index, value) in others.into_iter().enumerate() {
            let index = 2 * prefixes + index;
            hashes[index] = mix(index, value);
        }
    }

    fn describe(&self) -> String {
        format!("flow, prefixes {:?}", self.prefixes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(features: &FlowFeatures, source: &str, destination: &str, protocol: u8) -> Vec<u32> {
        let key = FlowKey {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            protocol,
        };
        let mut hashes = vec![0; features.count()];
        features.hash(&key, &mut hashes);
        hashes
    }

    #[test]
    fn each_feature_depends_on_its_own_bits() {
        let features = FlowFeatures::default();
        let base = hashes(&features, "10.20.30.40:5000", "50.60.70.80:443", 6);
        let changed = |source, destination, protocol| -> Vec<usize> {
            let other = hashes(&features, source, destination, protocol);
            (0..10).filter(|&i| other[i] != base[i]).collect()
        };
        assert_eq!(changed("10.20.30.41:5000", "50.60.70.80:443", 6), [0; 0]);
        assert_eq!(changed("10.20.31.40:5000", "50.60.70.80:443", 6), [2]);
        assert_eq!(changed("11.20.30.40:5000", "50.60.70.80:443", 6), [0, 1, 2]);
        assert_eq!(changed("10.20.30.40:5000", "50.61.70.80:443", 6), [4, 5]);
        assert_eq!(changed("10.20.30.40:6000", "50.60.70.80:443", 6), [0; 0]);
        assert_eq!(changed("10.20.30.40:80", "50.60.70.80:443", 6), [6]);
        assert_eq!(changed("10.20.30.40:5000", "50.60.70.80:442", 6), [7]);
        assert_eq!(changed("10.20.30.40:5000", "50.60.70.80:8443", 6), [7, 8]);
        assert_eq!(changed("10.20.30.40:5000", "50.60.70.80:443", 17), [9]);
    }

    #[test]
    fn lengths_outside_an_address_are_refused() {
        assert!(FlowFeatures::new(&[8, 33]).is_err());
        assert!(FlowFeatures::new(&[0]).is_err());
        assert_eq!(FlowFeatures::new(&[32]).unwrap().count(), 6);
    }
}
