//! The recurrent network of Hsu et al. for network flows.

use candle_core::{DType, Device, Module as _, Result, Tensor};
use septet_core::nn::{Dense, DenseInit, NnError, Parameters, Weights};
use septet_core::seed::SeedTree;

use super::Network;
use super::lstm::Lstm;
use super::network::{score_in_batches, short_fingerprint};
use crate::error::SketchError;
use crate::key::FlowKey;
use crate::oracle::Oracle;

/// The network that the paper's models are (`HsuRNN` in its code), after Hsu et al., ICLR 2019: 40 881
/// parameters.
///
/// A recurrent layer of 64 units reads the 32 bits of the source address, most significant first, and
/// another those of the destination; a small network of 16 and 8 units reads the 16 bits of each
/// port. Their last outputs, in the order source address, destination address, source port,
/// destination port, and the number of the protocol as it is, make 145 inputs of layers of 32, 32 and
/// 1 units. Leaky rectifiers have the slope 0.3.
///
/// Takes 160 kB, and some 2 million operations a key: put a [`Cascade`](crate::oracle::Cascade) in
/// front of it.
#[derive(Debug)]
pub struct HsuLstm {
    parameters: Parameters,
}

/// The layers, bound to the newest parameters.
struct Layers {
    source: Lstm,
    destination: Lstm,
    source_port: [Dense; 2],
    destination_port: [Dense; 2],
    head: [Dense; 3],
}

const ADDRESS_BITS: usize = 32;
const PORT_BITS: usize = 16;
/// Bits of both addresses and both ports, then the protocol.
const COLUMNS: usize = 2 * ADDRESS_BITS + 2 * PORT_BITS + 1;
const HIDDEN: usize = 64;
const PORT_OUTPUTS: usize = 8;
const HEAD_INPUTS: usize = 2 * HIDDEN + 2 * PORT_OUTPUTS + 1;
const LEAK: f64 = 0.3;

impl HsuLstm {
    /// A network drawn from the seed, with PyTorch's distributions.
    ///
    /// # Errors
    ///
    /// [`SketchError::Tensor`], when candle fails.
    pub fn new(seed: &SeedTree) -> std::result::Result<Self, SketchError> {
        Self::from_parameters(Parameters::new(seed.child("hsu lstm")))
    }

    /// The network with the parameters of a file that `parameters().weights().save(..)` wrote.
    ///
    /// # Errors
    ///
    /// [`SketchError::Tensor`] when the file is not such a file.
    pub fn load(path: impl AsRef<std::path::Path>) -> std::result::Result<Self, SketchError> {
        Self::from_parameters(Weights::load(path, &Device::Cpu)?.into())
    }

    fn from_parameters(parameters: Parameters) -> std::result::Result<Self, SketchError> {
        let network = Self { parameters };
        // Draws the parameters that are not there.
        network.layers().map_err(NnError::from)?;
        Ok(network)
    }

    fn layers(&self) -> Result<Layers> {
        let builder = self.parameters.builder(DType::F32, &Device::Cpu);
        let lstm = |name| Lstm::new(1, HIDDEN, &builder.pp(name));
        let layer = |name, inputs, outputs| {
            Dense::new(inputs, outputs, DenseInit::Uniform, &builder.pp(name))
        };
        Ok(Layers {
            source: lstm("source")?,
            destination: lstm("destination")?,
            source_port: [
                layer("source_port.0", PORT_BITS, 16)?,
                layer("source_port.1", 16, PORT_OUTPUTS)?,
            ],
            destination_port: [
                layer("destination_port.0", PORT_BITS, 16)?,
                layer("destination_port.1", 16, PORT_OUTPUTS)?,
            ],
            head: [
                layer("head.0", HEAD_INPUTS, 32)?,
                layer("head.1", 32, 32)?,
                layer("head.2", 32, 1)?,
            ],
        })
    }
}

/// The 97 inputs of a flow: bits, most significant first, and the protocol.
fn columns(flow: &FlowKey) -> [u8; COLUMNS] {
    let mut columns = [0; COLUMNS];
    let fields = [
        (flow.source.ip().to_bits(), ADDRESS_BITS),
        (flow.destination.ip().to_bits(), ADDRESS_BITS),
        (u32::from(flow.source.port()), PORT_BITS),
        (u32::from(flow.destination.port()), PORT_BITS),
    ];
    let mut column = 0;
    for (value, bits) in fields {
        for bit in (0..bits).rev() {
            columns[column] = (value >> bit & 1) as u8;
            column += 1;
        }
    }
    columns[column] = flow.protocol;
    columns
}

impl Network<FlowKey> for HsuLstm {
    fn encode(&self, keys: &[&FlowKey]) -> Result<Tensor> {
        let values: Vec<u8> = keys.iter().flat_map(|flow| columns(flow)).collect();
        Tensor::from_vec(values, (keys.len(), COLUMNS), &Device::Cpu)
    }

    fn forward(&self, encoded: &Tensor) -> Result<Tensor> {
        let model = self.layers()?;
        let keys = encoded.dim(0)?;
        let values = encoded.to_dtype(DType::F32)?;
        let field = |first, count| values.narrow(1, first, count);
        let address = |lstm: &Lstm, first| {
            lstm.last_output(keys, ADDRESS_BITS, |step| field(first + step, 1))
        };
        let port = |layers: &[Dense; 2], first| {
            let hidden = layers[0].forward(&field(first, PORT_BITS)?)?;
            layers[1].forward(&candle_nn::ops::leaky_relu(&hidden, LEAK)?)
        };
        let ports = 2 * ADDRESS_BITS;
        let mut joined = Tensor::cat(
            &[
                address(&model.source, 0)?,
                address(&model.destination, ADDRESS_BITS)?,
                port(&model.source_port, ports)?,
                port(&model.destination_port, ports + PORT_BITS)?,
                field(COLUMNS - 1, 1)?,
            ],
            1,
        )?;
        for layer in &model.head[..2] {
            joined = candle_nn::ops::leaky_relu(&layer.forward(&joined)?, LEAK)?;
        }
        model.head[2].forward(&joined)?.squeeze(1)
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

impl Oracle<FlowKey> for HsuLstm {
    fn score(&self, keys: &[&FlowKey], scores: &mut [f32]) {
        score_in_batches(self, keys, scores);
    }

    fn model_bytes(&self) -> usize {
        size_of::<f32>() * self.parameters.weights().element_count()
    }

    fn fingerprint(&self) -> [u8; 16] {
        short_fingerprint("hsu lstm", &self.parameters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow() -> FlowKey {
        FlowKey {
            source: "128.0.0.1:32770".parse().unwrap(),
            destination: "1.0.0.128:443".parse().unwrap(),
            protocol: 17,
        }
    }

    #[test]
    fn bits_come_most_significant_first_and_source_before_destination() {
        let columns = columns(&flow());
        let ones: Vec<usize> = (0..96).filter(|&i| columns[i] == 1).collect();
        // 32770 is 2^15 + 2; 443 is 1 1011 1011 in binary.
        let source = [0, 31];
        let destination = [32 + 7, 32 + 24];
        let source_port = [64, 64 + 14];
        let destination_port = [7, 8, 10, 11, 12, 14, 15].map(|bit| 80 + bit);
        let expected = [&source[..], &destination, &source_port, &destination_port];
        assert_eq!(ones, expected.concat());
        assert_eq!(columns[96], 17, "the protocol is a number");
    }

    #[test]
    fn it_has_the_parameters_of_the_paper() {
        let network = HsuLstm::new(&SeedTree::new(1)).unwrap();
        assert_eq!(network.parameters.weights().element_count(), 40_881);
        assert_eq!(network.model_bytes(), 4 * 40_881);
    }

    #[test]
    fn the_order_of_the_joined_outputs_is_that_of_the_paper() {
        // A head that looks at one input only, through identities, tells which field it comes from.
        let network = HsuLstm::new(&SeedTree::new(1)).unwrap();
        let reads = |input: usize, other: FlowKey| {
            let mut pick = vec![0f32; 32 * HEAD_INPUTS];
            pick[input] = 1.0;
            let pick = Tensor::from_vec(pick, (32, HEAD_INPUTS), &Device::Cpu).unwrap();
            let mut tensors = network.parameters.weights().tensors().clone();
            tensors.insert("head.0.weight".to_owned(), pick);
            network.parameters.set(Weights::new(tensors).unwrap());
            let mut scores = [0.0; 2];
            network.score(&[&flow(), &other], &mut scores);
            scores[0] != scores[1]
        };
        let base = flow();
        let others = [
            FlowKey {
                source: "128.0.0.2:32770".parse().unwrap(),
                ..base
            },
            FlowKey {
                destination: "1.0.0.129:443".parse().unwrap(),
                ..base
            },
            FlowKey {
                source: "128.0.0.1:32771".parse().unwrap(),
                ..base
            },
            FlowKey {
                destination: "1.0.0.128:444".parse().unwrap(),
                ..base
            },
            FlowKey {
                protocol: 6,
                ..base
            },
        ];
        for (field, first, last) in [
            (0, 0, 63),
            (1, 64, 127),
            (2, 128, 135),
            (3, 136, 143),
            (4, 144, 144),
        ] {
            for input in [first, last] {
                for (index, &other) in others.iter().enumerate() {
                    assert_eq!(reads(input, other), index == field, "{input} {index}");
                }
            }
        }
    }
}
