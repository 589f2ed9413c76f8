//! The private mechanisms of `robust-stats` beside pure-ldp and multi-freq-ldpy: CPU time of clients and
//! aggregation, and squared errors, of the same mechanism on values of the same law.

use std::fmt::Write;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use rustix::time::{ClockId, clock_gettime};
use septet_robust_stats::aggregate::{
    Aggregate, Countable, DesignAggregator, FrequencyOracle, transform,
};
use septet_robust_stats::design::{Assignment, DesignParameters, DesignReport, GroupClient};
use septet_robust_stats::distribution::AliasSampler;
use septet_robust_stats::mechanism::{
    HadamardResponse, LocalHashing, Mechanism, RandomizedResponse, SubsetSelection, UnaryEncoding,
};
use septet_robust_stats::{Epsilon, Pmf};
use serde::{Deserialize, Serialize};

use crate::python::Environment;

/// What is compared with. Both libraries hash strings, which xxhash 4 refuses.
const ENVIRONMENT: Environment<'_> = Environment {
    packages: &[
        "pure-ldp==1.2.0",
        "multi-freq-ldpy==0.2.5",
        "xxhash<4",
        "scikit-learn",
        "pandas",
        "matplotlib",
        "seaborn",
        "statsmodels",
    ],
    check: "import pure_ldp, multi_freq_ldpy",
};

const SCRIPT: &str = include_str!("sample.py");

/// The libraries and the mechanisms that each has.
const PEERS: [(&str, [&str; 4]); 2] = [
    ("pure-ldp", ["GRR", "OUE", "OLH", "HR"]),
    ("multi-freq-ldpy", ["GRR", "OUE", "OLH", "SS"]),
];

/// What to compare.
#[derive(Debug)]
pub struct Plan {
    /// Sizes of the domain.
    pub domains: Vec<usize>,
    /// The privacy parameter.
    pub epsilon: f64,
    /// Reports of a sample of a Python library; ours takes a hundred times as many for its times.
    pub reports: usize,
    /// Samples of each contender.
    pub repetitions: u64,
    /// A Python with the libraries; without it an environment is made.
    pub python: Option<PathBuf>,
    /// Where the environment and the samples go.
    pub output: PathBuf,
}

/// What one contender measured: CPU nanoseconds a report, and the mean squared error.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// Of a client.
    pub client_ns: f64,
    /// Of the server, counting a report, with its share of the estimates.
    pub aggregate_ns: f64,
    /// Mean squared error of the estimated frequencies, clipped and scaled to sum to 1.
    pub error: f64,
}

/// The medians for one mechanism and domain.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The Python library.
    pub peer: String,
    /// The mechanism.
    pub mechanism: String,
    /// The size of the domain.
    pub domain: usize,
    /// Ours.
    pub ours: Vec<Sample>,
    /// Theirs.
    pub theirs: Vec<Sample>,
}

/// Runs the plan, printing progress lines with `log`, and returns the table; the samples are written as
/// JSON.
///
/// # Errors
///
/// When Python or the network is missing, or a contender fails.
pub fn run(plan: &Plan, log: &mut dyn FnMut(&str)) -> anyhow::Result<String> {
    let python = match &plan.python {
        Some(python) => python.clone(),
        None => ENVIRONMENT.prepare(&plan.output.join("ldp-libraries"), log)?,
    };
    let script = plan.output.join("robust-stats-sample.py");
    std::fs::write(&script, SCRIPT)
        .with_context(|| format!("cannot write {}", script.display()))?;
    let mut comparisons = Vec::new();
    for (peer, mechanisms) in PEERS {
        for mechanism in mechanisms {
            for &domain in &plan.domains {
                log(&format!("{peer} {mechanism} k={domain}"));
                let mut comparison = Comparison {
                    peer: peer.to_owned(),
                    mechanism: mechanism.to_owned(),
                    domain,
                    ours: Vec::new(),
                    theirs: Vec::new(),
                };
                for seed in 0..plan.repetitions {
                    // Ours directly after theirs: a drift of the machine's speed affects both.
                    let theirs = sample_peer(&python, &script, &comparison, plan, seed)?;
                    comparison.theirs.push(theirs);
                    comparison
                        .ours
                        .push(sample_ours(mechanism, domain, plan, seed)?);
                }
                comparisons.push(comparison);
            }
        }
    }
    crate::record::write(&comparisons, &plan.output.join("robust-stats-peers.json"))?;
    let mut table = render(&comparisons);
    table.push_str(&own_speeds(plan)?);
    Ok(table)
}

fn sample_peer(
    python: &Path,
    script: &Path,
    comparison: &Comparison,
    plan: &Plan,
    seed: u64,
) -> anyhow::Result<Sample> {
    let output = Command::new(python)
        .arg(script)
        .args([&comparison.peer, &comparison.mechanism])
        .arg(comparison.domain.to_string())
        .arg(plan.epsilon.to_string())
        .arg(plan.reports.to_string())
        .arg(seed.to_string())
        .output()
        .with_context(|| format!("cannot run {}", python.display()))?;
    if !output.status.success() {
        bail!(
            "{} failed:\n{}",
            comparison.peer,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    serde_json::from_slice(&output.stdout).context("unexpected output of the Python script")
}

fn sample_ours(mechanism: &str, domain: usize, plan: &Plan, seed: u64) -> anyhow::Result<Sample> {
    let epsilon = Epsilon::new(plan.epsilon)?;
    Ok(match mechanism {
        "GRR" => measure(
            &RandomizedResponse::new(domain, epsilon)?,
            plan.reports,
            seed,
        )?,
        "OUE" => measure(
            &UnaryEncoding::optimized(domain, epsilon)?,
            plan.reports,
            seed,
        )?,
        "OLH" => measure(&LocalHashing::new(domain, epsilon)?, plan.reports, seed)?,
        "HR" => measure(&HadamardResponse::new(domain, epsilon)?, plan.reports, seed)?,
        "SS" => measure(&SubsetSelection::new(domain, epsilon)?, plan.reports, seed)?,
        other => bail!("{other}: no such mechanism"),
    })
}

/// Times from a hundred times as many reports; the error from as many as the peer has.
fn measure<M>(mechanism: &M, reports: usize, seed: u64) -> anyhow::Result<Sample>
where
    M: Mechanism<Report = <M as Countable>::Report> + FrequencyOracle,
{
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    // Zipf's law with exponent 1, from which `sample.py` draws too.
    let pmf = Pmf::zipf(mechanism.domain(), 1.0)?;
    let sampler = AliasSampler::new(&pmf);
    let values: Vec<usize> = (0..100 * reports)
        .map(|_| sampler.sample(&mut rng))
        .collect();

    let mut aggregate = Aggregate::new(mechanism.clone());
    let (mut client, mut server) = (0.0, 0.0);
    // In batches, as a server works: all reports at once would not fit into the processor's cache.
    for values in values.chunks(1_000) {
        let start = cpu_seconds();
        let sent: Result<Vec<_>, _> = values
            .iter()
            .map(|&v| mechanism.encode(v, &mut rng))
            .collect();
        let sent = black_box(sent?);
        let middle = cpu_seconds();
        for report in &sent {
            aggregate.push(report)?;
        }
        client += middle - start;
        server += cpu_seconds() - middle;
    }
    let start = cpu_seconds();
    // The estimates are part of the server's time, divided among all reports.
    black_box(aggregate.estimates());
    server += cpu_seconds() - start;

    // The same number of rounds as in `sample.py`: a mean over at least 1024 symbols.
    let rounds = (1_024 / mechanism.domain()).clamp(1, 100);
    let mut error = 0.0;
    for values in values.chunks_exact(reports).take(rounds) {
        let mut few = Aggregate::new(mechanism.clone());
        let mut truth = vec![0.0; mechanism.domain()];
        for &value in values {
            few.push(&mechanism.encode(value, &mut rng)?)?;
            truth[value] += 1.0 / reports as f64;
        }
        // Post-processing as in `sample.py`: no negative estimates, and a sum of 1.
        let clipped: Vec<f64> = few.estimates().iter().map(|x| x.max(0.0)).collect();
        let sum: f64 = clipped.iter().sum();
        let squares = clipped
            .iter()
            .zip(&truth)
            .map(|(x, t)| (x / sum - t).powi(2));
        error += squares.sum::<f64>() / (truth.len() * rounds) as f64;
    }
    Ok(Sample {
        client_ns: client * 1e9 / (100 * reports) as f64,
        aggregate_ns: server * 1e9 / (100 * reports) as f64,
        error,
    })
}

/// CPU seconds of this process.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn render(comparisons: &[Comparison]) -> String {
    let mut table = String::from(
        "mechanism      k  peer             client ns (theirs, ours, ratio)    aggregate ns (theirs, ours, ratio)   error ratio\n",
    );
    for comparison in comparisons {
        // Medians of times, which other work on the machine distorts; means of errors, whose spread
        // is the mechanism's own.
        let of = |samples: &[Sample], value: fn(&Sample) -> f64| median(samples.iter().map(value));
        let mean = |samples: &[Sample]| {
            samples.iter().map(|s| s.error).sum::<f64>() / samples.len() as f64
        };
        let client = [&comparison.theirs, &comparison.ours].map(|s| of(s, |s| s.client_ns));
        let server = [&comparison.theirs, &comparison.ours].map(|s| of(s, |s| s.aggregate_ns));
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "{:9} {:6}  {:15} {:10.0} {:9.1} {:8.0}x    {:12.0} {:9.1} {:8.0}x   {:8.3}",
            comparison.mechanism,
            comparison.domain,
            comparison.peer,
            client[0],
            client[1],
            client[0] / client[1],
            server[0],
            server[1],
            server[0] / server[1],
            mean(&comparison.ours) / mean(&comparison.theirs),
        );
    }
    table
}

/// What has no peer here: the hash design, and the transform.
fn own_speeds(plan: &Plan) -> anyhow::Result<String> {
    let mut text = String::new();
    // The hash design: 1024 symbols in 4 cells, with a table for each client.
    let epsilon = Epsilon::new(plan.epsilon)?;
    let parameters = DesignParameters::new(1024, 4, [1; 32])?.with_epsilon(epsilon)?;
    let assignment = Assignment::new([2; 16], &parameters);
    let names: Vec<[u8; 8]> = (0_u64..4_096).map(u64::to_le_bytes).collect();
    let clients: Result<Vec<GroupClient>, _> = names
        .iter()
        .map(|name| GroupClient::new(&parameters, assignment.group(name)))
        .collect();
    let clients = clients?;
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let mut aggregator = DesignAggregator::new(parameters, assignment)?;
    let (mut encode, mut check) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        // A device has one client: its table is in the cache, as those of 4096 clients are not.
        let start = cpu_seconds();
        for _ in 0..names.len() {
            black_box(DesignReport::encode(&clients[0], black_box(3), &mut rng)?);
        }
        encode.push((cpu_seconds() - start) * 1e9 / names.len() as f64);
        // One report of every client, made outside of the timed region.
        let reports: Result<Vec<DesignReport>, _> = clients
            .iter()
            .map(|client| DesignReport::encode(client, 3, &mut rng))
            .collect();
        let reports = reports?;
        let start = cpu_seconds();
        for (name, report) in names.iter().zip(&reports) {
            // Computes the group that is assigned to the name, and compares it with that of the
            // report.
            aggregator.push(name, report)?;
        }
        check.push((cpu_seconds() - start) * 1e9 / names.len() as f64);
    }
    let _ = writeln!(
        text,
        "hash design k=1024 L=4: encode {:.1} ns; check of the assignment and count {:.1} ns",
        median(encode.into_iter()),
        median(check.into_iter())
    );
    let mut times = Vec::new();
    let mut values: Vec<i64> = (0..1 << 20).map(|i| i * 7919 % 101).collect();
    for _ in 0..15 {
        // A transform multiplies values by up to 2^20: reduced before each, they cannot overflow.
        values.iter_mut().for_each(|x| *x %= 101);
        let start = cpu_seconds();
        transform(black_box(&mut values));
        times.push((cpu_seconds() - start) * 1e3);
    }
    let _ = writeln!(
        text,
        "Walsh-Hadamard transform of 2^20 counts: {:.1} ms",
        median(times.into_iter())
    );
    Ok(text)
}
