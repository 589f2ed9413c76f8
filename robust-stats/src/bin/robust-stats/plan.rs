//! `robust-stats plan`: deployment planning.

use septet_core::cli::{Exit, Report};
use septet_robust_stats::planner::{Constraint, Feasibility, Plan, Request, Task, plan};
use septet_robust_stats::{Epsilon, Gamma};

use crate::files;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Number of symbols
    #[arg(long)]
    domain: usize,
    /// Fraction of manipulated reports
    #[arg(long)]
    gamma: f64,
    /// Target total variation
    #[arg(long)]
    target: f64,
    /// Bits per message
    #[arg(long, conflicts_with = "epsilon")]
    bits: Option<u32>,
    /// Privacy parameter of locally private messages; the number of cells is optimized
    #[arg(long)]
    epsilon: Option<f64>,
    /// Plan a uniformity test with this power at the target distance instead of an estimate
    #[arg(long)]
    power: Option<f64>,
    /// Significance level of the test
    #[arg(long, default_value_t = 0.05)]
    level: f64,
}

pub(crate) fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Exit> {
    let epsilon = arguments.epsilon.map(Epsilon::new).transpose()?;
    let constraint = match (arguments.bits, epsilon) {
        (_, Some(epsilon)) => Constraint::Private(epsilon),
        (Some(bits), None) => Constraint::Bits(bits),
        (None, None) => Constraint::Central,
    };
    let task = arguments
        .power
        .map_or(Task::Learning, |power| Task::Testing {
            level: arguments.level,
            power,
        });
    let request = Request {
        task,
        symbols: arguments.domain,
        constraint,
        gamma: Gamma::new(arguments.gamma)?,
        target: arguments.target,
    };
    let report = match plan(&request)? {
        Feasibility::Feasible(plan) => {
            let mut report = Report::default();
            if plan.guarantee.is_some_and(|guarantee| guarantee >= 1.0) {
                report = report.sentence(
                    "nothing is guaranteed for so few clients: plan for a smaller target error",
                );
            }
            fields(report.field("feasible", true), &plan)?
        }
        Feasibility::Infeasible { manipulation_floor } => Report::default()
            .sentence(
                "infeasible with any number of clients: manipulation alone exceeds the target",
            )
            .field("feasible", false)
            .field("manipulation_floor", manipulation_floor),
    };
    files::warn_of_large_epsilon(epsilon);
    report.print(json)?;
    Ok(Exit::Success)
}

/// The fields of a plan, deployment parameters first.
fn fields(mut report: Report, plan: &Plan) -> anyhow::Result<Report> {
    let mut value = serde_json::to_value(plan)?;
    let Some(object) = value.as_object_mut() else {
        return Ok(report);
    };
    for name in ["users", "groups", "cells", "message_bits", "message_bytes"] {
        if let Some(value) = object.remove(name) {
            report = report.field(name, value);
        }
    }
    for (name, value) in object {
        report = report.field(name.clone(), value.take());
    }
    Ok(report)
}
