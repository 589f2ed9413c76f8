//! `robust-stats plan`: before anything is deployed.

use septet_robust_stats::planner::{Constraint, Plan, Request, Task, Verdict, plan};
use septet_robust_stats::{Epsilon, Gamma};

use crate::Ending;
use crate::output::{Output, Report};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many symbols there are
    #[arg(long)]
    domain: usize,
    /// The fraction of manipulated reports
    #[arg(long)]
    gamma: f64,
    /// The total variation to reach
    #[arg(long)]
    target: f64,
    /// Messages of so many bits
    #[arg(long, conflicts_with = "epsilon")]
    bits: Option<u32>,
    /// Locally private messages; epsilon chooses the number of cells too
    #[arg(long)]
    epsilon: Option<f64>,
    /// Plan a test of uniformity with this power at the target distance, instead of an estimate
    #[arg(long)]
    power: Option<f64>,
    /// The false alarms of the test
    #[arg(long, default_value_t = 0.05)]
    level: f64,
}

pub(crate) fn run(arguments: &Arguments, out: &mut Output) -> anyhow::Result<Ending> {
    let constraint = match (arguments.bits, arguments.epsilon) {
        (_, Some(epsilon)) => Constraint::Private(Epsilon::new(epsilon)?),
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
        Verdict::Feasible(plan) => fields(Report::default().field("feasible", true), &plan)?,
        Verdict::Infeasible { floor } => Report::default()
            .sentence("no number of clients is enough: the liars alone move the estimate further")
            .field("feasible", false)
            .field("floor", floor),
    };
    out.print(&report)?;
    Ok(Ending::Done)
}

/// The fields of a plan, what is to be deployed first.
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
        report = report.field(name, value.take());
    }
    Ok(report)
}
