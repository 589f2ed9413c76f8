//! Two learned sketches become one.

use super::sketch::Learned;
use super::table::{Entry, ExplicitTable, Slot};
use super::threshold::Threshold;
use crate::error::SketchError;
use crate::frequency::{Estimate, FrequencySketch, Merge};
use crate::key::Key;
use crate::oracle::Oracle;

/// What the merged table and the merged sketch will be.
struct Union {
    /// The tags and entries of each bucket.
    buckets: Vec<Vec<(u64, Entry)>>,
    /// Hashes and counts that go into the sketch.
    spilled: Vec<(u64, u64)>,
    /// Occurrences that leave the table.
    uncovered: u64,
}

impl<K, S, O, T> Merge for Learned<K, S, O, T>
where
    K: Key + ?Sized,
    S: FrequencySketch + Merge,
    O: Oracle<K>,
    T: Slot,
{
    /// Unites the tables and merges the sketches.
    ///
    /// A key that only one table holds may have been counted by the other sketch, unless both sides
    /// have always had the same threshold and the other table still had room for it.
    /// With [`Slot16`](super::Slot16) the other sketch's estimate of it is added to the entry. With
    /// [`Slot8`](super::Slot8) its hash is not known any more: the entry becomes partial, and its
    /// estimate is its count and what the merged sketch says. So the merged sketch does not
    /// underestimate where `S` does not.
    ///
    /// When a bucket would hold more entries than it has slots, the smallest ones are moved into
    /// the sketch (`Slot16`), or nothing is merged and an error is given (`Slot8`).
    ///
    /// # Errors
    ///
    /// [`SketchError::Incompatible`] when tables, sketches, oracles or thresholds differ (adaptive
    /// thresholds may stand at different scores), [`SketchError::TableOverflow`] as said above.
    /// Nothing is changed then.
    fn merge(&mut self, other: &Self) -> Result<(), SketchError> {
        self.compatible(other)?;
        let union = self.union(other)?;
        self.sketch.merge(&other.sketch)?;
        for (bucket, entries) in union.buckets.iter().enumerate() {
            self.table.set_bucket(bucket, entries);
        }
        for &(hash, count) in &union.spilled {
            self.sketch.update_hash(hash, count);
        }
        let (mine, theirs) = (&mut self.stats, &other.stats);
        mine.total = mine.total.saturating_add(theirs.total);
        mine.explicit = mine
            .explicit
            .saturating_add(theirs.explicit)
            .saturating_sub(union.uncovered);
        mine.admitted = mine.admitted.saturating_add(theirs.admitted);
        mine.late = mine.late.saturating_add(theirs.late);
        mine.questions = mine.questions.saturating_add(theirs.questions);
        mine.not_finite = mine.not_finite.saturating_add(theirs.not_finite);
        mine.panics = mine.panics.saturating_add(theirs.panics);
        let spilled = theirs.spilled.saturating_add(union.spilled.len() as u64);
        mine.spilled = mine.spilled.saturating_add(spilled);
        // The sketch may have counted keys, on either side, that are admitted from now on.
        self.late = true;
        Ok(())
    }
}

impl<K, S, O, T> Learned<K, S, O, T>
where
    K: Key + ?Sized,
    S: FrequencySketch,
    O: Oracle<K>,
    T: Slot,
{
    fn compatible(&self, other: &Self) -> Result<(), SketchError> {
        let same = |field, left: String, right: String| {
            if left == right {
                Ok(())
            } else {
                Err(SketchError::Incompatible { field, left, right })
            }
        };
        let slots = |learned: &Self| learned.table.slots().to_string();
        same("explicit slots", slots(self), slots(other))?;
        let seed = |learned: &Self| learned.sketch.seed().to_string();
        same("seed", seed(self), seed(other))?;
        let oracle = |learned: &Self| {
            let fingerprint = learned.oracle.fingerprint();
            format!("{:032x}", u128::from_be_bytes(fingerprint))
        };
        same("oracle", oracle(self), oracle(other))?;
        let threshold = |learned: &Self| match learned.threshold {
            Threshold::Adaptive { .. } => learned.threshold.kind().to_string(),
            _ => format!("{} {}", learned.threshold.kind(), learned.cut.score),
        };
        same("threshold", threshold(self), threshold(other))
    }

    /// Whether each key that one side admitted, the other side would have admitted at any time since
    /// its window began, as long as there was room.
    fn admits_as(&self, other: &Self) -> bool {
        let steady = |learned: &Self| {
            let adaptive = matches!(learned.threshold, Threshold::Adaptive { .. });
            !adaptive && !learned.late && !learned.oracle_failed
        };
        steady(self) && steady(other) && self.cut == other.cut
    }

    /// The union of the tables; nothing is changed yet.
    fn union(&self, other: &Self) -> Result<Union, SketchError> {
        let slots = ExplicitTable::<T>::slots_of_a_bucket();
        let mut union = Union {
            buckets: Vec::with_capacity(self.table.buckets()),
            spilled: Vec::new(),
            uncovered: 0,
        };
        let alike = self.admits_as(other);
        for bucket in 0..self.table.buckets() {
            let has_room = |learned: &Self| learned.table.bucket(bucket).count() < slots;
            // A key of this bucket that is in one table only never met the sketch of the other.
            let (left_lacks, right_lacks) = (alike && has_room(self), alike && has_room(other));
            let mut entries: Vec<(u64, Option<u64>, Entry, Sides)> = self
                .table
                .bucket(bucket)
                .map(|(tag, hash, entry)| (tag, hash, entry, Sides::Left))
                .collect();
            for (tag, hash, entry) in other.table.bucket(bucket) {
                match entries.iter_mut().find(|(other, ..)| *other == tag) {
                    Some((_, _, mine, sides)) => {
                        // Flags of either side hold for the sum.
                        mine.count = mine.count.saturating_add(entry.count);
                        mine.partial |= entry.partial;
                        mine.late |= entry.late;
                        *sides = Sides::Both;
                    }
                    None => entries.push((tag, hash, entry, Sides::Right)),
                }
            }
            if entries.len() > slots {
                entries.sort_by_key(|&(tag, _, entry, _)| (std::cmp::Reverse(entry.count), tag));
                for (_, hash, entry, _) in entries.drain(slots..).collect::<Vec<_>>() {
                    let Some(hash) = hash else {
                        return Err(SketchError::TableOverflow {
                            bucket,
                            slots,
                            entries: slots + 1,
                        });
                    };
                    union.spilled.push((hash, entry.count));
                    union.uncovered = union.uncovered.saturating_add(entry.count);
                }
            }
            let mut kept = Vec::with_capacity(entries.len());
            for (tag, hash, mut entry, sides) in entries {
                match (sides, hash) {
                    (Sides::Both, _) => {}
                    (Sides::Left, _) if right_lacks => {}
                    (Sides::Right, _) if left_lacks => {}
                    (_, None) => entry.partial = true,
                    (Sides::Left, Some(hash)) => include(&mut entry, &other.sketch, hash),
                    (Sides::Right, Some(hash)) => include(&mut entry, &self.sketch, hash),
                }
                let most = ExplicitTable::<T>::max_count();
                if entry.count > most {
                    let Some(hash) = hash else {
                        return Err(SketchError::TableOverflow {
                            bucket,
                            slots,
                            entries: slots,
                        });
                    };
                    union.spilled.push((hash, entry.count - most));
                    entry.count = most;
                    entry.partial = true;
                }
                kept.push((tag, entry));
            }
            union.buckets.push(kept);
        }
        Ok(union)
    }
}

/// Which of the tables hold a key.
#[derive(Clone, Copy)]
enum Sides {
    Left,
    Right,
    Both,
}

/// Adds what the sketch of the other side may have counted of the key.
fn include<S: FrequencySketch>(entry: &mut Entry, sketch: &S, hash: u64) {
    let there = sketch.estimate_hash(hash).to_f64();
    if there > 0.0 {
        entry.count = entry.count.saturating_add(there.ceil() as u64);
        entry.late = true;
    }
    // Another sketch may say 0 of a key that it has counted.
    entry.late |= !sketch.never_underestimates();
}
