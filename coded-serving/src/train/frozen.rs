//! Networks for inference inside a graph: gradients pass through them and stop at their weights.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use crate::network::{Batch, Bijection as _, Coupling};

/// The latents of a batch of shape `[n, d]`. Only the gradient in the batch is computed: a third of
/// the work of a trained network is saved.
pub(super) fn latents(x: &Tensor, bijection: &Arc<Coupling>) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Frozen(Arc::clone(bijection)))
}

struct Frozen(Arc<Coupling>);

impl CustomOp1 for Frozen {
    fn name(&self) -> &'static str {
        "frozen bijection"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("expected contiguous inputs, found {layout:?}");
        };
        let (count, width) = layout.shape().dims2()?;
        let values = &x.as_slice::<f32>()?[start..end];
        let batch = Batch::from_column_slice(width, count, values);
        let latents = self.0.forward(&batch).map_err(candle_core::Error::wrap)?;
        let latents = CpuStorage::F32(latents.as_slice().to_vec());
        Ok((latents, layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let batch = as_batch(x)?;
        let gradient = as_batch(gradient)?;
        let slope = self
            .0
            .pull_back(&batch, &gradient)
            .map_err(candle_core::Error::wrap)?;
        Tensor::from_vec(slope.as_slice().to_vec(), x.shape(), x.device()).map(Some)
    }
}

/// A tensor of shape `[n, d]` as a batch.
pub(super) fn as_batch(tensor: &Tensor) -> Result<Batch> {
    let (count, width) = tensor.dims2()?;
    let values: Vec<f32> = tensor.flatten_all()?.to_vec1()?;
    Ok(Batch::from_vec(width, count, values))
}

/// A batch as a tensor of shape `[n, d]`.
pub(super) fn as_tensor(batch: &Batch) -> Result<Tensor> {
    let values = batch.as_slice().to_vec();
    Tensor::from_vec(
        values,
        (batch.ncols(), batch.nrows()),
        &candle_core::Device::Cpu,
    )
}
