//! A server of the protocol over HTTP.

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

/// A server of the protocol over HTTP. It need not run yet.
#[derive(Debug)]
pub struct HttpWorker {
    client: Client,
    url: Url,
    models: ModelNames,
    /// What it says of its models, asked at the first task for each.
    forms: HashMap<String, OnceCell<Form>>,
}

#[derive(Debug)]
struct Form {
    binary: bool,
    input: TensorMetadata,
    output: String,
}

impl HttpWorker {
    /// A server at an address such as `http://127.0.0.1:8000`.
    ///
    /// # Errors
    ///
    /// When the address is none.
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
            // Shorter than servers keep idle connections, so that none is used that is being closed.
            .pool_idle_timeout(Duration::from_secs(4))
            .build()
            .map_err(|error| address(error.to_string()))?;
        Ok(Self {
            client,
            url: parsed,
            forms: models
                .all()
                .map(|name| (name.to_owned(), OnceCell::new()))
                .collect(),
            models,
        })
    }

    /// What the server says of its base model, or of the first other one.
    ///
    /// # Errors
    ///
    /// When it does not say.
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
        let response = ask(self.client.get(url))
            .await
            .map_err(|failure| failure.reason)?;
        serde_json::from_slice(&response.bytes).map_err(|error| error.to_string())
    }

    async fn form(&self, model: &str) -> Result<&Form, String> {
        let ask_all = || async {
            let url = self.path(&["v2"])?;
            let server = self.client.get(url).send().await.map_err(reason)?;
            if server.status().is_server_error() {
                return Err(format!("{}: what it is cannot be asked", server.status()));
            }
            // A server that says nothing of itself may still answer as JSON.
            let server: Option<ServerMetadata> = server.json().await.ok();
            let metadata = self.metadata_of(model).await?;
            let input = metadata.inputs.into_iter().next();
            let output = metadata.outputs.into_iter().next();
            let (Some(input), Some(output)) = (input, output) else {
                return Err(format!("`{model}` has no input or no output"));
            };
            Ok(Form {
                binary: server.is_some_and(|s| s.extensions.iter().any(|e| e == BINARY_EXTENSION)),
                input,
                output: output.name,
            })
        };
        let form = self.forms.get(model);
        let form = form.ok_or_else(|| format!("the server has no `{model}`"))?;
        form.get_or_try_init(ask_all).await
    }

    pub(super) async fn infer(&self, call: Call) -> Result<Tensor, Failure> {
        let name = self.name_of(&call.model);
        let name = name.ok_or_else(|| format!("the server has no {:?}", call.model))?;
        let form = self.form(name).await?;
        let request = InferRequest {
            inputs: vec![NamedTensor {
                name: form.input.name.clone(),
                tensor: row(&call.input, &form.input.shape).map_err(|error| error.to_string())?,
            }],
            outputs: vec![form.output.clone()],
            ..InferRequest::default()
        };
        let body = write_request(&request, form.binary).map_err(|error| error.to_string())?;
        let url = self.path(&["v2", "models", name, "infer"])?;
        let mut request = self.client.post(url).body(body.bytes);
        request = match body.json_length {
            Some(length) => request
                .header("content-type", "application/octet-stream")
                .header(JSON_LENGTH, length),
            None => request.header("content-type", "application/json"),
        };
        if let Some(trace) = &call.trace {
            request = request.header("traceparent", trace.as_ref());
        }
        let answer = ask(request).await?;
        let response = read_response(&answer.bytes, answer.json_length);
        Ok(only_output(response.map_err(|error| error.to_string())?)?)
    }
}

/// The body of a successful answer.
async fn ask(request: RequestBuilder) -> Result<Body, Failure> {
    let response = request.send().await.map_err(reason)?;
    let status = response.status();
    let header = response.headers().get(JSON_LENGTH).cloned();
    let bytes = response.bytes().await.map_err(reason)?;
    if !status.is_success() {
        let told: String = String::from_utf8_lossy(&bytes).chars().take(200).collect();
        // Anything else, such as a token that has expired, is no fault of the query.
        let refused = matches!(status.as_u16(), 400 | 413 | 415 | 422);
        return Err(Failure {
            reason: format!("{status}: {told}"),
            refused,
        });
    }
    let length = json_length(header.as_ref().map(HeaderValue::as_bytes), bytes.len());
    Ok(Body {
        json_length: length.map_err(|error| error.to_string())?,
        bytes: bytes.to_vec(),
    })
}

/// The innermost cause, which is what tells the reader most.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
