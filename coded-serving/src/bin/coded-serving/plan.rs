//! `plan`: the cheapest code for a goal.

use clap::Args;
use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;

use crate::quantity::{Time, milliseconds};
use crate::simulate::{Guard, Scenario, Scheme};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The goal: this latency ...
    #[arg(long)]
    goal: Time,
    /// ... for this share of the answers
    #[arg(long, default_value_t = 0.99)]
    quantile: f64,
    /// The largest share of approximate answers
    #[arg(long, default_value_t = 1.0)]
    most_approximate: f64,
    #[command(flatten)]
    scenario: Scenario,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if !(0.0..=1.0).contains(&arguments.quantile) {
        anyhow::bail!("--quantile: expected 0 to 1, found {}", arguments.quantile);
    }
    let scenario = &arguments.scenario;
    let mut schemes = vec![
        Scheme {
            guard: Guard::None,
            group: 1,
        },
        Scheme {
            guard: Guard::Hedging,
            group: 1,
        },
    ];
    for group in [10, 6, 4, 3, 2] {
        for guard in [Guard::EqualResources, Guard::Coded] {
            schemes.push(Scheme { guard, group });
        }
    }
    schemes.push(Scheme {
        guard: Guard::Replication,
        group: 1,
    });
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    let tail = format!("p{}", trimmed(100.0 * arguments.quantile));
    table.set_header([
        "scheme",
        "workers",
        "p50 ms",
        &tail,
        "approximate, %",
        "meets the goal",
    ]);
    let mut best: Option<(usize, f64, String)> = None;
    for scheme in schemes {
        let summary = scenario.run(scheme)?;
        let workers = scenario.workers + scheme.extra_workers(scenario.workers);
        let exact = matches!(scheme.guard, Guard::Replication);
        let approximate = if exact { 0.0 } else { summary.approximate() };
        let latency = summary.quantile(arguments.quantile);
        let meets = latency <= arguments.goal.0 && approximate <= arguments.most_approximate;
        table.add_row([
            scheme.name(),
            workers.to_string(),
            milliseconds(summary.quantile(0.5)),
            milliseconds(latency),
            format!("{:.1}", 100.0 * approximate),
            if meets { "yes" } else { "no" }.to_owned(),
        ]);
        let cheaper = best
            .as_ref()
            .is_none_or(|(fewest, least, _)| (workers, approximate) < (*fewest, *least));
        if meets && cheaper {
            best = Some((workers, approximate, scheme.name()));
        }
    }
    println!("{table}");
    match best {
        Some((workers, _, name)) => {
            println!("the fewest workers that meet the goal: {workers}, with {name}");
        }
        None => println!("none of these meets the goal: more workers are needed, or less load"),
    }
    println!(
        "from {} queries in virtual time; a parity is taken to cost one task",
        scenario.queries
    );
    Ok(())
}

fn trimmed(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
