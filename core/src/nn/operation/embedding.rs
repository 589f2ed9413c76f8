//! Rows of a table, looked up by their numbers.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor};

use super::values::{Float, by_type, elements, stored, with_elements};
use crate::nn::vector::vectorized;

/// The rows of `table` (`[rows, width]`, f32 or f64) that `ids` (u32, of any shape) name: a tensor of
/// the shape of `ids` with an axis of length `width` added.
///
/// The backward pass adds the gradients of equal ids in their order, so that it gives the same bits in
/// every run. It fills a tensor of the size of the table.
///
/// # Errors
/// Candle's error for an id that is not below the number of rows, other types or shapes, or tensors
/// that are not on the CPU.
pub fn embedding(ids: &Tensor, table: &Tensor) -> Result<Tensor> {
    let (rows, width) = table.dims2()?;
    if ids.dtype() != DType::U32 {
        candle_core::bail!("embedding: ids of type {:?}, expected U32", ids.dtype());
    }
    let mut shape = ids.dims().to_vec();
    shape.push(width);
    // Checked here once; the passes index without a check of their own.
    let ids = with_elements([ids], |[ids]: [&[u32]; 1]| Ok(ids.to_vec()))?;
    if let Some(position) = ids.iter().position(|&id| id as usize >= rows) {
        candle_core::bail!(
            "embedding: id {} at position {position}, expected less than the {rows} rows of the table",
            ids[position]
        );
    }
    table
        .contiguous()?
        .apply_op1(Embedding { ids, width, shape })
}

struct Embedding {
    ids: Vec<u32>,
    width: usize,
    /// Of the result. A reshape after the operation would have a backward pass of its own.
    shape: Vec<usize>,
}

impl Embedding {
    /// The elements of the row of an id in the table.
    fn place(&self, id: u32) -> std::ops::Range<usize> {
        let start = id as usize * self.width;
        start..start + self.width
    }
}

impl CustomOp1 for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn cpu_fwd(&self, table: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        by_type!("embedding", table.dtype(), forward(self, table, layout))
    }

    fn bwd(&self, table: &Tensor, _result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        by_type!("embedding", table.dtype(), backward(self, table, gradient)).map(Some)
    }
}

fn forward<T: Float>(
    operation: &Embedding,
    table: &CpuStorage,
    layout: &Layout,
) -> Result<(CpuStorage, Shape)> {
    let table = elements::<T>(table, layout)?;
    let mut result = Vec::with_capacity(operation.ids.len() * operation.width);
    for &id in &operation.ids {
        result.extend_from_slice(&table[operation.place(id)]);
    }
    Ok(stored(result, operation.shape.as_slice()))
}

fn backward<T: Float>(operation: &Embedding, table: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let mut to_table = vec![T::zero(); table.elem_count()];
    with_elements([gradient], |[gradient]: [&[T]; 1]| {
        vectorized(
            #[inline(always)]
            |_| {
                let rows = gradient.chunks_exact(operation.width.max(1));
                // One after another, so that equal ids are added in a fixed order.
                for (&id, row) in operation.ids.iter().zip(rows) {
                    for (sum, &value) in to_table[operation.place(id)].iter_mut().zip(row) {
                        *sum += value;
                    }
                }
            },
        );
        Ok(())
    })?;
    Tensor::from_vec(to_table, table.shape(), table.device())
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::nn::assert_gradient;
    use crate::nn::operation::testing::{assert_close, assert_f32_gradient, draw, values};

    #[test]
    fn it_is_the_choice_of_candle_and_differentiable() {
        let table = draw("table", (4, 3));
        let ids = Tensor::new(&[[2u32, 0, 2], [3, 3, 2]], &Device::Cpu).unwrap();
        let found = embedding(&ids, &table).unwrap();
        let theirs = table.index_select(&ids.flatten_all().unwrap(), 0).unwrap();
        assert_close(&found, &theirs.reshape((2, 3, 3)).unwrap(), 0.0);
        assert_gradient(std::slice::from_ref(&table), 1e-8, |x| {
            embedding(&ids, &x[0])?.sqr()
        });
        assert_f32_gradient(&[table], 1e-6, |x| embedding(&ids, &x[0])?.sqr());
        // Ids and a table that are not contiguous.
        let turned = draw("table", (3, 4));
        assert_gradient(&[turned], 1e-8, |x| embedding(&ids.t()?, &x[0].t()?)?.sqr());
        let one = Tensor::new(1u32, &Device::Cpu).unwrap();
        assert_eq!(embedding(&one, &draw("table", (4, 3))).unwrap().dims(), [3]);
    }

    #[test]
    fn an_id_outside_the_table_is_named() {
        let table = draw("table", (4, 3));
        let ids = Tensor::new(&[1u32, 4], &Device::Cpu).unwrap();
        let error = embedding(&ids, &table).unwrap_err().to_string();
        let expected = "embedding: id 4 at position 1, expected less than the 4 rows of the table";
        assert!(error.starts_with(expected), "{error}");
        assert!(embedding(&draw("ids", 3), &table).is_err());
        assert!(embedding(&ids, &draw("table", 8)).is_err());
    }

    #[test]
    fn no_ids_and_no_columns() {
        let none = Tensor::zeros((2, 0), DType::U32, &Device::Cpu).unwrap();
        let found = embedding(&none, &draw("table", (4, 3))).unwrap();
        assert_eq!(found.dims(), [2, 0, 3]);
        let ids = Tensor::new(&[1u32, 0], &Device::Cpu).unwrap();
        let narrow = Tensor::zeros((4, 0), DType::F32, &Device::Cpu).unwrap();
        assert_eq!(embedding(&ids, &narrow).unwrap().dims(), [2, 0]);
        assert!(values(&embedding(&ids, &narrow).unwrap()).is_empty());
    }
}
