//! `robust-stats test`: hypothesis tests under manipulation.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::{Subcommand, ValueEnum};
use septet_core::cli::{Exit, Report};
use septet_core::seed::SeedTree;
use septet_robust_stats::aggregate::{CountMatrix, checked_total};
use septet_robust_stats::design::HashDesign;
use septet_robust_stats::distribution::{Counts, read_counts};
use septet_robust_stats::testing::{
    ClassicalTest, ExactPmf, IdentityTest, ShiftReport, Statistic, TestReport, UniformReduction,
    independence, two_sample,
};
use septet_robust_stats::wire::VERSION;
use septet_robust_stats::{Gamma, Pmf, RobustStatsError};
use serde_json::json;

use crate::{files, usage};

/// Default fractions of manipulated reports.
const GAMMAS: [f64; 4] = [0.0, 0.001, 0.01, 0.05];

/// Cells per symbol in the reduction to the uniform distribution.
const CELLS_PER_SYMBOL: usize = 4;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    hypothesis: Hypothesis,
    /// Comma-separated fractions of manipulated reports [default: 0,0.001,0.01,0.05]
    #[arg(long, global = true, value_delimiter = ',')]
    gamma: Vec<f64>,
    /// Significance level of gamma-star
    #[arg(long, global = true, default_value_t = 0.05)]
    level: f64,
    /// Number of simulated data sets or permutations, at most 10000000
    #[arg(long, global = true, default_value_t = 999)]
    draws: usize,
    /// Random seed
    #[arg(long, global = true, default_value_t = 7)]
    seed: u64,
}

#[derive(Subcommand)]
enum Hypothesis {
    /// The counts follow a reference distribution
    #[command(allow_negative_numbers = true)]
    Identity(Identity),
    /// Two files of counts follow the same distribution; labels are matched
    #[command(allow_negative_numbers = true)]
    TwoSample {
        /// `label,count` lines
        first: PathBuf,
        /// `label,count` lines
        second: PathBuf,
    },
    /// Two variables are independent
    #[command(allow_negative_numbers = true)]
    Independence {
        /// Comma-separated table of counts
        table: PathBuf,
    },
}

#[derive(clap::Args)]
struct Identity {
    /// `label,count` lines, or the counts of a hash design
    counts: PathBuf,
    /// `uniform`, or a file of `label,weight` lines. Labels are matched with those of the counts; for a
    /// hash design they are symbol numbers, or in the order of the symbols
    #[arg(long, default_value = "uniform")]
    reference: String,
    /// Classical test for comparison, not robust to manipulation
    #[arg(long, value_enum, conflicts_with = "gamma")]
    statistic: Option<Classical>,
    /// Reduce the reference to the uniform distribution first
    #[arg(long, conflicts_with = "statistic")]
    reduced: bool,
    /// Hash design: expected protocol of the counts; required for large designs only
    #[arg(long)]
    protocol: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Classical {
    ChiSquared,
    /// The likelihood ratio
    G,
    Collisions,
    Coincidences,
    TotalVariation,
    Huber,
}

impl Classical {
    fn statistic(self) -> Statistic {
        match self {
            Self::ChiSquared => Statistic::ChiSquared,
            Self::G => Statistic::LikelihoodRatio,
            Self::Collisions => Statistic::Collisions,
            Self::Coincidences => Statistic::Coincidences,
            Self::TotalVariation => Statistic::TotalVariation,
            Self::Huber => Statistic::Huber { width: 1.5 },
        }
    }
}

pub(crate) fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Exit> {
    let level = arguments.level;
    if !(level > 0.0 && level < 1.0) {
        usage!("--level: expected a number in (0, 1), found {level}");
    }
    let seed = SeedTree::new(arguments.seed).child("robust-stats test");
    // Every test runs for each gamma; simulated null distributions are shared.
    let given = if arguments.gamma.is_empty() {
        &GAMMAS[..]
    } else {
        &arguments.gamma
    };
    let gammas: Result<Vec<Gamma>, _> = given.iter().map(|&gamma| Gamma::new(gamma)).collect();
    let gammas = gammas?;
    // Each hypothesis has its own statistic and sensitivity.
    let report = match &arguments.hypothesis {
        Hypothesis::Identity(identity) => {
            let data = Data::read(identity)?;
            match identity.statistic {
                Some(classical) => data.classical(arguments, classical, &seed)?,
                None => {
                    let reports = data.robust(arguments, identity.reduced, &gammas, &seed)?;
                    identity_report(arguments, &gammas, &reports)
                }
            }
        }
        Hypothesis::TwoSample { first, second } => {
            let (a, b) = matched(read_counts(first)?, read_counts(second)?);
            let (a, b) = (whole(first, &a)?, whole(second, &b)?);
            shifted(level, &gammas, |gamma| {
                two_sample(&a, &b, gamma, arguments.draws, &mut seed.rng())
            })?
        }
        Hypothesis::Independence { table } => {
            let (counts, columns) = read_table(table)?;
            shifted(level, &gammas, |gamma| {
                independence(&counts, columns, gamma, arguments.draws, &mut seed.rng())
            })?
        }
    };
    report.print(json)?;
    Ok(Exit::Success)
}

fn identity_report(arguments: &Arguments, gammas: &[Gamma], reports: &[TestReport]) -> Report {
    let star = reports.first().and_then(|report| report.gamma_star);
    let level = arguments.level;
    let sentence = match star {
        Some(star) => format!(
            "rejected at level {level}, even if {:.2} % of the samples are manipulated",
            100.0 * star
        ),
        None => format!("not rejected at level {level}"),
    };
    let rows = gammas.iter().zip(reports).map(|(gamma, report)| {
        vec![
            json!(gamma.get()),
            json!(report.statistic),
            json!(report.min_statistic),
            json!(report.p_value),
            json!(report.robust_p_value),
            json!(report.gamma_star),
        ]
    });
    let columns = [
        "gamma",
        "statistic",
        "min_statistic",
        "p_value",
        "robust_p_value",
        "gamma_star",
    ];
    Report::default()
        .sentence(sentence)
        .field("level", level)
        .field("gamma_star", json!(star))
        .table("tests", &columns, rows.collect())
}

fn shifted(
    level: f64,
    gammas: &[Gamma],
    mut test: impl FnMut(Gamma) -> Result<ShiftReport, RobustStatsError>,
) -> anyhow::Result<Report> {
    let mut rows = Vec::new();
    for &gamma in gammas {
        let report = test(gamma)?;
        rows.push(vec![
            json!(gamma.get()),
            json!(report.statistic),
            json!(report.p_value),
            json!(report.robust_p_value),
        ]);
    }
    let columns = ["gamma", "statistic", "p_value", "robust_p_value"];
    let report = Report::default().field("level", level);
    Ok(report.table("tests", &columns, rows))
}

/// The input of an identity test.
enum Data {
    /// Counts of symbols, and the reference.
    Symbols(Vec<u64>, Pmf),
    /// The counts of a hash design, and the reference.
    Cells(Box<HashDesign>, CountMatrix, Pmf),
}

impl Data {
    /// Binary counts start with the version of their format, which is not a text character.
    fn read(identity: &Identity) -> anyhow::Result<Self> {
        let path = &identity.counts;
        let bytes = files::read(path)?;
        if bytes.first() == Some(&VERSION) {
            let counts = files::design_counts(path, &bytes, identity.protocol.as_deref())?;
            let design = HashDesign::new(counts.parameters)?;
            let pmf = files::reference(&identity.reference, design.domain())?;
            return Ok(Self::Cells(Box::new(design), counts.matrix, pmf));
        }
        if identity.protocol.is_some() {
            usage!("--protocol: applies to the counts of a hash design only");
        }
        let counts = read_counts(path)?;
        ensure!(
            !counts.labels.is_empty(),
            "{}: expected `label,count` lines or the counts of a hash design, found none",
            path.display()
        );
        if identity.reference == "uniform" {
            let pmf = Pmf::uniform(counts.labels.len())?;
            return Ok(Self::Symbols(whole(path, &counts)?, pmf));
        }
        let reference = read_counts(Path::new(&identity.reference))?;
        // Labels missing in the counts have a count of 0; labels missing in the reference are an
        // error.
        let known: BTreeSet<&String> = reference.labels.iter().collect();
        if let Some(label) = counts.labels.iter().find(|label| !known.contains(label)) {
            bail!(
                "{}: expected a weight for every label of {}, found none for {label}",
                identity.reference,
                path.display()
            );
        }
        let (counts, reference) = matched(counts, reference);
        Ok(Self::Symbols(whole(path, &counts)?, reference.pmf()?))
    }

    fn robust(
        &self,
        arguments: &Arguments,
        reduced: bool,
        gammas: &[Gamma],
        seed: &SeedTree,
    ) -> anyhow::Result<Vec<TestReport>> {
        let (draws, level) = (arguments.draws, arguments.level);
        let (test, counts) = match self {
            Self::Cells(..) if reduced => {
                usage!("--reduced: requires `label,count` lines, not the counts of a hash design")
            }
            Self::Cells(design, matrix, pmf) => {
                let sizes = (0..design.groups()).map(|group| matrix.group_reports(group));
                let test = IdentityTest::distributed(design, pmf, sizes.collect(), draws, seed)?;
                let run = |&gamma: &Gamma| test.run_groups(matrix, gamma, level);
                return Ok(gammas.iter().map(run).collect::<Result<_, _>>()?);
            }
            Self::Symbols(counts, pmf) if reduced => {
                let reduction = UniformReduction::new(pmf, CELLS_PER_SYMBOL)?;
                let mut rng = seed.child("reduction").rng();
                let mapped = reduction.map_counts(counts, &mut rng)?;
                let uniform = ExactPmf::uniform(reduction.cells())?;
                let total = checked_total(&mapped)?;
                (IdentityTest::exact(uniform, total, draws, seed)?, mapped)
            }
            Self::Symbols(counts, pmf) => {
                let total = checked_total(counts)?;
                let test = IdentityTest::new(pmf, total, draws, seed)?;
                (test, counts.clone())
            }
        };
        let run = |&gamma: &Gamma| test.run(&counts, gamma, level);
        Ok(gammas.iter().map(run).collect::<Result<_, _>>()?)
    }

    fn classical(
        &self,
        arguments: &Arguments,
        classical: Classical,
        seed: &SeedTree,
    ) -> anyhow::Result<Report> {
        let Self::Symbols(counts, pmf) = self else {
            usage!("--statistic: requires `label,count` lines, not the counts of a hash design");
        };
        let statistic = classical.statistic();
        let total = checked_total(counts)?;
        let test = ClassicalTest::new(statistic, pmf, total, arguments.draws, seed)?;
        let p_value = test.p_value(counts)?;
        let name = classical.to_possible_value();
        Ok(Report::default()
            .sentence("a classical test, not robust to manipulation")
            .field("statistic", name.map(|name| name.get_name().to_owned()))
            .field("value", statistic.value(counts, pmf))
            .field("p_value", p_value)
            .field("level", arguments.level)
            .field("rejected", p_value <= arguments.level))
    }
}

/// Counts below it are exact as numbers of 64 bits with a fraction, as which they are read.
const COUNT_LIMIT: u64 = 9_000_000_000_000_000;

/// Converts weights to integer counts, which a test requires.
fn whole(path: &Path, counts: &Counts) -> anyhow::Result<Vec<u64>> {
    let number = |(label, &weight): (&String, &f64)| {
        let expected = if weight.fract() != 0.0 {
            "an integer count".to_owned()
        } else if weight >= COUNT_LIMIT as f64 {
            format!("a count below {COUNT_LIMIT}")
        } else {
            return Ok(weight as u64);
        };
        bail!(
            "{}: expected {expected} for {label}, found {weight}",
            path.display()
        )
    };
    let pairs = counts.labels.iter().zip(&counts.weights);
    let numbers: Vec<u64> = pairs.map(number).collect::<anyhow::Result<_>>()?;
    checked_total(&numbers).map_err(files::damaged(path))?;
    Ok(numbers)
}

/// Extends both to the union of their labels.
fn matched(first: Counts, second: Counts) -> (Counts, Counts) {
    let mut labels: Vec<String> = first.labels.iter().chain(&second.labels).cloned().collect();
    labels.sort_unstable();
    labels.dedup();
    let over = |counts: Counts| {
        let mut weights = vec![0.0; labels.len()];
        for (label, weight) in counts.labels.iter().zip(counts.weights) {
            if let Ok(place) = labels.binary_search(label) {
                weights[place] = weight;
            }
        }
        Counts {
            labels: labels.clone(),
            weights,
        }
    };
    (over(first), over(second))
}

/// Reads a table of counts and its number of columns.
fn read_table(path: &Path) -> anyhow::Result<(Vec<u64>, usize)> {
    let text = String::from_utf8(files::read(path)?);
    let text = text.with_context(|| format!("{}: expected text in UTF-8", path.display()))?;
    let (mut counts, mut columns) = (Vec::new(), 0);
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let at = || format!("{}, line {number}", path.display());
        let start = counts.len();
        for field in line.split(',') {
            let count: u64 = field
                .trim()
                .parse()
                .with_context(|| format!("{}: expected counts", at()))?;
            counts.push(count);
        }
        let found = counts.len() - start;
        if columns != 0 && columns != found {
            bail!("{}: expected {columns} columns, found {found}", at());
        }
        columns = found;
    }
    ensure!(
        columns > 0,
        "{}: expected a table of counts, found an empty file",
        path.display()
    );
    checked_total(&counts).map_err(files::damaged(path))?;
    Ok((counts, columns))
}
