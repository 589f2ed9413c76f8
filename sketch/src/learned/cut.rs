//! The effective threshold, with a rule for ties.

use crate::key::hash_integer;

/// A score that can be compared: scores that are not finite are lower than all others.
#[inline]
pub(super) fn comparable(score: f32) -> f32 {
    if score.is_finite() {
        score
    } else {
        f32::NEG_INFINITY
    }
}

/// Admits the keys above a score, and a fraction of the keys with exactly this score.
///
/// Oracles with few distinct scores (that only know classes, or rate all keys alike) produce large
/// groups of ties. Which keys of a group are admitted depends on their hash, so that the answer for a
/// key is always the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cut {
    pub(super) score: f32,
    /// Of the keys with this score, those are admitted whose 32-bit hash is below: 0 to 2^32.
    pub(super) ties: u64,
}

impl Cut {
    /// Admits every key.
    pub(super) const ALL: Self = Self {
        score: f32::NEG_INFINITY,
        ties: 1 << 32,
    };

    /// Admits keys above a score.
    pub(super) fn above(score: f32) -> Self {
        Self { score, ties: 0 }
    }

    /// The cut that `keys` of these scores pass, in expectation over ties.
    pub(super) fn passed_by(keys: f64, mut scores: Vec<f32>) -> Self {
        if keys >= scores.len() as f64 {
            return Self::ALL;
        }
        for score in &mut scores {
            *score = comparable(*score);
        }
        // The score at the rank, by selection in linear time; then the fraction of its ties that
        // brings the number to `keys`.
        let rank = (keys.ceil() as usize).max(1) - 1;
        let (_, &mut score, _) =
            scores.select_nth_unstable_by(rank, |left, right| right.total_cmp(left));
        let above = scores.iter().filter(|&&other| other > score).count();
        let equal = scores.iter().filter(|&&other| other == score).count();
        let share = ((keys - above as f64) / equal as f64).clamp(0.0, 1.0);
        Self {
            score,
            ties: (share * (1u64 << 32) as f64) as u64,
        }
    }

    /// The stricter of this cut and a minimum score.
    pub(super) fn at_least(self, score: f32) -> Self {
        if score > self.score {
            Self::above(score)
        } else {
            self
        }
    }

    /// Whether a key with this score and hash is admitted.
    #[inline]
    pub(super) fn admits(&self, score: f32, hash: u64) -> bool {
        let score = comparable(score);
        score > self.score
            || (score == self.score && hash_integer(hash, 0x7469_6573) >> 32 < self.ties)
    }

    /// Whether this cut admits keys that the other does not.
    pub(super) fn is_below(&self, other: &Self) -> bool {
        self.score < other.score || (self.score == other.score && self.ties > other.ties)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(cut: &Cut, scores: &[f32]) -> usize {
        scores
            .iter()
            .zip(0..)
            .filter(|&(&score, key)| cut.admits(score, hash_integer(key, 0)))
            .count()
    }

    #[test]
    fn a_quantile_is_passed_by_that_many() {
        let scores: Vec<f32> = (0..1000).map(|i| (i * 7 % 1000) as f32).collect();
        for keys in [1, 10, 500, 999, 1000] {
            let cut = Cut::passed_by(f64::from(keys), scores.clone());
            assert_eq!(admitted(&cut, &scores), keys as usize);
        }
        assert_eq!(admitted(&Cut::passed_by(0.0, scores.clone()), &scores), 0);
    }

    #[test]
    fn ties_are_broken_by_the_hash() {
        let scores = vec![2.5; 100_000];
        let cut = Cut::passed_by(20_000.0, scores.clone());
        let passed = admitted(&cut, &scores) as f64;
        // The standard deviation of the number is 126.
        assert!((passed - 20_000.0).abs() < 760.0, "{passed}");
        let half: Vec<f32> = (0..100_000).map(|i| (i % 2) as f32).collect();
        let passed = admitted(&Cut::passed_by(60_000.0, half.clone()), &half) as f64;
        assert!((passed - 60_000.0).abs() < 600.0, "{passed}");
    }

    #[test]
    fn what_is_not_finite_is_lowest() {
        let scores = [1.0, f32::NAN, -5.0, f32::INFINITY, f32::NEG_INFINITY];
        let cut = Cut::passed_by(2.0, scores.to_vec());
        assert_eq!(cut.score, -5.0);
        assert_eq!(admitted(&cut, &scores), 2);
        assert!(!Cut::above(f32::NEG_INFINITY).admits(f32::NAN, 1));
        assert!(Cut::ALL.admits(f32::NAN, 1));
    }
}
