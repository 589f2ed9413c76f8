//! `robust-stats test`: hypotheses under manipulation.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Subcommand;
use septet_core::seed::SeedTree;
use septet_robust_stats::Gamma;
use septet_robust_stats::design::HashDesign;
use septet_robust_stats::distribution::{Counts, read_counts};
use septet_robust_stats::testing::{IdentityTest, TestReport, independence, two_sample};
use septet_robust_stats::wire::read_design_counts;
use serde_json::{Value, json};

use crate::Ending;
use crate::files::{self, Output};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    hypothesis: Hypothesis,
    /// Fractions of manipulated reports, separated by commas
    #[arg(long, global = true, value_delimiter = ',', default_values_t = [0.0, 0.001, 0.01, 0.05])]
    gamma: Vec<f64>,
    /// The level at which gamma-star rejects
    #[arg(long, global = true, default_value_t = 0.05)]
    level: f64,
    /// How many simulated data sets or permutations
    #[arg(long, global = true, default_value_t = 999)]
    draws: usize,
    /// The seed of the simulation
    #[arg(long, global = true, default_value_t = 7)]
    seed: u64,
}

#[derive(Subcommand)]
enum Hypothesis {
    /// The counts come from a reference distribution
    Identity {
        /// `label,count` lines, or counts of a hash design
        counts: PathBuf,
        /// `uniform`, or a file of `label,weight` lines in the same order
        #[arg(long, default_value = "uniform")]
        reference: String,
    },
    /// Two files of counts come from one distribution: labels are matched
    TwoSample {
        /// `label,count` lines
        first: PathBuf,
        /// `label,count` lines
        second: PathBuf,
    },
    /// Two variables are independent
    Independence {
        /// A table of counts: one row a line, separated by commas
        table: PathBuf,
    },
}

pub(crate) fn run(arguments: &Arguments, out: &mut Output) -> anyhow::Result<Ending> {
    let seed = SeedTree::new(arguments.seed).child("robust-stats test");
    let gammas: Result<Vec<Gamma>, _> = arguments.gamma.iter().map(|&g| Gamma::new(g)).collect();
    let gammas = gammas?;
    let shifted = |test: &dyn Fn(Gamma) -> Result<_, septet_robust_stats::RobustStatsError>| {
        let mut rows = Vec::new();
        for &gamma in &gammas {
            let report: septet_robust_stats::testing::ShiftReport = test(gamma)?;
            rows.push(json!({
                "gamma": gamma.get(),
                "statistic": report.statistic,
                "p_value": report.p_value,
                "robust_p_value": report.robust_p_value,
            }));
        }
        anyhow::Ok(rows)
    };
    let rows: Vec<Value> = match &arguments.hypothesis {
        Hypothesis::Identity { counts, reference } => {
            let reports = identity(arguments, counts, reference, &gammas, &seed)?;
            let rows = gammas.iter().zip(&reports).map(|(gamma, report)| {
                json!({
                    "gamma": gamma.get(),
                    "statistic": report.statistic,
                    "least_statistic": report.least_statistic,
                    "p_value": report.p_value,
                    "robust_p_value": report.robust_p_value,
                    "gamma_star": report.gamma_star,
                })
            });
            rows.collect()
        }
        Hypothesis::TwoSample { first, second } => {
            let (first, second) = matched(read_counts(first)?, read_counts(second)?);
            let (first, second) = (whole(&first)?, whole(&second)?);
            shifted(&|gamma| two_sample(&first, &second, gamma, arguments.draws, &mut seed.rng()))?
        }
        Hypothesis::Independence { table } => {
            let (counts, columns) = read_table(table)?;
            shifted(&|gamma| {
                independence(&counts, columns, gamma, arguments.draws, &mut seed.rng())
            })?
        }
    };
    out.print(&json!({ "level": arguments.level, "tests": rows }))?;
    Ok(Ending::Done)
}

fn identity(
    arguments: &Arguments,
    path: &Path,
    reference: &str,
    gammas: &[Gamma],
    seed: &SeedTree,
) -> anyhow::Result<Vec<TestReport>> {
    let bytes = files::read(path)?;
    if let Ok(counts) = read_design_counts(&bytes) {
        let design = HashDesign::new(counts.parameters)?;
        let pmf = files::reference(reference, design.domain())?;
        let sizes = (0..design.groups()).map(|group| counts.matrix.group_reports(group));
        let test =
            IdentityTest::distributed(&design, &pmf, sizes.collect(), arguments.draws, seed)?;
        let run = |&gamma: &Gamma| test.run_groups(&counts.matrix, gamma, arguments.level);
        return Ok(gammas.iter().map(run).collect::<Result<_, _>>()?);
    }
    let counts = whole(&read_counts(path)?)?;
    let pmf = files::reference(reference, counts.len())?;
    if pmf.domain() != counts.len() {
        bail!(
            "{reference}: expected {} symbols as in {}, found {}",
            counts.len(),
            path.display(),
            pmf.domain()
        );
    }
    let test = IdentityTest::new(&pmf, counts.iter().sum(), arguments.draws, seed)?;
    let run = |&gamma: &Gamma| test.run(&counts, gamma, arguments.level);
    Ok(gammas.iter().map(run).collect::<Result<_, _>>()?)
}

/// Counts as whole numbers: shares are no sample.
fn whole(counts: &Counts) -> anyhow::Result<Vec<u64>> {
    let number = |(label, weight): (&String, &f64)| {
        if weight.fract() == 0.0 && *weight < 9e15 {
            Ok(*weight as u64)
        } else {
            bail!("{label}: expected a whole number of reports, found {weight}")
        }
    };
    counts
        .labels
        .iter()
        .zip(&counts.weights)
        .map(number)
        .collect()
}

/// Both files over the labels of both.
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

/// A table of counts and its number of columns.
fn read_table(path: &Path) -> anyhow::Result<(Vec<u64>, usize)> {
    let text = String::from_utf8(files::read(path)?).context("expected text")?;
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
    Ok((counts, columns))
}
