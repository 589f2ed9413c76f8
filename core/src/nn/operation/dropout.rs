//! Dropout from a stream that a seed selects.

use candle_core::{Result, Tensor};
use rand::Rng;

use crate::seed::SeedTree;

/// Sets each element to zero with this probability and divides the others by the probability that
/// they stay (Srivastava et al., JMLR 2014, in the inverted form). Evaluation leaves it out.
///
/// What is dropped depends on the seed alone: give each step and each layer a seed of its own.
///
/// # Errors
/// Candle's error for a probability outside `[0, 1)`.
pub fn dropout(x: &Tensor, probability: f64, seed: &SeedTree) -> Result<Tensor> {
    if !(0.0..1.0).contains(&probability) {
        candle_core::bail!("dropout: expected a probability in [0, 1), found {probability}");
    }
    let mut rng = seed.rng();
    let stays = (1.0 - probability).recip() as f32;
    let factors: Vec<f32> = (0..x.elem_count())
        .map(|_| {
            if rng.random::<f64>() < probability {
                0.0
            } else {
                stays
            }
        })
        .collect();
    let factors = Tensor::from_vec(factors, x.shape(), x.device())?;
    x * factors.to_dtype(x.dtype())?
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use super::*;
    use crate::nn::assert_gradient;
    use crate::nn::operation::testing::draw;

    #[test]
    fn the_seed_says_what_is_dropped() {
        let x = draw("x", (100, 100));
        let seed = SeedTree::new(3).index(0);
        let flat = |x: Tensor| x.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let first = flat(dropout(&x, 0.3, &seed).unwrap());
        assert_eq!(first, flat(dropout(&x, 0.3, &seed).unwrap()));
        let other = SeedTree::new(3).index(1);
        assert_ne!(first, flat(dropout(&x, 0.3, &other).unwrap()));

        // 10 000 draws: six standard deviations of their share are 0.0275.
        let dropped = first.iter().filter(|&&x| x == 0.0).count() as f64 / 1e4;
        assert!((dropped - 0.3).abs() < 0.0275, "{dropped}");
        for (after, before) in first.iter().zip(flat(x.clone())) {
            assert!(*after == 0.0 || (after / before * 0.7 - 1.0).abs() < 1e-6);
        }
        assert_eq!(flat(dropout(&x, 0.0, &seed).unwrap()), flat(x));
    }

    #[test]
    fn the_gradient_is_that_of_what_stays() {
        let seed = SeedTree::new(3);
        assert_gradient(&[draw("x", (4, 5))], 1e-8, |x| {
            dropout(&x[0], 0.5, &seed)?.tanh()
        });
        assert!(dropout(&draw("x", 3), 1.0, &seed).is_err());
    }
}
