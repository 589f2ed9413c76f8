//! Workers that are servers of the Open Inference Protocol over gRPC.

use std::collections::HashMap;

use tokio::sync::OnceCell;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};

use crate::code::Model;
use crate::engine::Call;
use crate::protocol::{InferRequest, ModelMetadata, NamedTensor, TensorMetadata};
use crate::server::grpc::open_inference as wire;
use crate::server::grpc::{read_response, write_request};
use crate::tensor::Tensor;

use super::{ConnectError, Failure, ModelNames, only_output, row};

type Client = wire::grpc_inference_service_client::GrpcInferenceServiceClient<Channel>;

/// A worker behind gRPC. It connects at the first task: the server need not run yet.
#[derive(Debug)]
pub struct GrpcWorker {
    client: Client,
    url: String,
    models: ModelNames,
    /// The input of each model, requested at its first task.
    inputs: HashMap<String, OnceCell<TensorMetadata>>,
}

impl GrpcWorker {
    /// A worker at an address such as `http://127.0.0.1:8001`.
    ///
    /// # Errors
    ///
    /// When the address is invalid.
    pub fn new(url: &str, models: ModelNames) -> Result<Self, ConnectError> {
        let endpoint = Endpoint::from_shared(url.to_owned());
        let endpoint = endpoint.map_err(|error| ConnectError::Address {
            url: url.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            client: Client::new(endpoint.tcp_nodelay(true).connect_lazy()),
            url: url.to_owned(),
            inputs: models
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
                url: self.url.clone(),
                reason,
            })
    }

    pub(super) fn name_of(&self, model: &Model) -> Option<&str> {
        self.models.of(model)
    }

    async fn metadata_of(&self, model: &str) -> Result<ModelMetadata, String> {
        let request = wire::ModelMetadataRequest {
            name: model.to_owned(),
            version: String::new(),
        };
        let mut client = self.client.clone();
        let answer = client.model_metadata(request).await.map_err(reason)?;
        let answer = answer.into_inner();
        let convert = |side: Vec<wire::model_metadata_response::TensorMetadata>| {
            let tensors = side.into_iter().map(|one| TensorMetadata {
                name: one.name,
                datatype: one.datatype,
                shape: one.shape,
            });
            tensors.collect()
        };
        Ok(ModelMetadata {
            name: answer.name,
            versions: answer.versions,
            platform: answer.platform,
            inputs: convert(answer.inputs),
            outputs: convert(answer.outputs),
        })
    }

    pub(super) async fn infer(&self, call: Call) -> Result<Tensor, Failure> {
        let name = self.name_of(&call.model);
        let name = name.ok_or_else(|| format!("the server has no {:?}", call.model))?;
        // The name and shape of the input are requested once; concurrent tasks wait for the same request.
        let request_input = || async {
            let inputs = self.metadata_of(name).await?.inputs;
            let first = inputs.into_iter().next();
            first.ok_or_else(|| format!("`{name}` has no input"))
        };
        let input = self.inputs.get(name);
        let input = input.ok_or_else(|| format!("the server has no `{name}`"))?;
        let input = input.get_or_try_init(request_input).await?;
        let request = InferRequest {
            inputs: vec![NamedTensor {
                name: input.name.clone(),
                tensor: row(&call.input, &input.shape).map_err(|error| error.to_string())?,
            }],
            ..InferRequest::default()
        };
        // Pass on the trace context; an invalid one is dropped.
        let mut request = tonic::Request::new(write_request(name, &request));
        if let Some(trace) = &call.trace
            && let Ok(value) = MetadataValue::try_from(trace.as_ref())
        {
            request.metadata_mut().insert("traceparent", value);
        }
        let mut client = self.client.clone();
        let answer = client
            .model_infer(request)
            .await
            .map_err(|status| Failure {
                // Every other status blames the worker, which then goes into cooldown.
                refused: status.code() == tonic::Code::InvalidArgument,
                reason: reason(status),
            })?;
        let response = read_response(answer.into_inner());
        Ok(only_output(response.map_err(|error| error.to_string())?)?)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "given to map_err")]
fn reason(status: tonic::Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}
