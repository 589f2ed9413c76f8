//! `bench`: load tests.

use std::sync::Arc;

use anyhow::Context;
use clap::{Args, Subcommand};

use septet_coded_serving::load::{Arrivals, Summary, open_loop};
use septet_core::seed::SeedTree;

use crate::client::{Client, outcome};
use crate::config::on_all_cores;
use crate::faults;
use crate::latency;
use crate::quantity::milliseconds;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Send queries on schedule, whether or not earlier ones were answered (open loop)
    Load(Load),
    /// Compare codes by the latency of rounds on real worker processes with injected stragglers
    Latency(latency::Arguments),
    /// Kill, stop and overload real processes under load, and report what clients see
    Faults(faults::Arguments),
}

#[derive(Args)]
pub(crate) struct Load {
    /// The server, such as `http://127.0.0.1:8000`
    server: String,
    /// The model
    #[arg(long)]
    name: String,
    /// Queries per second
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// The number of queries
    #[arg(long, default_value_t = 1000)]
    queries: u64,
    /// Equal intervals instead of a Poisson process
    #[arg(long)]
    constant: bool,
    /// The seed of the arrivals
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.what {
        What::Load(load) => {
            let summary = on_all_cores(send(load))?;
            print(&summary, load.json);
            Ok(())
        }
        What::Latency(arguments) => latency::run(arguments),
        What::Faults(arguments) => faults::run(arguments),
    }
}

async fn send(load: &Load) -> anyhow::Result<Summary> {
    let client = Client::connect(&load.server, &load.name).await?;
    // A fixed query with varied values in [0, 1): latency does not depend on the values.
    let values: Arc<[f32]> = (0..client.width())
        .map(|i| ((i * 37) % 101) as f32 / 101.0)
        .collect();
    let arrivals = if load.constant {
        Arrivals::constant(load.rate)?
    } else {
        Arrivals::poisson(load.rate)?
    };
    // Fail early, and keep the connection set-up out of the measured latencies.
    let first = client.infer(&values).await;
    first.context("the model does not answer a trial query")?;
    let seed = SeedTree::new(load.seed);
    Ok(open_loop(load.queries, arrivals, &seed, move |_| {
        let (client, values) = (client.clone(), Arc::clone(&values));
        async move { outcome(&client.infer(&values).await) }
    })
    .await)
}

fn print(summary: &Summary, json: bool) {
    let quantiles = [0.5, 0.9, 0.99, 0.995, 0.999];
    if json {
        // Full precision for programs; the text below rounds.
        let milliseconds = |time: std::time::Duration| time.as_secs_f64() * 1e3;
        let latencies: serde_json::Map<String, serde_json::Value> = quantiles
            .iter()
            .map(|&q| {
                (
                    format!("p{}", 100.0 * q),
                    milliseconds(summary.quantile(q)).into(),
                )
            })
            .collect();
        println!(
            "{}",
            serde_json::json!({
                "sent": summary.sent(),
                "direct": summary.direct,
                "reconstructed": summary.reconstructed,
                "rejected": summary.rejected,
                "failed": summary.failed,
                "seconds": summary.elapsed.as_secs_f64(),
                "goodput": summary.goodput(),
                "mean_ms": milliseconds(summary.mean()),
                "latency_ms": latencies,
            })
        );
        return;
    }
    println!(
        "{} queries in {:.1} s: {} answered ({} reconstructed), {} rejected, {} failed; {:.1} answers per second",
        summary.sent(),
        summary.elapsed.as_secs_f64(),
        summary.answered(),
        summary.reconstructed,
        summary.rejected,
        summary.failed,
        summary.goodput()
    );
    println!("latency from the scheduled time, ms:");
    println!("  mean  {:>8}", milliseconds(summary.mean()));
    for quantile in quantiles {
        println!(
            "  p{:<4} {:>8}",
            100.0 * quantile,
            milliseconds(summary.quantile(quantile))
        );
    }
    println!("  max   {:>8}", milliseconds(summary.max()));
}
