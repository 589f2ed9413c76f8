//! Q4: what maximal coupling hides through random balanced partitions, by attacks that are executed.

use septet_core::experiment::{
    Column, Context, Estimate, Expected, ExperimentError, Scale, SeedTree, Table, Value,
};
use septet_core::stats;
use septet_robust_stats::attack::{Adversary, MaxCoupling, attack};
use septet_robust_stats::distribution::Pmf;
use septet_robust_stats::parameter::Gamma;
use septet_robust_stats::simulate::sample_counts;
use septet_robust_stats::theory::coupling::{contraction, gaussian_contraction};
use serde::{Deserialize, Serialize};

use super::population::design_matrix;
use super::{DERIVED, seeds};

const SYMBOLS: usize = 1024;
const BITS: [u32; 6] = [1, 2, 3, 4, 5, 6];
const GAMMA: f64 = 0.005;
const USERS: u64 = 1_000_000_000;

/// What corrupted users did to the messages of clients who follow the uniform distribution.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Planted {
    /// The total variation of the distribution that the messages seem to follow, over the fraction
    /// of the messages that were changed for it.
    reach: f64,
    /// The distance of the frequencies of messages from the law of that distribution, over what noise
    /// makes it.
    left: f64,
}

pub(super) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if !cx.selects("Q4") {
        return Ok(());
    }
    // Fresh designs for each message length; the seed of a cell is one design.
    let designs = seeds(cx, 8);
    let planted = cx
        .grid("coupling through partitions", BITS)
        .seeds(designs)
        .version(3)
        .run(|&bits, cell| plant(1 << bits, cell.seed()))?;
    let mut table = Table::new(
        "What corrupted users plant over the share of messages that they change, 1024 symbols",
        [
            Column::integer("Bits"),
            Column::number("executed", 2),
            Column::number("hypergeometric law", 2),
            Column::number("sqrt(pi k / (2 (L - 1)))", 2),
            Column::number("distance over noise", 3),
        ],
    )
    .note(
        "Distance over noise: of the messages from the law that was planted; 6 to 9 without corrupted users.",
    );
    // Each length against the formula, and its designs as points of slopes.
    let mut ratios = Vec::new();
    let mut left = Vec::new();
    let mut points = vec![Vec::new(); designs as usize];
    for bits in BITS {
        let cells = 1 << bits;
        let exact = contraction(SYMBOLS, cells);
        let of_bits: &[Planted] = planted.by_seed(&bits)?;
        let reach: Vec<f64> = of_bits.iter().map(|planted| planted.reach).collect();
        // The law has L - 1 free frequencies, hence the abscissa.
        for (points, reach) in points.iter_mut().zip(&reach) {
            points.push((cells as f64 - 1.0, *reach));
        }
        let distances: Vec<f64> = of_bits.iter().map(|planted| planted.left).collect();
        ratios.push(stats::mean(&reach) / exact);
        left.extend(&distances);
        table.push([
            Value::from(u64::from(bits)),
            Value::from(stats::mean(&reach)),
            Value::from(exact),
            Value::from(gaussian_contraction(SYMBOLS, cells)),
            Value::from(stats::mean(&distances)),
        ]);
    }
    cx.table(table);
    // Claims: how far the plant reaches, that it does not show, and how it falls with L.
    cx.claim(
        "Q4.reach",
        "Through messages of 1 to 6 bits corrupted users plant gamma times what the hypergeometric law of \
         random partitions says: executed over formula",
    )
    .scale(Scale::Scaled)
    .expect(Expected::near(1.0, 0.03))
    .source(DERIVED)
    .tolerance_because("one direction in 8 designs of 64 to 2048 partitions")
    .measured(Estimate::range(
        &ratios,
        "message lengths, means of designs",
        "",
    ));
    cx.claim(
        "Q4.unseen",
        "The messages that corrupted users leave fit the planted distribution up to noise: their distance from \
         its law over that of honest messages",
    )
    .scale(Scale::Scaled)
    .expect(Expected::near(1.0, 0.1))
    .source("the mean absolute deviation of a binomial count, by the normal law")
    .measured(Estimate::range(&left, "designs", ""));
    // One slope per design index: designs, not message lengths, are the replicates.
    let slopes = points
        .iter()
        .filter_map(|points| Some(stats::log_log_slope(points, 0.95)?.exponent));
    let slopes: Vec<f64> = slopes.collect();
    let mut rng = cx.seed().child("coupling intervals").rng();
    cx.claim(
        "Q4.slope",
        "What corrupted users plant falls with the number L of messages as about (L - 1)^(-1/2): exponent",
    )
    .scale(Scale::Scaled)
    .expect(Expected::near(-0.5, 0.02))
    .source(DERIVED)
    .theory(-0.5)
    .measured(Estimate::mean(&slopes, "designs", "", &mut rng));
    Ok(())
}

fn plant(cells: usize, seed: &SeedTree) -> Result<Planted, ExperimentError> {
    let matrix = design_matrix(SYMBOLS, cells, None, None, seed)?;
    let truth = Pmf::uniform(SYMBOLS)?;
    let mut rng = seed.rng();
    let counts = sample_counts(&matrix, &truth, USERS, &mut rng)?;
    // Along random signs, as far as a little less than the budget reaches, which probability could exceed.
    let along = |alpha: f64| Pmf::paninski(SYMBOLS, alpha, &mut seed.child("signs").rng());
    let honest = matrix.message_distribution(truth.masses());
    let cost = |target: &Pmf| {
        let law = matrix.message_distribution(target.masses());
        let distance: f64 = law.iter().zip(&honest).map(|(a, b)| (a - b).abs()).sum();
        distance / 2.0 / matrix.groups() as f64
    };
    // The cost is linear in alpha, so one trial of any size gives the scale.
    let tried = 0.25;
    let alpha = tried * 0.99 * GAMMA / cost(&along(tried)?);
    let target = along(alpha)?;
    // Run the attack: messages of the truth become messages of the target.
    let mut coupling = Adversary::Adaptive(Box::new(MaxCoupling {
        truth: truth.clone(),
        target: target.clone(),
    }));
    let attacked = attack(
        &matrix,
        &counts,
        &mut coupling,
        Gamma::new(GAMMA)?,
        &mut rng,
    )?;
    // Compare the messages left with the planted law, in units of the mean absolute deviation.
    let law = matrix.message_distribution(target.masses());
    let (mut distance, mut noise) = (0.0, 0.0);
    for group in 0..matrix.groups() {
        let seen = attacked.counts.group(group);
        let total = seen.iter().sum::<u64>() as f64;
        for (&count, law) in seen.iter().zip(&law[group * cells..]) {
            distance += (count as f64 / total - law).abs();
            noise += (2.0 * law * (1.0 - law) / (std::f64::consts::PI * total)).sqrt();
        }
    }
    // The budget is not all used, so the reach is per message that was changed.
    Ok(Planted {
        reach: alpha * USERS as f64 / attacked.changed as f64,
        left: distance / noise,
    })
}
