//! Weighted sums of tensors: the inner loop of every code.

use super::Slot;
use crate::error::CodeError;
use crate::tensor::Tensor;

/// `out = sum_i weights[i] * inputs[i]`, without an allocation.
///
/// Reads four inputs per pass over `out`, which saves three of four loads and stores of the sums.
///
/// # Errors
///
/// [`CodeError::Parameter`] when the numbers of weights and inputs differ, or the length of an input differs
/// from that of `out`.
pub fn combine(weights: &[f32], inputs: &[&[f32]], out: &mut [f32]) -> Result<(), CodeError> {
    if weights.len() != inputs.len() {
        return Err(CodeError::parameter(
            "inputs",
            format!("{}, one per weight", weights.len()),
            inputs.len(),
        ));
    }
    if let Some(input) = inputs.iter().find(|input| input.len() != out.len()) {
        return Err(CodeError::parameter(
            "inputs",
            format!("{} values each", out.len()),
            input.len(),
        ));
    }
    out.fill(0.0);
    let mut groups = weights.chunks_exact(4).zip(inputs.chunks_exact(4));
    for (weights, inputs) in &mut groups {
        let (&[wa, wb, wc, wd], &[a, b, c, d]) = (weights, inputs) else {
            continue;
        };
        for ((((sum, a), b), c), d) in out.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *sum += (wa * a + wb * b) + (wc * c + wd * d);
        }
    }
    // The last one to three inputs.
    let rest = weights.len() / 4 * 4;
    for (weight, input) in weights[rest..].iter().zip(&inputs[rest..]) {
        for (sum, value) in out.iter_mut().zip(*input) {
            *sum += weight * value;
        }
    }
    Ok(())
}

/// A weighted sum as a tensor of the same shape as its terms.
///
/// A value that is not finite makes the sum not finite, even with the weight 0, so the terms are checked
/// only if the sum is not finite.
pub(super) fn combined(
    what: &'static str,
    weights: &[f32],
    terms: &[(Slot, &Tensor)],
) -> Result<Tensor, CodeError> {
    let shape = same_shape(terms.iter().map(|(_, tensor)| *tensor))?;
    let inputs: Vec<&[f32]> = terms.iter().map(|(_, tensor)| tensor.values()).collect();
    let mut values = vec![0.0; inputs.first().map_or(0, |input| input.len())];
    combine(weights, &inputs, &mut values)?;
    let sum = Tensor::from_parts(shape, values);
    if !sum.is_finite() {
        let wrong = terms.iter().find(|(_, tensor)| !tensor.is_finite());
        return Err(wrong.map_or(CodeError::Overflow { what }, |&(index, _)| {
            CodeError::NotFinite { what, index }
        }));
    }
    Ok(sum)
}

/// The common shape of all tensors; empty if there are none.
pub(super) fn same_shape<'a>(
    tensors: impl IntoIterator<Item = &'a Tensor>,
) -> Result<Vec<usize>, CodeError> {
    let mut tensors = tensors.into_iter();
    let Some(first) = tensors.next() else {
        return Ok(Vec::new());
    };
    match tensors.find(|other| other.shape() != first.shape()) {
        None => Ok(first.shape().to_vec()),
        Some(other) => Err(CodeError::Shapes {
            first: first.shape().to_vec(),
            other: other.shape().to_vec(),
        }),
    }
}

/// Checks that all queries have the same shape and are finite.
pub(super) fn check_queries(queries: &[Tensor]) -> Result<(), CodeError> {
    same_shape(queries)?;
    match queries.iter().position(|query| !query.is_finite()) {
        None => Ok(()),
        Some(index) => Err(CodeError::NotFinite {
            what: "query",
            index,
        }),
    }
}

/// Weights in the precision of tensors.
pub(super) fn rounded(weights: impl IntoIterator<Item = f64>) -> Vec<f32> {
    weights.into_iter().map(|weight| weight as f32).collect()
}
