//! The Open Inference Protocol over gRPC.

use std::collections::HashMap;

use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use crate::engine::Backend;
use crate::protocol::{
    DATATYPE, InferRequest, InferResponse, NamedTensor, Parameter, Parameters, ProtocolError,
    TraceParent, bytes, floats, tensor,
};

use super::codec::check_fields;
use super::error::ServerError;
use super::host::{Host, ModelCounts};

/// The generated messages and services of the protocol.
#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::doc_markdown,
    clippy::enum_variant_names,
    unreachable_pub,
    reason = "generated; documented in proto/open_inference.proto"
)]
pub(crate) mod open_inference {
    tonic::include_proto!("inference");
}

/// The file descriptor set of the protocol, for server reflection.
pub(crate) const DESCRIPTORS: &[u8] = tonic::include_file_descriptor_set!("open_inference");

use open_inference as wire;
use wire::grpc_inference_service_server::GrpcInferenceService;
use wire::infer_parameter::ParameterChoice;
use wire::model_infer_response::InferOutputTensor;

/// The maximum size of a request message in bytes.
pub(super) const MAX_MESSAGE_BYTES: usize = 4 << 20;

impl From<ServerError> for Status {
    fn from(error: ServerError) -> Self {
        Self::new(error.grpc_code(), error.to_string())
    }
}

/// The gRPC service of a host.
#[derive(Debug)]
pub(super) struct Service<B>(pub(super) Host<B>);

#[tonic::async_trait]
impl<B: Backend> GrpcInferenceService for Service<B> {
    async fn server_live(
        &self,
        _: Request<wire::ServerLiveRequest>,
    ) -> Result<Response<wire::ServerLiveResponse>, Status> {
        Ok(Response::new(wire::ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        _: Request<wire::ServerReadyRequest>,
    ) -> Result<Response<wire::ServerReadyResponse>, Status> {
        let ready = self.0.is_ready();
        Ok(Response::new(wire::ServerReadyResponse { ready }))
    }

    async fn model_ready(
        &self,
        request: Request<wire::ModelReadyRequest>,
    ) -> Result<Response<wire::ModelReadyResponse>, Status> {
        let request = request.into_inner();
        // Like Triton: its clients take an error status for a failure of the server.
        // An unknown model is simply not ready.
        let is_known = self.0.model(&request.name, Some(&request.version)).is_ok();
        let ready = is_known && self.0.is_ready();
        Ok(Response::new(wire::ModelReadyResponse { ready }))
    }

    async fn server_metadata(
        &self,
        _: Request<wire::ServerMetadataRequest>,
    ) -> Result<Response<wire::ServerMetadataResponse>, Status> {
        let metadata = self.0.metadata();
        Ok(Response::new(wire::ServerMetadataResponse {
            name: metadata.name,
            version: metadata.version,
            extensions: metadata.extensions,
        }))
    }

    async fn model_metadata(
        &self,
        request: Request<wire::ModelMetadataRequest>,
    ) -> Result<Response<wire::ModelMetadataResponse>, Status> {
        let request = request.into_inner();
        let model = self.0.model(&request.name, Some(&request.version))?;
        let metadata = model.metadata.clone();
        let wired = |side: Vec<crate::protocol::TensorMetadata>| {
            let wired = side
                .into_iter()
                .map(|one| wire::model_metadata_response::TensorMetadata {
                    name: one.name,
                    datatype: one.datatype,
                    shape: one.shape,
                });
            wired.collect()
        };
        Ok(Response::new(wire::ModelMetadataResponse {
            name: metadata.name,
            versions: metadata.versions,
            platform: metadata.platform,
            inputs: wired(metadata.inputs),
            outputs: wired(metadata.outputs),
        }))
    }

    async fn model_infer(
        &self,
        request: Request<wire::ModelInferRequest>,
    ) -> Result<Response<wire::ModelInferResponse>, Status> {
        let trace: Option<TraceParent> = request
            .metadata()
            .get("traceparent")
            .and_then(|value| value.to_str().ok()?.parse().ok());
        // The client's timeout is the shorter of the call's deadline and the request parameter.
        let deadline = deadline(request.metadata());
        let message = request.into_inner();
        let is_raw = !message.raw_input_contents.is_empty();
        let name = message.model_name.clone();
        let version = message.model_version.clone();
        let mut request = read_request(message).map_err(ServerError::from)?;
        if let Some(microseconds) = deadline {
            let named = request.parameters.get("timeout");
            let is_shorter = match named {
                None | Some(Parameter::Integer(0)) => true,
                Some(Parameter::Integer(named)) => microseconds < *named,
                Some(_) => false,
            };
            if is_shorter {
                let timeout = Parameter::Integer(microseconds);
                request.parameters.insert("timeout".to_owned(), timeout);
            }
        }
        let response = self.0.infer(&name, Some(&version), request, trace).await?;
        Ok(Response::new(write_response(response, is_raw)))
    }

    async fn model_statistics(
        &self,
        request: Request<wire::ModelStatisticsRequest>,
    ) -> Result<Response<wire::ModelStatisticsResponse>, Status> {
        let request = request.into_inner();
        if !request.name.is_empty() {
            self.0.model(&request.name, Some(&request.version))?;
        }
        let total = |(count, ns): (u64, u64)| Some(wire::StatisticDuration { count, ns });
        let only = Some(request.name.as_str()).filter(|name| !name.is_empty());
        let statistics = |model: ModelCounts| wire::ModelStatistics {
            name: model.name,
            version: model.version,
            last_inference: model.last,
            inference_count: model.rows,
            execution_count: model.engine.tasks,
            inference_stats: Some(wire::InferStatistics {
                success: total(model.succeeded),
                fail: total(model.failed),
            }),
        };
        let model_stats = self.0.counts(only).into_iter().map(statistics).collect();
        Ok(Response::new(wire::ModelStatisticsResponse { model_stats }))
    }
}

/// The deadline of the call in microseconds, from the header `grpc-timeout`: up to eight digits and a unit
/// (gRPC over HTTP/2, "Requests").
fn deadline(metadata: &MetadataMap) -> Option<i64> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    // At most eight digits, so that no unit overflows.
    let number: i64 = number
        .parse()
        .ok()
        .filter(|n| (0..100_000_000).contains(n))?;
    let microseconds = match unit {
        "H" => number * 3_600_000_000,
        "M" => number * 60_000_000,
        "S" => number * 1_000_000,
        "m" => number * 1_000,
        "u" => number,
        "n" => number / 1_000,
        _ => return None,
    };
    // tonic cancels the call at the client's deadline with a status of its own. Ending 5 % earlier (2 to
    // 50 ms) lets the engine answer DEADLINE_EXCEEDED. At least 1: the parameter value 0 means no timeout.
    let earlier = (microseconds / 20)
        .clamp(2_000, 50_000)
        .min(microseconds / 2);
    Some((microseconds - earlier).max(1))
}

/// Reads a request from the bytes of its gRPC message, as the server does.
///
/// # Errors
///
/// When the bytes are no such message, or a tensor is invalid.
pub fn request_from_bytes(bytes: &[u8]) -> Result<InferRequest, ProtocolError> {
    check_fields(bytes)?;
    let message = prost::Message::decode(bytes).map_err(|error: prost::DecodeError| {
        ProtocolError::Message {
            reason: error.to_string(),
        }
    })?;
    read_request(message)
}

/// Converts a message into a request.
///
/// # Errors
///
/// When a tensor has no data, a datatype other than FP32, or a wrong number of values.
pub(crate) fn read_request(
    message: wire::ModelInferRequest,
) -> Result<InferRequest, ProtocolError> {
    // Data come either as raw bytes, one entry per input, or inside the tensors; mixtures are invalid.
    let raw = message.raw_input_contents;
    if !raw.is_empty() && raw.len() != message.inputs.len() {
        let (raw, inputs) = (raw.len(), message.inputs.len());
        return Err(ProtocolError::Message {
            reason: format!("it has {raw} raw contents for {inputs} inputs"),
        });
    }
    // The n-th raw entry belongs to the n-th input.
    let mut raw = raw.into_iter();
    let mut inputs = Vec::new();
    for one in message.inputs {
        let contents = one.contents.map(|contents| contents.fp32_contents);
        let values = values_of(&one.name, &one.datatype, raw.next(), contents)?;
        inputs.push(NamedTensor {
            tensor: tensor(&one.name, &one.shape, values)?,
            name: one.name,
        });
    }
    Ok(InferRequest {
        id: (!message.id.is_empty()).then_some(message.id),
        parameters: read_parameters(message.parameters),
        inputs,
        outputs: message.outputs.into_iter().map(|one| one.name).collect(),
    })
}

/// Converts a message into a response.
///
/// # Errors
///
/// As [`read_request`].
pub(crate) fn read_response(
    message: wire::ModelInferResponse,
) -> Result<InferResponse, ProtocolError> {
    let mut raw = message.raw_output_contents.into_iter();
    let mut outputs = Vec::new();
    for one in message.outputs {
        let contents = one.contents.map(|contents| contents.fp32_contents);
        let values = values_of(&one.name, &one.datatype, raw.next(), contents)?;
        outputs.push(NamedTensor {
            tensor: tensor(&one.name, &one.shape, values)?,
            name: one.name,
        });
    }
    Ok(InferResponse {
        model_name: message.model_name,
        model_version: message.model_version,
        id: (!message.id.is_empty()).then_some(message.id),
        parameters: read_parameters(message.parameters),
        outputs,
    })
}

/// Converts a request into a message, with tensors as raw bytes.
pub(crate) fn write_request(model: &str, request: &InferRequest) -> wire::ModelInferRequest {
    let mut message = wire::ModelInferRequest {
        model_name: model.to_owned(),
        id: request.id.clone().unwrap_or_default(),
        parameters: write_parameters(request.parameters.clone()),
        ..wire::ModelInferRequest::default()
    };
    for one in &request.inputs {
        message
            .inputs
            .push(wire::model_infer_request::InferInputTensor {
                name: one.name.clone(),
                datatype: DATATYPE.to_owned(),
                shape: one.tensor.shape().iter().map(|&n| n as i64).collect(),
                ..Default::default()
            });
        message.raw_input_contents.push(bytes(one.tensor.values()));
    }
    message
}

/// Converts a response into a message, with tensors in the form in which the client sent its own.
fn write_response(response: InferResponse, is_raw: bool) -> wire::ModelInferResponse {
    let mut message = wire::ModelInferResponse {
        model_name: response.model_name,
        model_version: response.model_version,
        id: response.id.unwrap_or_default(),
        parameters: write_parameters(response.parameters),
        ..wire::ModelInferResponse::default()
    };
    for one in response.outputs {
        let mut output = InferOutputTensor {
            name: one.name,
            datatype: DATATYPE.to_owned(),
            shape: one.tensor.shape().iter().map(|&n| n as i64).collect(),
            ..Default::default()
        };
        if is_raw {
            message.raw_output_contents.push(bytes(one.tensor.values()));
        } else {
            output.contents = Some(wire::InferTensorContents {
                fp32_contents: one.tensor.values().to_vec(),
                ..Default::default()
            });
        }
        message.outputs.push(output);
    }
    message
}

/// The values of a tensor from its raw bytes or its contents, whichever is present.
fn values_of(
    name: &str,
    datatype: &str,
    raw: Option<Vec<u8>>,
    contents: Option<Vec<f32>>,
) -> Result<Vec<f32>, ProtocolError> {
    if datatype != DATATYPE {
        return Err(ProtocolError::Datatype {
            tensor: name.to_owned(),
            found: datatype.to_owned(),
        });
    }
    match (raw, contents.filter(|values| !values.is_empty())) {
        (Some(raw), None) => floats(&raw).ok_or_else(|| ProtocolError::Bytes {
            tensor: name.to_owned(),
            expected: (raw.len() as u64).next_multiple_of(4),
            found: raw.len(),
        }),
        (None, Some(values)) => Ok(values),
        (Some(_), Some(_)) => Err(ProtocolError::Message {
            reason: format!("`{name}` has both raw contents and `fp32_contents`"),
        }),
        (None, None) => Err(ProtocolError::NoData {
            tensor: name.to_owned(),
        }),
    }
}

fn read_parameters(parameters: HashMap<String, wire::InferParameter>) -> Parameters {
    let read = |parameter: wire::InferParameter| {
        Some(match parameter.parameter_choice? {
            ParameterChoice::BoolParam(value) => Parameter::Bool(value),
            ParameterChoice::Int64Param(value) => Parameter::Integer(value),
            ParameterChoice::Uint64Param(value) => match i64::try_from(value) {
                Ok(value) => Parameter::Integer(value),
                // Beyond `i64` only the magnitude matters to any parameter.
                Err(_) => Parameter::Number(value as f64),
            },
            ParameterChoice::DoubleParam(value) => Parameter::Number(value),
            ParameterChoice::StringParam(value) => Parameter::Text(value),
        })
    };
    let known = parameters.into_iter();
    known
        .filter_map(|(name, parameter)| Some((name, read(parameter)?)))
        .collect()
}

fn write_parameters(parameters: Parameters) -> HashMap<String, wire::InferParameter> {
    let write = |parameter| wire::InferParameter {
        parameter_choice: Some(match parameter {
            Parameter::Bool(value) => ParameterChoice::BoolParam(value),
            Parameter::Integer(value) => ParameterChoice::Int64Param(value),
            Parameter::Number(value) => ParameterChoice::DoubleParam(value),
            Parameter::Text(value) => ParameterChoice::StringParam(value),
        }),
    };
    let all = parameters.into_iter();
    all.map(|(name, parameter)| (name, write(parameter)))
        .collect()
}
