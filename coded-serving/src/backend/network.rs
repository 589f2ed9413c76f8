//! Networks from files, as models of workers in this process.

use std::path::Path;

use crate::network::{Bijection, Coupling, InvertibleClassifier, Mlp, NetworkError, Tensors};
use crate::protocol::{DATATYPE, ModelMetadata, TensorMetadata};
use crate::tensor::Tensor;

use super::LocalModel;

/// A network that answers queries, as [`train`](crate::train) or `PyTorch` made it, or any ONNX model
/// (feature `onnx`).
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
    /// Reads a network: an ONNX model when the name ends in `.onnx`, else tensors in a safetensors file,
    /// which are those of an [`InvertibleClassifier`] or the layers of an [`Mlp`], named `0.weight`,
    /// `1.weight`, or as `PyTorch` names them, `nn.0.weight`, `nn.2.weight`.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is no such network.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, NetworkError> {
        let path = path.as_ref();
        if path
            .extension()
            .is_some_and(|extension| extension == "onnx")
        {
            #[cfg(feature = "onnx")]
            return Ok(Self(Kind::Onnx(super::onnx::OnnxModel::read(path)?)));
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
        let (prefix, step) = if tensors.contains("nn.0.weight") {
            ("nn.", 2)
        } else {
            ("", 1)
        };
        Ok(Mlp::from_tensors(&tensors, prefix, step)?.into())
    }

    /// The invertible network, if it is one.
    #[must_use]
    pub fn invertible(&self) -> Option<&InvertibleClassifier<Coupling>> {
        match &self.0 {
            Kind::Invertible(network) => Some(network),
            _ => None,
        }
    }

    /// Multiply-adds for one query; none where they are not known.
    #[must_use]
    pub fn operations(&self) -> Option<u64> {
        match &self.0 {
            Kind::Invertible(network) => Some(network.operations()),
            Kind::Layers(network) => Some(network.operations()),
            #[cfg(feature = "onnx")]
            Kind::Onnx(_) => None,
        }
    }

    /// What a server says of the model under a name.
    #[must_use]
    pub fn metadata(&self, name: &str) -> ModelMetadata {
        let (platform, input, output) = match &self.0 {
            Kind::Invertible(network) => (
                "septet",
                plain("input", network.bijection().width()),
                plain("output", network.head().outputs()),
            ),
            Kind::Layers(network) => (
                "septet",
                plain("input", network.inputs()),
                plain("output", network.outputs()),
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

fn plain(name: &str, width: usize) -> TensorMetadata {
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
