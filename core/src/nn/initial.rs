//! Initial values of parameters, drawn from a stream that the parameter's name selects.

use candle_core::{DType, Device, Result, Shape, Tensor};
use candle_nn::Init;
use candle_nn::init::{FanInOut, NormalOrUniform};
use rand::Rng;
use rand_distr::StandardNormal;

use crate::seed::SeedTree;

/// The initial value of the parameter `name`: a function of the seed, the name, the shape and the
/// distribution, and of nothing else. Candle's own generator cannot be seeded on a CPU.
///
/// The draws are made in f64 and then rounded to `dtype`, so that a model in f32 starts from the
/// rounded values of the same model in f64.
///
/// # Errors
/// Only those of candle, for a type that is not a number or a device without memory.
pub fn initial(
    seed: &SeedTree,
    name: &str,
    shape: impl Into<Shape>,
    init: Init,
    dtype: DType,
    device: &Device,
) -> Result<Tensor> {
    let shape = shape.into();
    let count = shape.elem_count();
    // The stream belongs to the name: no draw depends on other parameters.
    let stream = || seed.child(name).rng();
    let uniform = |low: f64, high: f64| -> Vec<f64> {
        let draws = stream().random_iter::<f64>().take(count);
        draws.map(|draw| low + (high - low) * draw).collect()
    };
    let normal = |mean: f64, deviation: f64| -> Vec<f64> {
        let draws = stream().sample_iter::<f64, _>(StandardNormal).take(count);
        draws.map(|draw| mean + deviation * draw).collect()
    };
    let values = match init {
        Init::Const(value) => vec![value; count],
        Init::Uniform { lo, up } => uniform(lo, up),
        Init::Randn { mean, stdev } => normal(mean, stdev),
        Init::Kaiming {
            dist,
            fan,
            non_linearity,
        } => {
            // The gain makes up for what the non-linearity does to the variance (He et al., ICCV
            // 2015).
            let deviation = non_linearity.gain() / (fan_of(fan, &shape) as f64).sqrt();
            match dist {
                NormalOrUniform::Normal => normal(0.0, deviation),
                NormalOrUniform::Uniform => {
                    // A uniform distribution in +-a has the standard deviation a / sqrt(3).
                    let bound = 3f64.sqrt() * deviation;
                    uniform(-bound, bound)
                }
            }
        }
    };
    Tensor::from_vec(values, shape, &Device::Cpu)?
        .to_dtype(dtype)?
        .to_device(device)
}

/// Inputs or outputs of one unit; never 0, so that an empty tensor has a distribution too.
fn fan_of(fan: FanInOut, shape: &Shape) -> usize {
    fan.for_shape(shape).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NORMAL: Init = Init::Randn {
        mean: 2.0,
        stdev: 0.5,
    };

    fn values(name: &str, init: Init) -> Vec<f64> {
        initial(
            &SeedTree::new(7),
            name,
            (100, 100),
            init,
            DType::F64,
            &Device::Cpu,
        )
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
    }

    #[test]
    fn the_name_selects_the_stream() {
        assert_eq!(values("a.weight", NORMAL), values("a.weight", NORMAL));
        assert_ne!(values("a.weight", NORMAL), values("b.weight", NORMAL));
    }

    #[test]
    fn moments_are_those_of_the_distribution() {
        let moments = |values: &[f64]| {
            let n = values.len() as f64;
            let mean = values.iter().sum::<f64>() / n;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
            (mean, variance.sqrt())
        };
        // 10 000 draws: six standard errors are 0.06 standard deviations for the mean.
        let (mean, deviation) = moments(&values("w", NORMAL));
        assert!((mean - 2.0).abs() < 0.03, "{mean}");
        assert!((deviation - 0.5).abs() < 0.025, "{deviation}");

        let uniform = values("w", Init::Uniform { lo: -1.0, up: 3.0 });
        assert!(uniform.iter().all(|&v| (-1.0..3.0).contains(&v)));
        let (mean, deviation) = moments(&uniform);
        assert!((mean - 1.0).abs() < 0.07, "{mean}");
        assert!((deviation - 4.0 / 12f64.sqrt()).abs() < 0.06, "{deviation}");

        // He et al. 2015: variance 2 / fan-in for rectified units, here with a fan-in of 100.
        for init in [
            candle_nn::init::DEFAULT_KAIMING_NORMAL,
            candle_nn::init::DEFAULT_KAIMING_UNIFORM,
        ] {
            let (mean, deviation) = moments(&values("w", init));
            assert!(mean.abs() < 0.01, "{mean}");
            assert!((deviation / 0.02f64.sqrt() - 1.0).abs() < 0.05);
        }
        assert!(values("b", Init::Const(0.25)).iter().all(|&v| v == 0.25));
    }

    #[test]
    fn single_precision_is_the_rounding_of_double() {
        let single = initial(
            &SeedTree::new(7),
            "w",
            (100, 100),
            NORMAL,
            DType::F32,
            &Device::Cpu,
        )
        .unwrap();
        let single: Vec<f32> = single.flatten_all().unwrap().to_vec1().unwrap();
        let double = values("w", NORMAL);
        assert!(single.iter().zip(double).all(|(&s, d)| s == d as f32));
    }
}
