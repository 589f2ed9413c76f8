//! Object sizes.

use hashbrown::HashMap;
use rand::distr::Distribution;
use rand_distr::LogNormal;
use septet_core::seed::SeedTree;

use super::{Requests, argument};
use crate::error::CacheError;

/// Log-normal object sizes, a common model of web objects. All requests of an object have the same
/// size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogNormalSizes {
    /// The median in bytes, at least 1.
    pub median: f64,
    /// The standard deviation of the natural logarithm, at least 0.
    pub sigma: f64,
}

impl LogNormalSizes {
    /// Assigns sizes to requests: rounded, and at least 1.
    ///
    /// # Errors
    /// [`CacheError::Argument`] for a parameter out of range.
    pub fn assign(self, requests: Requests, seed: &SeedTree) -> Result<Requests, CacheError> {
        let Self { median, sigma } = self;
        if !(median.is_finite() && median >= 1.0) {
            return Err(argument("median", median, "a finite number of at least 1"));
        }
        if !(sigma.is_finite() && sigma >= 0.0) {
            return Err(argument("sigma", sigma, "a finite number of at least 0"));
        }
        let distribution = LogNormal::new(median.ln(), sigma)
            .map_err(|_| argument("sigma", sigma, "a finite number of at least 0"))?;
        let mut rng = seed.rng();
        let mut sizes: HashMap<u64, u32, foldhash::fast::FixedState> = HashMap::default();
        Ok(Box::new(requests.map(move |mut record| {
            record.size = *sizes.entry(record.id).or_insert_with(|| {
                // The conversion saturates at 2^32 - 1.
                distribution.sample(&mut rng).round().max(1.0) as u32
            });
            record
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::generate::Pattern;

    #[test]
    fn objects_keep_their_sizes_and_the_median_holds() {
        let seed = SeedTree::new(4);
        let requests = Pattern::Uniform { pages: 4_001 }.requests(&seed).unwrap();
        let sizes = LogNormalSizes {
            median: 1000.0,
            sigma: 2.0,
        };
        let mut first = vec![None; 4_001];
        for record in sizes
            .assign(requests, &seed.child("sizes"))
            .unwrap()
            .take(80_000)
        {
            let size = first[record.id as usize].get_or_insert(record.size);
            assert_eq!(*size, record.size);
        }
        let mut sizes: Vec<u32> = first.into_iter().flatten().collect();
        sizes.sort_unstable();
        // The sample median of 4 001 draws is within 20 % of e^(ln 1000): more than four
        // standard errors of its logarithm, 2 sqrt(pi / 2 / 4001) = .04.
        let median = f64::from(sizes[sizes.len() / 2]);
        assert!((800.0..1250.0).contains(&median), "{median}");
    }
}
