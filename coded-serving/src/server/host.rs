//! Served models and their engines, independent of HTTP and gRPC.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::engine::{Backend, Engine, Prediction, Provenance, Query, Statistics};
use crate::protocol::{
    BINARY_EXTENSION, DATATYPE, InferRequest, InferResponse, ModelMetadata, NamedTensor, Parameter,
    ServerMetadata, TraceParent,
};
use crate::tensor::Tensor;

use super::error::ServerError;
use super::metrics::Metrics;

/// The maximum number of rows of a request.
const MAX_ROWS: usize = 256;

/// The maximum timeout that a client can request.
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);

/// A model and its engine.
#[derive(Debug)]
pub struct ServedModel<B> {
    /// Its name, its one input and its one output. The first dimension of both is the batch.
    pub metadata: ModelMetadata,
    /// The engine. Each row of a request is one query.
    pub engine: Engine<B>,
    /// The timeout of requests without a parameter `timeout`.
    pub default_timeout: Duration,
}

/// Request counts and durations of a model.
#[derive(Debug, Default)]
struct RequestStats {
    succeeded: Total,
    failed: Total,
    /// When the last request succeeded, in milliseconds since 1970.
    last: AtomicU64,
    /// Outcome rows.
    rows: AtomicU64,
}

/// The number of requests and their total duration.
#[derive(Debug, Default)]
struct Total {
    count: AtomicU64,
    nanoseconds: AtomicU64,
}

/// Records a request when dropped, however it ends.
struct RecordOnDrop<'a> {
    metrics: &'a Metrics,
    name: &'a str,
    stats: &'a RequestStats,
    begin: Instant,
    outcome: &'static str,
    /// The number of rows, once the request has succeeded.
    rows: Option<usize>,
}

impl Drop for RecordOnDrop<'_> {
    fn drop(&mut self) {
        let time = self.begin.elapsed();
        self.metrics.count(self.name, self.outcome, time);
        let Some(rows) = self.rows else {
            self.stats.failed.add(time);
            return;
        };
        self.stats.succeeded.add(time);
        self.stats.rows.fetch_add(rows as u64, Ordering::Relaxed);
        // The statistics extension wants milliseconds since the epoch.
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let milliseconds = since.map_or(0, |since| since.as_millis());
        let milliseconds = u64::try_from(milliseconds).unwrap_or(0);
        self.stats.last.store(milliseconds, Ordering::Relaxed);
    }
}

/// The statistics of a model, for the statistics extension of the protocol.
pub(super) struct ModelCounts {
    pub(super) name: String,
    pub(super) version: String,
    /// When the last request succeeded, in milliseconds since 1970.
    pub(super) last: u64,
    /// Outcome rows.
    pub(super) rows: u64,
    /// The number of successful requests, and their total duration in nanoseconds.
    pub(super) succeeded: (u64, u64),
    /// The number of failed requests, and their total duration in nanoseconds.
    pub(super) failed: (u64, u64),
    pub(super) code: String,
    pub(super) engine: Statistics,
}

impl Total {
    fn read(&self) -> (u64, u64) {
        let read = |value: &AtomicU64| value.load(Ordering::Relaxed);
        (read(&self.count), read(&self.nanoseconds))
    }

    fn add(&self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

/// The models of a server. Clones share them.
#[derive(Debug)]
pub struct Host<B>(Arc<Inner<B>>);

#[derive(Debug)]
struct Inner<B> {
    models: BTreeMap<String, (ServedModel<B>, RequestStats)>,
    draining: AtomicBool,
    metrics: Metrics,
}

impl<B> Clone for Host<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// A model cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the model `{model}` cannot be served: {what}: expected {expected}, found {found}")]
pub struct HostError {
    /// The model.
    pub model: String,
    /// The unsupported property.
    pub what: &'static str,
    /// What is supported.
    pub expected: &'static str,
    /// What the model has.
    pub found: String,
}

impl<B: Backend> Host<B> {
    /// A host of these models.
    ///
    /// # Errors
    ///
    /// When a model does not have exactly one input and one output, of datatype FP32 and with the batch as
    /// first dimension, or two models have the same name.
    pub fn new(models: Vec<ServedModel<B>>) -> Result<Self, HostError> {
        let metrics = Metrics::default();
        let mut by_name = BTreeMap::new();
        for model in models {
            let metadata = &model.metadata;
            let error = |what, expected, found: String| HostError {
                model: metadata.name.clone(),
                what,
                expected,
                found,
            };
            for (what, side) in [
                ("the inputs", &metadata.inputs),
                ("the outputs", &metadata.outputs),
            ] {
                let [tensor] = side.as_slice() else {
                    return Err(error(what, "exactly one", side.len().to_string()));
                };
                if tensor.datatype != DATATYPE {
                    return Err(error(what, "FP32", tensor.datatype.clone()));
                }
                if !matches!(tensor.shape.first(), Some(-1 | 1)) {
                    let found = format!("{:?}", tensor.shape);
                    return Err(error(what, "a first dimension of -1 or 1", found));
                }
            }
            let name = metadata.name.clone();
            if by_name.contains_key(&name) {
                return Err(error("the name", "a unique name", name));
            }
            // The metrics read the engine's counters when they are scraped.
            metrics.watch(&name, &model);
            by_name.insert(name, (model, RequestStats::default()));
        }
        Ok(Self(Arc::new(Inner {
            models: by_name,
            draining: AtomicBool::new(false),
            metrics,
        })))
    }

    /// The metadata of the server.
    #[must_use]
    pub fn metadata(&self) -> ServerMetadata {
        ServerMetadata {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            extensions: vec![BINARY_EXTENSION.to_owned(), "statistics".to_owned()],
        }
    }

    /// Whether the server reports that it is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.0.draining.load(Ordering::Relaxed)
    }

    /// Reports that it is not ready from now on. Queries are still answered.
    pub fn set_not_ready(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// The models.
    pub fn models(&self) -> impl Iterator<Item = &ServedModel<B>> {
        self.0.models.values().map(|(model, _)| model)
    }

    /// The statistics of all models, or of one.
    pub(super) fn counts(&self, only: Option<&str>) -> Vec<ModelCounts> {
        let all = self.0.models.iter();
        all.filter(|(name, _)| only.is_none_or(|only| only == *name))
            .map(|(name, (model, stats))| ModelCounts {
                name: name.clone(),
                version: model.metadata.versions.last().cloned().unwrap_or_default(),
                last: stats.last.load(Ordering::Relaxed),
                rows: stats.rows.load(Ordering::Relaxed),
                succeeded: stats.succeeded.read(),
                failed: stats.failed.read(),
                code: model.engine.code().name(),
                engine: model.engine.statistics(),
            })
            .collect()
    }

    /// The metrics in the text format of `OpenMetrics`.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.0.metrics.text()
    }

    /// A model by name, and by version unless that is empty.
    ///
    /// # Errors
    ///
    /// [`ServerError::ModelNotFound`].
    pub fn model(&self, name: &str, version: Option<&str>) -> Result<&ServedModel<B>, ServerError> {
        self.find(name, version).map(|(model, _)| model)
    }

    fn find(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> Result<(&ServedModel<B>, &RequestStats), ServerError> {
        let version = version.filter(|version| !version.is_empty());
        let of_version = |(model, _): &&(ServedModel<B>, RequestStats)| {
            version.is_none_or(|v| model.metadata.versions.iter().any(|known| known == v))
        };
        let found = self.0.models.get(name).filter(of_version);
        found
            .map(|(model, stats)| (model, stats))
            // The names come from the client: do not echo them at any length.
            .ok_or_else(|| ServerError::ModelNotFound {
                name: name.chars().take(200).collect(),
                version: version.map(|version| version.chars().take(50).collect()),
            })
    }

    /// Answers a request.
    ///
    /// # Errors
    ///
    /// Why the request has no answer.
    pub async fn infer(
        &self,
        name: &str,
        version: Option<&str>,
        request: InferRequest,
        trace: Option<TraceParent>,
    ) -> Result<InferResponse, ServerError> {
        // gRPC sends an empty version for none.
        let version = version.filter(|version| !version.is_empty());
        let (model, stats) = self.find(name, version)?;
        // Also records a request whose client disconnects, which drops this future.
        let mut record = RecordOnDrop {
            metrics: &self.0.metrics,
            name,
            stats,
            begin: Instant::now(),
            outcome: "cancelled",
            rows: None,
        };
        let result = model.answer(request, version, trace).await;
        match &result {
            Ok((response, rows)) => {
                record.rows = Some(*rows);
                record.outcome = match response.parameters.get("reconstructed") {
                    Some(Parameter::Bool(true)) => "reconstructed",
                    _ => "direct",
                };
            }
            Err(error) => record.outcome = error.outcome(),
        }
        result.map(|(response, _)| response)
    }

    /// Closes open groups and stops grouping: see [`Engine::flush`].
    pub fn flush(&self) {
        self.models().for_each(|model| model.engine.flush());
    }

    /// Stops accepting queries and waits for the pending answers, at most for `grace` in all. Returns the
    /// number of clients that are still waiting.
    pub async fn drain(&self, grace: Duration) -> usize {
        self.set_not_ready();
        let begin = tokio::time::Instant::now();
        let mut waiting = 0;
        for model in self.models() {
            let left = grace.saturating_sub(begin.elapsed());
            waiting += model.engine.drain(left).await;
        }
        waiting
    }
}

impl<B: Backend> ServedModel<B> {
    /// The response, and the number of its rows.
    async fn answer(
        &self,
        request: InferRequest,
        version: Option<&str>,
        trace: Option<TraceParent>,
    ) -> Result<(InferResponse, usize), ServerError> {
        let output = self.check_names(&request)?;
        let options = self.request_options(&request)?;
        // One query per row; a request that even an idle engine would reject is an error of the client.
        let rows = self.rows(request.inputs)?;
        let count = rows.len();
        let max = self.engine.capacity();
        if count > max {
            let expected = format!("at most {max}, the capacity of the queue and the workers");
            return Err(ServerError::mismatch(
                "the rows of a request",
                expected,
                count,
            ));
        }
        let query = |input: Tensor| Query {
            input,
            timeout: Some(options.timeout),
            accepts_reconstruction: options.accepts_reconstruction,
            trace: trace.map(|trace| trace.child().to_string().into()),
        };
        let queries = rows.into_iter().map(query).collect();
        // The rows succeed or fail together, and their outputs become one tensor again.
        let predictions = self.engine.predict_all(queries).await?;
        let mut response = InferResponse {
            model_name: self.metadata.name.clone(),
            model_version: version.map_or_else(
                || self.metadata.versions.last().cloned().unwrap_or_default(),
                str::to_owned,
            ),
            id: request.id,
            parameters: provenance(&predictions),
            outputs: Vec::new(),
        };
        response.outputs.push(NamedTensor {
            name: output,
            tensor: stacked(predictions)?,
        });
        Ok((response, count))
    }

    /// Checks the names of inputs and outputs. Returns the name of the output.
    fn check_names(&self, request: &InferRequest) -> Result<String, ServerError> {
        let name = |side: &[crate::protocol::TensorMetadata]| {
            side.first().map(|one| one.name.clone()).unwrap_or_default()
        };
        let (input, output) = (name(&self.metadata.inputs), name(&self.metadata.outputs));
        let names: Vec<&str> = request.inputs.iter().map(|one| one.name.as_str()).collect();
        if names != [input.as_str()] {
            let expected = format!("`{input}` alone");
            return Err(ServerError::mismatch(
                "the inputs",
                expected,
                format!("{names:?}"),
            ));
        }
        if let Some(other) = request.outputs.iter().find(|name| **name != output) {
            return Err(ServerError::mismatch(
                "the outputs",
                format!("`{output}`"),
                other,
            ));
        }
        Ok(output)
    }

    /// Reads the request parameters `timeout` and `approximate`.
    fn request_options(&self, request: &InferRequest) -> Result<RequestOptions, ServerError> {
        let timeout = match request.parameters.get("timeout") {
            None | Some(Parameter::Integer(0)) => self.default_timeout,
            Some(Parameter::Integer(microseconds)) if *microseconds > 0 => {
                Duration::from_micros(microseconds.unsigned_abs()).min(MAX_TIMEOUT)
            }
            Some(other) => {
                let found = format!("{other:?}");
                let expected = "a number of microseconds, at least 0";
                return Err(ServerError::mismatch("`timeout`", expected, found));
            }
        };
        let accepts_reconstruction = match request.parameters.get("approximate") {
            None => true,
            Some(Parameter::Text(text)) if text == "allow" => true,
            Some(Parameter::Text(text)) if text == "deny" => false,
            Some(other) => {
                let found = format!("{other:?}");
                return Err(ServerError::mismatch(
                    "`approximate`",
                    "`allow` or `deny`",
                    found,
                ));
            }
        };
        Ok(RequestOptions {
            timeout,
            accepts_reconstruction,
        })
    }

    /// Splits the input into rows, each with a first dimension of 1.
    fn rows(&self, inputs: Vec<NamedTensor>) -> Result<Vec<Tensor>, ServerError> {
        let Some((input, described)) = inputs.into_iter().next().zip(self.metadata.inputs.first())
        else {
            return Err(ServerError::mismatch("the inputs", "one", 0));
        };
        let shape = input.tensor.shape();
        // Every fixed dimension has to match, the batch dimension included.
        let fits = shape.len() == described.shape.len()
            && shape
                .iter()
                .zip(&described.shape)
                .all(|(&n, &wanted)| wanted < 0 || i64::try_from(n) == Ok(wanted));
        let rows = shape.first().copied().unwrap_or(0);
        if !fits || rows == 0 || input.tensor.values().is_empty() {
            let expected = format!("{:?}, -1 for any positive number", described.shape);
            let what = format!("the shape of `{}`", input.name);
            return Err(ServerError::mismatch(what, expected, format!("{shape:?}")));
        }
        if rows > MAX_ROWS {
            let expected = format!("at most {MAX_ROWS}");
            return Err(ServerError::mismatch(
                "the rows of a request",
                expected,
                rows,
            ));
        }
        // The common case needs no copy.
        if rows == 1 {
            return Ok(vec![input.tensor]);
        }
        // Rows of a tensor in row-major order are consecutive.
        let mut row = shape.to_vec();
        if let Some(first) = row.first_mut() {
            *first = 1;
        }
        let each = input.tensor.values().len() / rows;
        let split = input.tensor.values().chunks_exact(each);
        Ok(split
            .map(|values| Tensor::from_parts(row.clone(), values.to_vec()))
            .collect())
    }
}

/// The options of a request.
struct RequestOptions {
    timeout: Duration,
    accepts_reconstruction: bool,
}

/// The response parameters about reconstructed rows. `margin` is the smallest of all reconstructed rows.
fn provenance(predictions: &[Prediction]) -> crate::protocol::Parameters {
    let mut parameters = crate::protocol::Parameters::new();
    let mut rows = Vec::new();
    let mut min_margin = f32::INFINITY;
    for (row, prediction) in predictions.iter().enumerate() {
        if let Provenance::Reconstructed {
            code,
            group,
            margin,
        } = &prediction.provenance
        {
            rows.push(row.to_string());
            let fill = i64::try_from(*group).unwrap_or(i64::MAX);
            parameters.insert("code".to_owned(), Parameter::Text(code.to_string()));
            parameters.insert("group_fill".to_owned(), Parameter::Integer(fill));
            min_margin = min_margin.min(*margin);
        }
    }
    // JSON has no infinity, which is the margin of a model with a single output.
    if min_margin.is_finite() {
        parameters.insert(
            "margin".to_owned(),
            Parameter::Number(f64::from(min_margin)),
        );
    }
    let any = !rows.is_empty();
    parameters.insert("reconstructed".to_owned(), Parameter::Bool(any));
    if any && predictions.len() > 1 {
        let rows = Parameter::Text(rows.join(","));
        parameters.insert("reconstructed_rows".to_owned(), rows);
    }
    parameters
}

/// Concatenates the outputs of the rows along the first dimension.
fn stacked(mut predictions: Vec<Prediction>) -> Result<Tensor, ServerError> {
    if predictions.len() == 1
        && let Some(prediction) = predictions.pop()
    {
        return Ok(prediction.output);
    }
    let mut shape = predictions
        .first()
        .map(|first| first.output.shape().to_vec())
        .unwrap_or_default();
    if predictions.iter().any(|one| one.output.shape() != shape) || shape.is_empty() {
        return Err(ServerError::Output {
            reason: "the outputs of the rows differ in shape".to_owned(),
        });
    }
    shape[0] = predictions.len();
    let values: Vec<f32> = predictions
        .iter()
        .flat_map(|one| one.output.values().iter().copied())
        .collect();
    Tensor::new(shape, values).map_err(|source| ServerError::Output {
        reason: source.to_string(),
    })
}
