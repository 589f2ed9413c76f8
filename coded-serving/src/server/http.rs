//! The Open Inference Protocol over HTTP.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate, SizeAbove};
use tower_http::decompression::RequestDecompressionLayer;

use crate::engine::Backend;
use crate::protocol::http::{
    BinaryOutputs, JSON_LENGTH, json_length, read_request, write_response,
};
use crate::protocol::{InferRequest, NamedTensor, ProtocolError, TraceParent, floats, tensor};

use super::error::ServerError;
use super::host::{Host, ModelCounts, ServedModel};

/// The maximum size of a request body in bytes, after decompression.
pub const MAX_BODY_BYTES: usize = 16 << 20;

impl IntoResponse for ServerError {
    fn into_response(self) -> Response {
        let mut response =
            (self.status(), Json(json!({ "error": self.to_string() }))).into_response();
        if let Some(after) = self.retry_after() {
            let seconds = HeaderValue::from(after.as_secs().max(1));
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        response
    }
}

/// The timeout for receiving a body: a client that hangs must not keep a server from stopping.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// All routes of the protocol, with the metrics under `/metrics`.
pub fn router<B: Backend>(host: Host<B>) -> Router {
    // Each model has its routes twice, with and without a version.
    let of_model = |router: Router<Host<B>>, prefix: &str| {
        router
            .route(prefix, get(model))
            .route(&format!("{prefix}/ready"), get(model_ready))
            .route(&format!("{prefix}/infer"), post(infer).layer(compression()))
            .route(&format!("{prefix}/stats"), get(model_statistics))
    };
    let router = Router::new()
        .route("/v2", get(server))
        .route("/v2/", get(server))
        .route("/v2/health/live", get(live))
        .route("/v2/health/ready", get(ready))
        .route("/v2/models/stats", get(statistics))
        .route("/v2/repository/index", post(index))
        .route("/metrics", get(metrics));
    let router = of_model(router, "/v2/models/{model}");
    of_model(router, "/v2/models/{model}/versions/{version}")
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(RequestDecompressionLayer::new())
        .with_state(host)
}

/// Compresses successful responses for clients that accept it. Errors stay plain: Triton's asynchronous
/// client requests compression everywhere, but decompresses successful responses only.
fn compression() -> CompressionLayer<impl Predicate> {
    // `SizeAbove` skips small bodies, for which compression does not pay.
    let is_answer =
        |status: StatusCode, _: Version, _: &HeaderMap, _: &Extensions| status.is_success();
    CompressionLayer::new().compress_when(SizeAbove::default().and(is_answer))
}

/// A router for the metrics only, for a port of their own.
pub fn metrics_router<B: Backend>(host: Host<B>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .with_state(host)
}

/// The path parameters `model` and `version`.
type ModelPath = Path<Vec<(String, String)>>;

fn named(path: &[(String, String)]) -> (&str, Option<&str>) {
    let part = |name: &str| {
        let found = path.iter().find(|(part, _)| part == name);
        found.map(|(_, value)| value.as_str())
    };
    (part("model").unwrap_or_default(), part("version"))
}

async fn not_found() -> Response {
    let error = json!({ "error": "no such path" });
    (StatusCode::NOT_FOUND, Json(error)).into_response()
}

async fn wrong_method() -> Response {
    let error = json!({ "error": "method not allowed for this path" });
    (StatusCode::METHOD_NOT_ALLOWED, Json(error)).into_response()
}

async fn server<B: Backend>(State(host): State<Host<B>>) -> Response {
    Json(host.metadata()).into_response()
}

async fn live() -> Response {
    Json(json!({ "live": true })).into_response()
}

fn readiness(ready: bool) -> Response {
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(json!({ "ready": ready }))).into_response()
}

async fn ready<B: Backend>(State(host): State<Host<B>>) -> Response {
    readiness(host.is_ready())
}

async fn model_ready<B: Backend>(
    State(host): State<Host<B>>,
    Path(path): ModelPath,
) -> Result<Response, ServerError> {
    let (name, version) = named(&path);
    host.model(name, version)?;
    Ok(readiness(host.is_ready()))
}

async fn model<B: Backend>(
    State(host): State<Host<B>>,
    Path(path): ModelPath,
) -> Result<Response, ServerError> {
    let (name, version) = named(&path);
    let model = host.model(name, version)?;
    Ok(Json(&model.metadata).into_response())
}

async fn index<B: Backend>(State(host): State<Host<B>>) -> Response {
    let state = if host.is_ready() {
        "READY"
    } else {
        "UNAVAILABLE"
    };
    let entry = |model: &ServedModel<B>| {
        let version = model.metadata.versions.last().cloned().unwrap_or_default();
        json!({ "name": model.metadata.name, "version": version, "state": state, "reason": "" })
    };
    Json(host.models().map(entry).collect::<Vec<_>>()).into_response()
}

async fn metrics<B: Backend>(State(host): State<Host<B>>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind)], host.metrics()).into_response()
}

async fn statistics<B: Backend>(State(host): State<Host<B>>) -> Response {
    statistics_json(host.counts(None))
}

async fn model_statistics<B: Backend>(
    State(host): State<Host<B>>,
    Path(path): ModelPath,
) -> Result<Response, ServerError> {
    let (name, version) = named(&path);
    host.model(name, version)?;
    Ok(statistics_json(host.counts(Some(name))))
}

fn statistics_json(counts: Vec<ModelCounts>) -> Response {
    let total = |(count, nanoseconds): (u64, u64)| json!({ "count": count, "ns": nanoseconds });
    let models: Vec<_> = counts
        .into_iter()
        .map(|model| {
            json!({
                "name": model.name,
                "version": model.version,
                "last_inference": model.last,
                "inference_count": model.rows,
                "execution_count": model.engine.tasks,
                "inference_stats": {
                    "success": total(model.succeeded),
                    "fail": total(model.failed),
                },
                "coded": {
                    "code": model.code,
                    "direct": model.engine.direct,
                    "reconstructed": model.engine.reconstructed,
                    "lost": model.engine.lost,
                    "agreed": model.engine.agreed,
                    "disagreed": model.engine.disagreed,
                },
            })
        })
        .collect();
    Json(json!({ "model_stats": models })).into_response()
}

async fn infer<B: Backend>(
    State(host): State<Host<B>>,
    Path(path): ModelPath,
    request: Request,
) -> Result<Response, ServerError> {
    let (name, version) = named(&path);
    // Reject an unknown model before reading the body.
    let served = host.model(name, version)?;
    let (parts, body) = request.into_parts();
    let trace = traceparent(&parts.headers);
    let bytes = read_body(body).await?;
    // A JSON length of 0 marks a raw body (binary tensor data extension).
    let length = parts.headers.get(JSON_LENGTH).map(HeaderValue::as_bytes);
    let length = json_length(length, bytes.len())?;
    let (request, binary) = if length == Some(0) {
        raw(served, &bytes)?
    } else {
        read_request(&bytes, length)?
    };
    // Answer in the encoding that the client asked for.
    let response = host.infer(name, version, request, trace).await?;
    let body = write_response(&response, &binary)?;
    let kind = match body.json_length {
        Some(_) => "application/octet-stream",
        None => "application/json",
    };
    let mut response = ([(CONTENT_TYPE, kind)], body.bytes).into_response();
    if let Some(length) = body.json_length {
        let header = HeaderName::from_static(JSON_LENGTH);
        response
            .headers_mut()
            .insert(header, HeaderValue::from(length));
    }
    Ok(response)
}

/// Reads a body that holds only the values of the one input. The response is JSON.
fn raw<B: Backend>(
    served: &ServedModel<B>,
    bytes: &[u8],
) -> Result<(InferRequest, BinaryOutputs), ServerError> {
    let input = served.metadata.inputs.first();
    let (name, shape) = input.map_or(("", &[][..]), |input| (&input.name, &input.shape));
    let values = floats(bytes).ok_or_else(|| {
        ServerError::mismatch(
            "the raw body",
            "a multiple of 4 bytes",
            format!("{} bytes", bytes.len()),
        )
    })?;
    // The number of rows follows from the size of the body, if all other dimensions are fixed.
    let inner: i64 = shape.iter().skip(1).product();
    if inner <= 0 || shape.iter().skip(1).any(|&n| n < 0) {
        return Err(ServerError::mismatch(
            "the raw body",
            "a model of fixed shape",
            format!("{shape:?}"),
        ));
    }
    let rows = i64::try_from(values.len()).unwrap_or(i64::MAX) / inner;
    let mut shape = shape.to_vec();
    if let Some(first) = shape.first_mut() {
        *first = rows;
    }
    let request = InferRequest {
        inputs: vec![NamedTensor {
            name: name.to_owned(),
            tensor: tensor(name, &shape, values)?,
        }],
        ..InferRequest::default()
    };
    Ok((request, BinaryOutputs::default()))
}

/// Reads a whole body, within the limits on size and time.
async fn read_body(body: Body) -> Result<axum::body::Bytes, ServerError> {
    let whole = tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, MAX_BODY_BYTES)).await;
    let whole = whole.map_err(|_| ServerError::BodyTimeout(BODY_TIMEOUT))?;
    whole.map_err(|error| {
        // axum does not expose the type of the limit error.
        let too_large = std::error::Error::source(&error)
            .is_some_and(|source| source.to_string().contains("length limit"));
        if too_large {
            ServerError::TooLarge {
                limit: MAX_BODY_BYTES,
            }
        } else {
            ServerError::Protocol(ProtocolError::Json {
                reason: format!("the body cannot be read: {error}"),
            })
        }
    })
}

fn traceparent(headers: &HeaderMap) -> Option<TraceParent> {
    headers.get("traceparent")?.to_str().ok()?.parse().ok()
}
