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
    /// The number of batches that were drawn, for [`Batches::seek`](super::Batches::seek): not
    /// always that of the steps, since a step may draw several batches.
    pub batches: u64,
    /// Which training this is the state of: see [`CheckpointFile::for_training`].
    pub training: Option<[u8; 32]>,
}

/// Names in the file: the prefixes of the three kinds of tensors, and the two counters.
const WEIGHTS: &str = "weights/";
const BUFFERS: &str = "buffers/";
const MOMENTS: &str = "moments/";
const STEPS: &str = "steps";
const BATCHES: &str = "batches";
const TRAINING: &str = "training";

impl Checkpoint {
    /// The state before the first step.
    #[must_use]
    pub fn new(weights: Weights) -> Self {
        Self {
            weights,
            buffers: TensorMap::new(),
            optimizer: State::default(),
            batches: 0,
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
        // One flat map: the prefixes keep equal names of weights, buffers and moments apart.
        let mut tensors = TensorMap::new();
        for (prefix, map) in [
            (WEIGHTS, self.weights.tensors()),
            (BUFFERS, &self.buffers),
            (MOMENTS, self.optimizer.moments()),
        ] {
            let named = map.iter();
            tensors.extend(named.map(|(name, tensor)| (format!("{prefix}{name}"), tensor.clone())));
        }
        for (name, count) in [(STEPS, self.steps()), (BATCHES, self.batches)] {
            tensors.insert(name.to_owned(), counter(count)?);
        }
        if let Some(training) = &self.training {
            tensors.insert(TRAINING.to_owned(), Tensor::new(training, &Device::Cpu)?);
        }
        file::save(path.as_ref(), &tensors)
    }

    /// Reads the state of a file that [`Checkpoint::save`] wrote.
    ///
    /// # Errors
    /// [`NnError::File`], [`NnError::Format`], and for another safetensors file
    /// [`NnError::Missing`], [`NnError::Unexpected`] or [`NnError::Mismatch`].
    pub fn load(path: impl AsRef<Path>, device: &Device) -> Result<Self, NnError> {
        let path = path.as_ref();
        let mut tensors = file::load(path, device)?;
        // The counters have no prefix, so they come out before the rest is sorted by prefix.
        let steps = take_counter(&mut tensors, STEPS, path)?;
        let batches = take_counter(&mut tensors, BATCHES, path)?;
        let training = match tensors.remove(TRAINING) {
            Some(tensor) => {
                let bytes = tensor.to_vec1::<u8>().ok();
                let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
                Some(bytes.ok_or_else(|| NnError::Mismatch {
                    path: path.to_owned(),
                    name: TRAINING.to_owned(),
                    expected: "u8 [32]".to_owned(),
                    found: file::describe(&tensor),
                })?)
            }
            None => None,
        };
        // Without their prefix, the others are weights, buffers and moments.
        let prefixes = [WEIGHTS, BUFFERS, MOMENTS];
        let mut maps = [const { TensorMap::new() }; 3];
        for (name, tensor) in tensors {
            let mut kinds = prefixes.iter().zip(&mut maps);
            let found = kinds.find_map(|(prefix, map)| Some((name.strip_prefix(prefix)?, map)));
            let Some((short, map)) = found else {
                let path = path.to_owned();
                return Err(NnError::Unexpected { path, name });
            };
            map.insert(short.to_owned(), tensor);
        }
        let [weights, buffers, moments] = maps;
        Ok(Self {
            weights: Weights::new(weights)?,
            buffers,
            optimizer: State::from_parts(steps, moments),
            batches,
            training,
        })
    }
}

/// A counter as a tensor: the file's metadata has no stable order.
fn counter(count: u64) -> Result<Tensor, NnError> {
    Ok(Tensor::new(&[count as i64], &Device::Cpu)?)
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

    /// The state to start from: that of the file, which `parameters` get too, or the one before the
    /// first step when there is no file.
    ///
    /// # Errors
    /// Those of [`Checkpoint::load`], and of a file with other parameters than `parameters` or of
    /// another training.
    pub(super) fn start(&self, parameters: &Parameters) -> Result<Checkpoint, NnError> {
        let weights = parameters.weights();
        let found = match Checkpoint::load(&self.path, &Device::Cpu) {
            Err(NnError::File { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return Ok(Checkpoint {
                    training: self.training,
                    ..Checkpoint::new(weights)
                });
            }
            found => found?,
        };
        found.weights.check_against(&weights, &self.path)?;
        if found.training != self.training {
            let path = self.path.clone();
            return Err(NnError::OtherTraining { path });
        }
        parameters.set(found.weights.clone());
        parameters.set_buffers(found.buffers.clone());
        Ok(found)
    }

    /// Writes the state after a step if it is due, or if it is that of the last step.
    pub(super) fn after_step(&self, checkpoint: &Checkpoint, last: bool) -> Result<(), NnError> {
        if last || checkpoint.steps().is_multiple_of(self.every) {
            checkpoint.save(&self.path)?;
        }
        Ok(())
    }
}
