//! A long short-term memory: one layer, of which the last output is wanted.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result, Shape, Tensor};
use candle_nn::{Init, VarBuilder};
use septet_core::nn::linear;

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
            let both = gates.apply_op2(&cell, Cell)?;
            output = both.narrow(1, 0, hidden)?;
            cell = both.narrow(1, hidden, hidden)?.contiguous()?;
        }
        Ok(output)
    }
}

/// One step: gates `[n, 4 hidden]` and the old cell `[n, hidden]` give output and new cell, side by
/// side, `[n, 2 hidden]`:
///
/// ```text
/// c' = sigmoid(f) c + sigmoid(i) tanh(g)      h' = sigmoid(o) tanh(c')
/// ```
///
/// As one operation, because candle's hyperbolic tangents take longer than the matrix product.
struct Cell;

impl CustomOp2 for Cell {
    fn name(&self) -> &'static str {
        "lstm cell"
    }

    fn cpu_fwd(
        &self,
        gates: &CpuStorage,
        gates_layout: &Layout,
        cell: &CpuStorage,
        cell_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (keys, hidden) = cell_layout.shape().dims2()?;
        let shape = (keys, 2 * hidden).into();
        let operands = (gates, gates_layout, cell, cell_layout);
        let storage = match gates.dtype() {
            DType::F64 => CpuStorage::F64(forward(operands, hidden)?),
            _ => CpuStorage::F32(forward(operands, hidden)?),
        };
        Ok((storage, shape))
    }

    fn bwd(
        &self,
        gates: &Tensor,
        cell: &Tensor,
        result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        match gates.dtype() {
            DType::F64 => backward::<f64>(gates, cell, result, gradient),
            _ => backward::<f32>(gates, cell, result, gradient),
        }
    }
}

/// The two precisions, with functions that the compiler can vectorise.
trait Real: candle_core::WithDType + std::ops::Neg<Output = Self> {
    fn exp(self) -> Self;
}

impl Real for f64 {
    fn exp(self) -> Self {
        self.exp()
    }
}

impl Real for f32 {
    /// Cephes' `expf`: `2^n` times a polynomial of degree 6 in the rest, within two units in the last
    /// place. Without calls or branches, so that eight of them run at once.
    #[inline(always)]
    fn exp(self) -> Self {
        let x = self.clamp(-87.0, 88.0);
        // Adding 1.5 * 2^23 rounds to the nearest integer, and leaves it in the lowest bits.
        let shifted = x * std::f32::consts::LOG2_E + 12_582_912.0;
        let n = shifted - 12_582_912.0;
        let rest = x - n * (355.0 / 512.0) + n * 2.121_944_4e-4;
        let mut sum = 1.987_569_1e-4;
        for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
            sum = sum * rest + coefficient;
        }
        let power = f32::from_bits(shifted.to_bits().wrapping_shl(23).wrapping_add(127 << 23));
        (sum * rest * rest + rest + 1.0) * power
    }
}

#[inline(always)]
fn sigmoid<T: Real>(x: T) -> T {
    T::one() / (T::one() + (-x).exp())
}

#[inline(always)]
fn tanh<T: Real>(x: T) -> T {
    let two = T::one() + T::one();
    two * sigmoid(two * x) - T::one()
}

type Operands<'a> = (&'a CpuStorage, &'a Layout, &'a CpuStorage, &'a Layout);

fn forward<T: Real>(operands: Operands<'_>, hidden: usize) -> Result<Vec<T>> {
    let (gates, gates_layout, cell, cell_layout) = operands;
    let gates = contiguous::<T>(gates, gates_layout)?;
    let cell = contiguous::<T>(cell, cell_layout)?;
    let mut result = vec![T::zero(); 2 * cell.len()];
    let rows = gates
        .chunks_exact(4 * hidden)
        .zip(cell.chunks_exact(hidden));
    for ((gates, cell), result) in rows.zip(result.chunks_exact_mut(2 * hidden)) {
        let (input, rest) = gates.split_at(hidden);
        let (forget, rest) = rest.split_at(hidden);
        let (candidate, out) = rest.split_at(hidden);
        let (output, new_cell) = result.split_at_mut(hidden);
        for k in 0..hidden {
            let new = sigmoid(forget[k]) * cell[k] + sigmoid(input[k]) * tanh(candidate[k]);
            new_cell[k] = new;
            output[k] = sigmoid(out[k]) * tanh(new);
        }
    }
    Ok(result)
}

fn contiguous<'a, T: Real>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    let values = T::cpu_storage_as_slice(storage)?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => candle_core::bail!("lstm cell: expected contiguous operands, found {layout:?}"),
    }
}

fn backward<T: Real>(
    gates: &Tensor,
    cell: &Tensor,
    result: &Tensor,
    gradient: &Tensor,
) -> Result<(Option<Tensor>, Option<Tensor>)> {
    let values = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<T>();
    let hidden = cell.dim(1)?;
    let (gate_values, cell_values) = (values(gates)?, values(cell)?);
    let (results, gradients) = (values(result)?, values(gradient)?);
    let mut to_gates = vec![T::zero(); gate_values.len()];
    let mut to_cell = vec![T::zero(); cell_values.len()];
    let one = T::one();
    for row in 0..cell_values.len() / hidden.max(1) {
        let gates = &gate_values[4 * hidden * row..][..4 * hidden];
        let cell = &cell_values[hidden * row..][..hidden];
        let new_cell = &results[2 * hidden * row + hidden..][..hidden];
        let to_output = &gradients[2 * hidden * row..][..hidden];
        let to_new = &gradients[2 * hidden * row + hidden..][..hidden];
        let to_gates = &mut to_gates[4 * hidden * row..][..4 * hidden];
        let to_cell = &mut to_cell[hidden * row..][..hidden];
        let (to_input, rest) = to_gates.split_at_mut(hidden);
        let (to_forget, rest) = rest.split_at_mut(hidden);
        let (to_candidate, to_out) = rest.split_at_mut(hidden);
        for k in 0..hidden {
            let input = sigmoid(gates[k]);
            let forget = sigmoid(gates[hidden + k]);
            let candidate = tanh(gates[2 * hidden + k]);
            let out = sigmoid(gates[3 * hidden + k]);
            let squashed = tanh(new_cell[k]);
            let to_new = to_new[k] + to_output[k] * out * (one - squashed * squashed);
            to_out[k] = to_output[k] * squashed * out * (one - out);
            to_input[k] = to_new * candidate * input * (one - input);
            to_forget[k] = to_new * cell[k] * forget * (one - forget);
            to_candidate[k] = to_new * input * (one - candidate * candidate);
            to_cell[k] = to_new * forget;
        }
    }
    Ok((
        Some(Tensor::from_vec(to_gates, gates.shape(), gates.device())?),
        Some(Tensor::from_vec(to_cell, cell.shape(), cell.device())?),
    ))
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use candle_core::Device;
    use septet_core::nn::{Parameters, assert_gradient, initial};
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
    fn the_exponential_is_that_of_the_library() {
        for i in -8700..=8800 {
            let x = i as f32 / 100.0;
            let (found, expected) = (Real::exp(x), f64::from(x).exp());
            let error = (f64::from(found) / expected - 1.0).abs();
            assert!(error < 2.5e-7, "{x}: {error}");
        }
        assert_eq!(Real::exp(0f32), 1.0);
        assert!(Real::exp(f32::NAN).is_nan());
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

    #[test]
    fn gradients_are_right() {
        let gates = draw("gates", (3, 8));
        let cell = draw("cell", (3, 2));
        assert_gradient(&[gates, cell], 1e-8, |x| x[0].apply_op2(&x[1], Cell)?.sqr());
    }
}
