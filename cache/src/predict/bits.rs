//! Binary predictions: whether the optimum evicts the page before its next request.

use rand::Rng;
use septet_core::seed::SeedTree;

use crate::error::CacheError;
use crate::policy::{Belady, Policy};
use crate::request::Request;
use crate::trace::Trace;

/// Simulates Belady's policy with `capacity` slots and predicts, for each request, whether it
/// evicts the page before its next request: infinity if so, the request's own index if not. Each
/// bit is flipped independently with probability `flip_probability`.
///
/// # Errors
/// [`CacheError::NeedsFuture`] when the trace was not annotated, [`CacheError::Argument`] when
/// `flip_probability` is not in 0..=1.
pub fn belady_bits(
    trace: &Trace,
    capacity: usize,
    flip_probability: f64,
    seed: &SeedTree,
) -> Result<Vec<f64>, CacheError> {
    if !(0.0..=1.0).contains(&flip_probability) {
        return Err(CacheError::Argument {
            name: "flip_probability",
            value: flip_probability.to_string(),
            expected: "a number in 0..=1",
        });
    }
    // Simulate the optimum on the annotated trace.
    let mut belady = Belady::new(capacity as u64);
    belady.needs().check("the Belady bit predictor", trace)?;
    let mut evicts = vec![false; trace.len()];
    let mut last_request = vec![0; trace.page_count()];
    let mut evicted = Vec::new();
    let next = trace.next().unwrap_or_default();
    for (index, (&page, &next)) in trace.pages().iter().zip(next).enumerate() {
        let request = Request {
            next,
            ..Request::new(page, index as u32)
        };
        belady.access(&request, &mut evicted);
        last_request[page as usize] = index;
        // The optimum evicts a page between its last request and its next one: set the bit of the last.
        for victim in evicted.drain(..) {
            evicts[last_request[victim as usize]] = true;
        }
    }
    // Encode the bits as times, flipping each independently. Without flips nothing is drawn.
    let mut rng = seed.child("belady bits").rng();
    Ok(evicts
        .into_iter()
        .enumerate()
        .map(|(index, bit)| {
            let flipped = flip_probability > 0.0 && rng.random::<f64>() < flip_probability;
            if bit != flipped {
                f64::INFINITY
            } else {
                index as f64
            }
        })
        .collect())
}
