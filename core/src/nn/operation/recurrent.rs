//! Steps of gated recurrent layers.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};

use super::values::{Float, by_type, elements, same_type, stored, with_elements};
use crate::nn::vector::{Arithmetic, vectorized};

/// One step of a long short-term memory (Hochreiter and Schmidhuber, Neural Computation 9, 1997, with
/// the forget gate of Gers et al., 2000): the new hidden state and the new cell state, both `[n, h]`.
///
/// `gates` (`[n, 4 h]`) is the sum of the affine maps of the input and the last hidden state, in
/// PyTorch's order: input, forget, cell, output. `cell` (`[n, h]`) is the last cell state.
///
/// ```text
/// c' = sigmoid(f) c + sigmoid(i) tanh(g)      h' = sigmoid(o) tanh(c')
/// ```
///
/// # Errors
/// Candle's error when shapes or types disagree, or tensors are not on the CPU.
pub fn lstm_cell(gates: &Tensor, cell: &Tensor) -> Result<(Tensor, Tensor)> {
    same_type("lstm_cell", &[gates, cell])?;
    let (count, units) = cell.dims2()?;
    check("lstm_cell", "gates", gates, (count, 4 * units))?;
    let both = gates.contiguous()?.apply_op2(&cell.contiguous()?, Lstm)?;
    Ok((both.get(0)?, both.get(1)?))
}

/// One step of a gated recurrent unit (Cho et al., EMNLP 2014) in PyTorch's form: the new hidden state,
/// `[n, h]`.
///
/// `input` and `recurrent` (`[n, 3 h]` each) are the affine maps of the input and of the last hidden
/// state `hidden` (`[n, h]`), in PyTorch's order: reset, update, new. With the parts `r`, `z`, `n` of
/// the input's and `r'`, `z'`, `n'` of the other:
///
/// ```text
/// z* = sigmoid(z + z')      n* = tanh(n + sigmoid(r + r') n')      h' = (1 - z*) n* + z* h
/// ```
///
/// # Errors
/// As [`lstm_cell`].
pub fn gru_cell(input: &Tensor, recurrent: &Tensor, hidden: &Tensor) -> Result<Tensor> {
    same_type("gru_cell", &[input, recurrent, hidden])?;
    let (count, units) = hidden.dims2()?;
    check("gru_cell", "input", input, (count, 3 * units))?;
    check("gru_cell", "recurrent", recurrent, (count, 3 * units))?;
    input
        .contiguous()?
        .apply_op3(&recurrent.contiguous()?, &hidden.contiguous()?, Gru)
}

fn check(name: &str, operand: &str, tensor: &Tensor, expected: (usize, usize)) -> Result<()> {
    let expected = <[usize; 2]>::from(expected);
    if tensor.dims() != expected {
        candle_core::bail!(
            "{name}: {operand} {:?}, expected {expected:?} for this state",
            tensor.dims()
        );
    }
    Ok(())
}

/// The parts of the gates of one row, of `width` numbers each.
#[inline(always)]
fn parts<T, const N: usize>(gates: &[T], width: usize) -> [&[T]; N] {
    std::array::from_fn(
        #[inline(always)]
        |i| &gates[i * width..][..width],
    )
}

/// The hidden states of all rows, then the cell states: `[2, n, h]`, so that each is contiguous.
struct Lstm;

impl CustomOp2 for Lstm {
    fn name(&self) -> &'static str {
        "lstm_cell"
    }

    fn cpu_fwd(
        &self,
        gates: &CpuStorage,
        gates_layout: &Layout,
        cell: &CpuStorage,
        cell_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        by_type!(
            "lstm_cell",
            gates.dtype(),
            lstm_forward(gates, gates_layout, cell, cell_layout)
        )
    }

    fn bwd(
        &self,
        gates: &Tensor,
        cell: &Tensor,
        result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        by_type!(
            "lstm_cell",
            gates.dtype(),
            lstm_backward(gates, cell, result, gradient)
        )
    }
}

/// The gates of a row with their activations: the logistic function, for the candidate the hyperbolic
/// tangent. Loops over one slice each, so that they vectorize.
#[inline(always)]
fn activate<T: Float>(arithmetic: Arithmetic, gates: &[T], width: usize, activated: &mut [T]) {
    for ((index, from), to) in gates
        .chunks_exact(width)
        .enumerate()
        .zip(activated.chunks_exact_mut(width))
    {
        if index == 2 {
            for (to, &x) in to.iter_mut().zip(from) {
                *to = x.tanh(arithmetic);
            }
        } else {
            for (to, &x) in to.iter_mut().zip(from) {
                *to = x.sigmoid(arithmetic);
            }
        }
    }
}

fn lstm_forward<T: Float>(
    gates: &CpuStorage,
    gates_layout: &Layout,
    cell: &CpuStorage,
    cell_layout: &Layout,
) -> Result<(CpuStorage, Shape)> {
    let (count, units) = cell_layout.shape().dims2()?;
    let gates = elements::<T>(gates, gates_layout)?;
    let cell = elements::<T>(cell, cell_layout)?;
    let mut result = vec![T::zero(); 2 * cell.len()];
    let (hidden, new_cell) = result.split_at_mut(cell.len());
    let width = units.max(1);
    let mut activated = vec![T::zero(); 4 * width];
    vectorized(
        #[inline(always)]
        |arithmetic| {
            let states = cell
                .chunks_exact(width)
                .zip(hidden.chunks_exact_mut(width))
                .zip(new_cell.chunks_exact_mut(width));
            for (gates, ((cell, hidden), new_cell)) in gates.chunks_exact(4 * width).zip(states) {
                activate(arithmetic, gates, width, &mut activated);
                let [input, forget, candidate, output] = parts(&activated, width);
                // c' = f c + i g.
                for (((new, &cell), &f), (&i, &g)) in new_cell
                    .iter_mut()
                    .zip(cell)
                    .zip(forget)
                    .zip(input.iter().zip(candidate))
                {
                    *new = f * cell + i * g;
                }
                // h' = o tanh(c').
                for ((hidden, &new), &o) in hidden.iter_mut().zip(&*new_cell).zip(output) {
                    *hidden = o * new.tanh(arithmetic);
                }
            }
        },
    );
    Ok(stored(result, (2, count, units)))
}

fn lstm_backward<T: Float>(
    gates: &Tensor,
    cell: &Tensor,
    result: &Tensor,
    gradient: &Tensor,
) -> Result<(Option<Tensor>, Option<Tensor>)> {
    let (_, units) = cell.dims2()?;
    let width = units.max(1);
    let mut to_gates = Vec::with_capacity(gates.elem_count());
    let mut to_cell = Vec::with_capacity(cell.elem_count());
    let operands = [gates, cell, result, gradient];
    with_elements(operands, |[gates, cell, result, gradient]: [&[T]; 4]| {
        let (_, new_cells) = result.split_at(cell.len());
        let (to_hidden, to_new) = gradient.split_at(cell.len());
        let states = cell
            .chunks_exact(width)
            .zip(new_cells.chunks_exact(width))
            .zip(to_hidden.chunks_exact(width))
            .zip(to_new.chunks_exact(width));
        let mut activated = vec![T::zero(); 4 * width];
        let mut squashed = vec![T::zero(); width];
        // The gradients of the four gates, and of the last cell state.
        let mut row = vec![T::zero(); 5 * width];
        vectorized(
            #[inline(always)]
            |arithmetic| {
                for (gates, (((cell, new_cell), to_hidden), to_new)) in
                    gates.chunks_exact(4 * width).zip(states)
                {
                    // Activations are computed again rather than kept in memory since the forward
                    // pass.
                    activate(arithmetic, gates, width, &mut activated);
                    for (squashed, &new) in squashed.iter_mut().zip(new_cell) {
                        *squashed = new.tanh(arithmetic);
                    }
                    let [input, forget, candidate, output] = parts(&activated, width);
                    let squashed = &squashed[..width];
                    // Slices that cannot overlap: the loop below vectorizes.
                    let (to_input, rest) = row.split_at_mut(width);
                    let (to_forget, rest) = rest.split_at_mut(width);
                    let (to_candidate, rest) = rest.split_at_mut(width);
                    let (to_output, rest) = rest.split_at_mut(width);
                    let to_last = &mut rest[..width];
                    for k in 0..width {
                        let one = T::one();
                        let (i, f, g, o) = (input[k], forget[k], candidate[k], output[k]);
                        // dc' arrives directly and through h'; the gates follow with sigmoid' = s
                        // (1 - s) and tanh' = 1 - t^2.
                        let slope = one - squashed[k] * squashed[k];
                        let to_cell = to_new[k] + to_hidden[k] * o * slope;
                        to_input[k] = to_cell * g * i * (one - i);
                        to_forget[k] = to_cell * cell[k] * f * (one - f);
                        to_candidate[k] = to_cell * i * (one - g * g);
                        to_output[k] = to_hidden[k] * squashed[k] * o * (one - o);
                        to_last[k] = to_cell * f;
                    }
                    to_gates.extend_from_slice(&row[..4 * width]);
                    to_cell.extend_from_slice(&row[4 * width..]);
                }
            },
        );
        Ok(())
    })?;
    Ok((
        Some(Tensor::from_vec(to_gates, gates.shape(), gates.device())?),
        Some(Tensor::from_vec(to_cell, cell.shape(), cell.device())?),
    ))
}

struct Gru;

impl CustomOp3 for Gru {
    fn name(&self) -> &'static str {
        "gru_cell"
    }

    fn cpu_fwd(
        &self,
        input: &CpuStorage,
        input_layout: &Layout,
        recurrent: &CpuStorage,
        recurrent_layout: &Layout,
        hidden: &CpuStorage,
        hidden_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let operands = [
            (input, input_layout),
            (recurrent, recurrent_layout),
            (hidden, hidden_layout),
        ];
        by_type!("gru_cell", input.dtype(), gru_forward(operands))
    }

    fn bwd(
        &self,
        input: &Tensor,
        recurrent: &Tensor,
        hidden: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        by_type!(
            "gru_cell",
            input.dtype(),
            gru_backward(input, recurrent, hidden, gradient)
        )
    }
}

fn gru_forward<T: Float>(operands: [(&CpuStorage, &Layout); 3]) -> Result<(CpuStorage, Shape)> {
    let (count, units) = operands[2].1.shape().dims2()?;
    let [input, recurrent, hidden] =
        operands.map(|(storage, layout)| elements::<T>(storage, layout));
    let (input, recurrent, hidden) = (input?, recurrent?, hidden?);
    let width = units.max(1);
    let mut result = Vec::with_capacity(hidden.len());
    let mut row = vec![T::zero(); width];
    vectorized(
        #[inline(always)]
        |arithmetic| {
            let gates = input.chunks_exact(3 * width);
            let gates = gates.zip(recurrent.chunks_exact(3 * width));
            for ((input, recurrent), hidden) in gates.zip(hidden.chunks_exact(width)) {
                let [reset, update, new]: [&[T]; 3] = parts(input, width);
                let [last_reset, last_update, last_new]: [&[T]; 3] = parts(recurrent, width);
                let row = &mut row[..width];
                for k in 0..width {
                    // r is the share of the last state in the candidate n, z the share that is
                    // kept.
                    let r = (reset[k] + last_reset[k]).sigmoid(arithmetic);
                    let z = (update[k] + last_update[k]).sigmoid(arithmetic);
                    let n = (new[k] + r * last_new[k]).tanh(arithmetic);
                    row[k] = (T::one() - z) * n + z * hidden[k];
                }
                result.extend_from_slice(row);
            }
        },
    );
    Ok(stored(result, (count, units)))
}

fn gru_backward<T: Float>(
    input: &Tensor,
    recurrent: &Tensor,
    hidden: &Tensor,
    gradient: &Tensor,
) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
    let (_, units) = hidden.dims2()?;
    let width = units.max(1);
    let mut to_input = Vec::with_capacity(input.elem_count());
    let mut to_recurrent = Vec::with_capacity(input.elem_count());
    let mut to_hidden = Vec::with_capacity(hidden.elem_count());
    let operands = [input, recurrent, hidden, gradient];
    with_elements(
        operands,
        |[input, recurrent, hidden, gradient]: [&[T]; 4]| {
            // The gradients of reset, update, n, n' and the last state.
            let mut row = vec![T::zero(); 5 * width];
            vectorized(
                #[inline(always)]
                |arithmetic| {
                    let gates = input.chunks_exact(3 * width);
                    let gates = gates.zip(recurrent.chunks_exact(3 * width));
                    let states = hidden.chunks_exact(width);
                    for ((input, recurrent), (hidden, gradient)) in
                        gates.zip(states.zip(gradient.chunks_exact(width)))
                    {
                        let [reset, update, new]: [&[T]; 3] = parts(input, width);
                        let [last_reset, last_update, last_new]: [&[T]; 3] =
                            parts(recurrent, width);
                        // Slices that cannot overlap: the loop below vectorizes.
                        let (to_reset, rest) = row.split_at_mut(width);
                        let (to_update, rest) = rest.split_at_mut(width);
                        let (to_new, rest) = rest.split_at_mut(width);
                        let (to_last_new, to_last) = rest.split_at_mut(width);
                        let to_last = &mut to_last[..width];
                        for k in 0..width {
                            let one = T::one();
                            let r = (reset[k] + last_reset[k]).sigmoid(arithmetic);
                            let z = (update[k] + last_update[k]).sigmoid(arithmetic);
                            let n = (new[k] + r * last_new[k]).tanh(arithmetic);
                            // The gradient of the candidate before its tanh; r n' hands it on to r
                            // and n'.
                            let to_sum = gradient[k] * (one - z) * (one - n * n);
                            to_reset[k] = to_sum * last_new[k] * r * (one - r);
                            to_update[k] = gradient[k] * (hidden[k] - n) * z * (one - z);
                            to_new[k] = to_sum;
                            to_last_new[k] = to_sum * r;
                            to_last[k] = gradient[k] * z;
                        }
                        // Both maps share the gradients of reset and update.
                        to_input.extend_from_slice(&row[..3 * width]);
                        to_recurrent.extend_from_slice(&row[..2 * width]);
                        to_recurrent.extend_from_slice(&row[3 * width..4 * width]);
                        to_hidden.extend_from_slice(&row[4 * width..]);
                    }
                },
            );
            Ok(())
        },
    )?;
    let tensor = |values, like: &Tensor| Tensor::from_vec(values, like.shape(), like.device());
    Ok((
        Some(tensor(to_input, input)?),
        Some(tensor(to_recurrent, recurrent)?),
        Some(tensor(to_hidden, hidden)?),
    ))
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use candle_core::{DType, Device};
    use candle_nn::ops::sigmoid;

    use super::*;
    use crate::nn::assert_gradient;
    use crate::nn::operation::testing::{assert_close, assert_f32_gradient, draw, values};

    fn side_by_side(gates: &Tensor, cell: &Tensor) -> Result<Tensor> {
        let (hidden, cell) = lstm_cell(gates, cell)?;
        Tensor::cat(&[&hidden, &cell], 1)
    }

    #[test]
    fn the_memory_follows_its_definition() {
        let (gates, cell) = (draw("gates", (3, 20)), draw("cell", (3, 5)));
        let (hidden, new) = lstm_cell(&gates, &cell).unwrap();
        let gate = gates.chunk(4, 1).unwrap();
        let kept = (sigmoid(&gate[1]).unwrap() * &cell).unwrap();
        let added = (sigmoid(&gate[0]).unwrap() * gate[2].tanh().unwrap()).unwrap();
        let expected = (kept + added).unwrap();
        assert_close(&new, &expected, 1e-12);
        let expected = (sigmoid(&gate[3]).unwrap() * expected.tanh().unwrap()).unwrap();
        assert_close(&hidden, &expected, 1e-12);
        assert!(hidden.is_contiguous() && new.is_contiguous());
    }

    #[test]
    fn the_unit_follows_its_definition() {
        let (input, recurrent) = (draw("input", (3, 15)), draw("recurrent", (3, 15)));
        let hidden = draw("hidden", (3, 5));
        let found = gru_cell(&input, &recurrent, &hidden).unwrap();
        let (a, b) = (input.chunk(3, 1).unwrap(), recurrent.chunk(3, 1).unwrap());
        let r = sigmoid(&(&a[0] + &b[0]).unwrap()).unwrap();
        let z = sigmoid(&(&a[1] + &b[1]).unwrap()).unwrap();
        let n = (&a[2] + (r * &b[2]).unwrap()).unwrap().tanh().unwrap();
        let expected = (&n + (z * (hidden - &n).unwrap()).unwrap()).unwrap();
        assert_close(&found, &expected, 1e-12);
    }

    #[test]
    fn gradients_are_right() {
        let lstm = [draw("gates", (3, 8)), draw("cell", (3, 2))];
        assert_gradient(&lstm, 1e-8, |x| side_by_side(&x[0], &x[1])?.sqr());
        // Only one of both results is used.
        assert_gradient(&lstm, 1e-8, |x| lstm_cell(&x[0], &x[1])?.0.sqr());
        let gru = [draw("a", (3, 6)), draw("b", (3, 6)), draw("h", (3, 2))];
        assert_gradient(&gru, 1e-8, |x| gru_cell(&x[0], &x[1], &x[2])?.sqr());
        let turned = [draw("gates", (8, 3)), draw("cell", (2, 3))];
        assert_gradient(&turned, 1e-8, |x| {
            side_by_side(&x[0].t()?, &x[1].t()?)?.sqr()
        });

        let lstm = [draw("gates", (7, 92)), draw("cell", (7, 23))];
        assert_f32_gradient(&lstm, 2e-6, |x| side_by_side(&x[0], &x[1]));
        let gru = [draw("a", (7, 69)), draw("b", (7, 69)), draw("h", (7, 23))];
        assert_f32_gradient(&gru, 2e-6, |x| gru_cell(&x[0], &x[1], &x[2]));
    }

    #[test]
    fn saturated_gates_pass_or_block() {
        let large = f32::INFINITY;
        let gates = Tensor::new(&[[-large, large, large, large]], &Device::Cpu).unwrap();
        let cell = Tensor::new(&[[0.5f32]], &Device::Cpu).unwrap();
        let (hidden, new) = lstm_cell(&gates, &cell).unwrap();
        assert_eq!(values(&new), [0.5]);
        assert!((values(&hidden)[0] - 0.5f64.tanh()).abs() < 1e-6);
        let zeros = Tensor::zeros((1, 3), DType::F32, &Device::Cpu).unwrap();
        let update = Tensor::new(&[[0.0, large, 3.0]], &Device::Cpu).unwrap();
        assert_eq!(values(&gru_cell(&update, &zeros, &cell).unwrap()), [0.5]);
    }

    #[test]
    fn shapes_that_do_not_fit_are_named_and_nothing_stays_nothing() {
        let cell = draw("cell", (3, 2));
        let error = lstm_cell(&draw("gates", (3, 6)), &cell).unwrap_err();
        assert!(error.to_string().contains("gates [3, 6]"), "{error}");
        assert!(gru_cell(&draw("a", (3, 6)), &draw("b", (2, 6)), &cell).is_err());
        for (count, units) in [(0, 2), (3, 0)] {
            let zeros = |width| Tensor::zeros((count, width), DType::F32, &Device::Cpu).unwrap();
            let (hidden, new) = lstm_cell(&zeros(4 * units), &zeros(units)).unwrap();
            assert_eq!(
                (hidden.dims2().unwrap(), new.dims2().unwrap()),
                ((count, units), (count, units))
            );
            let hidden = gru_cell(&zeros(3 * units), &zeros(3 * units), &zeros(units)).unwrap();
            assert_eq!(hidden.dims2().unwrap(), (count, units));
        }
    }
}
