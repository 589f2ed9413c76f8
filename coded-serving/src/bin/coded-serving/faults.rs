//! `bench faults`: what clients see while real worker processes are killed and overloaded.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;

use septet_coded_serving::load::{Arrivals, Summary, open_loop};
use septet_core::nn::one_math_thread;
use septet_core::seed::SeedTree;

use crate::client::{Client, outcome};
use crate::config::on_all_cores;
use crate::demo::Models;
use crate::process::{GatewayProcess, WorkerProcess};
use crate::quantity::{Time, milliseconds};

const GROUP: usize = 10;
const NAME: &str = "strokes";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Queries per second, except in the overload run
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// The number of queries of each run
    #[arg(long, default_value_t = 4000)]
    queries: u64,
    /// Time added to every task of a worker
    #[arg(long, default_value = "10ms")]
    service_time: Time,
    /// The seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// The fault of a run, injected after a tenth of the queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    KillOne,
    KillTwo,
    StopGateway,
    Overload,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let _ = one_math_thread();
    let seed = SeedTree::new(arguments.seed);
    eprintln!("training a base model and an encoder on generated images");
    let models = Models::train(&seed)?;
    on_all_cores(all(arguments, &models, &seed))
}

/// Runs all faults, and prints a table.
async fn all(arguments: &Arguments, models: &Models, seed: &SeedTree) -> anyhow::Result<()> {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "fault",
        "sent",
        "answered",
        "reconstructed",
        "rejected",
        "failed",
        "p50 ms",
        "p99",
        "p99.9",
        "answers/s",
    ]);
    let mut notes = Vec::new();
    let mut baseline = Duration::ZERO;
    for fault in [
        Fault::None,
        Fault::KillOne,
        Fault::KillTwo,
        Fault::StopGateway,
        Fault::Overload,
    ] {
        let (summary, note) = one(arguments, models, seed, fault).await?;
        let tail = summary.quantile(0.999);
        table.add_row([
            match fault {
                Fault::None => "none",
                Fault::KillOne => "one worker killed (-9)",
                Fault::KillTwo => "two workers killed (-9)",
                Fault::StopGateway => "gateway stopped (TERM)",
                Fault::Overload => "twice the capacity",
            }
            .to_owned(),
            summary.sent().to_string(),
            summary.answered().to_string(),
            summary.reconstructed.to_string(),
            summary.rejected.to_string(),
            summary.failed.to_string(),
            milliseconds(summary.quantile(0.5)),
            milliseconds(summary.quantile(0.99)),
            milliseconds(tail),
            format!("{:.0}", summary.goodput()),
        ]);
        match fault {
            Fault::None => baseline = tail,
            Fault::KillOne => notes.push(format!(
                "one worker killed: the 99.9th percentile is {:.2} times that without a fault",
                tail.as_secs_f64() / baseline.as_secs_f64()
            )),
            _ => {}
        }
        notes.extend(note);
    }
    println!("{table}");
    for note in notes {
        println!("{note}");
    }
    Ok(())
}

/// Runs one fault. Returns the outcomes as clients see them, and a note.
async fn one(
    arguments: &Arguments,
    models: &Models,
    seed: &SeedTree,
    fault: Fault,
) -> anyhow::Result<(Summary, Option<String>)> {
    let service = [
        "--service-time".to_owned(),
        arguments.service_time.to_string(),
    ];
    let mut workers = Vec::new();
    for _ in 0..=GROUP {
        workers.push(WorkerProcess::start(&models.base_file(), NAME, &service).await?);
    }
    let encoder = models.encoder_file()?;
    let mut gateway = gateway(&workers, &encoder).await?;
    let images = Arc::new(models.data.test.clone());
    // The maximum throughput of the workers, if they run no parities.
    let capacity = (GROUP + 1) as f64 / arguments.service_time.0.as_secs_f64().max(1e-3);
    let rate = match fault {
        Fault::Overload => 2.0 * capacity,
        _ => arguments.rate,
    };
    let arrivals = Arrivals::poisson(rate)?;
    let client = Client::connect(gateway.url(), NAME).await?;
    let load = tokio::spawn({
        let (queries, seed) = (arguments.queries, *seed);
        async move {
            open_loop(queries, arrivals, &seed, move |number| {
                let (client, images) = (client.clone(), Arc::clone(&images));
                async move {
                    let image = images.image(number as usize % images.len());
                    outcome(&client.infer(image).await)
                }
            })
            .await
        }
    });
    // Early, so that nearly all queries are sent after a worker was killed.
    let share = match fault {
        Fault::StopGateway => 0.5,
        _ => 0.1,
    };
    let begun = Duration::from_secs_f64(share * arguments.queries as f64 / rate);
    tokio::time::sleep(begun).await;
    match fault {
        Fault::None | Fault::Overload => {}
        Fault::KillOne => workers[3].kill().await?,
        Fault::KillTwo => {
            workers[3].kill().await?;
            workers[7].kill().await?;
        }
        Fault::StopGateway => gateway.terminate()?,
    }
    let summary = load.await?;
    let note = match fault {
        Fault::StopGateway => {
            let status = gateway.wait().await?;
            Some(format!(
                "the gateway ended with {status}; {} connections were refused afterwards, {} queries failed",
                summary.rejected, summary.failed
            ))
        }
        Fault::Overload => {
            // How much redundancy the gateway has shed is in its metrics.
            let metrics = reqwest::Client::builder().no_proxy().build()?;
            let metrics = metrics.get(format!("{}/metrics", gateway.url()));
            let metrics = metrics.send().await?.text().await?;
            let value = |name: &str| -> f64 {
                let line = metrics.lines().find(|line| line.starts_with(name));
                line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
                    .unwrap_or(f64::NAN)
            };
            Some(format!(
                "twice the capacity: {:.0} % of {capacity:.0} answers per second; {:.0} groups, {:.0} of them without a parity",
                100.0 * summary.goodput() / capacity,
                value("coded_serving_queries_accepted_total") / GROUP as f64,
                value("coded_serving_groups_shed_total"),
            ))
        }
        _ => None,
    };
    Ok((summary, note))
}

async fn gateway(workers: &[WorkerProcess], encoder: &Path) -> anyhow::Result<GatewayProcess> {
    let encoder = encoder
        .to_str()
        .context("the path of the temporary folder is not UTF-8")?;
    let mut arguments: Vec<String> = [
        "--name",
        NAME,
        "--encoder",
        encoder,
        "--max-batch-delay",
        "100ms",
    ]
    .map(str::to_owned)
    .to_vec();
    for worker in workers {
        arguments.extend(["--worker".to_owned(), worker.url().to_owned()]);
    }
    GatewayProcess::start(&arguments).await
}
