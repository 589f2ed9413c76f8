//! The Prometheus metrics of a server.

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
        registry.register("requests", "Requests by outcome", requests.clone());
        // Exponential buckets from 0.1 ms to 6.6 s.
        let seconds: Family<Labels, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| {
                Histogram::new((0..17).map(|power| 1e-4 * f64::from(1 << power)))
            });
        registry.register_with_unit(
            "request",
            "Time from receiving a request to its response",
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

    /// Exports the counters of a model's engine.
    pub(super) fn watch<B: Backend>(&self, name: &str, model: &ServedModel<B>) {
        let engine = model.engine.clone();
        let read = move || EngineCounts {
            statistics: engine.statistics(),
            coding: engine.coding_time(),
            active_groups: engine.active_groups(),
            queue_len: engine.queue_len(),
            busy_workers: engine.busy_workers(),
            workers_in_cooldown: engine.workers_in_cooldown(),
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

/// A snapshot of an engine's counters.
#[derive(Clone, Copy)]
struct EngineCounts {
    statistics: Statistics,
    coding: CodingTime,
    active_groups: usize,
    queue_len: usize,
    busy_workers: usize,
    workers_in_cooldown: usize,
}

type Read = Box<dyn Fn() -> EngineCounts + Send + Sync>;

/// Collects the counters of all engines: one family per metric, one line per model.
#[derive(Clone, Default)]
struct Engines(Arc<Mutex<Vec<(String, Read)>>>);

impl fmt::Debug for Engines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Engines")
    }
}

/// Name, help text and value of a metric.
type Metric<T> = (&'static str, &'static str, fn(&EngineCounts) -> T);

const COUNTERS: [Metric<u64>; 19] = [
    ("queries_accepted", "Accepted queries", |c| {
        c.statistics.accepted
    }),
    (
        "queries_rejected",
        "Queries rejected for overload or draining",
        |c| c.statistics.rejected,
    ),
    (
        "predictions_direct",
        "Predictions computed by the worker that the query was sent to",
        |c| c.statistics.direct,
    ),
    (
        "predictions_reconstructed",
        "Predictions reconstructed from other tasks of the group",
        |c| c.statistics.reconstructed,
    ),
    (
        "queries_lost",
        "Queries that failed because too many outputs were lost",
        |c| c.statistics.lost,
    ),
    (
        "queries_abandoned",
        "Queries whose client timed out or disconnected first",
        |c| c.statistics.abandoned,
    ),
    (
        "reconstruction_agreed",
        "Late direct outputs with the argmax of the reconstructed prediction",
        |c| c.statistics.agreed,
    ),
    (
        "reconstruction_disagreed",
        "Late direct outputs with another argmax",
        |c| c.statistics.disagreed,
    ),
    (
        "reconstruction_withheld",
        "Reconstructed predictions withheld for their small margin",
        |c| c.statistics.withheld,
    ),
    ("groups_closed", "Closed groups", |c| c.statistics.groups),
    (
        "grouped_queries",
        "Queries in closed groups; divided by groups_closed, the mean group size",
        |c| c.statistics.grouped,
    ),
    (
        "redundant_tasks",
        "Redundant tasks sent to workers, hedges included",
        |c| c.statistics.redundant,
    ),
    (
        "groups_shed",
        "Groups sent without redundant tasks because of load",
        |c| c.statistics.shed,
    ),
    (
        "redundant_tasks_cancelled",
        "Redundant tasks cancelled before a worker started them",
        |c| c.statistics.cancelled,
    ),
    ("retries", "Failed queries sent again", |c| {
        c.statistics.retries
    }),
    ("hedges", "Late queries sent a second time", |c| {
        c.statistics.hedges
    }),
    ("tasks", "Tasks sent to workers", |c| c.statistics.tasks),
    (
        "coding_failures",
        "Groups that the code failed to encode or decode",
        |c| c.statistics.coding_failures,
    ),
    ("worker_failures", "Tasks that failed on a worker", |c| {
        c.statistics.failures
    }),
];

impl Collector for Engines {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // One snapshot per engine, so that the metrics of a model are consistent with each other.
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
        // Durations are counters of seconds.
        let times: [Metric<Duration>; 2] = [
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
        // Gauges: what is true at this moment.
        let gauges: [Metric<usize>; 4] = [
            (
                "active_groups",
                "Groups with a waiting client or an outstanding task",
                |c| c.active_groups,
            ),
            ("queue_depth", "Queued queries", |c| c.queue_len),
            ("workers_busy", "Workers running a task", |c| c.busy_workers),
            (
                "workers_in_cooldown",
                "Workers that get no tasks because of recent failures",
                |c| c.workers_in_cooldown,
            ),
        ];
        for (name, help, value) in gauges {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (label, counts) in &counts {
                // Gauges of this library are signed.
                let value = i64::try_from(value(counts)).unwrap_or(i64::MAX);
                ConstGauge::new(value).encode(family.encode_family(label)?)?;
            }
        }
        Ok(())
    }
}
