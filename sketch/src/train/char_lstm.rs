//! The recurrent network of Hsu et al. for search queries.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{Init, VarBuilder};
use septet_core::seed::SeedTree;
use septet_core::tensor::{Parameters, TensorError};

use super::Network;
use super::lstm::Lstm;
use super::network::{FullyConnected, score_in_batches, short_fingerprint};
use crate::error::SketchError;
use crate::oracle::Oracle;

/// Reads a text letter by letter (`HsuAOLRNN` in the paper's code).
///
/// Each of the first `letters` letters selects a vector of length `width`: there are 44 of them, one
/// for each of `a`-`z` (either case), `0`-`9`, and the six of ` .-'&;`, one for all other bytes, and one
/// for the places after the end of the text. A recurrent layer of `hidden` units reads them all; its
/// last output passes through 32 units with a leaky rectifier of slope 0.3 to the score.
#[derive(Debug)]
pub struct CharLstm {
    size: CharLstmSize,
    parameters: Parameters,
    embedding: Tensor,
    lstm: Lstm,
    head: [FullyConnected; 2],
}

/// The size of a [`CharLstm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CharLstmSize {
    /// Letters that are read; longer texts are cut, shorter ones filled up.
    pub letters: usize,
    /// Length of a letter's vector.
    pub width: usize,
    /// Units of the recurrent layer.
    pub hidden: usize,
}

impl CharLstmSize {
    /// The size in the paper: 60 letters, vectors of 64, 256 units.
    pub const PAPER: Self = Self {
        letters: 60,
        width: 64,
        hidden: 256,
    };

    /// A size that trains on a small machine: 24 letters, vectors of 16, 32 units.
    pub const SMALL: Self = Self {
        letters: 24,
        width: 16,
        hidden: 32,
    };
}

/// Vectors in the table.
const SYMBOLS: usize = 44;
/// The symbol after the end of the text.
const END: u8 = 0;
/// The symbol of all other bytes.
const OTHER: u8 = 43;
const HEAD: usize = 32;
const LEAK: f64 = 0.3;

/// The symbol of a byte.
fn symbol(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' => 1 + byte - b'a',
        b'A'..=b'Z' => 1 + byte - b'A',
        b'0'..=b'9' => 27 + byte - b'0',
        b' ' => 37,
        b'.' => 38,
        b'-' => 39,
        b'\'' => 40,
        b'&' => 41,
        b';' => 42,
        _ => OTHER,
    }
}

impl CharLstm {
    /// A network drawn from the seed, with PyTorch's distributions.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] for a size of 0.
    pub fn new(size: CharLstmSize, seed: &SeedTree) -> std::result::Result<Self, SketchError> {
        Self::from_parameters(size, Parameters::new(seed.child("char lstm")))
    }

    /// The network with the parameters of a file that `parameters().save(..)` wrote.
    ///
    /// # Errors
    ///
    /// [`SketchError::Tensor`] when the file does not hold a network of this size.
    pub fn load(
        path: impl AsRef<std::path::Path>,
        size: CharLstmSize,
    ) -> std::result::Result<Self, SketchError> {
        Self::from_parameters(size, Parameters::from_file(path, &Device::Cpu)?)
    }

    fn from_parameters(
        size: CharLstmSize,
        parameters: Parameters,
    ) -> std::result::Result<Self, SketchError> {
        if size.letters == 0 || size.width == 0 || size.hidden == 0 {
            let found = format!("{size:?}");
            return Err(SketchError::parameter("size", "at least 1 each", found));
        }
        let builder = parameters.builder(DType::F32, &Device::Cpu);
        Self::build(size, parameters, &builder)
            .map_err(|error| SketchError::from(TensorError::from(error)))
    }

    fn build(size: CharLstmSize, parameters: Parameters, builder: &VarBuilder<'_>) -> Result<Self> {
        let standard_normal = Init::Randn {
            mean: 0.0,
            stdev: 1.0,
        };
        Ok(Self {
            embedding: builder.get_with_hints(
                (SYMBOLS, size.width),
                "embedding.weight",
                standard_normal,
            )?,
            lstm: Lstm::new(size.width, size.hidden, &builder.pp("lstm"))?,
            head: [
                FullyConnected::new(size.hidden, HEAD, &builder.pp("head.0"))?,
                FullyConnected::new(HEAD, 1, &builder.pp("head.1"))?,
            ],
            size,
            parameters,
        })
    }
}

impl<K: AsRef<str>> Network<K> for CharLstm {
    fn encode(&self, keys: &[&K]) -> Result<Tensor> {
        let letters = self.size.letters;
        let mut symbols = vec![END; keys.len() * letters];
        for (symbols, key) in symbols.chunks_exact_mut(letters).zip(keys) {
            for (place, byte) in symbols.iter_mut().zip((*key).as_ref().bytes()) {
                *place = symbol(byte);
            }
        }
        Tensor::from_vec(symbols, (keys.len(), letters), &Device::Cpu)
    }

    fn forward(&self, encoded: &Tensor) -> Result<Tensor> {
        let (keys, letters) = encoded.dims2()?;
        let last = self.lstm.last_output(keys, letters, |step| {
            let symbols = encoded.narrow(1, step, 1)?.squeeze(1)?.contiguous()?;
            self.embedding.index_select(&symbols, 0)
        })?;
        let hidden = candle_nn::ops::leaky_relu(&self.head[0].forward(&last)?, LEAK)?;
        self.head[1].forward(&hidden)?.squeeze(1)
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

impl<K: AsRef<str>> Oracle<K> for CharLstm {
    fn score(&self, keys: &[&K], scores: &mut [f32]) {
        score_in_batches(self, keys, scores);
    }

    fn model_bytes(&self) -> usize {
        size_of::<f32>() * self.parameters.element_count()
    }

    fn fingerprint(&self) -> [u8; 16] {
        let kind = format!("char lstm, {} letters", self.size.letters);
        short_fingerprint(&kind, &self.parameters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_those_of_the_paper() {
        let network = CharLstm::new(CharLstmSize::SMALL, &SeedTree::new(1)).unwrap();
        let text = "aZ09 .-'&;!é".to_owned();
        let encoded = network.encode(&[&text]).unwrap();
        let expected = [1, 26, 27, 36, 37, 38, 39, 40, 41, 42, 43, 43, 43, 0];
        assert_eq!(encoded.to_vec2::<u8>().unwrap()[0][..14], expected);
    }

    #[test]
    fn the_paper_s_network_has_its_size() {
        let network = CharLstm::new(CharLstmSize::PAPER, &SeedTree::new(1)).unwrap();
        let lstm = 4 * 256 * (64 + 256 + 2);
        let head = 256 * 32 + 32 + 32 + 1;
        assert_eq!(network.parameters.element_count(), 44 * 64 + lstm + head);
    }
}
