//! Merging learned sketches.

use super::Learned;
use crate::error::SketchError;
use crate::frequency::{Estimate, FrequencySketch, Merge};
use crate::key::Key;
use crate::learned::table::{Entry, ExplicitTable, Slot};
use crate::oracle::Oracle;

/// The result of merging two tables.
struct Union {
    /// The tags and entries of each bucket of the merged table.
    buckets: Vec<Vec<(u64, Entry)>>,
    /// Hashes and counts to be moved into the sketch.
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
    /// Merges the tables and the sketches.
    ///
    /// A key that is in one table only may have been counted by the other sketch, unless both sides
    /// have always had the same threshold and the other table still had a free slot for it. With
    /// [`Slot16`](crate::learned::Slot16) the other sketch's estimate is added to the entry. With
    /// [`Slot8`](crate::learned::Slot8) the key's hash is no longer known: the entry becomes partial,
    /// and the key's estimate is the sum of its entry and the estimate of the merged sketch. The
    /// result never underestimates if `S` does not.
    ///
    /// When a bucket would have more entries than slots, the smallest ones are moved into the sketch
    /// (`Slot16`), or the merge fails (`Slot8`).
    ///
    /// # Errors
    ///
    /// [`SketchError::Incompatible`] when tables, sketches, oracles or thresholds differ (adaptive
    /// thresholds may be at different scores), [`SketchError::TableOverflow`] as described above.
    /// `self` is then unchanged.
    fn merge(&mut self, other: &Self) -> Result<(), SketchError> {
        self.compatible(other)?;
        // Everything that can fail comes before the first change.
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
        mine.oracle_queries = mine.oracle_queries.saturating_add(theirs.oracle_queries);
        mine.non_finite_scores = mine
            .non_finite_scores
            .saturating_add(theirs.non_finite_scores);
        mine.oracle_panics = mine.oracle_panics.saturating_add(theirs.oracle_panics);
        let spilled = theirs.spilled.saturating_add(union.spilled.len() as u64);
        mine.spilled = mine.spilled.saturating_add(spilled);
        // Either sketch may have counted keys that are admitted from now on.
        self.admits_counted_keys = true;
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
        let threshold = |learned: &Self| learned.policy.merge_key();
        same("threshold", threshold(self), threshold(other))
    }

    /// Whether each side would have admitted the other's keys at any time since its window began, if
    /// it had a free slot.
    fn has_always_admitted_as(&self, other: &Self) -> bool {
        let steady = |learned: &Self| !learned.admits_counted_keys && !learned.oracle_failed;
        steady(self) && steady(other) && self.policy.has_fixed_cut_of(&other.policy)
    }

    /// Merges the tables without changing them.
    fn union(&self, other: &Self) -> Result<Union, SketchError> {
        let slots = ExplicitTable::<T>::slots_per_bucket();
        let mut union = Union {
            buckets: Vec::with_capacity(self.table.buckets()),
            spilled: Vec::new(),
            uncovered: 0,
        };
        let alike = self.has_always_admitted_as(other);
        for bucket in 0..self.table.buckets() {
            let has_room = |learned: &Self| learned.table.bucket(bucket).count() < slots;
            // With a free slot, a table holds every key of this bucket that it was given: the other's
            // keys cannot be in its sketch.
            let (left_lacks, right_lacks) = (alike && has_room(self), alike && has_room(other));
            // Entries of both sides by tag; those in both tables are added up.
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
            // Too many entries: the smallest ones are moved into the sketch, which needs their hashes.
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
            // Add what the other side's sketch may have counted of a key in one table only.
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
                // A count that no longer fits is divided between slot and sketch.
                let max = ExplicitTable::<T>::max_count();
                if entry.count > max {
                    let Some(hash) = hash else {
                        return Err(SketchError::TableOverflow {
                            bucket,
                            slots,
                            entries: slots,
                        });
                    };
                    union.spilled.push((hash, entry.count - max));
                    entry.count = max;
                    entry.partial = true;
                }
                kept.push((tag, entry));
            }
            union.buckets.push(kept);
        }
        Ok(union)
    }
}

/// The tables that hold a key.
#[derive(Clone, Copy)]
enum Sides {
    Left,
    Right,
    Both,
}

/// Adds the other side's sketch estimate to an entry.
fn include<S: FrequencySketch>(entry: &mut Entry, sketch: &S, hash: u64) {
    let estimate = sketch.estimate_hash(hash).to_f64();
    if estimate > 0.0 {
        entry.count = entry.count.saturating_add(estimate.ceil() as u64);
        entry.late = true;
    }
    // A sketch that can underestimate may estimate 0 for a key that it has counted.
    entry.late |= !sketch.never_underestimates();
}
