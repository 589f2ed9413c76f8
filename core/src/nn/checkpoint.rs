//! Everything that a training needs to continue.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use sha2::{Digest as _, Sha256};

use super::optimizer::State;
use super::{NnError, Parameters, TensorMap, Weights, file};

/// The state of a training between two steps: with the code and the data, enough to continue as if
/// it had never stopped, bit for bit.
///
/// It is stored in one safetensors file, which appears whole or not at all.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use septet_core::nn::{Checkpoint, Weights};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("training.safetensors");
/// let value = Tensor::new(&[1f32, 2.], &Device::Cpu)?;
/// let start = Checkpoint::new(Weights::new([("w".to_owned(), value)].into())?);
/// start.save(&path)?;
/// let again = Checkpoint::load(&path, &Device::Cpu)?;
/// assert_eq!(again.weights.fingerprint()?, start.weights.fingerprint()?);
/// # Ok::<(), septet_core::nn::NnError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The values of all parameters.
    pub weights: Weights,
    /// State of layers that is not trained, by name: see
    /// [`Parameters::buffer`](super::Parameters::buffer).
    pub buffers: TensorMap,
    /// The moments of the optimizer and the number of its steps.
    pub optimizer: State,
    /// Which training this is the state of: see [`CheckpointFile::for_training`].
    pub training: Option<[u8; 32]>,
}

/// Names in the file: the prefixes of the three kinds of tensors, the counter, and the hash of what
/// decides the training.
const WEIGHTS: &str = "weights/";
const BUFFERS: &str = "buffers/";
const MOMENTS: &str = "moments/";
const STEPS: &str = "steps";
const TRAINING: &str = "training";

impl Checkpoint {
    /// The state before the first step.
    #[must_use]
    pub fn new(weights: Weights) -> Self {
        Self {
            weights,
            buffers: TensorMap::new(),
            optimizer: State::default(),
            training: None,
        }
    }

    /// The number of steps that were taken.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.optimizer.steps()
    }

    /// Writes the state to a file, which appears whole or not at all. Equal states give equal
    /// bytes.
    ///
    /// # Errors
    /// [`NnError::File`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), NnError> {
        save_all(path.as_ref(), [self])
    }

    /// Reads the state of a file that [`Checkpoint::save`] wrote.
    ///
    /// # Errors
    /// [`NnError::File`], [`NnError::Format`], and for another safetensors file
    /// [`NnError::Missing`], [`NnError::Unexpected`] or [`NnError::Mismatch`].
    pub fn load(path: impl AsRef<Path>, device: &Device) -> Result<Self, NnError> {
        let path = path.as_ref();
        let mut tensors = file::load(path, device)?;
        let training = take_training(&mut tensors, path)?;
        let state = take_state(&mut tensors, "", training, path)?;
        nothing_left(tensors, path)?;
        Ok(state)
    }
}

/// What the names of a network's tensors begin with: the number of the network, when there are
/// several.
fn prefix_of(network: usize, count: usize) -> String {
    match count {
        1 => String::new(),
        _ => format!("network.{network}/"),
    }
}

/// Writes the states of the networks of one training, which share the hash of the training.
fn save_all<const N: usize>(path: &Path, states: [&Checkpoint; N]) -> Result<(), NnError> {
    // One flat map: the prefixes keep equal names of weights, buffers and moments apart.
    let mut tensors = TensorMap::new();
    for (network, state) in states.into_iter().enumerate() {
        let network = prefix_of(network, N);
        for (kind, map) in [
            (WEIGHTS, state.weights.tensors()),
            (BUFFERS, &state.buffers),
            (MOMENTS, state.optimizer.moments()),
        ] {
            let named = map.iter();
            tensors.extend(
                named.map(|(name, tensor)| (format!("{network}{kind}{name}"), tensor.clone())),
            );
        }
        // A counter is a tensor: the file's metadata has no stable order.
        let steps = Tensor::new(&[state.steps() as i64], &Device::Cpu)?;
        tensors.insert(format!("{network}{STEPS}"), steps);
        if let Some(training) = &state.training {
            tensors.insert(TRAINING.to_owned(), Tensor::new(training, &Device::Cpu)?);
        }
    }
    file::save(path, &tensors)
}

/// Takes the state of one network out of the tensors of a file.
fn take_state(
    tensors: &mut TensorMap,
    network: &str,
    training: Option<[u8; 32]>,
    path: &Path,
) -> Result<Checkpoint, NnError> {
    let steps = take_counter(tensors, &format!("{network}{STEPS}"), path)?;
    let [weights, buffers, moments] = [WEIGHTS, BUFFERS, MOMENTS].map(|kind| {
        let prefix = format!("{network}{kind}");
        let taken = tensors.extract_if(.., |name, _| name.starts_with(&prefix));
        taken
            .map(|(name, tensor)| (name[prefix.len()..].to_owned(), tensor))
            .collect()
    });
    Ok(Checkpoint {
        weights: Weights::new(weights)?,
        buffers,
        optimizer: State::from_parts(steps, moments),
        training,
    })
}

/// An error for a tensor that belongs to no state.
fn nothing_left(tensors: TensorMap, path: &Path) -> Result<(), NnError> {
    match tensors.into_keys().next() {
        None => Ok(()),
        Some(name) => Err(NnError::Unexpected {
            path: path.to_owned(),
            name,
        }),
    }
}

fn take_training(tensors: &mut TensorMap, path: &Path) -> Result<Option<[u8; 32]>, NnError> {
    let Some(tensor) = tensors.remove(TRAINING) else {
        return Ok(None);
    };
    let bytes = tensor.to_vec1::<u8>().ok();
    let hash = bytes.and_then(|bytes| bytes.try_into().ok());
    hash.map(Some).ok_or_else(|| NnError::Mismatch {
        path: path.to_owned(),
        name: TRAINING.to_owned(),
        expected: "u8 [32]".to_owned(),
        found: file::describe(&tensor),
    })
}

fn take_counter(tensors: &mut TensorMap, name: &str, path: &Path) -> Result<u64, NnError> {
    let expected = "i64 [1], not negative";
    let Some(tensor) = tensors.remove(name) else {
        return Err(NnError::Missing {
            path: path.to_owned(),
            name: name.to_owned(),
            expected: expected.to_owned(),
        });
    };
    let value = match tensor.to_vec1::<i64>().as_deref() {
        Ok([value]) => u64::try_from(*value).ok(),
        _ => None,
    };
    value.ok_or_else(|| NnError::Mismatch {
        path: path.to_owned(),
        name: name.to_owned(),
        expected: expected.to_owned(),
        found: file::describe(&tensor),
    })
}

/// Where a training keeps its [`Checkpoint`], and how often it writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointFile {
    path: PathBuf,
    every: u64,
    training: Option<[u8; 32]>,
}

impl CheckpointFile {
    /// A file that is written after each `every` steps and at the end. A training that finds it
    /// continues from it.
    ///
    /// # Errors
    /// [`NnError::Parameter`] for an interval of 0.
    pub fn new(path: impl Into<PathBuf>, every: u64) -> Result<Self, NnError> {
        if every == 0 {
            let argument = "steps between checkpoints";
            return Err(NnError::parameter(argument, "at least 1", every));
        }
        Ok(Self {
            path: path.into(),
            every,
            training: None,
        })
    }

    /// The file of one training: `parts` are what decides its result beside the initial weights and
    /// the number of steps, such as the data, the batch size, the optimizer and the seed. A training
    /// does not continue from the file of another one.
    #[must_use]
    pub fn for_training<B: AsRef<[u8]>>(self, parts: impl IntoIterator<Item = B>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            let part = part.as_ref();
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self {
            training: Some(hash.finalize().into()),
            ..self
        }
    }

    /// The states to start a training of `steps` steps from, one for each of its networks: those of
    /// the file, which `networks` get too, or those before the first step when there is no file.
    ///
    /// [`Step::run`](super::Step::run) calls this for its one network. A training of several
    /// networks, such as a generator and its discriminator, has a loop of its own around
    /// [`Step::take`](super::Step::take); its file holds the states of all of them, in the order of
    /// `networks`. The first network is the one whose steps count.
    ///
    /// ```
    /// use candle_core::{DType, Device};
    /// use septet_core::nn::{Adam, CheckpointFile, NnError, Parameters, Step};
    /// use septet_core::seed::SeedTree;
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("training.safetensors");
    /// let [first, second] = ["first", "second"].map(|name| Parameters::new(SeedTree::new(7).child(name)));
    /// for parameters in [&first, &second] {
    ///     parameters.builder(DType::F32, &Device::Cpu).get(3, "w")?;
    /// }
    /// let w = |parameters: &Parameters| parameters.builder(DType::F32, &Device::Cpu).get(3, "w");
    ///
    /// let file = CheckpointFile::new(&path, 2)?;
    /// let step = Step::new(Adam::default(), 0.1);
    /// let [mut a, mut b] = file.start([&first, &second], 5)?;
    /// while a.steps() < 5 {
    ///     step.take(&mut b, &(w(&first)?.detach() - w(&second)?)?.sqr()?.sum_all()?)?;
    ///     second.set(b.weights.clone());
    ///     step.take(&mut a, &(w(&first)? + w(&second)?.detach())?.sqr()?.sum_all()?)?;
    ///     first.set(a.weights.clone());
    ///     let last = a.steps() == 5;
    ///     file.after_step([(&first, &mut a), (&second, &mut b)], last)?;
    /// }
    /// let [again, _] = file.start([&first, &second], 5)?;
    /// assert_eq!(again.steps(), 5);
    /// # Ok::<(), NnError>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Checkpoint::load`]; [`NnError::OtherTraining`]; [`NnError::Missing`],
    /// [`NnError::Unexpected`] or [`NnError::Mismatch`] for a file with other parameters than
    /// `networks`; [`NnError::Parameter`] for one from a later step than `steps`. `networks` are then as
    /// before.
    pub fn start<const N: usize>(
        &self,
        networks: [&Parameters; N],
        steps: u64,
    ) -> Result<[Checkpoint; N], NnError> {
        let mut states = networks.map(|parameters| Checkpoint {
            training: self.training,
            ..Checkpoint::new(parameters.weights())
        });
        let mut tensors = match file::load(&self.path, &Device::Cpu) {
            Err(NnError::File { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return Ok(states);
            }
            found => found?,
        };
        // Another training may have other networks: that is said first.
        let other_training = || NnError::OtherTraining {
            path: self.path.clone(),
        };
        let training = take_training(&mut tensors, &self.path)?;
        if training.is_some() && training != self.training {
            return Err(other_training());
        }

        // All states are read and checked before a network changes.
        for (network, state) in states.iter_mut().enumerate() {
            let prefix = prefix_of(network, N);
            let found = take_state(&mut tensors, &prefix, training, &self.path)?;
            found.weights.check_against(&state.weights, &self.path)?;
            *state = found;
        }
        nothing_left(tensors, &self.path)?;
        if training != self.training {
            return Err(other_training());
        }
        if let Some(first) = states.first()
            && first.steps() > steps
        {
            let expected = format!("at most {steps}, the steps of this training");
            let argument = "steps of the checkpoint";
            return Err(NnError::parameter(argument, expected, first.steps()));
        }

        for (parameters, state) in networks.into_iter().zip(&states) {
            parameters.set(state.weights.clone());
            parameters.set_buffers(state.buffers.clone());
        }
        Ok(states)
    }

    /// Writes the states after a step, with the newest buffers of the networks, if that is due or
    /// `last` says that no step follows. The networks stand in the order of [`CheckpointFile::start`].
    ///
    /// # Errors
    /// [`NnError::File`].
    pub fn after_step<const N: usize>(
        &self,
        networks: [(&Parameters, &mut Checkpoint); N],
        last: bool,
    ) -> Result<(), NnError> {
        let states = networks.map(|(parameters, state)| {
            // Layers have updated their buffers while the loss was computed.
            state.buffers = parameters.buffers();
            &*state
        });
        let due = states
            .first()
            .is_some_and(|first| first.steps().is_multiple_of(self.every));
        if due || last {
            save_all(&self.path, states)?;
        }
        Ok(())
    }
}
