//! MurmurHash3, the 128-bit variant for 64-bit machines (A. Appleby, public domain).
//!
//! Implemented here because Apache DataSketches uses 64-bit seeds, which existing crates do not
//! support.

const C1: u64 = 0x87c3_7b91_1142_53d5;
const C2: u64 = 0x4cf5_ad43_2745_937f;

/// The first half of the hash, the only one that DataSketches uses.
pub(super) fn hash(key: &[u8], seed: u64) -> u64 {
    let (mut h1, mut h2) = (seed, seed);
    let (blocks, tail) = key.as_chunks::<16>();
    for block in blocks {
        let (k1, k2) = halves(block);
        h1 ^= mix_1(k1);
        h1 = h1.rotate_left(27).wrapping_add(h2);
        h1 = h1.wrapping_mul(5).wrapping_add(0x52dc_e729);
        h2 ^= mix_2(k2);
        h2 = h2.rotate_left(31).wrapping_add(h1);
        h2 = h2.wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    // Padding the tail with zeros is equivalent to leaving it out: mixing maps 0 to 0.
    let mut last = [0; 16];
    last[..tail.len()].copy_from_slice(tail);
    let (k1, k2) = halves(&last);
    h2 ^= mix_2(k2);
    h1 ^= mix_1(k1);

    // Finalization.
    h1 ^= key.len() as u64;
    h2 ^= key.len() as u64;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    finish(h1).wrapping_add(finish(h2))
}

fn halves(block: &[u8; 16]) -> (u64, u64) {
    let both = u128::from_le_bytes(*block);
    (both as u64, (both >> 64) as u64)
}

fn mix_1(k: u64) -> u64 {
    k.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2)
}

fn mix_2(k: u64) -> u64 {
    k.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1)
}

fn finish(mut k: u64) -> u64 {
    k ^= k >> 33;
    k = k.wrapping_mul(0xff51_afd7_ed55_8ccd);
    k ^= k >> 33;
    k = k.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    k ^ (k >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_reference() {
        // Published values of the reference implementation (the first word of the digest).
        assert_eq!(hash(b"", 0), 0);
        assert_eq!(hash(b"hello", 0), 0xcbd8_a7b3_41bd_9b02);
        assert_eq!(
            hash(b"The quick brown fox jumps over the lazy dog", 0),
            0xe34b_bc7b_bc07_1b6c
        );
        assert_eq!(
            hash(b"The quick brown fox jumps over the lazy cog", 0),
            0x658c_a970_ff85_269a
        );
    }
}
