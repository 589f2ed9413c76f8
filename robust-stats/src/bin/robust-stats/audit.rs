//! `robust-stats audit-privacy`: the exact privacy audit of all mechanisms.

use septet_core::cli::{Exit, Report};
use septet_robust_stats::Epsilon;
use septet_robust_stats::audit::{AuditReport, audit};
use septet_robust_stats::design::{DesignParameters, GroupClient};
use septet_robust_stats::mechanism::*;
use serde_json::{Value, json};

use crate::usage;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Maximum domain, at most 8
    #[arg(long, default_value_t = 8)]
    domain: usize,
    /// Comma-separated privacy parameters
    #[arg(long, value_delimiter = ',', default_values_t = [0.1, 0.5, 1.0, 2.0, 4.0, 1.098_612_288_668_109_8])]
    epsilon: Vec<f64>,
}

pub(crate) fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Exit> {
    if !(2..=8).contains(&arguments.domain) {
        usage!("--domain: expected 2 to 8, found {}", arguments.domain);
    }
    let mut rows: Vec<Vec<Value>> = Vec::new();
    let mut failed = 0;
    for &epsilon in &arguments.epsilon {
        let epsilon = Epsilon::new(epsilon)?;
        for domain in 2..=arguments.domain {
            for (name, report) in audits(domain, epsilon)? {
                failed += u32::from(!(report.holds && report.complete));
                rows.push(vec![
                    json!(name),
                    json!(domain),
                    json!(epsilon.get()),
                    json!(report.ratio.ln()),
                    json!(report.holds),
                    json!(report.tight),
                    json!(report.complete),
                ]);
            }
        }
    }
    let audits = rows.len();
    let columns = [
        "mechanism",
        "domain",
        "epsilon",
        "log_ratio",
        "holds",
        "tight",
        "complete",
    ];
    let report = Report::default().field("audits", audits);
    let report = report.field("failed", failed);
    report.table("channels", &columns, rows).print(json)?;
    if failed > 0 {
        return Ok(Exit::Negative);
    }
    Ok(Exit::Success)
}

/// The audit of every mechanism over this domain.
fn audits(domain: usize, epsilon: Epsilon) -> anyhow::Result<Vec<(&'static str, AuditReport)>> {
    let shape = SketchShape::new(domain, 4, 4, 1)?;
    let design = DesignParameters::new(domain, 2, [1; 32])?.with_epsilon(epsilon)?;
    let unary = UnaryEncoding::symmetric(domain, epsilon)?;
    let optimized = UnaryEncoding::optimized(domain, epsilon)?;
    let hadamard = HadamardResponse::new(domain, epsilon)?;
    let one_block = HadamardResponse::one_block(domain, epsilon)?;
    let response = RandomizedResponse::new(domain, epsilon)?;
    let sketch = CountMeanSketch::new(shape, epsilon)?;
    let hadamard_sketch = HadamardCountMeanSketch::new(shape, epsilon)?;
    Ok(vec![
        ("randomized-response", audit(&response, domain, epsilon)?),
        ("symmetric-unary-encoding", audit(&unary, domain, epsilon)?),
        (
            "optimized-unary-encoding",
            audit(&optimized, domain, epsilon)?,
        ),
        (
            "subset-selection",
            audit(&SubsetSelection::new(domain, epsilon)?, domain, epsilon)?,
        ),
        (
            "local-hashing",
            audit(&LocalHashing::new(domain, epsilon)?, domain, epsilon)?,
        ),
        ("hadamard-response", audit(&hadamard, domain, epsilon)?),
        (
            "hadamard-response, one block",
            audit(&one_block, domain, epsilon)?,
        ),
        (
            "hash-design",
            audit(&GroupClient::new(&design, 0)?, domain, epsilon)?,
        ),
        ("count-mean-sketch", audit(&sketch, domain, epsilon)?),
        (
            "hadamard-count-mean-sketch",
            audit(&hadamard_sketch, domain, epsilon)?,
        ),
    ])
}
