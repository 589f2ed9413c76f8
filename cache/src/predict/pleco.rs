//! PLECO: power law with exponential cut-off.

use super::{Access, Predictor};
use crate::request::PageId;

/// Exponent of the power law, its offset, and the time of the cut-off, in requests: the values that
/// the literature fitted to BrightKite.
const EXPONENT: f64 = 1.8;
const OFFSET: f64 = 10.0;
const CUT_OFF: f64 = 670.0;

/// Γ(1.8).
const GAMMA_OF_EXPONENT: f64 = 0.931_383_770_980_242_9;

/// The quadrature's step and range in ln u, and so the number of its nodes.
const STEP: f64 = 0.4;
const LOWEST: f64 = -20.0;
const NODES: usize = 55;

/// PLECO (Anderson et al., 2014, as used by Antoniadis et al., 2020): a request of age d has weight
/// w(d) = (d + 10)^-1.8 exp(-d / 670). A page's share p of the total weight is the probability that
/// it comes next, and 1 / p the predicted distance.
///
/// Summing over all past requests of a page takes quadratic time. Here w is approximated by 55
/// exponentials (the integral x^-s = 1/Γ(s) ∫ u^(s-1) e^(-ux) du by the trapezoidal rule in ln u),
/// whose sums are updated recursively: O(55) per request, with a relative error below 1e-8 up to
/// d = 10 000, where w is less than 1e-13.
#[derive(Clone, Debug)]
pub struct Pleco {
    coefficient: [f64; NODES],
    rate: [f64; NODES],
    pages: Vec<Option<Box<PageState>>>,
    /// Sum of w(d) over all ages so far.
    total: f64,
}

#[derive(Clone, Debug)]
struct PageState {
    updated: u32,
    sums: [f64; NODES],
}

impl Default for Pleco {
    fn default() -> Self {
        let node = |index: usize| (LOWEST + STEP * index as f64).exp();
        Self {
            coefficient: std::array::from_fn(|index| {
                let u = node(index);
                STEP / GAMMA_OF_EXPONENT * u.powf(EXPONENT) * (-u * OFFSET).exp()
            }),
            rate: std::array::from_fn(|index| node(index) + 1.0 / CUT_OFF),
            pages: Vec::new(),
            total: 0.0,
        }
    }
}

impl Pleco {
    /// The total weight of a page's requests, including the current one.
    fn weight(&mut self, page: PageId, now: u32) -> f64 {
        // Each node's sum decays by exp(-rate * elapsed) since the page's last request.
        let state = super::entry_mut(&mut self.pages, page).get_or_insert_with(|| {
            Box::new(PageState {
                updated: now,
                sums: [0.0; NODES],
            })
        });
        let elapsed = f64::from(now - state.updated);
        state.updated = now;
        let mut weight = 0.0;
        for ((sum, &coefficient), &rate) in
            state.sums.iter_mut().zip(&self.coefficient).zip(&self.rate)
        {
            // A request is one step old at its own time.
            *sum = *sum * (-rate * elapsed).exp() + coefficient * (-rate).exp();
            weight += *sum;
        }
        weight
    }
}

/// w(d), evaluated directly.
fn age_weight(age: f64) -> f64 {
    (age + OFFSET).powf(-EXPONENT) * (-age / CUT_OFF).exp()
}

impl Predictor for Pleco {
    fn predict(&mut self, access: &Access) -> f64 {
        let now = f64::from(access.now);
        // The ages of all past requests are 1..=now + 1, whatever the pages: the total weight grows by the
        // oldest age only.
        self.total += age_weight(now + 1.0);
        let share = self.weight(access.page, access.now) / self.total;
        // The weight of the request itself keeps the share above 0.
        now - 1.0 + 1.0 / share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponentials_sum_to_the_weight() {
        let pleco = Pleco::default();
        for age in [1, 2, 3, 10, 100, 1_000, 5_000, 10_000] {
            let age = f64::from(age);
            let sum: f64 = pleco
                .coefficient
                .iter()
                .zip(&pleco.rate)
                .map(|(coefficient, rate)| coefficient * (-rate * age).exp())
                .sum();
            let error = (sum / age_weight(age) - 1.0).abs();
            assert!(error < 1e-8, "age {age}: relative error {error:e}");
        }
    }

    #[test]
    fn predictions_equal_the_quadratic_sum() {
        let pages: Vec<u32> = (0..3_000_u32).map(|i| (i * i / 7) % 41).collect();
        let mut pleco = Pleco::default();
        for (now, &page) in pages.iter().enumerate() {
            let predicted = pleco.predict(&Access {
                page,
                now: now as u32,
                pc: None,
            });
            let weight: f64 = (0..=now)
                .filter(|&past| pages[past] == page)
                .map(|past| age_weight((now - past + 1) as f64))
                .sum();
            let total: f64 = (1..=now + 1).map(|age| age_weight(age as f64)).sum();
            let expected = now as f64 - 1.0 + total / weight;
            assert!(
                (predicted / expected - 1.0).abs() < 1e-7 || now < 2,
                "{now}"
            );
        }
    }
}
