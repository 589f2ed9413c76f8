//! Attacks on uniformity tests: hiding an alternative, and causing false alarms.

use rand::seq::SliceRandom;
use rand::{Rng, RngCore};

use crate::aggregate::CountMatrix;
use crate::distribution::{MultinomialSampler, Pmf};

use super::harness::{Adaptive, Destination, Move, Protocol};

/// The aim of an attack on a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// Make data from the alternative look like the null hypothesis.
    Hide,
    /// Make data from the null hypothesis look like the alternative.
    FalseAlarm,
}

/// Maps every count through the monotone coupling of the distributions of a count under both hypotheses: the
/// optimal transport, up to the correction of the total. The null distribution of a count is Poisson
/// with the mean count; the alternative is the even mixture of Poisson distributions with
/// `(1 + 2 alpha)` and `(1 - 2 alpha)` times the mean.
#[derive(Clone, Copy, Debug)]
pub struct EmdQuantile {
    /// The aim.
    pub aim: Aim,
    /// The total variation of the alternative.
    pub alpha: f64,
}

/// Samples counts of the other hypothesis and matches them with the observed counts by rank.
#[derive(Clone, Debug)]
pub struct EmdSorted {
    /// The simulated distribution.
    pub target: Pmf,
}

/// Greedily moves samples, each with the maximum decrease (or increase) of the total variation statistic.
#[derive(Clone, Debug)]
pub struct ThresholdWalk {
    /// The aim.
    pub aim: Aim,
    /// The reference of the test.
    pub reference: Pmf,
}

/// The moves from counts to others with the same total, in random order up to the budget.
fn moves_towards(counts: &[u64], wanted: &[u64], budget: u64, rng: &mut dyn RngCore) -> Vec<Move> {
    // Surplus and deficit of every symbol.
    let mut sources: Vec<(usize, u64)> = Vec::new();
    let mut sinks: Vec<(usize, u64)> = Vec::new();
    for (cell, (&have, &want)) in counts.iter().zip(wanted).enumerate() {
        if have > want {
            sources.push((cell, have - want));
        } else if want > have {
            sinks.push((cell, want - have));
        }
    }
    // Random order, so that a limited budget does not favor low symbol numbers.
    sources.shuffle(rng);
    sinks.shuffle(rng);
    let mut left = budget;
    let mut plan = Vec::new();
    while left > 0 {
        let (Some(source), Some(sink)) = (sources.last_mut(), sinks.last_mut()) else {
            break;
        };
        let number = source.1.min(sink.1).min(left);
        plan.push(Move {
            group: 0,
            from: source.0,
            to: Destination::Cell(sink.0),
            number,
        });
        source.1 -= number;
        sink.1 -= number;
        left -= number;
        if source.1 == 0 {
            sources.pop();
        }
        if sink.1 == 0 {
            sinks.pop();
        }
    }
    plan
}

/// The distribution function of a mixture of Poisson distribution over `0..=last`.
fn mixture_cdf(means: &[f64], last: usize) -> Vec<f64> {
    let mut cdf = vec![0.0; last + 1];
    for &mean in means {
        let pmf = crate::theory::kantorovich::poisson_pmf(mean, last);
        for (sum, p) in cdf.iter_mut().zip(pmf) {
            *sum += p / means.len() as f64;
        }
    }
    let mut sum = 0.0;
    for value in &mut cdf {
        sum += *value;
        *value = sum;
    }
    cdf
}

impl Adaptive for EmdQuantile {
    fn plan(
        &mut self,
        _protocol: &Protocol<'_>,
        counts: &CountMatrix,
        budget: u64,
        rng: &mut dyn RngCore,
    ) -> Vec<Move> {
        // The central protocol has one group.
        let counts = counts.group(0);
        let samples: u64 = counts.iter().sum();
        // Tabulate both distribution functions up to a count with negligible mass above.
        let mean = samples as f64 / counts.len() as f64;
        let largest = counts.iter().copied().max().unwrap_or(0) as usize;
        let high = mean * (1.0 + 2.0 * self.alpha);
        let last = largest.max((high + 12.0 * high.sqrt() + 40.0) as usize);
        let null = mixture_cdf(&[mean], last);
        let alternative = mixture_cdf(&[high, mean * (1.0 - 2.0 * self.alpha)], last);
        let (from, to) = match self.aim {
            Aim::Hide => (alternative, null),
            Aim::FalseAlarm => (null, alternative),
        };
        // The monotone coupling maps quantiles to quantiles. A count covers an interval of quantiles,
        // from which one is drawn.
        let mut wanted: Vec<u64> = counts
            .iter()
            .map(|&count| {
                let count = count as usize;
                let below = if count > 0 { from[count - 1] } else { 0.0 };
                let level = below + (from[count] - below) * rng.random::<f64>();
                to.partition_point(|&c| c < level).min(last) as u64
            })
            .collect();
        // Counts were mapped independently, so their total must be corrected.
        repair_total(counts, &mut wanted, rng);
        moves_towards(counts, &wanted, budget, rng)
    }
}

/// Corrects the total of the wanted counts by moving some of them towards the observed counts, which
/// only saves moves.
fn repair_total(counts: &[u64], wanted: &mut [u64], rng: &mut dyn RngCore) {
    let have: u64 = counts.iter().sum();
    let mut want: u64 = wanted.iter().sum();
    let mut order: Vec<usize> = (0..counts.len()).collect();
    while want != have {
        order.shuffle(rng);
        let before = want;
        for &cell in &order {
            if want > have && wanted[cell] > counts[cell] {
                wanted[cell] -= 1;
                want -= 1;
            } else if want < have && wanted[cell] < counts[cell] {
                wanted[cell] += 1;
                want += 1;
            }
            if want == have {
                break;
            }
        }
        if want == before {
            // Unreachable: with a surplus some cell is above its count, with a deficit one below.
            wanted.copy_from_slice(counts);
            return;
        }
    }
}

impl Adaptive for EmdSorted {
    fn plan(
        &mut self,
        _protocol: &Protocol<'_>,
        counts: &CountMatrix,
        budget: u64,
        rng: &mut dyn RngCore,
    ) -> Vec<Move> {
        let counts = counts.group(0);
        let samples = counts.iter().sum();
        // Matching by rank is the optimal transport between the two samples of counts.
        let mut fresh = MultinomialSampler::new(&self.target).sample(samples, rng);
        fresh.sort_unstable();
        let mut order: Vec<usize> = (0..counts.len()).collect();
        order.shuffle(rng);
        order.sort_by_key(|&cell| counts[cell]);
        let mut wanted = vec![0; counts.len()];
        for (&cell, &count) in order.iter().zip(&fresh) {
            wanted[cell] = count;
        }
        moves_towards(counts, &wanted, budget, rng)
    }
}

impl Adaptive for ThresholdWalk {
    fn plan(
        &mut self,
        _protocol: &Protocol<'_>,
        counts: &CountMatrix,
        budget: u64,
        _rng: &mut dyn RngCore,
    ) -> Vec<Move> {
        let mut now: Vec<u64> = counts.group(0).to_vec();
        let samples: u64 = now.iter().sum();
        let expected: Vec<f64> = self
            .reference
            .masses()
            .iter()
            .map(|mass| mass * samples as f64)
            .collect();
        // Symbols in descending order of excess over the reference.
        let excess = |now: &[u64], cell: usize| now[cell] as f64 - expected[cell];
        let mut order: Vec<usize> = (0..now.len()).collect();
        order.sort_by(|&a, &b| excess(&now, b).total_cmp(&excess(&now, a)));
        let mut left = budget;
        let mut plan = Vec::new();
        let mut transfer = |now: &mut Vec<u64>, from: usize, to: usize, number: u64| {
            now[from] -= number;
            now[to] += number;
            plan.push(Move {
                group: 0,
                from,
                to: Destination::Cell(to),
                number,
            });
        };
        match self.aim {
            Aim::Hide => {
                // Move whole samples of excess to whole samples of deficit.
                let (mut high, mut low) = (0, order.len().saturating_sub(1));
                while left > 0 && high < low {
                    let (from, to) = (order[high], order[low]);
                    // Each moved sample lowers the statistic fully while both differences are at least 1;
                    // smaller ones are skipped.
                    let (more, less) = (excess(&now, from), -excess(&now, to));
                    if more < 0.5 {
                        break;
                    }
                    if more < 1.0 || less < 1.0 {
                        if more < 1.0 {
                            high += 1;
                        }
                        if less < 1.0 {
                            if less <= 0.0 {
                                break;
                            }
                            low -= 1;
                        }
                        continue;
                    }
                    let number = (more.min(less) as u64).min(left);
                    transfer(&mut now, from, to, number);
                    left -= number;
                }
            }
            Aim::FalseAlarm => {
                // Move everything to the symbol with the maximum excess, from those with the largest
                // deficit.
                let to = order[0];
                for &from in order.iter().rev() {
                    if left == 0 || from == to {
                        break;
                    }
                    let number = now[from].min(left);
                    transfer(&mut now, from, to, number);
                    left -= number;
                }
            }
        }
        plan
    }
}
