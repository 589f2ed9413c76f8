//! Named tensors in safetensors files.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Write as _;
use std::path::Path;

use candle_core::safetensors::Load;
use candle_core::{Device, Tensor};
use safetensors::SafeTensors;

use super::{NnError, TensorMap};

/// Writes tensors, and at most one entry of metadata, atomically. Equal tensors give equal bytes.
///
/// One entry, because the format's library writes several in an order that changes from run to
/// run.
pub(super) fn save(
    path: &Path,
    tensors: &TensorMap,
    metadata: Option<(&str, String)>,
) -> Result<(), NnError> {
    let metadata = metadata.map(|(key, value)| HashMap::from([(key.to_owned(), value)]));
    let contiguous = tensors
        .iter()
        .map(|(name, tensor)| Ok((name.as_str(), tensor.contiguous()?)))
        .collect::<candle_core::Result<Vec<_>>>()?;
    let bytes = safetensors::serialize(contiguous, metadata).map_err(|source| NnError::Format {
        path: path.to_owned(),
        source,
    })?;
    let written = crate::io::write_whole(path, |file| file.write_all(&bytes));
    written.map_err(|source| NnError::File {
        path: path.to_owned(),
        source,
    })
}

/// Reads all tensors and the metadata of a file. Nothing larger than the file is allocated for it.
pub(super) fn load(
    path: &Path,
    device: &Device,
) -> Result<(TensorMap, HashMap<String, String>), NnError> {
    let format = |source| NnError::Format {
        path: path.to_owned(),
        source,
    };
    let bytes = fs::read(path).map_err(|source| NnError::File {
        path: path.to_owned(),
        source,
    })?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(format)?;
    let file = SafeTensors::deserialize(&bytes).map_err(format)?;
    let tensors = file
        .iter()
        .map(|(name, view)| Ok((name.to_owned(), view.load(device)?)))
        .collect::<candle_core::Result<BTreeMap<String, Tensor>>>()?;
    Ok((tensors, header.metadata().clone().unwrap_or_default()))
}

/// Type and shape as messages give them: `f32 [64, 10]`.
pub(super) fn describe(tensor: &Tensor) -> String {
    format!("{} {:?}", tensor.dtype().as_str(), tensor.dims())
}
