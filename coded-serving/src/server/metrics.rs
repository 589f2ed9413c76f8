//! What Prometheus reads.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::engine::{Backend, CodingTime, Statistics};

use super::host::ServedModel;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    model: String,
    outcome: &'static str,
}

/// The metrics of a server.
pub(super) struct Metrics {
    requests: Family<Labels, Counter>,
    seconds: Family<Labels, Histogram, fn() -> Histogram>,
    engines: Engines,
    registry: Mutex<Registry>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("coded_serving");
        let requests = Family::default();
        registry.register("requests", "Requests by how they ended", requests.clone());
        // From a tenth of a millisecond to some ten seconds.
        let seconds: Family<Labels, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| {
                Histogram::new((0..17).map(|power| 1e-4 * f64::from(1 << power)))
            });
        registry.register_with_unit(
            "request",
            "Time from a request read to its answer",
            Unit::Seconds,
            seconds.clone(),
        );
        let engines = Engines::default();
        registry.register_collector(Box::new(engines.clone()));
        Self {
            requests,
            seconds,
            engines,
            registry: Mutex::new(registry),
        }
    }
}

impl Metrics {
    pub(super) fn count(&self, model: &str, outcome: &'static str, time: Duration) {
        let labels = Labels {
            model: model.to_owned(),
            outcome,
        };
        self.requests.get_or_create(&labels).inc();
        self.seconds
            .get_or_create(&labels)
            .observe(time.as_secs_f64());
    }

    /// Has the counts of a model's engine read whenever the metrics are.
    pub(super) fn watch<B: Backend>(&self, name: &str, model: &ServedModel<B>) {
        let engine = model.engine.clone();
        let read = move || EngineCounts {
            statistics: engine.statistics(),
            coding: engine.coding_time(),
            open_groups: engine.open_groups(),
            waiting: engine.waiting(),
            busy_workers: engine.busy_workers(),
            resting_workers: engine.resting_workers(),
        };
        let mut engines = self
            .engines
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        engines.push((name.to_owned(), Box::new(read)));
    }

    pub(super) fn text(&self) -> String {
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = text::encode(&mut out, &registry);
        out
    }
}

/// What an engine has counted.
#[derive(Clone, Copy)]
struct EngineCounts {
    statistics: Statistics,
    coding: CodingTime,
    open_groups: usize,
    waiting: usize,
    busy_workers: usize,
    resting_workers: usize,
}

type Read = Box<dyn Fn() -> EngineCounts + Send + Sync>;

/// Reads the counts of all engines, each metric told once with a line for every model.
#[derive(Clone, Default)]
struct Engines(Arc<Mutex<Vec<(String, Read)>>>);

impl fmt::Debug for Engines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Engines")
    }
}

/// Name, explanation, and value.
type Counted<T> = (&'static str, &'static str, fn(&EngineCounts) -> T);

const COUNTERS: [Counted<u64>; 19] = [
    ("queries_accepted", "Queries that were let in", |c| {
        c.statistics.accepted
    }),
    ("queries_rejected", "Queries that were turned away", |c| {
        c.statistics.rejected
    }),
    (
        "answers_direct",
        "Answers from the worker that was asked",
        |c| c.statistics.direct,
    ),
    (
        "reconstructed",
        "Answers from other tasks of the group",
        |c| c.statistics.reconstructed,
    ),
    ("answers_lost", "Queries whose answer was lost", |c| {
        c.statistics.lost
    }),
    (
        "answers_abandoned",
        "Queries whose client gave up first",
        |c| c.statistics.abandoned,
    ),
    (
        "reconstruction_agreed",
        "Late true answers with the class of the reconstructed one",
        |c| c.statistics.agreed,
    ),
    (
        "reconstruction_disagreed",
        "Late true answers with another class",
        |c| c.statistics.disagreed,
    ),
    (
        "reconstruction_doubtful",
        "Reconstructed answers held back for their margin",
        |c| c.statistics.doubtful,
    ),
    ("groups", "Groups that take no more queries", |c| {
        c.statistics.groups
    }),
    (
        "grouped_queries",
        "Queries in those groups: over their number, how full they are",
        |c| c.statistics.grouped,
    ),
    (
        "redundant_tasks",
        "Redundant tasks that were sent, hedges among them",
        |c| c.statistics.redundant,
    ),
    (
        "parity_shed",
        "Groups that went without redundant tasks under load",
        |c| c.statistics.shed,
    ),
    (
        "parity_cancelled",
        "Redundant tasks that were taken back",
        |c| c.statistics.cancelled,
    ),
    ("retries", "Queries sent again after a failure", |c| {
        c.statistics.retries
    }),
    ("hedges", "Late queries sent a second time", |c| {
        c.statistics.hedges
    }),
    ("tasks", "Tasks that workers were given", |c| {
        c.statistics.tasks
    }),
    (
        "uncoded",
        "Groups that the code failed to encode, or outputs to decode",
        |c| c.statistics.uncoded,
    ),
    ("worker_failures", "Tasks that a worker failed", |c| {
        c.statistics.failures
    }),
];

impl Collector for Engines {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let counts: Vec<([(&str, String); 1], EngineCounts)> = {
            let engines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let read = engines
                .iter()
                .map(|(name, read)| ([("model", name.clone())], read()));
            read.collect()
        };
        for (name, help, value) in COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (label, counts) in &counts {
                ConstCounter::new(value(counts)).encode(family.encode_family(label)?)?;
            }
        }
        let times: [Counted<Duration>; 2] = [
            ("encode", "Time spent encoding", |c| c.coding.encoding),
            ("decode", "Time spent decoding", |c| c.coding.decoding),
        ];
        for (name, help, value) in times {
            let unit = Some(&Unit::Seconds);
            let mut family = encoder.encode_descriptor(name, help, unit, MetricType::Counter)?;
            for (label, counts) in &counts {
                let seconds = value(counts).as_secs_f64();
                ConstCounter::new(seconds).encode(family.encode_family(label)?)?;
            }
        }
        let gauges: [Counted<usize>; 4] = [
            (
                "open_groups",
                "Groups with a client that waits or a task that runs",
                |c| c.open_groups,
            ),
            ("queue_depth", "Queries that wait for a worker", |c| {
                c.waiting
            }),
            ("workers_busy", "Workers with a task", |c| c.busy_workers),
            (
                "workers_resting",
                "Workers that get no task for a while, because they have failed one",
                |c| c.resting_workers,
            ),
        ];
        for (name, help, value) in gauges {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (label, counts) in &counts {
                let value = i64::try_from(value(counts)).unwrap_or(i64::MAX);
                ConstGauge::new(value).encode(family.encode_family(label)?)?;
            }
        }
        Ok(())
    }
}
