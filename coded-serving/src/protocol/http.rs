//! Requests and responses as HTTP bodies.
//!
//! A body is JSON, or JSON followed by tensors as little-endian bytes (binary tensor data extension). The
//! header [`JSON_LENGTH`] then gives the length of the JSON.

use serde::{Deserialize, Serialize};

use super::numbers::{Numbers, ShortList};
use super::{
    DATATYPE, InferRequest, InferResponse, NamedTensor, Parameter, Parameters, ProtocolError,
    bytes, floats, tensor,
};

/// The header with the length of the JSON, if tensors follow it.
pub const JSON_LENGTH: &str = "inference-header-content-length";

const BINARY_SIZE: &str = "binary_data_size";
const BINARY: &str = "binary_data";
const BINARY_OUTPUT: &str = "binary_data_output";

/// A body, and the length of its JSON if tensors follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// For the header [`JSON_LENGTH`].
    pub json_length: Option<usize>,
}

/// The outputs that a client requests as binary data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BinaryOutputs {
    /// The default for outputs.
    all: bool,
    /// The outputs that differ from the default.
    except: Vec<String>,
}

impl BinaryOutputs {
    fn contains(&self, name: &str) -> bool {
        self.all != self.except.iter().any(|other| other == name)
    }
}

/// The JSON of requests and responses. Lists are limited in length, see [`ShortList`].
#[derive(Serialize, Deserialize)]
struct Message {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    model_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model_version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parameters: Option<Parameters>,
    #[serde(default, skip_serializing_if = "ShortList::is_empty")]
    inputs: ShortList<TensorJson>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outputs: Option<ShortList<TensorJson>>,
}

/// The JSON of a tensor, or of a requested output.
#[derive(Serialize, Deserialize)]
struct TensorJson {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shape: Option<ShortList<i64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    datatype: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parameters: Option<Parameters>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Numbers>,
}

impl Serialize for Numbers {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// The length of the JSON from the header, if there is one.
///
/// # Errors
///
/// When the header is not a number, or larger than the body.
pub fn json_length(header: Option<&[u8]>, body: usize) -> Result<Option<usize>, ProtocolError> {
    let Some(header) = header else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(header);
    let length = text.trim().parse().ok().filter(|&length| length <= body);
    length.map(Some).ok_or_else(|| ProtocolError::HeaderLength {
        length: text.chars().take(32).collect(),
        found: body,
    })
}

/// Reads a request.
///
/// # Errors
///
/// When the message is malformed.
pub fn read_request(
    body: &[u8],
    json_length: Option<usize>,
) -> Result<(InferRequest, BinaryOutputs), ProtocolError> {
    let (message, mut rest) = split(body, json_length)?;
    let mut parameters = message.parameters.unwrap_or_default();
    // `binary_data_output` sets the default for all outputs, `binary_data` that of one output.
    let mut binary = BinaryOutputs {
        all: is_true(&parameters, BINARY_OUTPUT),
        except: Vec::new(),
    };
    parameters.remove(BINARY_OUTPUT);
    let mut outputs = Vec::new();
    for output in message.outputs.unwrap_or_default().0 {
        let own = output.parameters.as_ref();
        let unsupported = own.and_then(|own| own.keys().find(|name| *name != BINARY));
        if let Some(parameter) = unsupported {
            return Err(ProtocolError::Parameter {
                output: output.name,
                parameter: parameter.clone(),
            });
        }
        if let Some(Parameter::Bool(wanted)) = own.and_then(|own| own.get(BINARY))
            && *wanted != binary.all
        {
            binary.except.push(output.name.clone());
        }
        outputs.push(output.name);
    }
    let inputs = tensors(message.inputs.0, &mut rest)?;
    let request = InferRequest {
        id: message.id,
        parameters,
        inputs,
        outputs,
    };
    Ok((request, binary))
}

/// Writes a request; if `binary`, with its tensors and those of the response as binary data.
///
/// # Errors
///
/// When a parameter is not finite.
pub fn write_request(request: &InferRequest, binary: bool) -> Result<Body, ProtocolError> {
    let mut parameters = request.parameters.clone();
    if binary {
        parameters.insert(BINARY_OUTPUT.to_owned(), Parameter::Bool(true));
    }
    // The parameter of an output takes precedence over the default for all outputs.
    let outputs: Vec<TensorJson> = request
        .outputs
        .iter()
        .map(|name| TensorJson {
            name: name.clone(),
            shape: None,
            datatype: None,
            parameters: binary.then(|| {
                [(BINARY.to_owned(), Parameter::Bool(true))]
                    .into_iter()
                    .collect()
            }),
            data: None,
        })
        .collect();
    // The tensors of the request itself are in the same form.
    let all = BinaryOutputs {
        all: binary,
        except: Vec::new(),
    };
    let message = Message {
        model_name: String::new(),
        model_version: None,
        id: request.id.clone(),
        parameters: (!parameters.is_empty()).then_some(parameters),
        inputs: ShortList(to_json(&request.inputs, &all)),
        outputs: (!outputs.is_empty()).then_some(ShortList(outputs)),
    };
    write(&message, &request.inputs, &all)
}

/// Reads a response.
///
/// # Errors
///
/// When the message is malformed.
pub fn read_response(
    body: &[u8],
    json_length: Option<usize>,
) -> Result<InferResponse, ProtocolError> {
    let (message, mut rest) = split(body, json_length)?;
    Ok(InferResponse {
        model_name: message.model_name,
        model_version: message.model_version.unwrap_or_default(),
        id: message.id,
        parameters: message.parameters.unwrap_or_default(),
        outputs: tensors(message.outputs.unwrap_or_default().0, &mut rest)?,
    })
}

/// Writes a response, with the requested outputs as binary data.
///
/// # Errors
///
/// When a parameter is not finite.
pub fn write_response(
    response: &InferResponse,
    binary: &BinaryOutputs,
) -> Result<Body, ProtocolError> {
    let message = Message {
        model_name: response.model_name.clone(),
        model_version: (!response.model_version.is_empty()).then(|| response.model_version.clone()),
        id: response.id.clone(),
        parameters: (!response.parameters.is_empty()).then(|| response.parameters.clone()),
        inputs: ShortList::default(),
        outputs: Some(ShortList(to_json(&response.outputs, binary))),
    };
    write(&message, &response.outputs, binary)
}

fn is_true(parameters: &Parameters, name: &str) -> bool {
    matches!(parameters.get(name), Some(Parameter::Bool(true)))
}

/// Parses the JSON. Returns it with the bytes after it.
fn split(body: &[u8], json_length: Option<usize>) -> Result<(Message, &[u8]), ProtocolError> {
    // Without a header the whole body is JSON.
    let (json, rest) = body
        .split_at_checked(json_length.unwrap_or(body.len()))
        .ok_or_else(|| ProtocolError::HeaderLength {
            length: json_length.unwrap_or_default().to_string(),
            found: body.len(),
        })?;
    let message = serde_json::from_slice(json).map_err(|error| ProtocolError::Json {
        reason: error.to_string(),
    })?;
    Ok((message, rest))
}

/// The tensors of a message. Binary tensors follow the JSON in order, and have to use up the body.
fn tensors(
    described: Vec<TensorJson>,
    rest: &mut &[u8],
) -> Result<Vec<NamedTensor>, ProtocolError> {
    let mut read = Vec::new();
    for one in described {
        let name = one.name;
        let datatype = one.datatype.unwrap_or_default();
        if datatype != DATATYPE {
            return Err(ProtocolError::Datatype {
                tensor: name,
                found: datatype,
            });
        }
        let shape = one.shape.unwrap_or_default();
        let size = one.parameters.as_ref().and_then(|own| own.get(BINARY_SIZE));
        // A tensor has either JSON data or a size in the binary part, never both.
        let values = match (size, one.data) {
            (None, Some(Numbers(values))) => values,
            (Some(Parameter::Integer(size)), None) => take(&name, *size, rest)?,
            _ => return Err(ProtocolError::NoData { tensor: name }),
        };
        let tensor = tensor(&name, &shape.0, values)?;
        read.push(NamedTensor { name, tensor });
    }
    if rest.is_empty() {
        Ok(read)
    } else {
        Err(ProtocolError::Trailing { found: rest.len() })
    }
}

/// The next `size` bytes as numbers.
fn take(name: &str, size: i64, rest: &mut &[u8]) -> Result<Vec<f32>, ProtocolError> {
    let error = |found| ProtocolError::Bytes {
        tensor: name.to_owned(),
        expected: u64::try_from(size).unwrap_or(0),
        found,
    };
    let found = rest.len();
    // A negative size, or one beyond the body, is an error before anything is allocated.
    let size = usize::try_from(size).map_err(|_| error(found))?;
    let (taken, left) = rest.split_at_checked(size).ok_or_else(|| error(found))?;
    *rest = left;
    floats(taken).ok_or_else(|| error(found))
}

/// The JSON of tensors; binary ones only have their size in it.
fn to_json(tensors: &[NamedTensor], binary: &BinaryOutputs) -> Vec<TensorJson> {
    let describe = |one: &NamedTensor| {
        // Four bytes per value of FP32.
        let as_bytes = binary.contains(&one.name);
        let size = 4 * one.tensor.values().len();
        let size = Parameter::Integer(i64::try_from(size).unwrap_or(i64::MAX));
        TensorJson {
            name: one.name.clone(),
            shape: Some(ShortList(
                one.tensor.shape().iter().map(|&n| n as i64).collect(),
            )),
            datatype: Some(DATATYPE.to_owned()),
            parameters: as_bytes.then(|| [(BINARY_SIZE.to_owned(), size)].into_iter().collect()),
            data: (!as_bytes).then(|| Numbers(one.tensor.values().to_vec())),
        }
    };
    tensors.iter().map(describe).collect()
}

/// The body of a message: JSON, then the binary tensors in the same order.
fn write(
    message: &Message,
    tensors: &[NamedTensor],
    binary: &BinaryOutputs,
) -> Result<Body, ProtocolError> {
    let mut body = serde_json::to_vec(message).map_err(|error| ProtocolError::Json {
        reason: error.to_string(),
    })?;
    let json_length = body.len();
    let mut any = false;
    for one in tensors.iter().filter(|one| binary.contains(&one.name)) {
        any = true;
        body.extend(bytes(one.tensor.values()));
    }
    Ok(Body {
        bytes: body,
        json_length: any.then_some(json_length),
    })
}
