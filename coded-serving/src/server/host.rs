//! Models with their engines, as HTTP and gRPC both see them.

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

use super::metrics::Metrics;
use super::refusal::Refusal;

/// The most rows of one request.
const MOST_ROWS: usize = 256;

/// The longest that a client may ask to wait.
const LONGEST_PATIENCE: Duration = Duration::from_secs(3600);

/// A model and the engine that answers for it.
#[derive(Debug)]
pub struct ServedModel<B> {
    /// Its name, and the form of its one input and one output. The first dimension of both is the
    /// batch.
    pub metadata: ModelMetadata,
    /// What answers. Each row of a request is one query.
    pub engine: Engine<B>,
    /// How long a query waits whose client names no `timeout`.
    pub patience: Duration,
}

/// How often and how long a model was asked.
#[derive(Debug, Default)]
struct Asked {
    succeeded: Total,
    failed: Total,
    /// Milliseconds since 1970.
    last: AtomicU64,
    /// Rows that were answered.
    rows: AtomicU64,
}

/// A count and a sum.
#[derive(Debug, Default)]
struct Total {
    count: AtomicU64,
    nanoseconds: AtomicU64,
}

/// Counts a request when it is over, however it ends.
struct Counting<'a> {
    metrics: &'a Metrics,
    name: &'a str,
    asked: &'a Asked,
    begin: Instant,
    outcome: &'static str,
    /// How many rows were answered, if they were.
    rows: Option<usize>,
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        let time = self.begin.elapsed();
        self.metrics.count(self.name, self.outcome, time);
        let Some(rows) = self.rows else {
            self.asked.failed.add(time);
            return;
        };
        self.asked.succeeded.add(time);
        self.asked.rows.fetch_add(rows as u64, Ordering::Relaxed);
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let milliseconds = since.map_or(0, |since| since.as_millis());
        let milliseconds = u64::try_from(milliseconds).unwrap_or(0);
        self.asked.last.store(milliseconds, Ordering::Relaxed);
    }
}

/// What the statistics extension tells of a model.
pub(super) struct ModelCounts {
    pub(super) name: String,
    pub(super) version: String,
    /// When it was last asked, in milliseconds since 1970.
    pub(super) last: u64,
    /// Rows that were answered.
    pub(super) rows: u64,
    /// Requests, and the nanoseconds that they took together.
    pub(super) succeeded: (u64, u64),
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
    models: BTreeMap<String, (ServedModel<B>, Asked)>,
    draining: AtomicBool,
    metrics: Metrics,
}

impl<B> Clone for Host<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// That a model cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the model `{model}` cannot be served: {what}: expected {expected}, found {found}")]
pub struct HostError {
    /// The model.
    pub model: String,
    /// What stands in the way.
    pub what: &'static str,
    /// What is served.
    pub expected: &'static str,
    /// What it has.
    pub found: String,
}

impl<B: Backend> Host<B> {
    /// A server of these models.
    ///
    /// # Errors
    ///
    /// When a model has not one input and one output of the type FP32 with a first dimension for the
    /// batch, or two have the same name.
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
                    return Err(error(what, "one", side.len().to_string()));
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
                return Err(error("its name", "another than of all others", name));
            }
            metrics.watch(&name, &model);
            by_name.insert(name, (model, Asked::default()));
        }
        Ok(Self(Arc::new(Inner {
            models: by_name,
            draining: AtomicBool::new(false),
            metrics,
        })))
    }

    /// What this server is.
    #[must_use]
    pub fn metadata(&self) -> ServerMetadata {
        ServerMetadata {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            extensions: vec![BINARY_EXTENSION.to_owned(), "statistics".to_owned()],
        }
    }

    /// Whether queries are taken.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.0.draining.load(Ordering::Relaxed)
    }

    /// Says that it is not ready, while queries are still answered.
    pub fn stop_being_ready(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// The models.
    pub fn models(&self) -> impl Iterator<Item = &ServedModel<B>> {
        self.0.models.values().map(|(model, _)| model)
    }

    /// What was counted for each model, or for one.
    pub(super) fn counts(&self, only: Option<&str>) -> Vec<ModelCounts> {
        let all = self.0.models.iter();
        all.filter(|(name, _)| only.is_none_or(|only| only == *name))
            .map(|(name, (model, asked))| ModelCounts {
                name: name.clone(),
                version: model.metadata.versions.last().cloned().unwrap_or_default(),
                last: asked.last.load(Ordering::Relaxed),
                rows: asked.rows.load(Ordering::Relaxed),
                succeeded: asked.succeeded.read(),
                failed: asked.failed.read(),
                code: model.engine.code().name(),
                engine: model.engine.statistics(),
            })
            .collect()
    }

    /// The metrics as Prometheus reads them.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.0.metrics.text()
    }

    /// A model.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoModel`].
    pub fn model(&self, name: &str, version: Option<&str>) -> Result<&ServedModel<B>, Refusal> {
        self.find(name, version).map(|(model, _)| model)
    }

    fn find(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> Result<(&ServedModel<B>, &Asked), Refusal> {
        let version = version.filter(|version| !version.is_empty());
        let of_version = |(model, _): &&(ServedModel<B>, Asked)| {
            version.is_none_or(|v| model.metadata.versions.iter().any(|known| known == v))
        };
        let found = self.0.models.get(name).filter(of_version);
        found
            .map(|(model, asked)| (model, asked))
            .ok_or_else(|| Refusal::NoModel {
                name: name.chars().take(200).collect(),
                version: version.map(|version| version.chars().take(50).collect()),
            })
    }

    /// Answers a request.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    pub async fn infer(
        &self,
        name: &str,
        version: Option<&str>,
        request: InferRequest,
        trace: Option<TraceParent>,
    ) -> Result<InferResponse, Refusal> {
        // That of gRPC when none is asked for.
        let version = version.filter(|version| !version.is_empty());
        let (model, asked) = self.find(name, version)?;
        // Counts also when the client goes, and with it this future.
        let mut counting = Counting {
            metrics: &self.0.metrics,
            name,
            asked,
            begin: Instant::now(),
            outcome: "cancelled",
            rows: None,
        };
        let result = model.answer(request, version, trace).await;
        match &result {
            Ok((response, rows)) => {
                counting.rows = Some(*rows);
                counting.outcome = match response.parameters.get("reconstructed") {
                    Some(Parameter::Bool(true)) => "reconstructed",
                    _ => "direct",
                };
            }
            Err(refusal) => counting.outcome = refusal.outcome(),
        }
        result.map(|(response, _)| response)
    }

    /// Has no query wait for others any more: see [`Engine::flush`].
    pub fn flush(&self) {
        self.models().for_each(|model| model.engine.flush());
    }

    /// Takes no more queries and lets the groups come to their end. How many clients still waited
    /// after `grace`.
    pub async fn drain(&self, grace: Duration) -> usize {
        self.stop_being_ready();
        let end = tokio::time::Instant::now() + grace;
        let mut waiting = 0;
        for model in self.models() {
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            waiting += model.engine.drain(left).await;
        }
        waiting
    }
}

impl<B: Backend> ServedModel<B> {
    /// The response, and how many rows it answers.
    async fn answer(
        &self,
        request: InferRequest,
        version: Option<&str>,
        trace: Option<TraceParent>,
    ) -> Result<(InferResponse, usize), Refusal> {
        let output = self.check_names(&request)?;
        let asked = self.wishes(&request)?;
        let rows = self.rows(request.inputs)?;
        let count = rows.len();
        let most = self.engine.capacity();
        if count > most {
            let expected = format!("at most {most}, as many as may wait and be worked on");
            return Err(Refusal::unfit("the rows of a request", expected, count));
        }
        let query = |input: Tensor| Query {
            input,
            patience: Some(asked.patience),
            accepts_reconstruction: asked.accepts_reconstruction,
            trace: trace.map(|trace| trace.child().to_string().into()),
        };
        let queries = rows.into_iter().map(query).collect();
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

    /// The name of the output.
    fn check_names(&self, request: &InferRequest) -> Result<String, Refusal> {
        let name = |side: &[crate::protocol::TensorMetadata]| {
            side.first().map(|one| one.name.clone()).unwrap_or_default()
        };
        let (input, output) = (name(&self.metadata.inputs), name(&self.metadata.outputs));
        let names: Vec<&str> = request.inputs.iter().map(|one| one.name.as_str()).collect();
        if names != [input.as_str()] {
            let expected = format!("`{input}` alone");
            return Err(Refusal::unfit("the inputs", expected, format!("{names:?}")));
        }
        if let Some(other) = request.outputs.iter().find(|name| **name != output) {
            return Err(Refusal::unfit("the outputs", format!("`{output}`"), other));
        }
        Ok(output)
    }

    fn wishes(&self, request: &InferRequest) -> Result<Wishes, Refusal> {
        let patience = match request.parameters.get("timeout") {
            None | Some(Parameter::Integer(0)) => self.patience,
            Some(Parameter::Integer(microseconds)) if *microseconds > 0 => {
                Duration::from_micros(microseconds.unsigned_abs()).min(LONGEST_PATIENCE)
            }
            Some(other) => {
                let found = format!("{other:?}");
                return Err(Refusal::unfit("`timeout`", "microseconds", found));
            }
        };
        let accepts_reconstruction = match request.parameters.get("approximate") {
            None => true,
            Some(Parameter::Text(text)) if text == "allow" => true,
            Some(Parameter::Text(text)) if text == "deny" => false,
            Some(other) => {
                let found = format!("{other:?}");
                return Err(Refusal::unfit("`approximate`", "`allow` or `deny`", found));
            }
        };
        Ok(Wishes {
            patience,
            accepts_reconstruction,
        })
    }

    /// The rows of the input, each with a first dimension of 1.
    fn rows(&self, inputs: Vec<NamedTensor>) -> Result<Vec<Tensor>, Refusal> {
        let Some((input, described)) = inputs.into_iter().next().zip(self.metadata.inputs.first())
        else {
            return Err(Refusal::unfit("the inputs", "one", 0));
        };
        let shape = input.tensor.shape();
        let fits = shape.len() == described.shape.len()
            && shape
                .iter()
                .zip(&described.shape)
                .all(|(&n, &wanted)| wanted < 0 || i64::try_from(n) == Ok(wanted));
        let rows = shape.first().copied().unwrap_or(0);
        if !fits || rows == 0 || input.tensor.values().is_empty() {
            let expected = format!("{:?}, -1 for any positive number", described.shape);
            let what = format!("the shape of `{}`", input.name);
            return Err(Refusal::unfit(what, expected, format!("{shape:?}")));
        }
        if rows > MOST_ROWS {
            let expected = format!("at most {MOST_ROWS}");
            return Err(Refusal::unfit("the rows of a request", expected, rows));
        }
        if rows == 1 {
            return Ok(vec![input.tensor]);
        }
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

/// What a client wishes.
struct Wishes {
    patience: Duration,
    accepts_reconstruction: bool,
}

/// What the client is told about where its answer comes from.
fn provenance(predictions: &[Prediction]) -> crate::protocol::Parameters {
    let mut parameters = crate::protocol::Parameters::new();
    let mut rows = Vec::new();
    let mut least = f32::INFINITY;
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
            least = least.min(*margin);
        }
    }
    if least.is_finite() {
        parameters.insert("margin".to_owned(), Parameter::Number(f64::from(least)));
    }
    let any = !rows.is_empty();
    parameters.insert("reconstructed".to_owned(), Parameter::Bool(any));
    if any && predictions.len() > 1 {
        let rows = Parameter::Text(rows.join(","));
        parameters.insert("reconstructed_rows".to_owned(), rows);
    }
    parameters
}

/// The outputs of the rows as one tensor.
fn stacked(mut predictions: Vec<Prediction>) -> Result<Tensor, Refusal> {
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
        return Err(Refusal::Output {
            reason: "the workers answer the rows in several shapes".to_owned(),
        });
    }
    shape[0] = predictions.len();
    let values: Vec<f32> = predictions
        .iter()
        .flat_map(|one| one.output.values().iter().copied())
        .collect();
    Tensor::new(shape, values).map_err(|source| Refusal::Output {
        reason: source.to_string(),
    })
}
