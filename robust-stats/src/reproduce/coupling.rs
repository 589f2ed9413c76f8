//! Q4: what maximal coupling hides through random balanced partitions.

use rand::seq::SliceRandom;
use septet_core::experiment::{Context, Estimate, Expected, ExperimentError, Scale};
use septet_core::stats;
use serde::{Deserialize, Serialize};

use crate::theory::coupling::{contraction, gaussian_contraction};

use super::{DERIVED, seeds};

const SYMBOLS: usize = 1024;
const BITS: u32 = 6;
const BATCHES: u64 = 20;

#[derive(Clone, Copy, Serialize)]
struct Batch {
    number: u64,
}

/// The mean, over a batch of partitions, of the distance of messages over that of distributions, for
/// each number of bits.
#[derive(Serialize, Deserialize)]
struct Kept {
    by_bits: Vec<f64>,
}

pub(super) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if !cx.wants("Q4") {
        return Ok(());
    }
    let partitions = seeds(cx, 500);
    let batches: Vec<Batch> = (0..BATCHES).map(|number| Batch { number }).collect();
    let kept: Vec<Kept> = cx.cells("coupling through partitions", &batches, |_, seed| {
        let mut rng = seed.rng();
        let mut sums = vec![0.0; BITS as usize];
        let mut order: Vec<usize> = (0..SYMBOLS).collect();
        for _ in 0..partitions {
            order.shuffle(&mut rng);
            for (bits, sum) in sums.iter_mut().enumerate() {
                let cells = 2 << bits;
                let mut imbalance = vec![0_i64; cells];
                for (rank, &symbol) in order.iter().enumerate() {
                    // Any fixed sign vector does: the partition is random.
                    imbalance[rank % cells] += if symbol < SYMBOLS / 2 { 1 } else { -1 };
                }
                let total: i64 = imbalance.iter().map(|i| i.abs()).sum();
                *sum += total as f64 / SYMBOLS as f64;
            }
        }
        Ok(Kept {
            by_bits: sums.iter().map(|sum| sum / partitions as f64).collect(),
        })
    })?;
    let mut rng = cx.seed().child("coupling intervals").rng();
    for bits in 1..=BITS {
        let cells = 1 << bits;
        let shifts: Vec<f64> = kept
            .iter()
            .map(|kept| 1.0 / kept.by_bits[bits as usize - 1])
            .collect();
        let measured = Estimate::of_samples(&shifts, "gamma", &mut rng);
        let exact = contraction(SYMBOLS, cells);
        let gaussian = gaussian_contraction(SYMBOLS, cells);
        for (id, name, value, width) in [
            ("exact", "the hypergeometric value", exact, 0.03),
            ("gaussian", "sqrt(pi k / (2 (L - 1)))", gaussian, 0.05),
        ] {
            cx.claim(
                &format!("Q4.{id}.{bits}-bit"),
                &format!(
                    "Liars plant {name} times gamma through {bits}-bit messages of 1024 symbols"
                ),
            )
            .paper_ref("lower bound under communication constraints")
            .scale(Scale::Simulated)
            .expect(Expected::near(value, width * value))
            .source(DERIVED)
            .tolerance_because("10 000 partitions")
            .measured(measured.clone());
        }
    }
    let slopes: Vec<f64> = kept
        .iter()
        .filter_map(|kept| {
            let points: Vec<(f64, f64)> = (1..=BITS)
                .map(|bits| {
                    let cells = f64::from(1_u32 << bits);
                    (cells - 1.0, 1.0 / kept.by_bits[bits as usize - 1])
                })
                .collect();
            Some(stats::log_log_slope(&points, 0.95)?.exponent)
        })
        .collect();
    cx.claim("Q4.slope", "The planted shift falls as (L - 1)^(-1/2)")
        .paper_ref("lower bound under communication constraints")
        .scale(Scale::Simulated)
        .expect(Expected::near(-0.5, 0.02))
        .source(DERIVED)
        .measured(Estimate::of_samples(&slopes, "", &mut rng));
    Ok(())
}
