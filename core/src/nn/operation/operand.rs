//! Operands of a backward pass, read in place.

use candle_core::{CpuStorage, Result, Storage, StorageRef, Tensor};

use super::values::{Float, elements};

/// Contiguous tensors whose storage is locked for reading.
pub(super) struct Operand<'a> {
    storage: StorageRef<'a>,
    tensor: &'a Tensor,
}

impl<'a> Operand<'a> {
    /// Locks the storage of a contiguous tensor.
    pub(super) fn new(tensor: &'a Tensor) -> Self {
        Self {
            storage: tensor.storage_and_layout().0,
            tensor,
        }
    }

    /// The elements, in order.
    pub(super) fn values<T: Float>(&self) -> Result<&[T]> {
        let storage: &CpuStorage = match &*self.storage {
            Storage::Cpu(storage) => storage,
            _ => candle_core::bail!("expected a tensor on the CPU"),
        };
        elements::<T>(storage, self.tensor.layout())
    }
}
