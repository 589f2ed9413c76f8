//! The recurrent network of Hsu et al. for search queries.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{Init, VarBuilder};
use septet_core::experiment::SeedTree;
use septet_core::nn::{Parameters, linear};
use septet_sketch::train::{Lstm, Network};

/// Reads a text letter by letter (`HsuAOLRNN` in the paper's code).
///
/// Each of the first `letters` letters selects a vector of length `width`: there are 44 of them, one
/// for each of `a`-`z` (either case), `0`-`9`, and the six of ` .-'&;`, one for all other bytes, and one
/// for the places after the end of the text. A recurrent layer of `hidden` units reads them all; its
/// last output passes through 32 units with a leaky rectifier of slope 0.3 to the score.
#[derive(Debug)]
pub(crate) struct CharLstm {
    letters: usize,
    parameters: Parameters,
    embedding: Tensor,
    lstm: Lstm,
    /// Weight and bias of each layer.
    head: [(Tensor, Tensor); 2],
}

/// The size of a [`CharLstm`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct CharLstmSize {
    /// Letters that are read; longer texts are cut, shorter ones filled up.
    letters: usize,
    /// Length of a letter's vector.
    width: usize,
    /// Units of the recurrent layer.
    hidden: usize,
}

impl CharLstmSize {
    /// A size that trains on a small machine. The paper's has 60 letters, vectors of 64, 256 units.
    pub(crate) const SMALL: Self = Self {
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

/// Keys that are scored at once: few enough that the activations stay in the cache.
const SCORED_TOGETHER: usize = 256;

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
    pub(crate) fn new(size: CharLstmSize, seed: &SeedTree) -> Result<Self> {
        let parameters = Parameters::new(seed.child("char lstm"));
        let builder = parameters.builder(DType::F32, &Device::Cpu);
        let standard_normal = Init::Randn {
            mean: 0.0,
            stdev: 1.0,
        };
        Ok(Self {
            letters: size.letters,
            embedding: builder.get_with_hints(
                (SYMBOLS, size.width),
                "embedding.weight",
                standard_normal,
            )?,
            lstm: Lstm::new(size.width, size.hidden, &builder.pp("lstm"))?,
            head: [
                fully_connected(size.hidden, HEAD, &builder.pp("head.0"))?,
                fully_connected(HEAD, 1, &builder.pp("head.1"))?,
            ],
            parameters,
        })
    }

    /// The scores of keys.
    pub(crate) fn scores(&self, keys: &[String]) -> Result<Vec<f64>> {
        let mut scores = Vec::with_capacity(keys.len());
        for keys in keys.chunks(SCORED_TOGETHER) {
            let references: Vec<&String> = keys.iter().collect();
            let found = self.forward(&self.encode(&references)?)?.to_vec1::<f32>()?;
            scores.extend(found.into_iter().map(f64::from));
        }
        Ok(scores)
    }
}

/// Weight and bias of a layer, drawn from PyTorch's distributions.
fn fully_connected(
    inputs: usize,
    outputs: usize,
    builder: &VarBuilder<'_>,
) -> Result<(Tensor, Tensor)> {
    let bound = 1.0 / (inputs as f64).sqrt();
    let init = Init::Uniform {
        lo: -bound,
        up: bound,
    };
    Ok((
        builder.get_with_hints((outputs, inputs), "weight", init)?,
        builder.get_with_hints(outputs, "bias", init)?,
    ))
}

impl Network<String> for CharLstm {
    fn encode(&self, keys: &[&String]) -> Result<Tensor> {
        let mut symbols = vec![END; keys.len() * self.letters];
        for (symbols, key) in symbols.chunks_exact_mut(self.letters).zip(keys) {
            for (place, byte) in symbols.iter_mut().zip(key.bytes()) {
                *place = symbol(byte);
            }
        }
        Tensor::from_vec(symbols, (keys.len(), self.letters), &Device::Cpu)
    }

    fn forward(&self, encoded: &Tensor) -> Result<Tensor> {
        let (keys, letters) = encoded.dims2()?;
        let last = self.lstm.last_output(keys, letters, |step| {
            let symbols = encoded.narrow(1, step, 1)?.squeeze(1)?.contiguous()?;
            self.embedding.index_select(&symbols, 0)
        })?;
        let [(first, first_bias), (second, second_bias)] = &self.head;
        let hidden = candle_nn::ops::leaky_relu(&linear(&last, first, Some(first_bias))?, LEAK)?;
        linear(&hidden, second, Some(second_bias))?.squeeze(1)
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

#[cfg(test)]
mod tests {
    use septet_sketch::train::Loss;

    use super::*;

    fn small() -> CharLstm {
        CharLstm::new(CharLstmSize::SMALL, &SeedTree::new(7)).expect("a draw on the CPU")
    }

    #[test]
    fn letters_are_those_of_the_paper() {
        let text = "aZ09 .-'&;!é".to_owned();
        let encoded = small().encode(&[&text]).unwrap();
        let expected = [1, 26, 27, 36, 37, 38, 39, 40, 41, 42, 43, 43, 43, 0];
        assert_eq!(encoded.to_vec2::<u8>().unwrap()[0][..14], expected);
    }

    #[test]
    fn the_paper_s_network_has_its_size() {
        let size = CharLstmSize {
            letters: 60,
            width: 64,
            hidden: 256,
        };
        let network = CharLstm::new(size, &SeedTree::new(1)).unwrap();
        let lstm = 4 * 256 * (64 + 256 + 2);
        let head = 256 * 32 + 32 + 32 + 1;
        assert_eq!(network.parameters.element_count(), 44 * 64 + lstm + head);
    }

    #[test]
    fn every_parameter_gets_a_gradient() {
        let network = small();
        let texts: Vec<String> = (0..100)
            .map(|i| format!("word{} {} other-{i}", i % 7, i % 13))
            .collect();
        let keys: Vec<&String> = texts.iter().collect();
        let scores = network.forward(&network.encode(&keys).unwrap()).unwrap();
        let counts: Vec<f64> = (0..100).map(|i| f64::from((i * i * 31) % 97 + 1)).collect();
        let counts = Tensor::new(counts, &Device::Cpu).unwrap();
        let loss = Loss::LogMse.value(&scores, &counts, 0.0).unwrap();
        let gradients = network.parameters.gradients(&loss).unwrap();
        // An embedding, four of the recurrent layer, and two of each layer of the head.
        assert_eq!(gradients.len(), 9);
        for (name, gradient) in gradients {
            let largest = gradient.abs().unwrap().max_all().unwrap();
            let largest = largest.to_scalar::<f32>().unwrap();
            assert!(largest > 1e-9, "{name}: {largest}");
        }
    }

    #[test]
    fn texts_are_scored_in_batches() {
        let network = small();
        let texts: Vec<String> = (0..300).map(|i| format!("text {i}")).collect();
        let all = network.scores(&texts).unwrap();
        assert_eq!(all.len(), 300);
        // Products are summed in another order.
        let alone = network.scores(&texts[299..]).unwrap()[0];
        assert!((all[299] - alone).abs() < 1e-6, "{} {alone}", all[299]);
    }
}
