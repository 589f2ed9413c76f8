//! Named tensors in safetensors files.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use septet_core::io;

use super::NetworkError;

/// The values of a tensor in row-major order, with its shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// The dimensions.
    pub shape: Vec<usize>,
    /// The numbers.
    pub values: Vec<f32>,
}

/// Named arrays, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensors {
    arrays: BTreeMap<String, Array>,
}

impl Tensors {
    /// The array of this name.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Missing`].
    pub fn get(&self, name: &str) -> Result<&Array, NetworkError> {
        self.arrays.get(name).ok_or_else(|| NetworkError::Missing {
            name: name.to_owned(),
        })
    }

    /// Whether there is an array of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.arrays.contains_key(name)
    }

    /// Adds an array, replacing one of the same name.
    pub fn insert(&mut self, name: impl Into<String>, array: Array) {
        self.arrays.insert(name.into(), array);
    }

    /// The numbered parts `<prefix><n * step>` with a tensor `<part><tensor>`, from `n = 0`.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Missing`] when a number is skipped: without that part it would be another network.
    pub(super) fn numbered(
        &self,
        prefix: &str,
        step: usize,
        tensor: &str,
    ) -> Result<Vec<String>, NetworkError> {
        let step = step.max(1);
        let part = |n: usize| format!("{prefix}{}", n * step);
        let parts: Vec<String> = (0..)
            .map(part)
            .take_while(|part| self.contains(&format!("{part}{tensor}")))
            .collect();
        let number_of = |name: &str| -> Option<usize> {
            let rest = name.strip_prefix(prefix)?;
            rest.split('.').next()?.parse().ok()
        };
        // Any tensor of this prefix with a higher number means that a part is missing.
        let next = parts.len() * step;
        if self
            .names()
            .filter_map(number_of)
            .any(|found| found >= next)
        {
            return Err(NetworkError::Missing {
                name: format!("{}{tensor}", part(parts.len())),
            });
        }
        Ok(parts)
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.arrays.keys().map(String::as_str)
    }

    /// Reads all arrays of a file.
    ///
    /// # Errors
    ///
    /// [`NetworkError::File`] and [`NetworkError::Format`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, NetworkError> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|source| NetworkError::File {
            path: path.to_owned(),
            source,
        })?;
        Self::from_bytes(&bytes).map_err(|reason| NetworkError::Format {
            path: path.to_owned(),
            reason,
        })
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
        let mut tensors = Self::default();
        for (name, view) in file.tensors() {
            // Other types would need a conversion that changes the network.
            if view.dtype() != Dtype::F32 {
                return Err(format!("`{name}` has the type {:?}", view.dtype()));
            }
            let numbers = view.data().chunks_exact(4);
            let values = numbers.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            let array = Array {
                shape: view.shape().to_vec(),
                values: values.collect(),
            };
            // A network with NaN parameters answers every query with NaN: reject it at start-up.
            if !array.values.iter().all(|value| value.is_finite()) {
                return Err(format!("`{name}` has a value that is not finite"));
            }
            tensors.insert(name, array);
        }
        Ok(tensors)
    }

    /// Writes all arrays. The file appears whole or not at all; equal arrays give equal bytes.
    ///
    /// # Errors
    ///
    /// [`NetworkError::File`] and [`NetworkError::Format`], when an array's values do not fill its
    /// shape.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), NetworkError> {
        let path = path.as_ref();
        let format = |error: safetensors::SafeTensorError| NetworkError::Format {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        let bytes: Vec<(&str, &[usize], Vec<u8>)> = self
            .arrays
            .iter()
            .map(|(name, array)| {
                let bytes = array.values.iter().flat_map(|value| value.to_le_bytes());
                (name.as_str(), array.shape.as_slice(), bytes.collect())
            })
            .collect();
        let views = bytes
            .iter()
            .map(|(name, shape, bytes)| {
                Ok((*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes)?))
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(format)?;
        let whole = serialize(views, None).map_err(format)?;
        io::write_whole(path, |file| file.write_all(&whole)).map_err(|source| NetworkError::File {
            path: path.to_owned(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skipped_part_is_an_error() {
        let mut tensors = Tensors::default();
        let array = Array {
            shape: vec![1],
            values: vec![1.0],
        };
        for name in [
            "order",
            "block.0.0.weight",
            "block.2.0.weight",
            "head.weight",
        ] {
            tensors.insert(name, array.clone());
        }
        let error = tensors.numbered("block.", 1, ".0.weight").unwrap_err();
        assert!(
            matches!(&error, NetworkError::Missing { name } if name == "block.1.0.weight"),
            "{error}"
        );
        let parts = tensors.numbered("block.", 2, ".0.weight").unwrap();
        assert_eq!(parts, ["block.0", "block.2"]);
        assert!(tensors.numbered("", 1, ".weight").unwrap().is_empty());
    }
}
