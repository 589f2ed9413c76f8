//! What is measured: a row is a piece of work that `sample.py` knows under the same name.

use std::hint::black_box;

use candle_core::{DType, Device, Result, Tensor, Var};
use septet_core::nn::{
    Adam, Attention, BatchNorm, BatchNormStatistics, Convolution, Optimizer, Pool, RmsProp, Sgd,
    State, TensorMap, Weights, attention, avg_pool, conv2d, conv3d, cross_entropy, dropout,
    embedding, gelu, global_mean, gru_cell, huber, layer_norm, linear, log_softmax, lstm_cell,
    max_pool, relu, rms_norm, self_attention, soft_cross_entropy, softmax,
};
use septet_core::seed::SeedTree;

use super::gpt;

/// One line of the comparison.
pub(super) struct Row {
    /// The name, here and in `sample.py`.
    pub(super) name: &'static str,
    /// What is computed.
    pub(super) what: &'static str,
    /// Makes the operands.
    pub(super) build: fn() -> Result<Passes>,
}

/// Pieces of work, each of which is timed by itself.
pub(super) type Passes = Vec<Pass>;

/// Something to run.
pub(super) type Run = Box<dyn FnMut() -> Result<()>>;

/// A piece of work.
pub(super) struct Pass {
    /// The name, here and in `sample.py`.
    pub(super) name: &'static str,
    pub(super) run: Run,
    /// The part of the work that candle's `backward` adds to that of the operation: it fills a tensor
    /// of zeros for each gradient and adds the gradient to it.
    pub(super) sums: Option<Run>,
}

impl Pass {
    pub(super) fn new(name: &'static str, run: impl FnMut() -> Result<()> + 'static) -> Self {
        Self {
            name,
            run: Box::new(run),
            sums: None,
        }
    }
}

/// All rows. PyTorch's side has rows for operators that are still to come here.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "gelu",
        what: "2048 x 1024",
        build: || elementwise(&[2048, 1024], gelu),
    },
    Row {
        name: "softmax",
        what: "4096 x 128",
        build: || elementwise(&[4096, 128], softmax),
    },
    Row {
        name: "log_softmax",
        what: "4096 x 128",
        build: || elementwise(&[4096, 128], log_softmax),
    },
    Row {
        name: "relu",
        what: "2048 x 1024",
        build: || elementwise(&[2048, 1024], relu),
    },
    Row {
        name: "dropout",
        what: "1024 x 1024, p = 0.1",
        build: || {
            let seed = SeedTree::new(1);
            elementwise(&[1024, 1024], move |x| dropout(x, 0.1, &seed))
        },
    },
    Row {
        name: "layer_norm",
        what: "1024 x 256",
        build: || {
            let [x, w, b] = [
                variable(&[1024, 256])?,
                variable(&[256])?,
                variable(&[256])?,
            ];
            Ok(operator(move || layer_norm(&x, &w, &b, 1e-5)))
        },
    },
    Row {
        name: "rms_norm",
        what: "1024 x 256",
        build: || {
            let [x, w] = [variable(&[1024, 256])?, variable(&[256])?];
            Ok(operator(move || rms_norm(&x, &w, 1e-5)))
        },
    },
    Row {
        name: "cross_entropy 65",
        what: "1024 rows, 65 classes",
        build: || classifier(65),
    },
    Row {
        name: "cross_entropy 8192",
        what: "1024 rows, 8192 classes",
        build: || classifier(8192),
    },
    Row {
        name: "soft_cross_entropy",
        what: "1024 rows, 1000 classes",
        build: || {
            let logits = variable(&[1024, 1000])?;
            // Weights of data: no gradient.
            let targets = softmax(variable(&[1024, 1000])?.as_tensor())?.detach();
            Ok(operator(move || soft_cross_entropy(&logits, &targets)))
        },
    },
    Row {
        name: "huber",
        what: "1024 x 1024, delta 1",
        build: || {
            let (prediction, target) = (variable(&[1024, 1024])?, variable(&[1024, 1024])?);
            let target = target.affine(-1.5, 0.0)?.detach();
            Ok(operator(move || huber(&prediction, &target, 1.0)))
        },
    },
    Row {
        name: "embedding",
        what: "4096 of 8192 rows of 256",
        build: || {
            let (table, ids) = (variable(&[8192, 256])?, integers(4096, 8192)?);
            Ok(operator(move || embedding(&ids, &table)))
        },
    },
    Row {
        name: "linear",
        what: "1024 x 256 -> 1024",
        build: || {
            let (x, w) = (variable(&[1024, 256])?, variable(&[1024, 256])?);
            let b = variable(&[1024])?;
            Ok(operator(move || linear(&x, &w, Some(&b))))
        },
    },
    Row {
        name: "attention",
        what: "b 8, 4 heads, t 128, d 64, causal",
        build: || attended(8, 128, true),
    },
    Row {
        name: "attention 512",
        what: "b 2, 4 heads, t 512, d 64, causal",
        build: || attended(2, 512, true),
    },
    Row {
        name: "attention all",
        what: "b 8, 4 heads, t 128, d 64",
        build: || attended(8, 128, false),
    },
    Row {
        name: "self_attention",
        what: "b 8, 4 heads, t 128, d 64, causal, from one tensor to one tensor",
        build: || {
            let qkv = variable(&[8, 128, 768])?;
            let options = Attention {
                causal: true,
                ..Attention::default()
            };
            Ok(operator(move || self_attention(&qkv, 4, &options)))
        },
    },
    Row {
        name: "lstm_cell",
        what: "n 256, h 64",
        build: || {
            // The four gates side by side, already multiplied: only the cell is measured.
            let (gates, cell) = (variable(&[256, 256])?, variable(&[256, 64])?);
            Ok(operator(move || Ok(lstm_cell(&gates, &cell)?.0)))
        },
    },
    Row {
        name: "gru_cell",
        what: "n 256, h 64",
        build: || {
            // The three gates of the input and of the state, each side by side.
            let (input, recurrent) = (variable(&[256, 192])?, variable(&[256, 192])?);
            let hidden = variable(&[256, 64])?;
            Ok(operator(move || gru_cell(&input, &recurrent, &hidden)))
        },
    },
    Row {
        name: "adamw",
        what: "1.6 M parameters",
        build: || optimizer(Adam::decoupled(0.01)),
    },
    Row {
        name: "sgd",
        what: "1.6 M parameters, momentum",
        build: || {
            optimizer(Sgd {
                momentum: 0.9,
                ..Sgd::default()
            })
        },
    },
    Row {
        name: "rms_prop",
        what: "1.6 M parameters",
        build: || optimizer(RmsProp::default()),
    },
    Row {
        name: "conv2d 16x32",
        what: "128 x 16 x 32 x 32, 3 x 3",
        build: || convolution(128, 16, 32),
    },
    Row {
        name: "conv2d 8x16",
        what: "256 x 8 x 16 x 16, 3 x 3",
        build: || convolution(256, 8, 16),
    },
    Row {
        name: "conv2d 32x16",
        what: "128 x 32 x 16 x 16, 3 x 3",
        build: || convolution(128, 32, 16),
    },
    Row {
        name: "conv2d 64x8",
        what: "128 x 64 x 8 x 8, 3 x 3",
        build: || convolution(128, 64, 8),
    },
    Row {
        name: "conv3d 1x3x3 16",
        what: "16 x 16 x 8 x 32 x 32, with batch norm",
        build: || normalized_convolution(16, 16, 32, [1, 3, 3]),
    },
    Row {
        name: "conv3d 3x1x1 16",
        what: "16 x 16 x 8 x 32 x 32, with batch norm",
        build: || normalized_convolution(16, 16, 32, [3, 1, 1]),
    },
    Row {
        name: "conv3d 1x3x3 8",
        what: "32 x 8 x 8 x 16 x 16, with batch norm",
        build: || normalized_convolution(32, 8, 16, [1, 3, 3]),
    },
    Row {
        name: "conv3d 3x1x1 8",
        what: "32 x 8 x 8 x 16 x 16, with batch norm",
        build: || normalized_convolution(32, 8, 16, [3, 1, 1]),
    },
    Row {
        name: "conv3d 3x3x3",
        what: "16 x 16 x 8 x 32 x 32, 3 x 3 x 3",
        build: || {
            let x = variable(&[16, 16, 8, 32, 32])?;
            let weight = variable(&[16, 16, 3, 3, 3])?;
            let options = Convolution {
                padding: [1; 3],
                ..Convolution::default()
            };
            Ok(operator(move || conv3d(&x, &weight, None, options)))
        },
    },
    Row {
        name: "depthwise",
        what: "128 x 16 x 32 x 32, 3 x 3, 16 groups",
        build: || {
            let (x, weight) = (variable(&[128, 16, 32, 32])?, variable(&[16, 1, 3, 3])?);
            let options = Convolution {
                padding: [1; 2],
                groups: 16,
                ..Convolution::default()
            };
            Ok(operator(move || conv2d(&x, &weight, None, options)))
        },
    },
    Row {
        name: "batch_norm",
        what: "128 x 16 x 32 x 32",
        build: || {
            let x = variable(&[128, 16, 32, 32])?;
            let (scale, shift) = (variable(&[16])?, variable(&[16])?);
            let statistics = BatchNormStatistics::new(16, DTYPE)?;
            let norm = BatchNorm::default();
            Ok(operator(move || {
                Ok(norm.train(&x, &scale, &shift, &statistics)?.0)
            }))
        },
    },
    Row {
        name: "max_pool",
        what: "128 x 16 x 32 x 32, 3 x 3, stride 2",
        build: || elementwise(&[128, 16, 32, 32], move |x| max_pool(x, OVERLAPPING)),
    },
    Row {
        name: "avg_pool",
        what: "128 x 16 x 32 x 32, 3 x 3, stride 2",
        build: || elementwise(&[128, 16, 32, 32], move |x| avg_pool(x, OVERLAPPING)),
    },
    Row {
        name: "global_mean",
        what: "128 x 16 x 32 x 32",
        build: || elementwise(&[128, 16, 32, 32], global_mean),
    },
    Row {
        name: "gpt",
        what: "h 256, 2 layers, 4 heads, b 8, T 128, V 65, AdamW, clipping",
        build: gpt::passes,
    },
];

/// Overlapping windows, as after the first convolution of a residual network.
const OVERLAPPING: Pool<2> = Pool {
    kernel: [3; 2],
    stride: [2; 2],
    padding: [1; 2],
};

/// A variable with values of order 1.
pub(super) fn variable(shape: &[usize]) -> Result<Var> {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count)
        // A sine at steps of about the golden ratio: scattered values without a generator.
        .map(|i| (1.618 * i as f64 + count as f64).sin() as f32)
        .collect();
    Var::from_vec(values, shape, &Device::Cpu)
}

/// Integers below `bound`, scattered.
pub(super) fn integers(count: u32, bound: u32) -> Result<Tensor> {
    let values: Vec<u32> = (0..count)
        // Knuth's multiplicative hash scatters successive numbers.
        .map(|i| i.wrapping_mul(2_654_435_761) % bound)
        .collect();
    Tensor::from_vec(values, count as usize, &Device::Cpu)
}

/// The forward pass, and both passes with a gradient of ones.
pub(super) fn operator(forward: impl Fn() -> Result<Tensor> + Clone + 'static) -> Passes {
    let both = forward.clone();
    let once = forward.clone();
    let mut gradients: Option<Vec<Tensor>> = None;
    let sums = move || {
        if gradients.is_none() {
            // Candle keeps the gradients of variables: here, of the operands.
            let store = once()?.backward()?;
            let of_operands = store.get_ids().filter_map(|&id| store.get_id(id).cloned());
            gradients = Some(of_operands.collect());
        }
        for gradient in gradients.iter().flatten() {
            black_box(gradient.zeros_like()?.add(gradient)?);
        }
        Ok(())
    };
    vec![
        Pass::new("forward", move || {
            black_box(forward()?);
            Ok(())
        }),
        Pass {
            sums: Some(Box::new(sums)),
            ..Pass::new("forward+backward", move || {
                // Without a sum to a scalar: candle starts from a gradient of ones.
                black_box(both()?.backward()?);
                Ok(())
            })
        },
    ]
}

fn elementwise(
    shape: &[usize],
    function: impl Fn(&Tensor) -> Result<Tensor> + Clone + 'static,
) -> Result<Passes> {
    let x = variable(shape)?;
    Ok(operator(move || function(&x)))
}

fn classifier(classes: u32) -> Result<Passes> {
    let logits = variable(&[1024, classes as usize])?;
    let labels = integers(1024, classes)?;
    Ok(operator(move || cross_entropy(&logits, &labels)))
}

fn attended(batch: usize, length: usize, causal: bool) -> Result<Passes> {
    let shape = [batch, 4, length, 64];
    let (q, k, v) = (variable(&shape)?, variable(&shape)?, variable(&shape)?);
    let options = Attention {
        causal,
        ..Attention::default()
    };
    Ok(operator(move || attention(&q, &k, &v, &options)))
}

fn convolution(images: usize, channels: usize, size: usize) -> Result<Passes> {
    let x = variable(&[images, channels, size, size])?;
    let weight = variable(&[channels, channels, 3, 3])?;
    let options = Convolution {
        padding: [1; 2],
        ..Convolution::default()
    };
    Ok(operator(move || conv2d(&x, &weight, None, options)))
}

/// A convolution of clips of 8 frames and its batch norm, as in a pseudo-3-D network.
fn normalized_convolution(
    clips: usize,
    channels: usize,
    size: usize,
    kernel: [usize; 3],
) -> Result<Passes> {
    let x = variable(&[clips, channels, 8, size, size])?;
    let [time, height, width] = kernel;
    let weight = variable(&[channels, channels, time, height, width])?;
    let (scale, shift) = (variable(&[channels])?, variable(&[channels])?);
    let options = Convolution {
        // Padding by half of the kernel keeps the sizes.
        padding: kernel.map(|size| size / 2),
        ..Convolution::default()
    };
    let norm = BatchNorm {
        epsilon: 1e-5,
        momentum: Some(0.1),
        relu: false,
    };
    let statistics = BatchNormStatistics::new(channels, DTYPE)?;
    Ok(operator(move || {
        let y = conv3d(&x, &weight, None, options)?;
        Ok(norm.train(&y, &scale, &shift, &statistics)?.0)
    }))
}

/// One step over as many numbers as the reference GPT has, in tensors of its usual sizes.
fn optimizer(optimizer: impl Optimizer + 'static) -> Result<Passes> {
    let (mut values, mut gradients) = (TensorMap::new(), TensorMap::new());
    for index in 0..26 {
        // Six matrices of 256 x 1024 and twenty vectors of 256: 1.58 million numbers.
        let shape: &[usize] = if index < 6 { &[256, 1024] } else { &[256] };
        let value = variable(shape)?.as_detached_tensor();
        gradients.insert(format!("{index}"), value.affine(0.1, 0.0)?);
        values.insert(format!("{index}"), value);
    }
    let mut weights = Weights::new(values).map_err(candle_core::Error::wrap)?;
    let mut state = State::default();
    Ok(vec![Pass::new("step", move || {
        let (next, moments) = optimizer
            .step(1e-3, &weights, &gradients, &state)
            .map_err(candle_core::Error::wrap)?;
        // Each call continues from the one before, as training does.
        (weights, state) = (next, moments);
        Ok(())
    })])
}

/// The type of all operands.
pub(super) const DTYPE: DType = DType::F32;
