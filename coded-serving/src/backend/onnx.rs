//! ONNX models, run by tract.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tract_onnx::prelude::{
    Framework, InferenceModelExt, IntoRunnable, IntoTensor, TValue, TypedRunnableModel, tvec,
};
use tract_onnx::tract_hir::infer::{Factoid, InferenceFact};

use crate::network::NetworkError;
use crate::protocol::{DATATYPE, TensorMetadata};
use crate::tensor::Tensor;

/// An ONNX model with one input and one output of real numbers.
#[derive(Clone)]
pub(super) struct OnnxModel {
    model: Arc<TypedRunnableModel>,
    input: TensorMetadata,
    output: TensorMetadata,
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
        load(path).map_err(|reason| NetworkError::Format {
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
        let mut shape: Vec<usize> = self
            .input
            .shape
            .iter()
            .map(|&n| n.unsigned_abs() as usize)
            .collect();
        if let Some(first) = shape.first_mut() {
            *first = 1;
        }
        let values = query.values().to_vec();
        let input = tract_onnx::prelude::Tensor::from_shape(&shape, &values).map_err(text)?;
        let inputs: tract_onnx::prelude::TVec<TValue> = tvec!(input.into_tensor().into());
        let outputs = self.model.run(inputs).map_err(text)?;
        let output = outputs.first().ok_or_else(|| "no output".to_owned())?;
        let view = output.to_plain_array_view::<f32>().map_err(text)?;
        Tensor::new(view.shape().to_vec(), view.iter().copied().collect())
            .map_err(|e| e.to_string())
    }
}

fn text(error: impl fmt::Display) -> String {
    format!("{error:#}")
}

fn load(path: &Path) -> Result<OnnxModel, String> {
    let mut model = tract_onnx::onnx().model_for_path(path).map_err(text)?;
    let (inputs, outputs) = (model.inputs.len(), model.outputs.len());
    if (inputs, outputs) != (1, 1) {
        return Err(format!(
            "{inputs} inputs and {outputs} outputs, expected one of each"
        ));
    }
    let fact: InferenceFact = model.input_fact(0).map_err(text)?.clone();
    let rank = fact
        .shape
        .rank()
        .concretize()
        .ok_or("the rank of the input is not known")?;
    let mut shape = Vec::new();
    for (place, dimension) in fact
        .shape
        .dims()
        .take(usize::try_from(rank).unwrap_or(0))
        .enumerate()
    {
        let known = dimension.concretize().and_then(|n| n.to_i64().ok());
        match known {
            // The batch is one query at a time, whatever the model allows.
            _ if place == 0 => shape.push(1),
            Some(n) if n > 0 => shape.push(usize::try_from(n).unwrap_or(0)),
            _ => return Err(format!("dimension {place} of the input is not fixed")),
        }
    }
    let input_name = model.node(model.inputs[0].node).name.clone();
    let output_name = model.outlet_label(model.outputs[0]).map_or_else(
        || model.node(model.outputs[0].node).name.clone(),
        str::to_owned,
    );
    let fixed = InferenceFact::dt_shape(tract_onnx::prelude::DatumType::F32, &shape);
    model.set_input_fact(0, fixed).map_err(text)?;
    let typed = model.into_optimized().map_err(text)?;
    let output = typed.output_fact(0).map_err(text)?;
    if output.datum_type != tract_onnx::prelude::DatumType::F32 {
        return Err(format!(
            "the output is of {:?}, expected F32",
            output.datum_type
        ));
    }
    let out_shape: Option<Vec<i64>> = output.shape.iter().map(|n| n.to_i64().ok()).collect();
    let with_batch = |shape: &[i64]| {
        let mut shape = shape.to_vec();
        if let Some(first) = shape.first_mut() {
            *first = -1;
        }
        shape
    };
    let described = |name: String, shape: Vec<i64>| TensorMetadata {
        name,
        datatype: DATATYPE.to_owned(),
        shape,
    };
    let in_shape: Vec<i64> = shape.iter().map(|&n| n as i64).collect();
    let out_shape = out_shape.ok_or("the shape of the output is not fixed")?;
    Ok(OnnxModel {
        input: described(input_name, with_batch(&in_shape)),
        output: described(output_name, with_batch(&out_shape)),
        model: typed.into_runnable().map_err(text)?,
    })
}
