//! `plan`: the cheapest code that meets a latency target.

use clap::Args;
use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use septet_core::cli::Failure;

use crate::quantity::{Time, milliseconds};
use crate::simulate::{Scenario, Scheme, Strategy};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The target latency
    #[arg(long)]
    target: Time,
    /// The quantile of latency that has to meet the target
    #[arg(long, default_value_t = 0.99)]
    quantile: f64,
    /// The maximum fraction of approximate answers
    #[arg(long, default_value_t = 1.0)]
    max_approximate: f64,
    #[command(flatten)]
    scenario: Scenario,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if !(0.0..=1.0).contains(&arguments.quantile) {
        let found = arguments.quantile;
        return Err(Failure::usage(format!("--quantile: expected 0 to 1, found {found}")).into());
    }
    let scenario = &arguments.scenario;
    // From the fewest to the most workers.
    let mut schemes = vec![
        Scheme {
            strategy: Strategy::None,
            group: 1,
        },
        Scheme {
            strategy: Strategy::Hedging,
            group: 1,
        },
    ];
    for group in [10, 6, 4, 3, 2] {
        for strategy in [Strategy::EqualResources, Strategy::Coded] {
            schemes.push(Scheme { strategy, group });
        }
    }
    schemes.push(Scheme {
        strategy: Strategy::Replication,
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
        "meets the target",
    ]);
    let mut best: Option<(usize, f64, String)> = None;
    for scheme in schemes {
        let summary = scenario.run(scheme)?;
        let workers = scenario.workers + scheme.extra_workers(scenario.workers);
        // Answers of a copy are the model's own, though the engine counts them as reconstructed.
        let exact = matches!(scheme.strategy, Strategy::Replication);
        let approximate = if exact { 0.0 } else { summary.approximate() };
        let latency = summary.quantile(arguments.quantile);
        let meets = latency <= arguments.target.0 && approximate <= arguments.max_approximate;
        table.add_row([
            scheme.name(),
            workers.to_string(),
            milliseconds(summary.quantile(0.5)),
            milliseconds(latency),
            format!("{:.1}", 100.0 * approximate),
            if meets { "yes" } else { "no" }.to_owned(),
        ]);
        // Fewer workers win; with as many, fewer approximate answers.
        let cheaper = best
            .as_ref()
            .is_none_or(|(best_workers, best_approximate, _)| {
                (workers, approximate) < (*best_workers, *best_approximate)
            });
        if meets && cheaper {
            best = Some((workers, approximate, scheme.name()));
        }
    }
    println!("{table}");
    match best {
        Some((workers, _, name)) => {
            println!("the fewest workers that meet the target: {workers}, with {name}");
        }
        None => println!("none of these meets the target: it takes more workers or less load"),
    }
    println!(
        "from {} queries in virtual time; a parity is assumed to cost one task",
        scenario.queries
    );
    Ok(())
}

fn trimmed(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
