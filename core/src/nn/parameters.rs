//! The parameters of a model by name, in an order that is the same in every run.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Shape, Tensor, Var};
use candle_nn::var_builder::{SimpleBackend, VarBuilder};
use sha2::{Digest, Sha256};

use super::file::{self, describe};
use super::initial::initial;
use super::{NnError, TensorMap};
use crate::seed::SeedTree;

/// The trained variables of a model, by name.
///
/// A model is built from [`Parameters::builder`]: each variable that it asks for is drawn from a
/// stream that the seed and the variable's name select. The order in which layers are built does
/// not matter, and adding a layer changes no other.
///
/// Names are sorted wherever an order shows: candle's own `VarMap` keeps a hash map, whose order,
/// and with it every sum over all parameters, changes from run to run.
///
/// Clones share the variables.
///
/// ```
/// use candle_core::{DType, Device, Module, Tensor};
/// use septet_core::seed::SeedTree;
/// use septet_core::nn::Parameters;
///
/// let parameters = Parameters::new(SeedTree::new(7).child("model"));
/// let layer = candle_nn::linear(3, 2, parameters.builder(DType::F32, &Device::Cpu).pp("head"))?;
/// let output = layer.forward(&Tensor::ones((1, 3), DType::F32, &Device::Cpu)?)?;
/// assert_eq!(output.dims(), [1, 2]);
/// assert_eq!(parameters.names(), ["head.bias", "head.weight"]);
/// assert_eq!(parameters.element_count(), 8);
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
    variables: Mutex<BTreeMap<String, Var>>,
}

impl Store {
    /// Candle needs the lock only around map operations that leave the map whole even when they
    /// panic, so that a poisoned lock is still good.
    fn variables(&self) -> MutexGuard<'_, BTreeMap<String, Var>> {
        self.variables
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parameters {
    /// An empty store that draws each variable when a model first asks for it.
    #[must_use]
    pub fn new(seed: SeedTree) -> Self {
        Self {
            store: Arc::new(Store {
                seed: Some(seed),
                variables: Mutex::default(),
            }),
        }
    }

    /// A store with copies of these values, such as an earlier version of the same parameters. A
    /// model that asks it for another name gets an error.
    ///
    /// # Errors
    /// Those of candle, for lack of memory on the tensors' device.
    pub fn from_tensors(tensors: &TensorMap) -> Result<Self, NnError> {
        let variables = tensors
            .iter()
            .map(|(name, value)| Ok((name.clone(), Var::from_tensor(&value.detach().copy()?)?)))
            .collect::<candle_core::Result<_>>()?;
        Ok(Self {
            store: Arc::new(Store {
                seed: None,
                variables: Mutex::new(variables),
            }),
        })
    }

    /// What a model is built from.
    #[must_use]
    pub fn builder(&self, dtype: DType, device: &Device) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(Backend(self.store.clone())), dtype, device.clone())
    }

    /// The names of all variables, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.store.variables().keys().cloned().collect()
    }

    /// The variable of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Var> {
        self.store.variables().get(name).cloned()
    }

    /// The number of trained numbers in all variables together.
    #[must_use]
    pub fn element_count(&self) -> usize {
        self.store
            .variables()
            .values()
            .map(|variable| variable.elem_count())
            .sum()
    }

    /// The present values, outside every graph. They share memory with the variables:
    /// [`Parameters::assign`] changes them. [`Parameters::from_tensors`] copies.
    #[must_use]
    pub fn values(&self) -> TensorMap {
        self.store
            .variables()
            .iter()
            .map(|(name, variable)| (name.clone(), variable.as_detached_tensor()))
            .collect()
    }

    /// Overwrites variables with new values of the same shapes. Variables without a new value stay.
    ///
    /// The memory is overwritten in place, under any graph that is still to be differentiated:
    /// take all gradients of a step first.
    ///
    /// # Errors
    /// [`NnError::Absent`] for a name that is no variable's, and candle's error for another
    /// shape or type, or a value that lies in the variable's own memory.
    pub fn assign(&self, values: &TensorMap) -> Result<(), NnError> {
        let variables = self.store.variables();
        for (name, value) in values {
            let variable = variables.get(name).ok_or_else(|| NnError::Absent {
                set: "parameters",
                name: name.clone(),
            })?;
            variable.set(value)?;
        }
        Ok(())
    }

    /// The gradient of `loss`, a tensor with one element, in every variable.
    ///
    /// # Errors
    /// [`NnError::NoGradient`] when the loss does not depend on a variable or an operation on
    /// the way drops the gradient, as several of candle's do without a word.
    pub fn gradients(&self, loss: &Tensor) -> Result<TensorMap, NnError> {
        let mut store = loss.backward()?;
        self.store
            .variables()
            .iter()
            .map(|(name, variable)| {
                let gradient = store
                    .remove(variable)
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
        for (name, value) in self.values() {
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(&name);
            hash.update(describe(&value));
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
        file::save(path.as_ref(), &self.values(), None)
    }

    /// Overwrites all variables with the values of a file. The file must hold exactly these
    /// names, with the same shapes and types; otherwise nothing is overwritten.
    ///
    /// # Errors
    /// [`NnError::File`], [`NnError::Format`], [`NnError::Missing`],
    /// [`NnError::Unexpected`] and [`NnError::Mismatch`].
    pub fn load(&self, path: impl AsRef<Path>) -> Result<(), NnError> {
        let path = path.as_ref();
        let (found, _) = file::load(path, &Device::Cpu)?;
        for (name, wanted) in self.values() {
            let Some(value) = found.get(&name) else {
                return Err(NnError::Missing {
                    path: path.to_owned(),
                    name,
                    expected: describe(&wanted),
                });
            };
            if value.shape() != wanted.shape() || value.dtype() != wanted.dtype() {
                return Err(NnError::Mismatch {
                    path: path.to_owned(),
                    name,
                    expected: describe(&wanted),
                    found: describe(value),
                });
            }
        }
        let variables = self.names();
        if let Some(name) = found
            .keys()
            .find(|&name| variables.binary_search(name).is_err())
        {
            return Err(NnError::Unexpected {
                path: path.to_owned(),
                name: name.clone(),
            });
        }
        for (name, value) in found {
            if let Some(variable) = self.get(&name) {
                variable.set(&value.to_device(variable.device())?)?;
            }
        }
        Ok(())
    }

    /// A store with the values of a file, on this device: a model built from it is the saved one.
    ///
    /// # Errors
    /// [`NnError::File`] and [`NnError::Format`].
    pub fn from_file(path: impl AsRef<Path>, device: &Device) -> Result<Self, NnError> {
        Self::from_tensors(&file::load(path.as_ref(), device)?.0)
    }
}

/// The store as candle's source of variables.
struct Backend(Arc<Store>);

impl SimpleBackend for Backend {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        init: candle_nn::Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let mut variables = self.0.variables();
        if let Some(variable) = variables.get(name) {
            if variable.shape() != &shape {
                candle_core::bail!(
                    "the parameter `{name}` has the shape {:?}, the model asks for {shape:?}",
                    variable.shape()
                );
            }
            return Ok(variable.as_tensor().clone());
        }
        let Some(seed) = &self.0.seed else {
            candle_core::bail!("no parameter is named `{name}` (shape {shape:?})");
        };
        let variable = Var::from_tensor(&initial(seed, name, shape, init, dtype, device)?)?;
        let tensor = variable.as_tensor().clone();
        variables.insert(name.to_owned(), variable);
        Ok(tensor)
    }

    fn get_unchecked(
        &self,
        name: &str,
        _dtype: DType,
        _device: &Device,
    ) -> candle_core::Result<Tensor> {
        match self.0.variables().get(name) {
            Some(variable) => Ok(variable.as_tensor().clone()),
            None => candle_core::bail!("no parameter is named `{name}`"),
        }
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.0.variables().contains_key(name)
    }
}
