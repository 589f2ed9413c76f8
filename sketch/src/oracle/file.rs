//! Model files in the safetensors format.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Write;
use std::path::Path;

use safetensors::{Dtype, SafeTensors, View};

use crate::error::SketchError;

/// A tensor of a model, row after row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Array {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

impl Array {
    pub(crate) fn new(shape: &[usize], values: Vec<f32>) -> Self {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        Self {
            shape: shape.to_vec(),
            values,
        }
    }
}

impl View for &Array {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> std::borrow::Cow<'_, [u8]> {
        let bytes = self.values.iter().flat_map(|value| value.to_le_bytes());
        bytes.collect::<Vec<u8>>().into()
    }

    fn data_len(&self) -> usize {
        4 * self.values.len()
    }
}

/// The one entry of the metadata: the kind of model and its features. (The library writes several
/// entries in an order that changes from run to run.)
const KIND: &str = "septet oracle";

/// Writes a model file, which is replaced atomically. Equal models give equal bytes.
pub(crate) fn save(
    path: &Path,
    kind: &str,
    arrays: &BTreeMap<String, Array>,
) -> Result<(), SketchError> {
    let metadata = HashMap::from([(KIND.to_owned(), kind.to_owned())]);
    let bytes = safetensors::serialize(arrays, Some(metadata))
        .map_err(std::io::Error::other)
        .map_err(SketchError::file(path))?;
    septet_core::io::write_whole(path, |file| file.write_all(&bytes))
        .map_err(SketchError::file(path))
}

/// A model file with the tensors that have not been taken yet.
#[derive(Debug)]
pub(crate) struct ModelFile<'a> {
    path: &'a Path,
    arrays: BTreeMap<String, Array>,
}

impl<'a> ModelFile<'a> {
    /// Reads a file that must contain a model of this kind. Allocates at most the size of the file.
    pub(crate) fn load(path: &'a Path, kind: &str) -> Result<Self, SketchError> {
        let bytes = fs::read(path).map_err(SketchError::file(path))?;
        let refuse = |item: &str, expected: &str, found: &dyn std::fmt::Display| {
            model_error(path, item, expected, found)
        };
        // The metadata names the kind of model and its features, before any tensor is interpreted.
        let not_safetensors = |error| refuse("the file", "safetensors", &format_args!("{error}"));
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(not_safetensors)?;
        let metadata = header.metadata().as_ref();
        match metadata.and_then(|metadata| metadata.get(KIND)) {
            Some(found) if found == kind => {}
            Some(found) => return Err(refuse("the model", kind, found)),
            None => return Err(refuse("the model", kind, &"a file of another program")),
        }
        // Tensors of other types are refused rather than converted: their scores would differ.
        let tensors = SafeTensors::deserialize(&bytes).map_err(not_safetensors)?;
        let mut arrays = BTreeMap::new();
        for (name, view) in tensors.iter() {
            if view.dtype() != Dtype::F32 {
                return Err(refuse(name, "32-bit floats", &view.dtype()));
            }
            let (numbers, _) = view.data().as_chunks();
            let array = Array {
                shape: view.shape().to_vec(),
                values: numbers
                    .iter()
                    .map(|&number| f32::from_le_bytes(number))
                    .collect(),
            };
            arrays.insert(name.to_owned(), array);
        }
        Ok(Self { path, arrays })
    }

    /// Takes a tensor with `N` axes, none of length 0.
    pub(crate) fn take<const N: usize>(
        &mut self,
        name: &str,
    ) -> Result<([usize; N], Vec<f32>), SketchError> {
        // Removed, so that `finish` can tell which tensors are superfluous.
        let Some(array) = self.arrays.remove(name) else {
            return Err(self.error(name, &format!("a tensor with {N} axes"), &"nothing"));
        };
        match <[usize; N]>::try_from(array.shape.as_slice()) {
            Ok(shape) if !shape.contains(&0) => Ok((shape, array.values)),
            _ => Err(self.error(
                name,
                &format!("a tensor with {N} axes, none empty"),
                &format!("the shape {:?}", array.shape),
            )),
        }
    }

    /// Takes a tensor of this shape.
    pub(crate) fn take_shape<const N: usize>(
        &mut self,
        name: &str,
        expected: [usize; N],
    ) -> Result<Vec<f32>, SketchError> {
        let (found, values) = self.take::<N>(name)?;
        if found == expected {
            Ok(values)
        } else {
            let expected = format!("the shape {expected:?}");
            Err(self.error(name, &expected, &format!("the shape {found:?}")))
        }
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.arrays.contains_key(name)
    }

    /// Fails unless every tensor was taken.
    pub(crate) fn finish(self) -> Result<(), SketchError> {
        match self.arrays.keys().next() {
            None => Ok(()),
            Some(name) => Err(self.error(name, "no further tensor", &"one")),
        }
    }

    pub(crate) fn error(
        &self,
        item: &str,
        expected: &str,
        found: &dyn std::fmt::Display,
    ) -> SketchError {
        model_error(self.path, item, expected, found)
    }
}

fn model_error(
    path: &Path,
    item: &str,
    expected: &str,
    found: &dyn std::fmt::Display,
) -> SketchError {
    SketchError::Model {
        path: path.to_owned(),
        item: item.to_owned(),
        expected: expected.to_owned(),
        found: found.to_string(),
    }
}
