//! A training step of a small language model: the reference for what all operators give together.
//!
//! Pre-norm blocks as in GPT-2, learned positions, GELU, no dropout, a head of its own.

use std::rc::Rc;

use candle_core::{Device, Result, Tensor};
use candle_nn::Init;
use septet_core::nn::{
    Adam, Attention, Checkpoint, Parameters, Step, cross_entropy, embedding, gelu, layer_norm,
    linear, self_attention,
};
use septet_core::seed::SeedTree;

use super::row::{DTYPE, Pass, Passes, integers};

const VOCABULARY: usize = 65;
const LENGTH: usize = 128;
const BATCH: usize = 8;
const WIDTH: usize = 256;
const LAYERS: usize = 2;
const HEADS: usize = 4;

struct Model {
    parameters: Parameters,
    ids: Tensor,
    labels: Tensor,
}

impl Model {
    fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        // Initial values of GPT-2; scales of layer norms are 1 and biases 0.
        let init = match name.rsplit('.').next() {
            Some("scale") => Init::Const(1.0),
            Some("bias") => Init::Const(0.0),
            _ => Init::Randn {
                mean: 0.0,
                stdev: 0.02,
            },
        };
        self.parameters
            .builder(DTYPE, &Device::Cpu)
            .get_with_hints(shape, name, init)
    }

    fn linear(&self, x: &Tensor, name: &str, inputs: usize, outputs: usize) -> Result<Tensor> {
        let weight = self.get(&format!("{name}.weight"), &[outputs, inputs])?;
        let bias = self.get(&format!("{name}.bias"), &[outputs])?;
        linear(x, &weight, Some(&bias))
    }

    fn norm(&self, x: &Tensor, name: &str) -> Result<Tensor> {
        let scale = self.get(&format!("{name}.scale"), &[WIDTH])?;
        let bias = self.get(&format!("{name}.bias"), &[WIDTH])?;
        layer_norm(x, &scale, &bias, 1e-5)
    }

    fn block(&self, x: &Tensor, name: &str) -> Result<Tensor> {
        // Attention over the normalized input is added to the residual stream.
        let normalized = self.norm(x, &format!("{name}.first"))?;
        let qkv = self.linear(&normalized, &format!("{name}.qkv"), WIDTH, 3 * WIDTH)?;
        let causal = Attention {
            causal: true,
            ..Attention::default()
        };
        let mixed = self_attention(&qkv, HEADS, &causal)?;
        let x = (x + self.linear(&mixed, &format!("{name}.projection"), WIDTH, WIDTH)?)?;
        // So is a perceptron with a hidden layer four times as wide.
        let normalized = self.norm(&x, &format!("{name}.second"))?;
        let hidden = self.linear(&normalized, &format!("{name}.up"), WIDTH, 4 * WIDTH)?;
        &x + self.linear(&gelu(&hidden)?, &format!("{name}.down"), 4 * WIDTH, WIDTH)?
    }

    fn loss(&self) -> Result<Tensor> {
        let tokens = self.get("tokens", &[VOCABULARY, WIDTH])?;
        let positions = self.get("positions", &[LENGTH, WIDTH])?;
        // Embeddings of token and position add up.
        let mut x = embedding(&self.ids, &tokens)?.broadcast_add(&positions)?;
        for layer in 0..LAYERS {
            x = self.block(&x, &format!("{layer}"))?;
        }
        let x = self.norm(&x, "norm")?;
        let logits = linear(&x, &self.get("head", &[VOCABULARY, WIDTH])?, None)?;
        // Each position of each sequence is a row of the loss.
        cross_entropy(&logits.reshape((BATCH * LENGTH, VOCABULARY))?, &self.labels)
    }
}

/// The forward pass, both passes, and a whole step with clipping and AdamW.
pub(super) fn passes() -> Result<Passes> {
    let count = u32::try_from(BATCH * LENGTH).map_err(candle_core::Error::wrap)?;
    let model = Rc::new(Model {
        parameters: Parameters::new(SeedTree::new(1)),
        ids: integers(count, 65)?.reshape((BATCH, LENGTH))?,
        // Labels unrelated to the inputs: only the time counts.
        labels: integers(count + 1, 65)?.narrow(0, 1, BATCH * LENGTH)?,
    });
    // The parameters are drawn at their first use, which must not be timed.
    model.loss()?;
    let [forward, both] = [model.clone(), model.clone()];
    let step = Step::new(Adam::decoupled(0.01), 3e-4).max_gradient_norm(1.0);
    let mut checkpoint = Checkpoint::new(model.parameters.weights());
    Ok(vec![
        Pass::new("forward", move || forward.loss().map(drop)),
        Pass::new("forward+backward", move || {
            both.loss()?.backward().map(drop)
        }),
        Pass::new("step", move || {
            let loss = model.loss()?;
            step.take(&mut checkpoint, &loss)
                .map_err(candle_core::Error::wrap)?;
            // A step makes new weights: the next forward pass has to see them.
            model.parameters.set(checkpoint.weights.clone());
            Ok(())
        }),
    ])
}
