//! The rules that select the expert to follow.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use septet_core::seed::SeedTree;

/// How a combination selects the expert to follow.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Rule {
    /// D, the deterministic rule of the study: follow an expert until its misses exceed a bound,
    /// then go on to the next one and raise the bound by the factor 1 + gamma / (experts - 1).
    Doubling {
        /// From 1e-6; 0.01 in the study.
        gamma: f64,
    },
    /// R, the randomized rule (Blum and Burch): the probability of each expert is multiplied by
    /// 1 - epsilon at each of its misses, then normalized. The followed expert changes only as
    /// often as this distribution requires.
    BlumBurch {
        /// In (0, 1); 0.01 in the study.
        epsilon: f64,
    },
    /// On a miss of the real cache, switch to the expert with the fewest misses if the followed one
    /// has at least `hysteresis` times as many.
    FollowLeader {
        /// At least 1.
        hysteresis: f64,
    },
}

/// The state of a rule.
#[derive(Clone, Debug)]
pub(crate) enum Choice {
    Doubling {
        factor: f64,
        bound: f64,
    },
    BlumBurch {
        epsilon: f64,
        probability: Vec<f64>,
        rng: Box<ChaCha8Rng>,
    },
    FollowLeader {
        hysteresis: f64,
    },
}

impl Choice {
    /// The initial state and the first expert.
    pub(crate) fn new(rule: Rule, experts: usize, seed: &SeedTree) -> (Self, usize) {
        match rule {
            Rule::Doubling { gamma } => (
                Self::Doubling {
                    factor: 1.0 + gamma / (experts.max(2) - 1) as f64,
                    bound: 1.0,
                },
                0,
            ),
            Rule::BlumBurch { epsilon } => {
                let mut rng = seed.child("blum burch").rng();
                let current = rng.random_range(0..experts);
                (
                    Self::BlumBurch {
                        epsilon,
                        probability: vec![1.0 / experts as f64; experts],
                        rng: Box::new(rng),
                    },
                    current,
                )
            }
            Rule::FollowLeader { hysteresis } => (Self::FollowLeader { hysteresis }, 0),
        }
    }

    /// The expert to follow after a request. `costs`: misses of each expert, including this request;
    /// `missed`: which experts missed this request; `real_miss`: whether the real cache missed.
    #[inline]
    pub(crate) fn update(
        &mut self,
        current: usize,
        costs: &[u64],
        missed: &[bool],
        real_miss: bool,
    ) -> usize {
        match self {
            // Each step raises the bound, so the loop ends; with several experts above the bound
            // it passes over them within this request.
            Self::Doubling { factor, bound } => {
                let mut current = current;
                while costs[current] as f64 > *bound {
                    current = (current + 1) % costs.len();
                    *bound *= *factor;
                }
                current
            }
            Self::BlumBurch {
                epsilon,
                probability,
                rng,
            } => {
                if missed.iter().all(|&miss| miss == missed[0]) {
                    // A common factor leaves the distribution as it is.
                    return current;
                }
                blum_burch(current, missed, *epsilon, probability, rng)
            }
            Self::FollowLeader { hysteresis } => {
                // Switching only on a miss of the real cache never costs a hit.
                if !real_miss {
                    return current;
                }
                let mut leader = current;
                for (expert, &cost) in costs.iter().enumerate() {
                    if cost < costs[leader] {
                        leader = expert;
                    }
                }
                if costs[current] as f64 >= *hysteresis * costs[leader] as f64 {
                    leader
                } else {
                    current
                }
            }
        }
    }

    /// The distribution of the followed expert, for the randomized rule.
    pub(crate) fn probabilities(&self) -> Option<&[f64]> {
        match self {
            Self::BlumBurch { probability, .. } => Some(probability),
            _ => None,
        }
    }
}

fn blum_burch(
    current: usize,
    missed: &[bool],
    epsilon: f64,
    probability: &mut [f64],
    rng: &mut ChaCha8Rng,
) -> usize {
    // Multiplicative weights: each missing expert loses the factor 1 - epsilon.
    let before = probability.to_vec();
    for (probability, &miss) in probability.iter_mut().zip(missed) {
        if miss {
            *probability *= 1.0 - epsilon;
        }
    }
    // Normalized at each step: the weights themselves would underflow.
    let sum: f64 = probability.iter().sum();
    for probability in probability.iter_mut() {
        *probability /= sum;
    }
    // Optimal transport between the old and the new distribution: leave the current expert with
    // the relative mass that it lost, and move to the experts that gained, in proportion.
    let leave = (before[current] - probability[current]) / before[current];
    if leave <= 0.0 || rng.random::<f64>() >= leave {
        return current;
    }
    let gains = || {
        probability
            .iter()
            .zip(&before)
            .map(|(after, before)| (after - before).max(0.0))
    };
    let mut draw = rng.random::<f64>() * gains().sum::<f64>();
    for (expert, gain) in gains().enumerate() {
        if gain > 0.0 && draw < gain {
            return expert;
        }
        draw -= gain;
    }
    current
}
