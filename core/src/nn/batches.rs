//! Which examples a training step sees.

use rand::seq::SliceRandom as _;

use super::NnError;
use crate::seed::SeedTree;

/// Mini-batches of the examples `0..count`: every example once an epoch, in an order that the seed
/// and the epoch select. The last examples of an epoch are left out when they do not fill a batch.
///
/// The position is one number, that of the batches drawn, which [`Batches::seek`] sets: a training
/// that draws one batch per step and seeks its step sees the same batches with and without an
/// interruption.
///
/// ```
/// use septet_core::nn::Batches;
/// use septet_core::seed::SeedTree;
///
/// let mut batches = Batches::new(10, 4, &SeedTree::new(7))?;
/// let first: Vec<u32> = batches.draw().to_vec();
/// assert_eq!(first.len(), 4);
/// let third = { batches.draw(); batches.draw().to_vec() };
///
/// let mut resumed = Batches::new(10, 4, &SeedTree::new(7))?;
/// resumed.seek(2);
/// assert_eq!(resumed.draw(), third);
/// # Ok::<(), septet_core::nn::NnError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Batches {
    seed: SeedTree,
    size: usize,
    /// The order of the examples in the epoch `shuffled`.
    order: Vec<u32>,
    shuffled: Option<u64>,
    drawn: u64,
}

impl Batches {
    /// Batches of `size` of `count` examples.
    ///
    /// # Errors
    /// [`NnError::Parameter`] when the size is 0 or above the number of examples, or the number of
    /// examples above `u32::MAX`.
    pub fn new(count: usize, size: usize, seed: &SeedTree) -> Result<Self, NnError> {
        let Ok(examples) = u32::try_from(count) else {
            let expected = format!("at most {}", u32::MAX);
            return Err(NnError::parameter("number of examples", expected, count));
        };
        if size == 0 || size > count {
            let expected = format!("1 to {count}, the number of examples");
            return Err(NnError::parameter("batch size", expected, size));
        }
        Ok(Self {
            seed: *seed,
            size,
            order: (0..examples).collect(),
            shuffled: None,
            drawn: 0,
        })
    }

    /// The number of batches in an epoch.
    #[must_use]
    pub fn per_epoch(&self) -> u64 {
        (self.order.len() / self.size) as u64
    }

    /// Continues as if `drawn` batches had been drawn. O(1); the next draw may shuffle.
    pub fn seek(&mut self, drawn: u64) {
        self.drawn = drawn;
    }

    /// The examples of the next batch. Amortized O(size).
    pub fn draw(&mut self) -> &[u32] {
        let epoch = self.drawn / self.per_epoch();
        if self.shuffled != Some(epoch) {
            // From the sorted order, so that the epoch's order does not depend on those before it.
            for (place, example) in self.order.iter_mut().zip(0..) {
                *place = example;
            }
            self.order.shuffle(&mut self.seed.index(epoch).rng());
            self.shuffled = Some(epoch);
        }
        // Only whole batches count: the remainder of an epoch is never drawn.
        let start = (self.drawn % self.per_epoch()) as usize * self.size;
        self.drawn += 1;
        &self.order[start..start + self.size]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_epoch_has_every_example_at_most_once(count in 1usize..60, size in 1usize..60, seed: u64) {
            prop_assume!(size <= count);
            let mut batches = Batches::new(count, size, &SeedTree::new(seed)).unwrap();
            for _ in 0..3 {
                let mut seen = vec![false; count];
                for _ in 0..count / size {
                    for &example in batches.draw() {
                        prop_assert!(!std::mem::replace(&mut seen[example as usize], true));
                    }
                }
                let left_out = seen.iter().filter(|&&seen| !seen).count();
                prop_assert_eq!(left_out, count % size);
            }
        }

        #[test]
        fn a_resumed_run_sees_the_same_batches(count in 1usize..40, size in 1usize..40, at in 0u64..30) {
            prop_assume!(size <= count);
            let mut through = Batches::new(count, size, &SeedTree::new(1)).unwrap();
            let all: Vec<Vec<u32>> = (0..35).map(|_| through.draw().to_vec()).collect();
            let mut resumed = Batches::new(count, size, &SeedTree::new(1)).unwrap();
            resumed.draw();
            resumed.seek(at);
            for expected in &all[at as usize..] {
                prop_assert_eq!(resumed.draw(), expected.as_slice());
            }
        }
    }

    #[test]
    fn epochs_have_orders_of_their_own() {
        let mut batches = Batches::new(100, 100, &SeedTree::new(1)).unwrap();
        let first = batches.draw().to_vec();
        assert_ne!(first, batches.draw());
        let mut other = Batches::new(100, 100, &SeedTree::new(2)).unwrap();
        assert_ne!(first, other.draw());
    }

    #[test]
    fn impossible_sizes_are_named() {
        for (count, size) in [(10, 0), (10, 11), (0, 0), (0, 1)] {
            let error = Batches::new(count, size, &SeedTree::new(1)).unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains("batch size") && text.contains(&count.to_string()),
                "{text}"
            );
        }
    }
}
