//! Messages of the Open Inference Protocol (version 2 of `KServe`), and their HTTP encoding.
//!
//! Tensors have the datatype FP32: codes compute weighted sums. Over HTTP a tensor is JSON, flat or nested, or
//! binary data after the JSON ([`http`]).

pub mod http;
mod numbers;
mod trace;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use trace::TraceParent;

use crate::error::TensorError;
use crate::tensor::Tensor;

/// The only supported datatype.
pub const DATATYPE: &str = "FP32";

/// A parameter of a request, a response or a tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Parameter {
    /// `true` or `false`.
    Bool(bool),
    /// An integer.
    Integer(i64),
    /// Any other number.
    Number(f64),
    /// A string.
    Text(String),
}

/// Parameters by name.
pub type Parameters = BTreeMap<String, Parameter>;

/// A tensor with a name.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// The name of the model's input or output.
    pub name: String,
    /// The tensor.
    pub tensor: Tensor,
}

/// An inference request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InferRequest {
    /// Chosen by the client, and returned with the response.
    pub id: Option<String>,
    /// Such as `timeout` in microseconds, and `approximate`: `allow` or `deny`.
    pub parameters: Parameters,
    /// The inputs.
    pub inputs: Vec<NamedTensor>,
    /// The names of the requested outputs; all if empty.
    pub outputs: Vec<String>,
}

/// An inference response.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InferResponse {
    /// The model.
    pub model_name: String,
    /// Its version; may be empty.
    pub model_version: String,
    /// The client's `id`.
    pub id: Option<String>,
    /// Such as `reconstructed`.
    pub parameters: Parameters,
    /// The outputs.
    pub outputs: Vec<NamedTensor>,
}

/// The metadata of an input or output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorMetadata {
    /// Its name.
    pub name: String,
    /// Its datatype, such as `FP32`.
    pub datatype: String,
    /// Its shape; -1 for a variable dimension.
    pub shape: Vec<i64>,
}

/// The metadata of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelMetadata {
    /// Its name.
    pub name: String,
    /// Its versions.
    #[serde(default)]
    pub versions: Vec<String>,
    /// Its runtime.
    #[serde(default)]
    pub platform: String,
    /// Its inputs.
    pub inputs: Vec<TensorMetadata>,
    /// Its outputs.
    pub outputs: Vec<TensorMetadata>,
}

/// The metadata of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerMetadata {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// The supported extensions of the protocol.
    #[serde(default)]
    pub extensions: Vec<String>,
}

/// The extension for tensors as little-endian bytes after the JSON.
pub const BINARY_EXTENSION: &str = "binary_tensor_data";

/// Why a message is malformed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The body is not valid JSON, or not this message.
    #[error("invalid JSON: {reason}")]
    Json {
        /// What is wrong, with line and column.
        reason: String,
    },
    /// A dimension is negative.
    #[error("`{tensor}`: expected no negative dimension, found the shape {shape:?}")]
    Shape {
        /// The tensor.
        tensor: String,
        /// The dimensions.
        shape: Vec<i64>,
    },
    /// The gRPC message is invalid.
    #[error("invalid message: {reason}")]
    Message {
        /// What is wrong.
        reason: String,
    },
    /// The length of the JSON in the header is invalid.
    #[error("Inference-Header-Content-Length is {length}, but the body has {found} bytes")]
    HeaderLength {
        /// The value of the header.
        length: String,
        /// The bytes of the body.
        found: usize,
    },
    /// A tensor has an unsupported datatype.
    #[error("`{tensor}`: expected the datatype FP32, found {found}")]
    Datatype {
        /// The tensor.
        tensor: String,
        /// Its datatype.
        found: String,
    },
    /// The number of values of a tensor does not match its shape.
    #[error("`{tensor}`: {problem}")]
    Tensor {
        /// The tensor.
        tensor: String,
        /// The mismatch.
        problem: TensorError,
    },
    /// A tensor has neither data nor bytes.
    #[error("`{tensor}` has neither `data` nor `binary_data_size`")]
    NoData {
        /// The tensor.
        tensor: String,
    },
    /// Binary data do not have the stated size.
    #[error("`{tensor}`: expected {expected} bytes of binary data, found {found}")]
    Bytes {
        /// The tensor.
        tensor: String,
        /// The size in the parameter, or the next multiple of four.
        expected: u64,
        /// The remaining bytes.
        found: usize,
    },
    /// An output is requested with an unsupported parameter, such as `classification`.
    #[error("`{output}`: expected the parameter `binary_data` or none, found `{parameter}`")]
    Parameter {
        /// The output.
        output: String,
        /// The parameter.
        parameter: String,
    },
    /// Bytes follow the last tensor.
    #[error("{found} bytes follow the last tensor")]
    Trailing {
        /// The number of bytes.
        found: usize,
    },
}

/// The values of little-endian bytes; `None` if their number is not a multiple of four.
#[must_use]
pub fn floats(bytes: &[u8]) -> Option<Vec<f32>> {
    // FP32 is little-endian on the wire, whatever the machine.
    let (numbers, left) = bytes.as_chunks::<4>();
    let values = numbers.iter().map(|b| f32::from_le_bytes(*b));
    left.is_empty().then(|| values.collect())
}

/// The little-endian bytes of values.
#[must_use]
pub fn bytes(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// A tensor from a shape and values of a message.
///
/// # Errors
///
/// When a dimension is negative, or the number of values does not match the shape.
pub fn tensor(name: &str, shape: &[i64], values: Vec<f32>) -> Result<Tensor, ProtocolError> {
    let dimensions: Result<Vec<usize>, _> = shape.iter().map(|&n| usize::try_from(n)).collect();
    let error = |problem| ProtocolError::Tensor {
        tensor: name.to_owned(),
        problem,
    };
    let Ok(dimensions) = dimensions else {
        return Err(ProtocolError::Shape {
            tensor: name.to_owned(),
            shape: shape.to_vec(),
        });
    };
    Tensor::new(dimensions, values).map_err(error)
}
