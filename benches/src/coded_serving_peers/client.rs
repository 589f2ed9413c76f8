//! The client of all servers: bodies written beforehand, answers read to their end.

use std::sync::Arc;

use anyhow::{Context, ensure};
use septet_coded_serving::Tensor;
use septet_coded_serving::protocol::http::{
    Body, JSON_LENGTH, json_length, read_response, write_request,
};
use septet_coded_serving::protocol::{InferRequest, NamedTensor};

/// Queries one model of one server. Clones share connections.
#[derive(Clone, Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    url: String,
    bodies: Arc<Vec<Body>>,
}

impl Client {
    /// A client that sends these queries, as JSON or with binary tensors.
    pub(super) fn new(
        server: &str,
        model: &str,
        queries: &[Tensor],
        binary: bool,
    ) -> anyhow::Result<Self> {
        let write = |query: &Tensor| {
            let request = InferRequest {
                inputs: vec![NamedTensor {
                    name: "input".to_owned(),
                    tensor: query.clone(),
                }],
                ..InferRequest::default()
            };
            write_request(&request, binary)
        };
        // Serialized once: the client's encoding must not count as the server's time.
        let bodies: Result<Vec<_>, _> = queries.iter().map(write).collect();
        Ok(Self {
            http: reqwest::Client::builder().tcp_nodelay(true).build()?,
            url: format!("{server}/v2/models/{model}/infer"),
            bodies: Arc::new(bodies?),
        })
    }

    /// The body of the answer to a query, and the length of its JSON when tensors follow.
    pub(super) async fn infer(&self, number: usize) -> anyhow::Result<Body> {
        let body = &self.bodies[number % self.bodies.len()];
        let request = self.http.post(&self.url).body(body.bytes.clone());
        let request = match body.json_length {
            Some(length) => request
                .header("content-type", "application/octet-stream")
                .header(JSON_LENGTH, length),
            None => request.header("content-type", "application/json"),
        };
        // Read to the end, since a latency includes the whole answer.
        let response = request.send().await?.error_for_status()?;
        let header = response.headers().get(JSON_LENGTH).cloned();
        let bytes = response.bytes().await?.to_vec();
        let json_length = json_length(header.as_ref().map(AsRef::as_ref), bytes.len())?;
        Ok(Body { bytes, json_length })
    }

    /// Checks that the server answers every query as it should.
    pub(super) async fn check(&self, expected: &[Tensor]) -> anyhow::Result<()> {
        for (number, expected) in expected.iter().enumerate() {
            let body = self.infer(number).await?;
            let response = read_response(&body.bytes, body.json_length)?;
            let output = response.outputs.into_iter().next();
            let output = output.context("an answer has no output")?.tensor;
            // A relative tolerance: servers add up in different orders.
            let mut pairs = output.values().iter().zip(expected.values());
            ensure!(
                output.values().len() == expected.values().len()
                    && pairs.all(|(a, b)| (a - b).abs() < 1e-3 * (1.0 + b.abs())),
                "{} answered query {number} with {:?}, expected {:?}",
                self.url,
                output.values(),
                expected.values()
            );
        }
        Ok(())
    }
}
