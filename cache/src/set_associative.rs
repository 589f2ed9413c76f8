//! Set-associative caches, simulated as independent caches per set.

use hashbrown::HashMap;

use crate::error::CacheError;
use crate::policy::{Policy, Tally};
use crate::predict::{Access, Predictor, accesses};
use crate::trace::Trace;

/// The mapping of addresses to sets: by the bits above the line offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Geometry {
    /// Bytes of a line; a power of two.
    pub line_bytes: u64,
    /// Number of sets; a power of two.
    pub sets: u64,
}

impl Geometry {
    /// The last-level cache of the study: 2 MiB, 2 048 sets, 16 ways, lines of 64 bytes.
    pub const STUDY: Self = Self {
        line_bytes: 64,
        sets: 2_048,
    };

    fn set_of(self, address: u64) -> u64 {
        address / self.line_bytes % self.sets
    }
}

/// A trace of addresses, split by cache set. Each requested set is an independent paging instance
/// with its own clock; misses are summed over the sets.
///
/// ```
/// use septet_cache::policy::Lru;
/// use septet_cache::set_associative::{Geometry, SetAssociative};
/// use septet_cache::trace::Trace;
///
/// let geometry = Geometry { line_bytes: 64, sets: 2 };
/// let trace = Trace::from_ids([0, 64, 128, 0]);
/// let sets = SetAssociative::split(&trace, geometry)?;
/// let tally = sets.replay(|_| Ok(Box::new(Lru::new(1))))?;
/// assert_eq!(tally.misses, 4);
/// let tally = sets.replay(|_| Ok(Box::new(Lru::new(2))))?;
/// assert_eq!(tally.misses, 3);
/// # Ok::<(), septet_cache::CacheError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SetAssociative {
    /// In order of their first requests.
    sets: Vec<Trace>,
    /// By request of the whole trace: its set and its index within the set.
    place: Vec<(u32, u32)>,
    /// By set: its first page in a numbering of all pages, set by set.
    first_page: Vec<u32>,
}

impl SetAssociative {
    /// Splits a trace whose ids are byte addresses. O(n).
    ///
    /// # Errors
    /// [`CacheError::Argument`] if the line size or the number of sets is not a power of two.
    pub fn split(trace: &Trace, geometry: Geometry) -> Result<Self, CacheError> {
        for (name, value) in [("line_bytes", geometry.line_bytes), ("sets", geometry.sets)] {
            if !value.is_power_of_two() {
                return Err(CacheError::Argument {
                    name,
                    value: value.to_string(),
                    expected: "a power of two",
                });
            }
        }
        // Assign each request to its set. Sets are numbered by first request, so that unused ones cost
        // nothing.
        let mut numbers: HashMap<u64, u32, foldhash::fast::FixedState> = HashMap::default();
        let mut indices: Vec<Vec<usize>> = Vec::new();
        let mut place = Vec::with_capacity(trace.len());
        for (index, &page) in trace.pages().iter().enumerate() {
            let set = geometry.set_of(trace.original_id(page));
            let number = *numbers.entry(set).or_insert_with(|| {
                indices.push(Vec::new());
                (indices.len() - 1) as u32
            });
            let members = &mut indices[number as usize];
            place.push((number, members.len() as u32));
            members.push(index);
        }
        // Build a trace per set. Addresses within one line become one page.
        let sets: Vec<Trace> = indices
            .into_iter()
            .map(|members| trace.select_as(members.into_iter(), |id| id / geometry.line_bytes))
            .collect();
        // Prefix sums of the page counts, for predictors that number pages across all sets.
        let first_page = sets
            .iter()
            .scan(0, |next, set| {
                let first = *next;
                *next += set.page_count() as u32;
                Some(first)
            })
            .collect();
        Ok(Self {
            sets,
            place,
            first_page,
        })
    }

    /// The traces of the sets, in order of their first requests.
    #[must_use]
    pub fn sets(&self) -> &[Trace] {
        &self.sets
    }

    /// Consumes the split and returns the traces of the sets.
    #[must_use]
    pub fn into_sets(self) -> Vec<Trace> {
        self.sets
    }

    /// Computes the next request of each page within its set.
    pub fn annotate(&mut self) {
        for set in &mut self.sets {
            set.annotate();
        }
    }

    /// Runs one predictor over the requests of all sets in trace order, with the clock of each
    /// request's set, and attaches the predictions.
    ///
    /// # Errors
    /// [`CacheError::Argument`] if `whole` is not the split trace.
    pub fn predict(
        &mut self,
        predictor: &mut dyn Predictor,
        whole: &Trace,
    ) -> Result<(), CacheError> {
        if whole.len() != self.place.len() {
            return Err(CacheError::Argument {
                name: "whole",
                value: format!("a trace of {} requests", whole.len()),
                expected: "the trace that was split",
            });
        }
        let mut predictions: Vec<Vec<f64>> = self
            .sets
            .iter()
            .map(|set| Vec::with_capacity(set.len()))
            .collect();
        for (access, &(set, now)) in accesses(whole).zip(&self.place) {
            // Addresses within one line are one page.
            let page =
                self.first_page[set as usize] + self.sets[set as usize].pages()[now as usize];
            let predicted = predictor.predict(&Access {
                page,
                now,
                ..access
            });
            predictions[set as usize].push(predicted);
        }
        self.predict_each(|set| Ok(std::mem::take(&mut predictions[set])))
    }

    /// Attaches predictions computed for each set separately.
    ///
    /// # Errors
    /// The first error of `make`; [`CacheError::Argument`] if it returns a wrong number of predictions.
    pub fn predict_each(
        &mut self,
        mut make: impl FnMut(usize) -> Result<Vec<f64>, CacheError>,
    ) -> Result<(), CacheError> {
        for (index, set) in self.sets.iter_mut().enumerate() {
            set.set_predictions(make(index)?)?;
        }
        Ok(())
    }

    /// Replays each set on its own policy and sums the counts.
    ///
    /// # Errors
    /// The first error of `make`, or an unmet requirement of the policy.
    pub fn replay(
        &self,
        mut make: impl FnMut(usize) -> Result<Box<dyn Policy>, CacheError>,
    ) -> Result<Tally, CacheError> {
        let mut sum = Tally::default();
        for (index, set) in self.sets.iter().enumerate() {
            sum += make(index)?.replay(set)?;
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Lru;
    use crate::predict::Popularity;

    #[test]
    fn addresses_within_a_line_are_one_page() {
        let geometry = Geometry {
            line_bytes: 64,
            sets: 1,
        };
        let trace = Trace::from_ids([0, 8, 0, 8, 16, 0, 64]);
        let mut sets = SetAssociative::split(&trace, geometry).unwrap();
        let tally = sets.replay(|_| Ok(Box::new(Lru::new(1)))).unwrap();
        assert_eq!(tally.misses, 2);
        sets.predict(&mut Popularity::default(), &trace).unwrap();
        let lines = Trace::from_ids([0, 0, 0, 0, 0, 0, 1]);
        let expected = crate::predict::predictions(&mut Popularity::default(), &lines);
        assert_eq!(sets.sets()[0].predictions(), Some(&expected[..]));
    }
}
