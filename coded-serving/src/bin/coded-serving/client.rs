//! An HTTP client for one model of a server.

use std::sync::Arc;

use anyhow::Context;

use septet_coded_serving::Tensor;
use septet_coded_serving::load::Outcome;
use septet_coded_serving::protocol::http::{
    JSON_LENGTH, json_length, read_response, write_request,
};
use septet_coded_serving::protocol::{
    BINARY_EXTENSION, InferRequest, ModelMetadata, NamedTensor, Parameter, ServerMetadata,
    TensorMetadata,
};

/// A client for one model. Clones share the connections.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    /// The URL of the inference endpoint.
    url: Arc<str>,
    input: Arc<TensorMetadata>,
    /// The shape of one query.
    shape: Vec<usize>,
    /// Whether the server supports binary tensors.
    binary: bool,
}

impl Client {
    /// Requests the metadata of the model and of the server.
    pub(crate) async fn connect(server: &str, model: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .tcp_nodelay(true)
            .build()?;
        let base = server.trim_end_matches('/');
        let url = format!("{base}/v2/models/{model}");
        let response = http.get(&url).send().await;
        let metadata: ModelMetadata = response
            .and_then(reqwest::Response::error_for_status)
            .context("the metadata of the model cannot be read")?
            .json()
            .await
            .context("the metadata of the model cannot be read")?;
        let input = metadata.inputs.into_iter().next();
        let input = input.context("the model has no input")?;
        // Queries are sent one per request: the batch dimension is 1, all others have to be fixed.
        let mut shape = vec![1];
        for &dimension in input.shape.iter().skip(1) {
            let fixed = usize::try_from(dimension).ok().filter(|&n| n > 0);
            shape.push(fixed.context("the model's input has no fixed shape")?);
        }
        // A server without usable metadata may still answer JSON requests.
        let server = http.get(format!("{base}/v2")).send().await;
        let server: Option<ServerMetadata> = match server {
            Ok(answer) => answer.json().await.ok(),
            Err(_) => None,
        };
        Ok(Self {
            http,
            url: format!("{url}/infer").into(),
            input: Arc::new(input),
            shape,
            binary: server.is_some_and(|s| s.extensions.iter().any(|e| e == BINARY_EXTENSION)),
        })
    }

    /// The number of values of a query.
    pub(crate) fn width(&self) -> usize {
        self.shape.iter().product()
    }

    /// Sends one query. Returns the output, and whether it was reconstructed.
    pub(crate) async fn infer(&self, values: &[f32]) -> anyhow::Result<(Tensor, bool)> {
        let request = InferRequest {
            inputs: vec![NamedTensor {
                name: self.input.name.clone(),
                tensor: Tensor::new(self.shape.clone(), values.to_vec())?,
            }],
            ..InferRequest::default()
        };
        let body = write_request(&request, self.binary)?;
        let mut request = self.http.post(&*self.url).body(body.bytes);
        // With binary tensors the body is not JSON as a whole; the header says where its JSON ends.
        request = match body.json_length {
            Some(length) => request
                .header("content-type", "application/octet-stream")
                .header(JSON_LENGTH, length),
            None => request.header("content-type", "application/json"),
        };
        let response = request.send().await?.error_for_status()?;
        let header = response.headers().get(JSON_LENGTH).cloned();
        let bytes = response.bytes().await?;
        let length = json_length(
            header.as_ref().map(reqwest::header::HeaderValue::as_bytes),
            bytes.len(),
        )?;
        let response = read_response(&bytes, length)?;
        let parameter = response.parameters.get("reconstructed");
        let reconstructed = parameter == Some(&Parameter::Bool(true));
        let output = response.outputs.into_iter().next();
        let output = output.context("the response has no output")?;
        Ok((output.tensor, reconstructed))
    }
}

/// The outcome of a query. A refused connection counts as rejected.
pub(crate) fn outcome(answer: &anyhow::Result<(Tensor, bool)>) -> Outcome {
    match answer {
        Ok((_, true)) => Outcome::Reconstructed,
        Ok((_, false)) => Outcome::Direct,
        Err(error) => {
            let error = error.downcast_ref::<reqwest::Error>();
            // 429 is the server's backpressure; a connection is refused after a shutdown.
            let refused = error.is_some_and(|error| {
                error.is_connect() || error.status().is_some_and(|status| status.as_u16() == 429)
            });
            if refused {
                Outcome::Rejected
            } else {
                Outcome::Failed
            }
        }
    }
}
