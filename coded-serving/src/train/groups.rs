//! Weighted sums over the members of groups, inside a graph.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use crate::code::combine;

/// `x` of shape `[n k, h]` holds groups of `k` rows; the result of shape `[n, h]` their sums with these
/// weights. Candle's own sums over an axis that is not the last are dozens of times slower.
pub(super) fn sum_of_groups(x: &Tensor, weights: &[f32]) -> Result<Tensor> {
    x.contiguous()?.apply_op1(GroupSum(weights.to_vec()))
}

struct GroupSum(Vec<f32>);

impl CustomOp1 for GroupSum {
    fn name(&self) -> &'static str {
        "sum of groups"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("expected contiguous rows, found {layout:?}");
        };
        let (rows, width) = layout.shape().dims2()?;
        let size = self.0.len();
        if size == 0 || width == 0 || !rows.is_multiple_of(size) {
            candle_core::bail!("{rows} rows of {width} make no groups of {size}");
        }
        let values = &x.as_slice::<f32>()?[start..end];
        let mut sums = vec![0.0; rows / size * width];
        for (group, sum) in values
            .chunks_exact(size * width)
            .zip(sums.chunks_exact_mut(width))
        {
            let members: Vec<&[f32]> = group.chunks_exact(width).collect();
            combine(&self.0, &members, sum).map_err(candle_core::Error::wrap)?;
        }
        Ok((CpuStorage::F32(sums), Shape::from((rows / size, width))))
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (_, width) = x.dims2()?;
        let gradient: Vec<f32> = gradient.flatten_all()?.to_vec1()?;
        let mut slope = Vec::with_capacity(x.elem_count());
        for row in gradient.chunks_exact(width) {
            for &weight in &self.0 {
                slope.extend(row.iter().map(|value| weight * value));
            }
        }
        Tensor::from_vec(slope, x.shape(), x.device()).map(Some)
    }
}
