//! The numbers of a tensor as a slice, in f32 or f64.

use candle_core::{CpuStorage, DType, Layout, Result, Shape, Storage, Tensor, WithDType};
use statrs::function::erf::erf;

use crate::nn::vector::Arithmetic;

/// The types that the operations here work in. Functions of f32 numbers are those of
/// [`elementary`](crate::nn::elementary), so that loops over them vectorize; those of f64 numbers are
/// std's.
pub(in crate::nn) trait Float: WithDType + std::ops::Neg<Output = Self> {
    const NEGATIVE_INFINITY: Self;

    fn sqrt(self) -> Self;
    /// `exp` of a number that is not positive; in f32 it may be 0 from `2^-125` downwards.
    fn exp_nonpositive(self, arithmetic: Arithmetic) -> Self;
    fn tanh(self, arithmetic: Arithmetic) -> Self;
    fn sigmoid(self, arithmetic: Arithmetic) -> Self;
    /// Distribution function and density of the standard normal distribution.
    fn normal(self, arithmetic: Arithmetic) -> (Self, Self);
}

impl Float for f32 {
    const NEGATIVE_INFINITY: Self = Self::NEG_INFINITY;

    #[inline(always)]
    fn sqrt(self) -> Self {
        self.sqrt()
    }

    #[inline(always)]
    fn exp_nonpositive(self, arithmetic: Arithmetic) -> Self {
        arithmetic.exp_nonpositive(self)
    }

    #[inline(always)]
    fn tanh(self, arithmetic: Arithmetic) -> Self {
        arithmetic.tanh(self)
    }

    #[inline(always)]
    fn sigmoid(self, arithmetic: Arithmetic) -> Self {
        arithmetic.sigmoid(self)
    }

    #[inline(always)]
    fn normal(self, arithmetic: Arithmetic) -> (Self, Self) {
        arithmetic.normal(self)
    }
}

impl Float for f64 {
    const NEGATIVE_INFINITY: Self = Self::NEG_INFINITY;

    #[inline(always)]
    fn sqrt(self) -> Self {
        self.sqrt()
    }

    #[inline(always)]
    fn exp_nonpositive(self, _arithmetic: Arithmetic) -> Self {
        self.exp()
    }

    #[inline(always)]
    fn tanh(self, _arithmetic: Arithmetic) -> Self {
        self.tanh()
    }

    #[inline(always)]
    fn sigmoid(self, _arithmetic: Arithmetic) -> Self {
        1.0 / (1.0 + (-self).exp())
    }

    fn normal(self, _arithmetic: Arithmetic) -> (Self, Self) {
        use std::f64::consts::{PI, SQRT_2};
        let cumulative = 0.5 * (1.0 + erf(self / SQRT_2));
        (cumulative, (-0.5 * self * self).exp() / (2.0 * PI).sqrt())
    }
}

/// Calls a function that is generic over [`Float`] with the type that a `DType` stands for.
macro_rules! by_type {
    ($name:expr, $dtype:expr, $function:ident($($argument:expr),* $(,)?)) => {
        match $dtype {
            candle_core::DType::F32 => $function::<f32>($($argument),*),
            candle_core::DType::F64 => $function::<f64>($($argument),*),
            other => {
                let message = format!("{}: expected f32 or f64, found {other:?}", $name);
                Err(candle_core::Error::Msg(message).bt())
            }
        }
    };
}
pub(in crate::nn) use by_type;

/// The elements of an operand, which the public functions have made contiguous.
pub(in crate::nn) fn elements<'a, T: WithDType>(
    storage: &'a CpuStorage,
    layout: &Layout,
) -> Result<&'a [T]> {
    let values = T::cpu_storage_as_slice(storage)?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => candle_core::bail!("expected a contiguous operand, found {layout:?}"),
    }
}

/// Calls a function with the elements of tensors on the CPU, read in place; a tensor that is not
/// contiguous is copied first.
pub(in crate::nn) fn with_elements<T: WithDType, R, const N: usize>(
    tensors: [&Tensor; N],
    function: impl FnOnce([&[T]; N]) -> Result<R>,
) -> Result<R> {
    let tensors: Vec<Tensor> = tensors
        .into_iter()
        .map(Tensor::contiguous)
        .collect::<Result<_>>()?;
    // The locks are held as long as the slices that point into the storage.
    let locked: Vec<_> = tensors.iter().map(Tensor::storage_and_layout).collect();
    let slices: Vec<&[T]> = locked
        .iter()
        .map(|(storage, layout)| match &**storage {
            Storage::Cpu(storage) => elements(storage, layout),
            _ => candle_core::bail!("expected a tensor on the CPU"),
        })
        .collect::<Result<_>>()?;
    function(std::array::from_fn(|i| slices[i]))
}

/// What a forward pass returns.
pub(in crate::nn) fn stored<T: Float>(
    values: Vec<T>,
    shape: impl Into<Shape>,
) -> (CpuStorage, Shape) {
    (T::to_cpu_storage_owned(values), shape.into())
}

/// An error unless all operands have one type.
pub(in crate::nn) fn same_type(name: &str, tensors: &[&Tensor]) -> Result<DType> {
    let first = tensors[0].dtype();
    if let Some(other) = tensors.iter().find(|tensor| tensor.dtype() != first) {
        candle_core::bail!(
            "{name}: operands of types {first:?} and {:?}",
            other.dtype()
        );
    }
    Ok(first)
}
