//! ONNX models, executed by `RTen`.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rten::{DataType, Dimension, Model, NodeId, RunOptions, ThreadPool, ValueType};
use rten_tensor::prelude::{AsView, Layout};

use crate::network::NetworkError;
use crate::protocol::{DATATYPE, TensorMetadata};
use crate::tensor::Tensor;

/// An ONNX model with one input and one output of type float. Clones share the weights.
pub(super) struct OnnxModel {
    model: Arc<Model>,
    /// One thread per worker: parallelism comes from running several workers.
    threads: Arc<ThreadPool>,
    input: TensorMetadata,
    output: TensorMetadata,
}

impl Clone for OnnxModel {
    fn clone(&self) -> Self {
        Self {
            model: Arc::clone(&self.model),
            threads: Arc::new(ThreadPool::with_num_threads(1)),
            input: self.input.clone(),
            output: self.output.clone(),
        }
    }
}

impl fmt::Debug for OnnxModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnnxModel")
            .field("input", &self.input)
            .field("output", &self.output)
            .finish_non_exhaustive()
    }
}

impl OnnxModel {
    pub(super) fn read(path: &Path) -> Result<Self, NetworkError> {
        load(path).map_err(|reason| NetworkError::Onnx {
            path: path.to_owned(),
            reason,
        })
    }

    pub(super) fn input(&self) -> &TensorMetadata {
        &self.input
    }

    pub(super) fn output(&self) -> &TensorMetadata {
        &self.output
    }

    pub(super) fn answer(&self, query: &Tensor) -> Result<Tensor, String> {
        let shape = one_row(&self.input.shape);
        let values = query.values().to_vec();
        let input = rten_tensor::Tensor::try_from_data(shape.as_slice(), values);
        let input = input.map_err(|_| format!("expected a query of the shape {shape:?}"))?;
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&self.threads)));
        let output = self.model.run_one(input.into(), Some(options));
        let output = output.map_err(|error| error.to_string())?;
        let output: rten_tensor::Tensor<f32> =
            output.try_into().map_err(|error| format!("{error}"))?;
        let shape = output.shape().as_ref().to_vec();
        Tensor::new(shape, output.to_vec()).map_err(|error| error.to_string())
    }
}

/// A shape with a first dimension of 1.
fn one_row(shape: &[i64]) -> Vec<usize> {
    let inner = shape.iter().skip(1);
    let inner = inner.map(|&n| usize::try_from(n).unwrap_or(0));
    std::iter::once(1).chain(inner).collect()
}

fn load(path: &Path) -> Result<OnnxModel, String> {
    let model = Model::load_file(path).map_err(|error| error.to_string())?;
    let ([input], [output]) = (model.input_ids(), model.output_ids()) else {
        let (inputs, outputs) = (model.input_ids().len(), model.output_ids().len());
        return Err(format!(
            "{inputs} inputs and {outputs} outputs, expected one of each"
        ));
    };
    let (input, output) = (described(&model, *input)?, described(&model, *output)?);
    let threads = ThreadPool::with_num_threads(1);
    let mut loaded = OnnxModel {
        model: Arc::new(model),
        threads: Arc::new(threads),
        input,
        output,
    };
    // The declared output shape may be missing or wrong, and an operator unsupported: a trial query
    // shows both at start-up.
    let shape = one_row(&loaded.input.shape);
    let zeros = vec![0.0; shape.iter().product()];
    let query = Tensor::new(shape, zeros).map_err(|error| error.to_string())?;
    let answer = loaded.answer(&query);
    let answer =
        answer.map_err(|reason| format!("the model fails on a query of zeros: {reason}"))?;
    if answer.shape().first() != Some(&1) {
        let found = answer.shape();
        return Err(format!(
            "the output for one query has the shape {found:?}, expected a first dimension of 1"
        ));
    }
    let inner = answer.shape().iter().skip(1).map(|&n| n as i64);
    loaded.output.shape = std::iter::once(-1).chain(inner).collect();
    Ok(loaded)
}

/// The name and, for all dimensions but that of the batch, the shape of an input or output.
fn described(model: &Model, node: NodeId) -> Result<TensorMetadata, String> {
    let info = model
        .node_info(node)
        .ok_or("the graph lacks its input or output")?;
    let name = info.name().unwrap_or_default().to_owned();
    if let Some(kind) = info.dtype()
        && kind != ValueType::Tensor(DataType::Float)
    {
        return Err(format!("`{name}` is of the type {kind}, expected float"));
    }
    let is_input = model.input_ids().contains(&node);
    let shape = match info.shape() {
        Some(shape) => shape,
        None if is_input => return Err(format!("the shape of `{name}` is unknown")),
        None => Vec::new(),
    };
    let fixed = |(place, dimension): (usize, &Dimension)| match dimension {
        // The batch dimension: queries are run one at a time, whatever the model allows.
        Dimension::Symbolic(_) | Dimension::Fixed(1) if place == 0 => Ok(-1),
        Dimension::Fixed(n) if place > 0 && *n > 0 => Ok(i64::try_from(*n).unwrap_or(i64::MAX)),
        // The trial query determines it.
        _ if !is_input => Ok(-1),
        Dimension::Fixed(n) => Err(format!("dimension {place} of `{name}` is {n}, expected 1")),
        Dimension::Symbolic(_) => Err(format!("dimension {place} of `{name}` is not fixed")),
    };
    let shape: Result<Vec<i64>, String> = shape.iter().enumerate().map(fixed).collect();
    Ok(TensorMetadata {
        name,
        datatype: DATATYPE.to_owned(),
        shape: shape?,
    })
}
