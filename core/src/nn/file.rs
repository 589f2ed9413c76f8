//! Named tensors in safetensors files.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use candle_core::safetensors::Load;
use candle_core::{Device, Tensor};
use safetensors::SafeTensors;

use super::{NnError, TensorMap};

/// Writes tensors; the file appears whole or not at all. Equal tensors give equal bytes.
///
/// There is no metadata, because the format's library writes its entries in an order that changes
/// from run to run.
pub(super) fn save(path: &Path, tensors: &TensorMap) -> Result<(), NnError> {
    // The format knows no strides: a view is stored in the order of its elements.
    let contiguous = tensors
        .iter()
        .map(|(name, tensor)| Ok((name.as_str(), tensor.contiguous()?)))
        .collect::<candle_core::Result<Vec<_>>>()?;
    let bytes = safetensors::serialize(contiguous, None).map_err(|source| NnError::Format {
        path: path.to_owned(),
        source,
    })?;
    let written = crate::io::write_whole(path, |file| file.write_all(&bytes));
    written.map_err(|source| NnError::File {
        path: path.to_owned(),
        source,
    })
}

/// Reads all tensors of a file. Nothing larger than the file is allocated for it.
pub(super) fn load(path: &Path, device: &Device) -> Result<TensorMap, NnError> {
    let format = |source| NnError::Format {
        path: path.to_owned(),
        source,
    };
    let bytes = fs::read(path).map_err(|source| NnError::File {
        path: path.to_owned(),
        source,
    })?;
    // The header is checked against the length of the file before a tensor is allocated.
    let file = SafeTensors::deserialize(&bytes).map_err(format)?;
    let tensors = file
        .iter()
        .map(|(name, view)| Ok((name.to_owned(), view.load(device)?)))
        .collect::<candle_core::Result<BTreeMap<String, Tensor>>>()?;
    Ok(tensors)
}

/// Type and shape as messages give them: `f32 [64, 10]`.
pub(super) fn describe(tensor: &Tensor) -> String {
    format!("{} {:?}", tensor.dtype().as_str(), tensor.dims())
}
