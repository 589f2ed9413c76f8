//! A single-layer LSTM that returns its last output.

use candle_core::{Result, Tensor};
use candle_nn::{Init, VarBuilder};
use septet_core::nn::{linear, lstm_cell};

/// A layer of long short-term memory, for a [`Network`](super::Network) that reads its keys step by
/// step. Its step is one operation on the CPU, with its gradient.
///
/// The parameters have PyTorch's names (`weight_ih_l0` and so on), shapes and gate order (input,
/// forget, cell, output), with its two biases.
#[derive(Clone, Debug)]
pub struct Lstm {
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    bias_hh: Tensor,
    hidden: usize,
}

impl Lstm {
    /// A layer of `hidden` units, from 1. All parameters are drawn uniformly from
    /// `+-1 / sqrt(hidden)`, as PyTorch does, unless the builder has them.
    ///
    /// # Errors
    ///
    /// Candle's error for no units, or for parameters of other shapes.
    pub fn new(inputs: usize, hidden: usize, builder: &VarBuilder<'_>) -> Result<Self> {
        if hidden == 0 {
            candle_core::bail!("lstm: expected at least 1 unit, found 0");
        }
        let bound = 1.0 / (hidden as f64).sqrt();
        let init = Init::Uniform {
            lo: -bound,
            up: bound,
        };
        let gates = 4 * hidden;
        Ok(Self {
            weight_ih: builder.get_with_hints((gates, inputs), "weight_ih_l0", init)?,
            weight_hh: builder.get_with_hints((gates, hidden), "weight_hh_l0", init)?,
            bias_ih: builder.get_with_hints(gates, "bias_ih_l0", init)?,
            bias_hh: builder.get_with_hints(gates, "bias_hh_l0", init)?,
            hidden,
        })
    }

    /// The output (`[keys, hidden]`) after the last of `steps` inputs; `input` gives the input of a
    /// step, `[keys, inputs]`. Zeros without steps.
    ///
    /// # Errors
    ///
    /// Candle's error for an input of another shape or type, and the errors of `input`.
    pub fn last_output(
        &self,
        keys: usize,
        steps: usize,
        input: impl Fn(usize) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let weight = Tensor::cat(&[&self.weight_ih, &self.weight_hh], 1)?;
        let bias = (&self.bias_ih + &self.bias_hh)?;
        let hidden = self.hidden;
        let zeros = Tensor::zeros((keys, hidden), weight.dtype(), weight.device())?;
        let (mut output, mut cell) = (zeros.clone(), zeros);
        for step in 0..steps {
            let input = Tensor::cat(&[&input(step)?, &output], 1)?;
            let gates = linear(&input, &weight, Some(&bias))?;
            (output, cell) = lstm_cell(&gates, &cell)?;
        }
        Ok(output)
    }
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use candle_core::{DType, Device};
    use septet_core::nn::{Parameters, initial};
    use septet_core::seed::SeedTree;

    use super::*;

    fn draw(name: &str, shape: (usize, usize)) -> Tensor {
        let init = Init::Randn {
            mean: 0.0,
            stdev: 1.0,
        };
        let seed = SeedTree::new(5);
        initial(&seed, name, shape, init, DType::F64, &Device::Cpu).expect("a draw on the CPU")
    }

    #[test]
    fn it_is_the_recurrence_of_the_definition() {
        let parameters = Parameters::new(SeedTree::new(1));
        let lstm = Lstm::new(2, 3, &parameters.builder(DType::F64, &Device::Cpu)).unwrap();
        let inputs = [draw("0", (4, 2)), draw("1", (4, 2)), draw("2", (4, 2))];
        let found = lstm
            .last_output(4, 3, |step| Ok(inputs[step].clone()))
            .unwrap();

        let sigmoid = |x: &Tensor| candle_nn::ops::sigmoid(x).unwrap();
        let mut h = Tensor::zeros((4, 3), DType::F64, &Device::Cpu).unwrap();
        let mut c = h.clone();
        for input in &inputs {
            let part = |x: &Tensor, w: &Tensor, b: &Tensor| {
                x.matmul(&w.t().unwrap()).unwrap().broadcast_add(b).unwrap()
            };
            let gates = (part(input, &lstm.weight_ih, &lstm.bias_ih)
                + part(&h, &lstm.weight_hh, &lstm.bias_hh))
            .unwrap();
            let gates = gates.chunk(4, 1).unwrap();
            c = ((sigmoid(&gates[1]) * c).unwrap()
                + (sigmoid(&gates[0]) * gates[2].tanh().unwrap()).unwrap())
            .unwrap();
            h = (sigmoid(&gates[3]) * c.tanh().unwrap()).unwrap();
        }
        let difference = (found - h).unwrap().abs().unwrap().max_all().unwrap();
        assert!(difference.to_scalar::<f64>().unwrap() < 1e-12);
    }

    #[test]
    fn a_layer_has_units() {
        let parameters = Parameters::new(SeedTree::new(1));
        let builder = parameters.builder(DType::F64, &Device::Cpu);
        assert!(Lstm::new(2, 0, &builder).is_err());
        let lstm = Lstm::new(2, 3, &builder).unwrap();
        assert!(lstm.last_output(4, 1, |_| Ok(draw("0", (4, 1)))).is_err());
        assert!(lstm.last_output(4, 1, |_| Ok(draw("0", (5, 2)))).is_err());
    }
}
