//! `robust-stats plan`: before anything is deployed.

use septet_robust_stats::planner::{Constraint, Request, Task, Verdict, plan};
use septet_robust_stats::{Epsilon, Gamma};
use serde_json::json;

use crate::Ending;
use crate::files::Output;

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
    /// Locally private messages
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
    match plan(&request)? {
        Verdict::Feasible(plan) => {
            let mut value = serde_json::to_value(plan)?;
            value["feasible"] = json!(true);
            out.print(&value)?;
        }
        Verdict::Infeasible { floor } => {
            out.print(&json!({ "feasible": false, "floor": floor }))?;
        }
    }
    Ok(Ending::Done)
}
