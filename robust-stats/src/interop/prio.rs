//! Histograms from the aggregate shares of Prio3 (VDAF, draft-irtf-cfrg-vdaf): the counts of a group of
//! a hash design, collected with proof that each client adds 1 to one cell.
//!
//! An aggregate share of `Prio3Histogram` is one element of Field128 for each bucket, each 16 bytes,
//! little-endian; the histogram is their sum over all aggregators modulo the field's prime. That is
//! all that unsharding takes, so that no Prio library is needed on this side.

use crate::aggregate::{CountMatrix, MAX_REPORTS};
use crate::error::RobustStatsError;

/// The prime of Field128: `2^66 * 4611686018427387897 + 1`.
pub const FIELD_MODULUS: u128 = 340_282_366_920_938_462_946_865_773_367_900_766_209;

/// Adds the aggregate shares of all aggregators into a histogram of `buckets` counts.
///
/// # Errors
///
/// When there is no share, a share is not 16 bytes per bucket, an element is not below the prime, or a
/// sum exceeds [`MAX_REPORTS`]: shares that do not belong together have random sums.
pub fn histogram_from_shares(
    shares: &[&[u8]],
    buckets: usize,
) -> Result<Vec<u64>, RobustStatsError> {
    if shares.is_empty() {
        return Err(RobustStatsError::parameter("shares", "at least one", 0));
    }
    let mut sums = vec![0_u128; 0];
    for share in shares {
        if share.len() / 16 != buckets || share.len() % 16 != 0 {
            return Err(RobustStatsError::Decode {
                format: "Prio3 aggregate share",
                offset: 0,
                expected: format!("16 bytes for each of {buckets} buckets"),
                found: format!("{} bytes", share.len()),
            });
        }
        sums.resize(buckets, 0);
        for (bucket, (sum, bytes)) in sums.iter_mut().zip(share.chunks_exact(16)).enumerate() {
            // Decode a field element and check that it is reduced.
            let mut element = [0; 16];
            element.copy_from_slice(bytes);
            let element = u128::from_le_bytes(element);
            if element >= FIELD_MODULUS {
                return Err(RobustStatsError::Decode {
                    format: "Prio3 aggregate share",
                    offset: 16 * bucket as u64,
                    expected: "an element of Field128".to_owned(),
                    found: element.to_string(),
                });
            }
            // Modular addition without overflow: twice the modulus exceeds 128 bits.
            *sum = match sum.checked_sub(FIELD_MODULUS - element) {
                Some(wrapped) => wrapped,
                None => *sum + element,
            };
        }
    }
    // Shares that do not belong together sum to random field elements, almost all above the limit.
    let count = |(bucket, sum): (usize, u128)| match u64::try_from(sum) {
        Ok(count) if count <= MAX_REPORTS => Ok(count),
        _ => Err(RobustStatsError::Decode {
            format: "Prio3 aggregate share",
            offset: 16 * bucket as u64,
            expected: format!("shares of a count of at most {MAX_REPORTS}"),
            found: format!("shares of {sum}"),
        }),
    };
    sums.into_iter().enumerate().map(count).collect()
}

/// The count matrix of a hash design without privacy, from one Prio3 histogram of `cells` buckets for
/// each group: `shares[group]` are the aggregate shares of that group.
///
/// # Errors
///
/// As [`histogram_from_shares`].
pub fn design_counts_from_shares(
    shares: &[Vec<&[u8]>],
    cells: usize,
) -> Result<CountMatrix, RobustStatsError> {
    let mut counts = Vec::new();
    for group in shares {
        counts.extend(histogram_from_shares(group, cells)?);
    }
    CountMatrix::from_counts(shares.len(), cells, counts)
}
