//! What Prometheus reads.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::engine::{Backend, CodingTime, Engine, Statistics};

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
        Self {
            requests,
            seconds,
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
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry
            .sub_registry_with_label(("model".into(), name.to_owned().into()))
            .register_collector(Box::new(EngineCounts(model.engine.clone())));
    }

    pub(super) fn text(&self) -> String {
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = text::encode(&mut out, &registry);
        out
    }
}

/// Reads an engine's counts.
struct EngineCounts<B>(Engine<B>);

impl<B> fmt::Debug for EngineCounts<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EngineCounts")
    }
}

impl<B: Backend> Collector for EngineCounts<B> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let counted: Statistics = self.0.statistics();
        let counters = [
            (
                "queries_accepted",
                "Queries that were let in",
                counted.accepted,
            ),
            (
                "queries_rejected",
                "Queries that were turned away",
                counted.rejected,
            ),
            (
                "answers_direct",
                "Answers from the worker that was asked",
                counted.direct,
            ),
            (
                "reconstructed",
                "Answers from other tasks of the group",
                counted.reconstructed,
            ),
            (
                "answers_lost",
                "Queries whose answer was lost",
                counted.lost,
            ),
            (
                "answers_abandoned",
                "Queries whose client gave up first",
                counted.abandoned,
            ),
            (
                "reconstruction_agreed",
                "Late true answers with the same class as the reconstructed one",
                counted.agreed,
            ),
            (
                "reconstruction_disagreed",
                "Late true answers with another class",
                counted.disagreed,
            ),
            (
                "reconstruction_doubtful",
                "Reconstructed answers held back for their margin",
                counted.doubtful,
            ),
            (
                "redundant_tasks",
                "Redundant tasks that were sent",
                counted.redundant,
            ),
            (
                "parity_shed",
                "Redundant tasks that were not made under load",
                counted.shed,
            ),
            (
                "parity_cancelled",
                "Redundant tasks that were taken back",
                counted.cancelled,
            ),
            (
                "retries",
                "Queries sent again after a failure",
                counted.retries,
            ),
            ("hedges", "Late queries sent a second time", counted.hedges),
            (
                "worker_failures",
                "Tasks that a worker failed",
                counted.failures,
            ),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            let encoder = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            counter.encode(encoder)?;
        }
        let CodingTime {
            encoding, decoding, ..
        } = self.0.coding_time();
        for (name, help, time) in [
            ("encode", "Time spent encoding", encoding),
            ("decode", "Time spent decoding", decoding),
        ] {
            let counter = ConstCounter::new(time.as_secs_f64());
            let unit = Some(&Unit::Seconds);
            let encoder = encoder.encode_descriptor(name, help, unit, MetricType::Counter)?;
            counter.encode(encoder)?;
        }
        for (name, help, value) in [
            (
                "open_groups",
                "Groups with a client that waits or a task that runs",
                self.0.open_groups(),
            ),
            (
                "queue_depth",
                "Queries that wait for a worker",
                self.0.waiting(),
            ),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            let encoder = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            gauge.encode(encoder)?;
        }
        Ok(())
    }
}
