//! Workers that are servers of the Open Inference Protocol over HTTP.

use std::collections::HashMap;
use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::{Client, RequestBuilder, Url};
use tokio::sync::OnceCell;

use crate::code::Model;
use crate::engine::Call;
use crate::protocol::http::{Body, JSON_LENGTH, json_length, read_response, write_request};
use crate::protocol::{
    BINARY_EXTENSION, InferRequest, ModelMetadata, NamedTensor, ServerMetadata, TensorMetadata,
};
use crate::tensor::Tensor;

use super::{ConnectError, Failure, ModelNames, only_output, row};

/// A worker behind HTTP. It connects at the first task: the server need not run yet.
#[derive(Debug)]
pub struct HttpWorker {
    client: Client,
    url: Url,
    models: ModelNames,
    /// How to query each model, requested at its first task.
    interfaces: HashMap<String, OnceCell<Interface>>,
}

/// How to query a model.
#[derive(Debug)]
struct Interface {
    /// Whether the server supports binary tensors.
    binary: bool,
    input: TensorMetadata,
    output: String,
}

impl HttpWorker {
    /// A worker at an address such as `http://127.0.0.1:8000`.
    ///
    /// # Errors
    ///
    /// When the address is invalid.
    pub fn new(url: &str, models: ModelNames) -> Result<Self, ConnectError> {
        let address = |reason: String| ConnectError::Address {
            url: url.to_owned(),
            reason,
        };
        let parsed = Url::parse(url).map_err(|error| address(error.to_string()))?;
        if parsed.scheme() != "http" || parsed.cannot_be_a_base() {
            return Err(address("expected http://<host>:<port>".to_owned()));
        }
        let client = Client::builder()
            .tcp_nodelay(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            // Shorter than the keep-alive of common servers (5 s), so that no closing connection is reused.
            .pool_idle_timeout(Duration::from_secs(4))
            .build()
            .map_err(|error| address(error.to_string()))?;
        Ok(Self {
            client,
            url: parsed,
            interfaces: models
                .all()
                .map(|name| (name.to_owned(), OnceCell::new()))
                .collect(),
            models,
        })
    }

    /// Requests the metadata of the base model, or of the first other one.
    ///
    /// # Errors
    ///
    /// When the server does not answer, or with an error.
    pub async fn metadata(&self) -> Result<ModelMetadata, ConnectError> {
        let name = self.models.all().next().unwrap_or_default();
        self.metadata_of(name)
            .await
            .map_err(|reason| ConnectError::Server {
                url: self.url.to_string(),
                reason,
            })
    }

    pub(super) fn name_of(&self, model: &Model) -> Option<&str> {
        self.models.of(model)
    }

    fn path(&self, parts: &[&str]) -> Result<Url, String> {
        let mut url = self.url.clone();
        url.path_segments_mut()
            .map_err(|()| "the address has no path".to_owned())?
            .pop_if_empty()
            .extend(parts);
        Ok(url)
    }

    async fn metadata_of(&self, model: &str) -> Result<ModelMetadata, String> {
        let url = self.path(&["v2", "models", model])?;
        let response = send(self.client.get(url))
            .await
            .map_err(|failure| failure.reason)?;
        serde_json::from_slice(&response.bytes).map_err(|error| error.to_string())
    }

    async fn interface(&self, model: &str) -> Result<&Interface, String> {
        let request_interface = || async {
            let url = self.path(&["v2"])?;
            let server = self.client.get(url).send().await.map_err(reason)?;
            if server.status().is_server_error() {
                return Err(format!(
                    "{}: the server metadata cannot be read",
                    server.status()
                ));
            }
            // A server without usable metadata may still answer JSON requests.
            let server: Option<ServerMetadata> = server.json().await.ok();
            let metadata = self.metadata_of(model).await?;
            let input = metadata.inputs.into_iter().next();
            let output = metadata.outputs.into_iter().next();
            let (Some(input), Some(output)) = (input, output) else {
                return Err(format!("`{model}` has no input or no output"));
            };
            Ok(Interface {
                binary: server.is_some_and(|s| s.extensions.iter().any(|e| e == BINARY_EXTENSION)),
                input,
                output: output.name,
            })
        };
        let interface = self.interfaces.get(model);
        let interface = interface.ok_or_else(|| format!("the server has no `{model}`"))?;
        interface.get_or_try_init(request_interface).await
    }

    pub(super) async fn infer(&self, call: Call) -> Result<Tensor, Failure> {
        let name = self.name_of(&call.model);
        let name = name.ok_or_else(|| format!("the server has no {:?}", call.model))?;
        let interface = self.interface(name).await?;
        let request = InferRequest {
            inputs: vec![NamedTensor {
                name: interface.input.name.clone(),
                tensor: row(&call.input, &interface.input.shape)
                    .map_err(|error| error.to_string())?,
            }],
            outputs: vec![interface.output.clone()],
            ..InferRequest::default()
        };
        let body = write_request(&request, interface.binary).map_err(|error| error.to_string())?;
        let url = self.path(&["v2", "models", name, "infer"])?;
        let mut request = self.client.post(url).body(body.bytes);
        request = match body.json_length {
            Some(length) => request
                .header("content-type", "application/octet-stream")
                .header(JSON_LENGTH, length),
            None => request.header("content-type", "application/json"),
        };
        if let Some(trace) = &call.trace {
            // The worker's spans then belong to the trace of the client.
            request = request.header("traceparent", trace.as_ref());
        }
        let answer = send(request).await?;
        let response = read_response(&answer.bytes, answer.json_length);
        Ok(only_output(response.map_err(|error| error.to_string())?)?)
    }
}

/// Sends a request. Returns the body of a successful response.
async fn send(request: RequestBuilder) -> Result<Body, Failure> {
    let response = request.send().await.map_err(reason)?;
    let status = response.status();
    let header = response.headers().get(JSON_LENGTH).cloned();
    let bytes = response.bytes().await.map_err(reason)?;
    if !status.is_success() {
        let message: String = String::from_utf8_lossy(&bytes).chars().take(200).collect();
        // Only these blame the query; an expired token, for one, does not.
        let refused = matches!(status.as_u16(), 400 | 413 | 415 | 422);
        return Err(Failure {
            reason: format!("{status}: {message}"),
            refused,
        });
    }
    let length = json_length(header.as_ref().map(HeaderValue::as_bytes), bytes.len());
    Ok(Body {
        json_length: length.map_err(|error| error.to_string())?,
        bytes: bytes.to_vec(),
    })
}

/// The innermost cause, which is the most specific.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
