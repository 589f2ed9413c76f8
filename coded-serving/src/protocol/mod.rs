//! Messages of the Open Inference Protocol (version 2 of `KServe`), and how they look over HTTP.
//!
//! Tensors are of the type FP32: what a code can add up. Over HTTP a tensor is JSON, flat or nested, or
//! binary behind the JSON ([`http`]).

pub mod http;
mod numbers;
mod trace;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use trace::TraceParent;

use crate::error::TensorError;
use crate::tensor::Tensor;

/// The name of the only datatype that is served.
pub const DATATYPE: &str = "FP32";

/// A parameter of a request, a response or a tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Parameter {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Number(f64),
    /// A text.
    Text(String),
}

/// Parameters by name.
pub type Parameters = BTreeMap<String, Parameter>;

/// A tensor with a name.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// The name of the model's input or output.
    pub name: String,
    /// The numbers.
    pub tensor: Tensor,
}

/// A question to a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InferRequest {
    /// Chosen by the client, and given back with the answer.
    pub id: Option<String>,
    /// Such as `timeout` in microseconds, and `approximate`: `allow` or `deny`.
    pub parameters: Parameters,
    /// The inputs.
    pub inputs: Vec<NamedTensor>,
    /// The names of the outputs that are asked for; all when there is none.
    pub outputs: Vec<String>,
}

/// An answer.
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

/// The name and form of an input or output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorMetadata {
    /// Its name.
    pub name: String,
    /// Its datatype, such as `FP32`.
    pub datatype: String,
    /// Its shape; -1 for a dimension of any size.
    pub shape: Vec<i64>,
}

/// What a model is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelMetadata {
    /// Its name.
    pub name: String,
    /// Its versions.
    #[serde(default)]
    pub versions: Vec<String>,
    /// What runs it.
    #[serde(default)]
    pub platform: String,
    /// Its inputs.
    pub inputs: Vec<TensorMetadata>,
    /// Its outputs.
    pub outputs: Vec<TensorMetadata>,
}

/// What a server is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerMetadata {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// The extensions of the protocol that it speaks.
    #[serde(default)]
    pub extensions: Vec<String>,
}

/// The extension by which tensors follow the JSON as little-endian bytes.
pub const BINARY_EXTENSION: &str = "binary_tensor_data";

/// Why a message cannot be read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The JSON is none, or not this message.
    #[error("the JSON cannot be read: {reason}")]
    Json {
        /// What is wrong, with line and column.
        reason: String,
    },
    /// A dimension is negative.
    #[error("`{tensor}` has the shape {shape:?}, expected no negative dimension")]
    Shape {
        /// The tensor.
        tensor: String,
        /// The dimensions.
        shape: Vec<i64>,
    },
    /// The bytes are no message of gRPC.
    #[error("the message cannot be read: {reason}")]
    Message {
        /// What is wrong.
        reason: String,
    },
    /// The JSON is said to be longer than the body.
    #[error("Inference-Header-Content-Length is {length}, but the body has {found} bytes")]
    HeaderLength {
        /// What the header says.
        length: String,
        /// The bytes of the body.
        found: usize,
    },
    /// A tensor of a type that is not served.
    #[error("`{tensor}` has the datatype {found}, expected FP32")]
    Datatype {
        /// The tensor.
        tensor: String,
        /// What it has.
        found: String,
    },
    /// The bytes or numbers of a tensor do not fill its shape.
    #[error("`{tensor}`: {problem}")]
    Tensor {
        /// The tensor.
        tensor: String,
        /// How.
        problem: TensorError,
    },
    /// A tensor has neither data nor bytes.
    #[error("`{tensor}` has neither `data` nor `binary_data_size`")]
    NoData {
        /// The tensor.
        tensor: String,
    },
    /// Binary data are not of the size that they are said to be.
    #[error("`{tensor}`: {expected} bytes expected, {found} are left")]
    Bytes {
        /// The tensor.
        tensor: String,
        /// How many the shape or the parameter asks for.
        expected: u64,
        /// How many there are.
        found: usize,
    },
    /// An output is asked for in a way that is not known here, such as `classification`.
    #[error(
        "`{output}` is asked for with the parameter `{parameter}`, expected `binary_data` or none"
    )]
    Parameter {
        /// The output.
        output: String,
        /// What is not known.
        parameter: String,
    },
    /// Bytes that belong to no tensor.
    #[error("{found} bytes follow the last tensor")]
    Trailing {
        /// How many.
        found: usize,
    },
}

/// The values of little-endian bytes; none when they are no multiple of four.
#[must_use]
pub fn floats(bytes: &[u8]) -> Option<Vec<f32>> {
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

/// A tensor of a shape that came over the network.
///
/// # Errors
///
/// When a dimension is negative or the values do not fill the shape.
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
