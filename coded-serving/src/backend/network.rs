//! Networks from files, for workers in this process.

use std::path::Path;

use crate::network::{Bijection, Coupling, InvertibleClassifier, Mlp, NetworkError, Tensors};
use crate::protocol::{DATATYPE, ModelMetadata, TensorMetadata};
use crate::tensor::Tensor;

use super::LocalModel;

/// A network as [`train`](crate::train) or `PyTorch` saves it, or any ONNX model (feature `onnx`).
#[derive(Clone, Debug)]
pub struct LocalNetwork(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Invertible(InvertibleClassifier<Coupling>),
    Layers(Mlp),
    #[cfg(feature = "onnx")]
    Onnx(super::onnx::OnnxModel),
}

impl From<InvertibleClassifier<Coupling>> for LocalNetwork {
    fn from(network: InvertibleClassifier<Coupling>) -> Self {
        Self(Kind::Invertible(network))
    }
}

impl From<Mlp> for LocalNetwork {
    fn from(network: Mlp) -> Self {
        Self(Kind::Layers(network))
    }
}

impl LocalNetwork {
    /// Reads a network: an ONNX model if the name ends in `.onnx`, else a safetensors file with the tensors
    /// of an [`InvertibleClassifier`] or the layers of an [`Mlp`], named `0.weight`, `1.weight`, or as
    /// `PyTorch` does, `nn.0.weight`, `nn.2.weight`.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or does not hold such a network.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, NetworkError> {
        let path = path.as_ref();
        if path
            .extension()
            .is_some_and(|extension| extension == "onnx")
        {
            #[cfg(feature = "onnx")]
            return Ok(Self(Kind::Onnx(super::onnx::OnnxModel::read(path)?)));
            // A clear error instead of one about safetensors.
            #[cfg(not(feature = "onnx"))]
            return Err(NetworkError::Onnx {
                path: path.to_owned(),
                reason: "ONNX models need the feature `onnx`".to_owned(),
            });
        }
        let tensors = Tensors::read(path)?;
        if tensors.contains("head.weight") {
            return Ok(InvertibleClassifier::from_tensors(&tensors)?.into());
        }
        // PyTorch's `Sequential` numbers the rectifiers too, so its layers are every other module.
        let (prefix, step) = if tensors.contains("nn.0.weight") {
            ("nn.", 2)
        } else {
            ("", 1)
        };
        Ok(Mlp::from_tensors(&tensors, prefix, step)?.into())
    }

    /// The invertible network, if this is one.
    #[must_use]
    pub fn invertible(&self) -> Option<&InvertibleClassifier<Coupling>> {
        match &self.0 {
            Kind::Invertible(network) => Some(network),
            _ => None,
        }
    }

    /// Multiply-adds for one query; `None` for ONNX models.
    #[must_use]
    pub fn operations(&self) -> Option<u64> {
        match &self.0 {
            Kind::Invertible(network) => Some(network.operations()),
            Kind::Layers(network) => Some(network.operations()),
            #[cfg(feature = "onnx")]
            Kind::Onnx(_) => None,
        }
    }

    /// The metadata of the model, under this name.
    #[must_use]
    pub fn metadata(&self, name: &str) -> ModelMetadata {
        let (platform, input, output) = match &self.0 {
            Kind::Invertible(network) => (
                "septet",
                rows_of("input", network.bijection().width()),
                rows_of("output", network.head().outputs()),
            ),
            Kind::Layers(network) => (
                "septet",
                rows_of("input", network.inputs()),
                rows_of("output", network.outputs()),
            ),
            #[cfg(feature = "onnx")]
            Kind::Onnx(model) => ("onnx", model.input().clone(), model.output().clone()),
        };
        ModelMetadata {
            name: name.to_owned(),
            versions: vec!["1".to_owned()],
            platform: platform.to_owned(),
            inputs: vec![input],
            outputs: vec![output],
        }
    }
}

/// A tensor of any number of rows of this width.
fn rows_of(name: &str, width: usize) -> TensorMetadata {
    TensorMetadata {
        name: name.to_owned(),
        datatype: DATATYPE.to_owned(),
        shape: vec![-1, i64::try_from(width).unwrap_or(i64::MAX)],
    }
}

impl LocalModel for LocalNetwork {
    fn answer(&self, query: &Tensor) -> Result<Tensor, String> {
        match &self.0 {
            Kind::Invertible(network) => network.answer(query).map_err(|e| e.to_string()),
            Kind::Layers(network) => network.answer(query).map_err(|e| e.to_string()),
            #[cfg(feature = "onnx")]
            Kind::Onnx(model) => model.answer(query),
        }
    }
}
