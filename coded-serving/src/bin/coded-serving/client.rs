//! A client of one model of a server, over HTTP.

use std::sync::Arc;

use anyhow::Context;

use septet_coded_serving::Tensor;
use septet_coded_serving::load::Answered;
use septet_coded_serving::protocol::http::{
    JSON_LENGTH, json_length, read_response, write_request,
};
use septet_coded_serving::protocol::{
    BINARY_EXTENSION, InferRequest, ModelMetadata, NamedTensor, Parameter, ServerMetadata,
    TensorMetadata,
};

/// What is needed to ask a model. Clones share the connections.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    /// Where queries go.
    url: Arc<str>,
    input: Arc<TensorMetadata>,
    /// The shape of one query.
    shape: Vec<usize>,
    /// Whether the server takes tensors as bytes.
    binary: bool,
}

impl Client {
    /// Asks the server what the model is.
    pub(crate) async fn connect(server: &str, model: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .tcp_nodelay(true)
            .build()?;
        let base = server.trim_end_matches('/');
        let url = format!("{base}/v2/models/{model}");
        let asked = http.get(&url).send().await;
        let metadata: ModelMetadata = asked
            .and_then(reqwest::Response::error_for_status)
            .context("the server does not say what the model is")?
            .json()
            .await
            .context("the server does not say what the model is")?;
        let input = metadata.inputs.into_iter().next();
        let input = input.context("the model has no input")?;
        let mut shape = vec![1];
        for &dimension in input.shape.iter().skip(1) {
            let fixed = usize::try_from(dimension).ok().filter(|&n| n > 0);
            shape.push(fixed.context("the model's input has no fixed shape")?);
        }
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

    /// Numbers in a query.
    pub(crate) fn width(&self) -> usize {
        self.shape.iter().product()
    }

    /// One query, and whether its answer was reconstructed.
    pub(crate) async fn ask(&self, values: &[f32]) -> anyhow::Result<(Tensor, bool)> {
        let request = InferRequest {
            inputs: vec![NamedTensor {
                name: self.input.name.clone(),
                tensor: Tensor::new(self.shape.clone(), values.to_vec())?,
            }],
            ..InferRequest::default()
        };
        let body = write_request(&request, self.binary)?;
        let mut request = self.http.post(&*self.url).body(body.bytes);
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
        let told = response.parameters.get("reconstructed");
        let reconstructed = told == Some(&Parameter::Bool(true));
        let output = response.outputs.into_iter().next();
        let output = output.context("the answer has no output")?;
        Ok((output.tensor, reconstructed))
    }
}

/// How a query ended. One that found nobody listening counts as turned away.
pub(crate) fn how(answer: &anyhow::Result<(Tensor, bool)>) -> Answered {
    match answer {
        Ok((_, true)) => Answered::Reconstructed,
        Ok((_, false)) => Answered::Direct,
        Err(error) => {
            let error = error.downcast_ref::<reqwest::Error>();
            let refused = error.is_some_and(|error| {
                error.is_connect() || error.status().is_some_and(|status| status.as_u16() == 429)
            });
            if refused {
                Answered::Rejected
            } else {
                Answered::Failed
            }
        }
    }
}
