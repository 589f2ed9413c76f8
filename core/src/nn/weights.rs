//! Snapshots of the values of a model's parameters.

use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Shape, Tensor, Var};
use candle_nn::var_builder::{SimpleBackend, VarBuilder};
use sha2::{Digest, Sha256};

use super::file::{self, describe};
use super::{NnError, TensorMap};

/// The values of all parameters of a model by name, at one step of a training.
///
/// A snapshot never changes. A model that is built from [`Weights::builder`] uses the tensors of
/// the snapshot without a copy, and an optimizer gives a new snapshot, so that several versions
/// can be alive at once and a graph in flight keeps the values that it was built from. Clones
/// share their memory.
///
/// All orders are those of the names, so that sums over all parameters are the same in every run.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use septet_core::nn::{Adam, Optimizer, State, Weights};
///
/// let value = Tensor::new(&[1f32, 2.], &Device::Cpu)?;
/// let first = Weights::new([("w".to_owned(), value)].into())?;
/// let w = first.builder(DType::F32, &Device::Cpu).get(2, "w")?;
/// let loss = w.sqr()?.sum_all()?;
///
/// let (second, _) = Adam::default().step(0.1, &first, &first.gradients(&loss)?, &State::default())?;
/// assert_ne!(first.fingerprint()?, second.fingerprint()?);
/// // The graph over the first version still has its gradient.
/// assert_eq!(first.gradients(&loss)?["w"].to_vec1::<f32>()?, [2.0, 4.0]);
/// # Ok::<(), septet_core::nn::NnError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Weights {
    tensors: Arc<TensorMap>,
}

impl Weights {
    /// A snapshot of copies of these tensors.
    ///
    /// # Errors
    /// Those of candle, for lack of memory on the tensors' device.
    pub fn new(tensors: TensorMap) -> Result<Self, NnError> {
        let variables = tensors
            .into_iter()
            // Detached, because candle would share the memory of a variable, which can be changed.
            .map(|(name, tensor)| Ok((name, Var::from_tensor(&tensor.detach())?.into_inner())))
            .collect::<candle_core::Result<_>>()?;
        Ok(Self::from_variables(variables))
    }

    /// A snapshot of variables that nothing else holds.
    pub(in crate::nn) fn from_variables(variables: TensorMap) -> Self {
        debug_assert!(variables.values().all(Tensor::is_variable));
        Self {
            tensors: Arc::new(variables),
        }
    }

    /// The source of a model's tensors. A model that asks for a name that is not here, or for
    /// another shape or type, gets an error.
    #[must_use]
    pub fn builder(&self, dtype: DType, device: &Device) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self.clone()), dtype, device.clone())
    }

    /// The tensor of this name, a variable of candle.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// All tensors by name, variables of candle.
    #[must_use]
    pub fn tensors(&self) -> &TensorMap {
        &self.tensors
    }

    /// The names of all parameters, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The number of elements of all parameters together.
    #[must_use]
    pub fn element_count(&self) -> usize {
        self.tensors.values().map(Tensor::elem_count).sum()
    }

    /// The gradient of `loss`, a tensor with one element, with respect to every parameter.
    ///
    /// # Errors
    /// [`NnError::NoGradient`] when the loss does not depend on a parameter or an operation on the
    /// way drops the gradient, as several of candle's do silently.
    pub fn gradients(&self, loss: &Tensor) -> Result<TensorMap, NnError> {
        let mut store = loss.backward()?;
        self.tensors
            .iter()
            .map(|(name, tensor)| {
                let gradient = store
                    .remove(tensor)
                    .ok_or_else(|| NnError::NoGradient { name: name.clone() })?;
                Ok((name.clone(), gradient))
            })
            .collect()
    }

    /// SHA-256 over names, types, shapes and bits of all values, in the order of the names.
    ///
    /// # Errors
    /// Those of candle, when values cannot be brought to the CPU.
    pub fn fingerprint(&self) -> Result<[u8; 32], NnError> {
        let mut hash = Sha256::new();
        for (name, value) in self.tensors.iter() {
            // With the length of the name, different snapshots cannot give the same bytes.
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
            hash.update(describe(value));
            hash.update(safetensors::View::data(&value.contiguous()?).as_ref());
        }
        Ok(hash.finalize().into())
    }

    /// Writes all values to a safetensors file, which appears whole or not at all. Equal values
    /// give equal bytes.
    ///
    /// # Errors
    /// [`NnError::File`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), NnError> {
        file::save(path.as_ref(), &self.tensors)
    }

    /// Reads the snapshot of a file.
    ///
    /// # Errors
    /// [`NnError::File`] and [`NnError::Format`].
    pub fn load(path: impl AsRef<Path>, device: &Device) -> Result<Self, NnError> {
        Self::new(file::load(path.as_ref(), device)?)
    }

    /// An error unless `self`, read from the file `path`, has the names, types and shapes of
    /// `expected`.
    pub(super) fn check_against(&self, expected: &Self, path: &Path) -> Result<(), NnError> {
        for (name, parameter) in expected.tensors.iter() {
            let Some(value) = self.get(name) else {
                return Err(NnError::Missing {
                    path: path.to_owned(),
                    name: name.clone(),
                    expected: describe(parameter),
                });
            };
            if value.shape() != parameter.shape() || value.dtype() != parameter.dtype() {
                return Err(NnError::Mismatch {
                    path: path.to_owned(),
                    name: name.clone(),
                    expected: describe(parameter),
                    found: describe(value),
                });
            }
        }
        // The other way round: no tensor without a parameter.
        match self.names().find(|&name| expected.get(name).is_none()) {
            None => Ok(()),
            Some(name) => Err(NnError::Unexpected {
                path: path.to_owned(),
                name: name.to_owned(),
            }),
        }
    }

    /// The snapshot with one tensor more.
    pub(super) fn with(&self, name: &str, variable: Var) -> Self {
        // Copies the map, not the tensors; older snapshots stay as they are.
        let mut tensors = TensorMap::clone(&self.tensors);
        tensors.insert(name.to_owned(), variable.into_inner());
        Self {
            tensors: Arc::new(tensors),
        }
    }

    /// The tensor of a name, shape and type, if there is one of that name.
    pub(super) fn matching(
        &self,
        name: &str,
        shape: &Shape,
        dtype: DType,
    ) -> candle_core::Result<Option<Tensor>> {
        match self.get(name) {
            Some(tensor) if tensor.shape() != shape || tensor.dtype() != dtype => {
                candle_core::bail!(
                    "the parameter `{name}` is {}, the model asks for {} {:?}",
                    describe(tensor),
                    dtype.as_str(),
                    shape.dims()
                )
            }
            found => Ok(found.cloned()),
        }
    }
}

/// A snapshot as candle's source of variables.
impl SimpleBackend for Weights {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        _init: candle_nn::Init,
        dtype: DType,
        _device: &Device,
    ) -> candle_core::Result<Tensor> {
        match self.matching(name, &shape, dtype)? {
            Some(tensor) => Ok(tensor),
            None => candle_core::bail!("no parameter is named `{name}` (shape {shape:?})"),
        }
    }

    fn get_unchecked(
        &self,
        name: &str,
        _dtype: DType,
        _device: &Device,
    ) -> candle_core::Result<Tensor> {
        match self.tensors.get(name) {
            Some(tensor) => Ok(tensor.clone()),
            None => candle_core::bail!("no parameter is named `{name}`"),
        }
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }
}
