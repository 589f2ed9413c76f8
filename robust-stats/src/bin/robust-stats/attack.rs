//! `robust-stats attack`: simulated attacks on counts.

use std::path::PathBuf;

use anyhow::ensure;
use clap::ValueEnum;
use septet_core::cli::{Exit, Report};
use septet_core::seed::SeedTree;
use septet_robust_stats::aggregate::{CountMatrix, RejectReason};
use septet_robust_stats::attack::{
    AdaptivePoisoning, Adversary, Aim, AttackOutcome, EmdQuantile, EmdSorted, Erasure, HillClimb,
    MajorityShift, MaxCoupling, MaximalGain, PlantedShift, RandomItem, RandomReport, Replay,
    RowTakeover, SameMessage, SignAlign, ThresholdWalk, WrongGroup, attack,
};
use septet_robust_stats::decode::{Decoder, Observation, Projection};
use septet_robust_stats::design::{DesignMatrix, HashDesign};
use septet_robust_stats::wire::write_design_counts;
use septet_robust_stats::{Gamma, Pmf};
use serde_json::json;

use crate::{files, usage};

/// Maximum number of reports: some adversaries draw messages one by one.
const MAX_REPORTS: u64 = 10_000_000_000;

/// Maximum count for emd-quantile, whose tables are proportional to it.
const MAX_COUNT: u64 = 10_000_000;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Adversary
    #[arg(long, value_enum, default_value_t = Kind::MajorityShift)]
    kind: Kind,
    /// Run every adversary that applies to the design, and write the counts of the one that moves the
    /// min-l1 estimate most
    #[arg(long, conflicts_with = "kind")]
    all: bool,
    /// Fraction of reports that the adversary may change
    #[arg(long)]
    gamma: f64,
    /// Symbol to promote (same-message, replay, wrong-group) or to suppress (erasure)
    #[arg(long, default_value_t = 0)]
    symbol: usize,
    /// Comma-separated symbols to promote (random-item, maximal-gain, adaptive-poisoning)
    #[arg(long, value_delimiter = ',', default_values_t = [0])]
    targets: Vec<usize>,
    /// True distribution (max-coupling, emd-sorted) or reference of the test (threshold-walk): `uniform`
    /// or a file of `label,weight` lines
    #[arg(long, default_value = "uniform")]
    truth: String,
    /// Aim of an attack on a uniformity test (emd-quantile, threshold-walk)
    #[arg(long, value_enum, default_value_t = AimArgument::Hide)]
    aim: AimArgument,
    /// Total variation of the alternative, at most 0.5 (emd-quantile)
    #[arg(long, default_value_t = 0.25)]
    alpha: f64,
    /// Number of steps of hill-climb, each with a least squares decoding
    #[arg(long, default_value_t = 200)]
    steps: usize,
    /// Random seed
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Expected protocol of the counts; required for large designs only
    #[arg(long)]
    protocol: Option<PathBuf>,
    /// Output file of counts; - is standard output
    #[arg(long)]
    out: PathBuf,
    /// Counts of a hash design
    counts: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// Make a slight majority of the groups fit the least visible shift: the strongest against min-l1
    MajorityShift,
    /// Shift the linear estimate along the worst sign vector: against least squares and linear decoders
    SignAlign,
    /// All corrupted clients support one symbol
    SameMessage,
    /// Take over whole groups
    RowTakeover,
    /// Make one distribution look like another
    MaxCoupling,
    /// Uniform random cells
    RandomReport,
    /// Targets, honestly encoded
    RandomItem,
    /// The cells with the maximum number of targets
    MaximalGain,
    /// Targets without noise, distributed like honest reports
    AdaptivePoisoning,
    /// Drop messages that support the symbol
    Erasure,
    /// Copies of honest messages that support the symbol
    Replay,
    /// Messages that claim another group, which the server rejects
    WrongGroup,
    /// Search for the maximum error of least squares, starting from sign-align
    HillClimb,
    /// Optimal transport of counts between two hypotheses (one group only)
    EmdQuantile,
    /// Counts matched by rank with sampled counts of the truth (one group only)
    EmdSorted,
    /// Greedy moves that decrease or increase the total variation (one group only)
    ThresholdWalk,
}

#[derive(Clone, Copy, ValueEnum)]
enum AimArgument {
    /// Make an alternative look like the null hypothesis
    Hide,
    /// Make the null hypothesis look like an alternative
    FalseAlarm,
}

/// An executed attack.
struct Executed {
    kind: Kind,
    outcome: AttackOutcome,
    /// The total variation between the min-L1 estimates with and without the attack.
    movement: f64,
}

pub(crate) fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Exit> {
    let gamma = Gamma::new(arguments.gamma)?;
    let bytes = files::read(&arguments.counts)?;
    let mut counts =
        files::design_counts(&arguments.counts, &bytes, arguments.protocol.as_deref())?;
    check_reports(arguments, &counts.matrix)?;
    let kinds: Vec<Kind> = if arguments.all {
        let kinds = Kind::value_variants().iter().copied();
        kinds
            .filter(|kind| !kind.is_central() || counts.matrix.groups() == 1)
            .collect()
    } else {
        vec![arguments.kind]
    };
    for &kind in &kinds {
        check(kind, arguments, &counts.matrix)?;
    }
    let design = HashDesign::new(counts.parameters)?;
    let matrix = DesignMatrix::from_design(&design)?;
    let before = counts.matrix;
    let honest = estimate(&matrix, &before)?;
    // Every adversary has the random numbers that it has alone.
    let execute = |kind| -> anyhow::Result<Executed> {
        let mut rng = SeedTree::new(arguments.seed)
            .child("robust-stats attack")
            .rng();
        let mut adversary = adversary(kind, arguments, &matrix, &before, gamma, &mut rng)?;
        let outcome = attack(&matrix, &before, &mut adversary, gamma, &mut rng)?;
        let moved = estimate(&matrix, &outcome.counts)?;
        let pairs = moved.iter().zip(&honest);
        let movement = pairs.map(|(a, b)| (a - b).abs()).sum::<f64>() / 2.0;
        Ok(Executed {
            kind,
            outcome,
            movement,
        })
    };
    let executed = kinds.into_iter().map(execute);
    let mut executed = executed.collect::<anyhow::Result<Vec<Executed>>>()?;
    executed.sort_by(|a, b| b.movement.total_cmp(&a.movement));
    let rows = executed.iter().map(|one| {
        let name = one.kind.to_possible_value();
        let name = name.map(|name| name.get_name().to_owned());
        vec![
            json!(name),
            json!(one.outcome.changed),
            json!(one.outcome.rejected),
            json!(one.movement),
        ]
    });
    let rows: Vec<_> = rows.collect();
    let strongest = executed.swap_remove(0);
    let attacked = strongest.outcome;
    counts.matrix = attacked.counts;
    // The server counts rejected messages.
    let mut rejected = *counts.rejected.counts();
    let of_group = &mut rejected[RejectReason::Group as usize];
    *of_group = of_group.saturating_add(attacked.rejected);
    counts.rejected = septet_robust_stats::aggregate::RejectCounts::from_counts(rejected);
    files::write(&arguments.out, &write_design_counts(&counts))?;
    let mut report = Report::default()
        .field("budget", attacked.budget)
        .field("changed", attacked.changed)
        .field("rejected", attacked.rejected)
        .field("movement", strongest.movement);
    if arguments.all {
        report = report.table(
            "attacks",
            &["kind", "changed", "rejected", "movement"],
            rows,
        );
    }
    files::print(&report, json, &arguments.out)?;
    Ok(Exit::Success)
}

/// The min-L1 estimate.
fn estimate(matrix: &DesignMatrix, counts: &CountMatrix) -> anyhow::Result<Vec<f64>> {
    let observation = Observation::from_counts(matrix, counts)?;
    let estimate = Decoder::default().decode(matrix, &observation, Gamma::default())?;
    Ok(estimate.masses)
}

impl Kind {
    /// Whether the adversary requires a design with one group.
    fn is_central(self) -> bool {
        matches!(
            self,
            Self::EmdQuantile | Self::EmdSorted | Self::ThresholdWalk
        )
    }
}

fn check_reports(arguments: &Arguments, counts: &CountMatrix) -> anyhow::Result<()> {
    let at = arguments.counts.display();
    let reports = counts.reports();
    ensure!(
        (1..=MAX_REPORTS).contains(&reports),
        "{at}: expected 1 to {MAX_REPORTS} reports, found {reports}"
    );
    Ok(())
}

/// Checks the arguments of an adversary against the counts.
fn check(kind: Kind, arguments: &Arguments, counts: &CountMatrix) -> anyhow::Result<()> {
    let at = arguments.counts.display();
    if kind.is_central() && counts.groups() != 1 {
        usage!(
            "--kind: this adversary requires a design with one group, found {}",
            counts.groups()
        );
    }
    if matches!(kind, Kind::EmdQuantile) {
        if !(arguments.alpha > 0.0 && arguments.alpha <= 0.5) {
            usage!(
                "--alpha: expected a number in (0, 0.5], found {}",
                arguments.alpha
            );
        }
        let largest = counts.counts().iter().copied().max().unwrap_or(0);
        ensure!(
            largest <= MAX_COUNT,
            "{at}: expected counts of at most {MAX_COUNT} for emd-quantile, found {largest}"
        );
    }
    Ok(())
}

fn adversary<'a>(
    kind: Kind,
    arguments: &Arguments,
    matrix: &'a DesignMatrix,
    counts: &CountMatrix,
    gamma: Gamma,
    rng: &mut impl rand::Rng,
) -> anyhow::Result<Adversary<'a>> {
    // Arguments are checked only for the adversaries that use them.
    let domain = matrix.symbols();
    let inside = |argument, symbol| {
        if symbol >= domain {
            usage!("{argument}: expected a number below {domain}, found {symbol}");
        }
        Ok(symbol)
    };
    let symbol = || inside("--symbol", arguments.symbol);
    let targets = || -> anyhow::Result<Vec<usize>> {
        if arguments.targets.is_empty() {
            usage!("--targets: expected at least one symbol");
        }
        let targets = arguments.targets.iter();
        targets.map(|&target| inside("--targets", target)).collect()
    };
    let truth = || files::reference(&arguments.truth, domain);
    let aim = match arguments.aim {
        AimArgument::Hide => Aim::Hide,
        AimArgument::FalseAlarm => Aim::FalseAlarm,
    };
    Ok(match kind {
        Kind::MajorityShift => Adversary::Adaptive(Box::new(MajorityShift::default())),
        Kind::SignAlign => Adversary::Adaptive(Box::new(SignAlign::default())),
        Kind::SameMessage => Adversary::Oblivious(Box::new(SameMessage { symbol: symbol()? })),
        Kind::RowTakeover => Adversary::Adaptive(Box::new(RowTakeover { group: 0, cell: 0 })),
        Kind::MaxCoupling => {
            let truth = truth()?;
            // Slightly below the budget, because the cost of the coupling is an expectation.
            let fraction = 0.97 * gamma.get();
            let planted = PlantedShift::search(matrix, &truth, fraction, 20, rng)?;
            Adversary::Adaptive(Box::new(MaxCoupling {
                truth,
                target: planted.target,
            }))
        }
        Kind::RandomReport => Adversary::Oblivious(Box::new(RandomReport)),
        Kind::RandomItem => Adversary::Oblivious(Box::new(RandomItem {
            targets: targets()?,
        })),
        Kind::MaximalGain => Adversary::Oblivious(Box::new(MaximalGain {
            targets: targets()?,
            best_groups: true,
        })),
        Kind::AdaptivePoisoning => {
            let mut weights = vec![0.0; domain];
            for target in targets()? {
                weights[target] = 1.0;
            }
            let law = Pmf::from_weights(&weights)?;
            Adversary::Oblivious(Box::new(AdaptivePoisoning::towards(&law)))
        }
        Kind::Erasure => Adversary::Adaptive(Box::new(Erasure { symbol: symbol()? })),
        Kind::Replay => Adversary::Adaptive(Box::new(Replay { symbol: symbol()? })),
        Kind::WrongGroup => Adversary::Adaptive(Box::new(WrongGroup { symbol: symbol()? })),
        // The damage is the total variation between the estimates with and without the attack. A
        // failed decoding counts as no damage.
        Kind::HillClimb => {
            let masses = move |counts: &CountMatrix| -> Option<Vec<f64>> {
                let observation = Observation::from_counts(matrix, counts).ok()?;
                let decoder = Decoder::LeastSquares(Projection::Simplex);
                let estimate = decoder.decode(matrix, &observation, Gamma::default());
                Some(estimate.ok()?.masses)
            };
            let honest = masses(counts).unwrap_or_default();
            Adversary::Adaptive(Box::new(HillClimb {
                damage: Box::new(move |counts| {
                    let found = masses(counts).unwrap_or_else(|| honest.clone());
                    let pairs = found.iter().zip(&honest);
                    pairs.map(|(a, b)| (a - b).abs()).sum::<f64>() / 2.0
                }),
                steps: arguments.steps,
                start: Some(Box::new(SignAlign::default())),
            }))
        }
        Kind::EmdQuantile => Adversary::Adaptive(Box::new(EmdQuantile {
            aim,
            alpha: arguments.alpha,
        })),
        Kind::EmdSorted => Adversary::Adaptive(Box::new(EmdSorted { target: truth()? })),
        Kind::ThresholdWalk => Adversary::Adaptive(Box::new(ThresholdWalk {
            aim,
            reference: truth()?,
        })),
    })
}
