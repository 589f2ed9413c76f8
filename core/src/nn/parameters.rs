//! The parameters of a model under training.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Shape, Tensor, Var};
use candle_nn::var_builder::{SimpleBackend, VarBuilder};

use super::initial::initial;
use super::{NnError, TensorMap, Weights};
use crate::seed::SeedTree;

/// The newest [`Weights`] of a model under training, and how parameters that a model uses
/// first are drawn.
///
/// A model is built from [`Parameters::builder`]: each parameter that is not there yet is drawn
/// from a stream that the seed and the parameter's name select. The order in which layers are
/// built does not matter, and adding a layer changes no other.
///
/// A model that was built before [`Parameters::set`] keeps the older snapshot: build the layers
/// again for each step. That costs a look-up by name for each tensor, and no copy.
///
/// Clones share the parameters.
///
/// ```
/// use candle_core::{DType, Device, Module, Tensor};
/// use septet_core::nn::Parameters;
/// use septet_core::seed::SeedTree;
///
/// let parameters = Parameters::new(SeedTree::new(7).child("model"));
/// let layer = candle_nn::linear(3, 2, parameters.builder(DType::F32, &Device::Cpu).pp("head"))?;
/// let output = layer.forward(&Tensor::ones((1, 3), DType::F32, &Device::Cpu)?)?;
/// assert_eq!(output.dims(), [1, 2]);
/// assert!(parameters.weights().names().eq(["head.bias", "head.weight"]));
/// assert_eq!(parameters.weights().element_count(), 8);
/// # Ok::<(), candle_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Parameters {
    store: Arc<Store>,
}

#[derive(Debug)]
struct Store {
    /// `None` when the values come from elsewhere: a name that is not there is then an error.
    seed: Option<SeedTree>,
    newest: Mutex<Weights>,
    buffers: Mutex<TensorMap>,
}

impl Store {
    fn new(seed: Option<SeedTree>, newest: Weights) -> Arc<Self> {
        Arc::new(Self {
            seed,
            newest: Mutex::new(newest),
            buffers: Mutex::default(),
        })
    }

    /// The snapshot is replaced as a whole, so that a poisoned lock still guards a whole one.
    fn newest(&self) -> MutexGuard<'_, Weights> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn buffers(&self) -> MutexGuard<'_, TensorMap> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parameters {
    /// No parameters yet: each is drawn when a model first requests it.
    #[must_use]
    pub fn new(seed: SeedTree) -> Self {
        Self {
            store: Store::new(Some(seed), Weights::default()),
        }
    }

    /// The source of a model's tensors: the newest snapshot, and draws for what is not in it.
    #[must_use]
    pub fn builder(&self, dtype: DType, device: &Device) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self.clone()), dtype, device.clone())
    }

    /// The newest snapshot.
    #[must_use]
    pub fn weights(&self) -> Weights {
        self.store.newest().clone()
    }

    /// Makes another snapshot the newest. Older ones, and graphs over them, stay as they are.
    pub fn set(&self, weights: Weights) {
        *self.store.newest() = weights;
    }

    /// The buffer of this name: state of a layer that is not trained, such as running statistics,
    /// but belongs to a checkpoint of the training.
    #[must_use]
    pub fn buffer(&self, name: &str) -> Option<Tensor> {
        self.store.buffers().get(name).cloned()
    }

    /// Sets the buffer of this name.
    pub fn set_buffer(&self, name: &str, value: Tensor) {
        self.store.buffers().insert(name.to_owned(), value);
    }

    /// All buffers by name.
    pub(super) fn buffers(&self) -> TensorMap {
        self.store.buffers().clone()
    }

    /// Replaces all buffers.
    pub(super) fn set_buffers(&self, buffers: TensorMap) {
        *self.store.buffers() = buffers;
    }

    /// Makes the snapshot of a file the newest. The file must hold exactly the names that are here,
    /// with the same shapes and types; otherwise nothing changes.
    ///
    /// # Errors
    /// [`NnError::File`], [`NnError::Format`], [`NnError::Missing`], [`NnError::Unexpected`] and
    /// [`NnError::Mismatch`].
    pub fn load(&self, path: impl AsRef<Path>) -> Result<(), NnError> {
        let path = path.as_ref();
        let found = Weights::load(path, &Device::Cpu)?;
        // Checked before anything is replaced.
        found.check_against(&self.weights(), path)?;
        self.set(found);
        Ok(())
    }
}

impl From<Weights> for Parameters {
    /// Parameters with these values. A model that requests another name gets an error.
    fn from(weights: Weights) -> Self {
        Self {
            store: Store::new(None, weights),
        }
    }
}

/// The parameters as candle's source of variables.
impl SimpleBackend for Parameters {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        init: candle_nn::Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        // One lock over look-up and insertion: two threads with a new name get the same tensor.
        let mut newest = self.store.newest();
        if let Some(tensor) = newest.matching(name, &shape, dtype)? {
            return Ok(tensor);
        }
        let Some(seed) = &self.store.seed else {
            candle_core::bail!("no parameter is named `{name}` (shape {shape:?})");
        };
        let variable = Var::from_tensor(&initial(seed, name, shape, init, dtype, device)?)?;
        let tensor = variable.as_tensor().clone();
        *newest = newest.with(name, variable);
        Ok(tensor)
    }

    fn get_unchecked(
        &self,
        name: &str,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        self.store.newest().get_unchecked(name, dtype, device)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.store.newest().contains_tensor(name)
    }
}
