//! Keys and their hashes.
//!
//! The hash is part of the format of a stored sketch: it is the same on every platform and in every
//! version of this crate with the same [`HASH_VERSION`].

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{Ipv4Addr, SocketAddrV4};

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The version of the hash functions in this module; stored with every sketch.
pub const HASH_VERSION: u8 = 1;

/// A type whose values can be counted.
///
/// Equal keys have equal hashes. Integers of any width with the same non-negative value have the
/// same hash, as have `str` and `[u8]` with the same bytes.
pub trait Key {
    /// The 64-bit hash of this key under a seed.
    fn hash64(&self, seed: u64) -> u64;

    /// Writes the hashes of `keys` to `hashes`: the same as one by one, and faster for integers.
    ///
    /// # Panics
    ///
    /// When the slices differ in length.
    #[inline]
    fn hash64_all(keys: &[Self], seed: u64, hashes: &mut [u64])
    where
        Self: Sized,
    {
        assert_eq!(keys.len(), hashes.len(), "one hash for each key");
        for (hash, key) in hashes.iter_mut().zip(keys) {
            *hash = key.hash64(seed);
        }
    }
}

/// Hashes an integer: a bijection of the 64-bit integers for every seed, so that two integers never
/// share a hash (the finaliser of SplitMix64, "variant 13" of D. Stafford, applied to the sum of
/// key and seed).
#[inline]
#[must_use]
pub const fn hash_integer(key: u64, seed: u64) -> u64 {
    let mut z = key.wrapping_add(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Hashes bytes: XXH3, 64 bits, with the seed.
#[inline]
#[must_use]
pub fn hash_bytes(key: &[u8], seed: u64) -> u64 {
    xxh3_64_with_seed(key, seed)
}

/// Many integers at a time.
mod integers {
    use super::hash_integer;
    use crate::simd::Simd;

    /// Hashes integers with the widest vector instructions of this processor.
    #[inline]
    pub(super) fn hash_all<T: Copy>(
        keys: &[T],
        widen: impl Fn(T) -> u64,
        seed: u64,
        hashes: &mut [u64],
    ) {
        assert_eq!(keys.len(), hashes.len(), "one hash for each key");
        match Simd::detect() {
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "instructions that were detected at run time")]
            // SAFETY: they were just detected.
            Simd::Avx512 => unsafe { avx512(keys, widen, seed, hashes) },
            // AVX2 has no 64-bit product, and gains nothing here.
            _ => loop_over(keys, widen, seed, hashes),
        }
    }

    #[inline(always)]
    fn loop_over<T: Copy>(keys: &[T], widen: impl Fn(T) -> u64, seed: u64, hashes: &mut [u64]) {
        for (hash, &key) in hashes.iter_mut().zip(keys) {
            *hash = hash_integer(widen(key), seed);
        }
    }

    /// The loop, vectorized by the compiler.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi2")]
    fn avx512<T: Copy>(keys: &[T], widen: impl Fn(T) -> u64, seed: u64, hashes: &mut [u64]) {
        loop_over(keys, widen, seed, hashes);
    }
}

macro_rules! integer_keys {
    ($($integer:ty),*) => {$(
        impl Key for $integer {
            #[inline]
            fn hash64(&self, seed: u64) -> u64 {
                hash_integer(u64::from(*self), seed)
            }

            #[inline]
            fn hash64_all(keys: &[Self], seed: u64, hashes: &mut [u64]) {
                integers::hash_all(keys, u64::from, seed, hashes);
            }
        }
    )*};
}
integer_keys!(u8, u16, u32, u64);

macro_rules! signed_keys {
    ($($integer:ty),*) => {$(
        impl Key for $integer {
            #[inline]
            fn hash64(&self, seed: u64) -> u64 {
                // Sign extension, then the same bits: non-negative values agree with the unsigned types.
                hash_integer(i64::from(*self).cast_unsigned(), seed)
            }

            #[inline]
            fn hash64_all(keys: &[Self], seed: u64, hashes: &mut [u64]) {
                integers::hash_all(keys, |key| i64::from(key).cast_unsigned(), seed, hashes);
            }
        }
    )*};
}
signed_keys!(i8, i16, i32, i64);

impl Key for [u8] {
    #[inline]
    fn hash64(&self, seed: u64) -> u64 {
        hash_bytes(self, seed)
    }
}

impl<const N: usize> Key for [u8; N] {
    #[inline]
    fn hash64(&self, seed: u64) -> u64 {
        hash_bytes(self, seed)
    }
}

impl Key for Vec<u8> {
    #[inline]
    fn hash64(&self, seed: u64) -> u64 {
        hash_bytes(self, seed)
    }
}

impl Key for str {
    #[inline]
    fn hash64(&self, seed: u64) -> u64 {
        hash_bytes(self.as_bytes(), seed)
    }
}

impl Key for String {
    #[inline]
    fn hash64(&self, seed: u64) -> u64 {
        hash_bytes(self.as_bytes(), seed)
    }
}

impl<K: Key + ?Sized> Key for &K {
    #[inline]
    fn hash64(&self, seed: u64) -> u64 {
        (**self).hash64(seed)
    }
}

/// The 5-tuple that identifies a network flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowKey {
    /// Address and port of the sender.
    pub source: SocketAddrV4,
    /// Address and port of the receiver.
    pub destination: SocketAddrV4,
    /// The IP protocol number: 6 is TCP, 17 is UDP.
    pub protocol: u8,
}

impl FlowKey {
    /// The 13 bytes of a flow in files and in the hash: source address, source port, destination
    /// address, destination port, each in network byte order, and the protocol.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 13] {
        let mut bytes = [0; 13];
        bytes[0..4].copy_from_slice(&self.source.ip().octets());
        bytes[4..6].copy_from_slice(&self.source.port().to_be_bytes());
        bytes[6..10].copy_from_slice(&self.destination.ip().octets());
        bytes[10..12].copy_from_slice(&self.destination.port().to_be_bytes());
        bytes[12] = self.protocol;
        bytes
    }

    /// The flow of these 13 bytes; the inverse of [`to_bytes`](Self::to_bytes).
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 13]) -> Self {
        let endpoint = |b: &[u8]| {
            SocketAddrV4::new(
                Ipv4Addr::new(b[0], b[1], b[2], b[3]),
                u16::from_be_bytes([b[4], b[5]]),
            )
        };
        Self {
            source: endpoint(&bytes[0..6]),
            destination: endpoint(&bytes[6..12]),
            protocol: bytes[12],
        }
    }
}

impl fmt::Display for FlowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} > {} {}",
            self.source, self.destination, self.protocol
        )
    }
}

impl Key for FlowKey {
    #[inline]
    fn hash64(&self, seed: u64) -> u64 {
        hash_bytes(&self.to_bytes(), seed)
    }
}

/// The hash of a key in place of the key, for summaries that need not return the keys they count.
///
/// It is its own hash under any seed. Keys with equal hashes are counted as one key; among `n` keys
/// a collision has a probability of about `n * n / 2^65`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHash(
    /// The hash.
    pub u64,
);

impl Key for KeyHash {
    #[inline]
    fn hash64(&self, _seed: u64) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_all_widths_agree() {
        assert_eq!(7u8.hash64(3), 7u64.hash64(3));
        assert_eq!(7i32.hash64(3), 7u64.hash64(3));
        assert_ne!((-7i32).hash64(3), 7u64.hash64(3));
        assert_eq!((-7i32).hash64(3), (-7i64).hash64(3));
        assert_eq!("day".hash64(1), b"day".hash64(1));
    }

    #[test]
    fn hashes_are_those_of_the_format() {
        // SplitMix64 seeded with 0 gives this first number; XXH3's value is from its reference.
        assert_eq!(hash_integer(0, 0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(hash_bytes(b"", 0), 0x2d06_8005_38d3_94c2);
    }

    #[test]
    fn flows_survive_their_bytes() {
        let flow = FlowKey {
            source: SocketAddrV4::new(Ipv4Addr::new(10, 1, 2, 3), 4567),
            destination: SocketAddrV4::new(Ipv4Addr::new(192, 168, 0, 1), 443),
            protocol: 6,
        };
        assert_eq!(FlowKey::from_bytes(&flow.to_bytes()), flow);
        assert_eq!(
            alloc::format!("{flow}"),
            "10.1.2.3:4567 > 192.168.0.1:443 6"
        );
    }
}
