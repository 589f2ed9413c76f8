//! Named tensors in safetensors files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::safetensors::Load;
use candle_core::{Device, Tensor};
use safetensors::SafeTensors;

use super::{NnError, TensorMap};

/// Writes tensors under a temporary name in the same folder, then renames: the file appears whole
/// or not at all. Equal tensors give equal bytes.
///
/// There is no metadata, because the format's library writes its entries in an order that changes
/// from run to run.
pub(super) fn save(path: &Path, tensors: &TensorMap) -> Result<(), NnError> {
    let contiguous = tensors
        .iter()
        .map(|(name, tensor)| Ok((name.as_str(), tensor.contiguous()?)))
        .collect::<candle_core::Result<Vec<_>>>()?;
    let bytes = safetensors::serialize(contiguous, None).map_err(|source| NnError::Format {
        path: path.to_owned(),
        source,
    })?;
    write_whole(path, &bytes).map_err(|source| NnError::File {
        path: path.to_owned(),
        source,
    })
}

fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let temporary: PathBuf = path.with_file_name(name);
    fs::write(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, path))
        .inspect_err(|_| {
            // The first error is the one to report; the remainder may not even exist.
            let _ = fs::remove_file(&temporary);
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
