//! The numbers of a tensor as a slice, in f32 or f64.

use candle_core::{CpuStorage, DType, Layout, Result, Shape, Tensor, WithDType};

/// The types that the operations here work in.
pub(super) trait Float: WithDType {}

impl Float for f32 {}
impl Float for f64 {}

/// Calls a function that is generic over [`Float`] with the type that a `DType` stands for.
macro_rules! by_type {
    ($name:expr, $dtype:expr, $function:ident($($argument:expr),* $(,)?)) => {
        match $dtype {
            candle_core::DType::F32 => $function::<f32>($($argument),*),
            candle_core::DType::F64 => $function::<f64>($($argument),*),
            other => candle_core::bail!("{}: expected f32 or f64, found {other:?}", $name),
        }
    };
}
pub(super) use by_type;

/// The elements of an operand, which the public functions have made contiguous.
pub(super) fn elements<'a, T: Float>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    let values = T::cpu_storage_as_slice(storage)?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => candle_core::bail!("expected a contiguous operand, found {layout:?}"),
    }
}

/// The elements of a tensor, copied.
pub(super) fn copied<T: Float>(tensor: &Tensor) -> Result<Vec<T>> {
    tensor.flatten_all()?.to_vec1()
}

/// What a forward pass returns.
pub(super) fn stored<T: Float>(values: Vec<T>, shape: impl Into<Shape>) -> (CpuStorage, Shape) {
    (T::to_cpu_storage_owned(values), shape.into())
}

/// An error unless all operands have one type.
pub(super) fn same_type(name: &str, tensors: &[&Tensor]) -> Result<DType> {
    let first = tensors[0].dtype();
    if let Some(other) = tensors.iter().find(|tensor| tensor.dtype() != first) {
        candle_core::bail!(
            "{name}: operands of types {first:?} and {:?}",
            other.dtype()
        );
    }
    Ok(first)
}
