//! The fully connected layer.

use candle_core::{Module, Result, Tensor};
use candle_nn::Init;
use candle_nn::init::{FanInOut, NonLinearity, NormalOrUniform};
use candle_nn::var_builder::VarBuilder;

use super::linear;

/// A fully connected layer `x w^T + b`, bound to the tensors of one snapshot.
#[derive(Clone, Debug)]
pub struct Dense {
    weight: Tensor,
    bias: Tensor,
}

/// The distribution of a layer's initial weights.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum DenseInit {
    /// Weight and bias uniform in `+-1 / sqrt(inputs)`: the default of PyTorch's `Linear`.
    Uniform,
    /// A normal weight of variance `2 / inputs`, for layers before a rectifier (He et al., ICCV
    /// 2015); the bias is 0.
    He,
    /// A normal weight of variance `1 / inputs` (`LeCun` et al. 1998, section 4.6); the bias is 0.
    Lecun,
    /// A normal weight of this standard deviation; the bias is 0.
    Normal {
        /// The standard deviation, finite and not negative.
        deviation: f64,
    },
}

impl DenseInit {
    /// The distributions of weight and bias of a layer with this number of inputs.
    fn distributions(self, inputs: usize) -> [Init; 2] {
        // The standard deviation is gain / sqrt(inputs), with the gain sqrt(2) of a rectifier or 1.
        let kaiming = |non_linearity| Init::Kaiming {
            dist: NormalOrUniform::Normal,
            fan: FanInOut::FanIn,
            non_linearity,
        };
        let weight = match self {
            Self::Uniform => {
                let bound = 1.0 / (inputs.max(1) as f64).sqrt();
                let uniform = Init::Uniform {
                    lo: -bound,
                    up: bound,
                };
                return [uniform; 2];
            }
            Self::He => kaiming(NonLinearity::ReLU),
            Self::Lecun => kaiming(NonLinearity::Linear),
            Self::Normal { deviation } => Init::Randn {
                mean: 0.0,
                stdev: deviation,
            },
        };
        [weight, Init::Const(0.0)]
    }
}

impl Dense {
    /// The layer with the tensors `weight`, `[outputs, inputs]`, and `bias`, `[outputs]`, of the
    /// builder.
    ///
    /// # Errors
    /// Candle's error when the builder has tensors of these names with other shapes.
    pub fn new(
        inputs: usize,
        outputs: usize,
        init: DenseInit,
        builder: &VarBuilder<'_>,
    ) -> Result<Self> {
        let [weight, bias] = init.distributions(inputs);
        Ok(Self {
            weight: builder.get_with_hints((outputs, inputs), "weight", weight)?,
            bias: builder.get_with_hints(outputs, "bias", bias)?,
        })
    }

    /// The layer with another weight, such as a normalized one.
    #[must_use]
    pub fn with_weight(self, weight: Tensor) -> Self {
        Self { weight, ..self }
    }

    /// The weight, of shape `[outputs, inputs]`.
    #[must_use]
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// The bias, of shape `[outputs]`.
    #[must_use]
    pub fn bias(&self) -> &Tensor {
        &self.bias
    }
}

impl Module for Dense {
    /// From shape `[.., inputs]` to `[.., outputs]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        linear(x, &self.weight, Some(&self.bias))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::nn::Parameters;
    use crate::seed::SeedTree;

    #[test]
    fn initial_values_have_the_requested_distribution() {
        let parameters = Parameters::new(SeedTree::new(3));
        let builder = parameters.builder(DType::F64, &Device::Cpu);
        let layer = |name: &str, init| {
            let layer = Dense::new(100, 200, init, &builder.pp(name)).unwrap();
            let values =
                |tensor: &Tensor| -> Vec<f64> { tensor.flatten_all().unwrap().to_vec1().unwrap() };
            (values(layer.weight()), values(layer.bias()))
        };
        let variance =
            |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64;
        // 20 000 draws: six standard errors of a normal variance are 6 % of it.
        for (name, init, expected) in [
            ("he", DenseInit::He, 0.02),
            ("lecun", DenseInit::Lecun, 0.01),
            ("normal", DenseInit::Normal { deviation: 0.5 }, 0.25),
        ] {
            let (weight, bias) = layer(name, init);
            assert!((variance(&weight) / expected - 1.0).abs() < 0.06, "{name}");
            assert!(bias.iter().all(|&b| b == 0.0));
        }
        let (weight, bias) = layer("uniform", DenseInit::Uniform);
        assert!(weight.iter().chain(&bias).all(|v| v.abs() <= 0.1));
        assert!((variance(&weight) * 300.0 - 1.0).abs() < 0.06);
        assert!(bias.iter().any(|&b| b != 0.0));
    }

    #[test]
    fn it_is_the_affine_map() {
        let parameters = Parameters::new(SeedTree::new(3));
        let builder = parameters.builder(DType::F64, &Device::Cpu);
        let layer = Dense::new(3, 2, DenseInit::Uniform, &builder).unwrap();
        let x = Tensor::new(&[[1.0, -2.0, 0.5]], &Device::Cpu).unwrap();
        let expected = x.matmul(&layer.weight().t().unwrap()).unwrap();
        let expected = expected.broadcast_add(layer.bias()).unwrap();
        let difference = (layer.forward(&x).unwrap() - expected)
            .unwrap()
            .abs()
            .unwrap();
        assert!(difference.max_all().unwrap().to_scalar::<f64>().unwrap() < 1e-12);
        let doubled = layer.weight().affine(2.0, 0.0).unwrap();
        let doubled = layer.clone().with_weight(doubled);
        let zeros = x.zeros_like().unwrap();
        let same = (doubled.forward(&zeros).unwrap() - layer.forward(&zeros).unwrap()).unwrap();
        assert_eq!(
            same.abs()
                .unwrap()
                .sum_all()
                .unwrap()
                .to_scalar::<f64>()
                .unwrap(),
            0.0
        );
    }
}
