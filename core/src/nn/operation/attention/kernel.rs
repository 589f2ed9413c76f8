//! The passes over all heads, on blocks of queries.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;

use super::Checked;
use crate::nn::operation::product::{Matrix, multiply};
use crate::nn::operation::softmax::exponentials;
use crate::nn::operation::values::Float;
use crate::nn::vector::{Arithmetic, sum_of_pairs, vectorized};

/// Sizes of an attention.
#[derive(Clone, Copy)]
pub(super) struct Geometry {
    pub(super) batch: usize,
    pub(super) heads: usize,
    pub(super) queries: usize,
    pub(super) keys: usize,
    /// Numbers of a query, a key or a value of one head.
    pub(super) width: usize,
}

/// Where the heads are in a slice: the distances of neighbors. The numbers of a row are adjacent.
#[derive(Clone, Copy)]
pub(super) struct View {
    pub(super) offset: usize,
    pub(super) batch: usize,
    pub(super) head: usize,
    pub(super) row: usize,
}

/// The operands, each with its view.
pub(super) struct Operands<'a, T> {
    pub(super) q: (&'a [T], View),
    pub(super) k: (&'a [T], View),
    pub(super) v: (&'a [T], View),
}

/// Rows of one head, with the place where they belong.
pub(super) struct Rows<'a, T> {
    values: &'a [T],
    head: Head,
    first: usize,
    width: usize,
}

impl<T: Float> Rows<'_, T> {
    /// Writes the rows to a tensor.
    pub(super) fn scatter(&self, to: &mut [T], view: View) {
        let mut start = self.head.start(view) + self.first * view.row;
        for row in self.values.chunks_exact(self.width.max(1)) {
            to[start..start + self.width].copy_from_slice(row);
            start += view.row;
        }
    }
}

/// One head of one sequence.
#[derive(Clone, Copy)]
struct Head {
    batch: usize,
    head: usize,
}

impl Head {
    fn start(self, view: View) -> usize {
        view.offset + self.batch * view.batch + self.head * view.head
    }

    /// Copies the rows of this head beside each other, which the products need and which keeps them
    /// in the cache.
    fn gather<T: Float>(self, (values, view): (&[T], View), factor: T, to: &mut [T], width: usize) {
        let mut start = self.start(view);
        for row in to.chunks_exact_mut(width.max(1)) {
            for (to, &value) in row.iter_mut().zip(&values[start..start + width]) {
                *to = value * factor;
            }
            start += view.row;
        }
    }

    /// As [`Self::gather`], for keys or values: those that the mask hides become zeros, since the
    /// weight 0 does not remove a NaN.
    fn gather_seen<T: Float>(self, operand: (&[T], View), checked: &Checked, to: &mut [T]) {
        let Geometry { keys, width, .. } = checked.geometry;
        self.gather(operand, T::one(), to, width);
        if let Some(mask) = &checked.key_mask {
            let mask = &mask[self.batch * keys..][..keys];
            for (row, &there) in to.chunks_exact_mut(width.max(1)).zip(mask) {
                if there == 0 {
                    row.fill(T::zero());
                }
            }
        }
    }
}

/// Queries of a block: few enough that causality saves half of the products, enough for efficient
/// products.
const BLOCK: usize = 64;

/// What both passes do for a block of queries: its scores, turned into weights.
struct Weights<'a, T> {
    checked: &'a Checked,
    /// `[rows, visible]`, as the weights.
    scores: Vec<T>,
    weights: Vec<T>,
    /// What dropout multiplies the weights by; empty without dropout.
    factors: Vec<T>,
    bytes: Vec<u8>,
    rng: Option<ChaCha8Rng>,
}

impl<'a, T: Float> Weights<'a, T> {
    fn new(checked: &'a Checked) -> Self {
        let size = BLOCK * checked.geometry.keys;
        Self {
            checked,
            scores: vec![T::zero(); size],
            weights: vec![T::zero(); size],
            factors: vec![T::zero(); if checked.dropout.is_some() { size } else { 0 }],
            bytes: vec![0; 2 * checked.geometry.keys],
            rng: None,
        }
    }

    /// To be called before the first block of a head: dropout has a stream for each.
    fn start(&mut self, head: Head) {
        self.rng = self.checked.dropout.map(|(_, seed)| {
            let number = head.batch * self.checked.geometry.heads + head.head;
            seed.index(number as u64).rng()
        });
    }

    /// Computes the weights of the queries from `first`, where `q` holds their rows, scaled, and `k`
    /// all keys. Returns the number of keys that the block sees.
    fn compute(&mut self, head: Head, first: usize, q: &[T], k: &[T]) -> usize {
        let Geometry { keys, width, .. } = self.checked.geometry;
        let rows = q.len() / width.max(1);
        // The last query of a causal block sees the most keys. The product covers this rectangle;
        // the softmax below leaves out what is right of the diagonal.
        let visible = if self.checked.causal {
            first + rows
        } else {
            keys
        };
        // S = (scale Q) K^T.
        multiply(
            Matrix::new(q, rows, width),
            Matrix::new(k, visible, width).transposed(),
            &mut self.scores[..rows * visible],
            false,
        );
        // Row by row: P = softmax(S) over the keys that the query sees, 0 for the others.
        let mask = self.checked.key_mask.as_ref();
        let mask = mask.map(|mask| &mask[head.batch * keys..][..visible]);
        let scores = self.scores[..rows * visible].chunks_exact_mut(visible.max(1));
        let weights = self.weights[..rows * visible].chunks_exact_mut(visible.max(1));
        let causal = self.checked.causal;
        vectorized(
            #[inline(always)]
            |arithmetic| {
                for (index, (scores, weights)) in scores.zip(weights).enumerate() {
                    let count = if causal { first + index + 1 } else { visible };
                    softmax(
                        arithmetic,
                        &mut scores[..count],
                        mask,
                        &mut weights[..count],
                    );
                    weights[count..].fill(T::zero());
                }
            },
        );
        // Every visible key takes a draw, masked or not: the stream does not depend on the mask.
        self.draw(first, rows, visible);
        visible
    }

    /// Draws the dropout of a block: 16 bits for each key that a query may see, in the order of the
    /// queries, whatever the size of the blocks.
    fn draw(&mut self, first: usize, rows: usize, visible: usize) {
        let (Some((probability, _)), Some(rng)) = (self.checked.dropout, &mut self.rng) else {
            return;
        };
        // The probability in units of 2^-16. What stays is scaled by the inverse of the rounded
        // probability of staying, so that the mean is exact.
        let threshold = (probability * 65_536.0).round().min(65_535.0) as u16;
        let stays = T::from_f64(65_536.0 / (65_536.0 - f64::from(threshold)));
        let block = self.factors[..rows * visible].chunks_exact_mut(visible.max(1));
        for (index, row) in block.enumerate() {
            let count = if self.checked.causal {
                first + index + 1
            } else {
                visible
            };
            let bytes = &mut self.bytes[..2 * count];
            rng.fill_bytes(bytes);
            for (factor, draw) in row.iter_mut().zip(bytes.as_chunks::<2>().0) {
                let drops = u16::from_le_bytes(*draw) < threshold;
                *factor = if drops { T::zero() } else { stays };
            }
        }
    }
}

/// The weights of one query; zeros where no score is larger than minus infinity. Scores of keys that
/// the mask hides are overwritten.
#[inline(always)]
fn softmax<T: Float>(
    arithmetic: Arithmetic,
    scores: &mut [T],
    mask: Option<&[u8]>,
    weights: &mut [T],
) {
    // The score of a hidden key is 0 unless its query has a NaN, which the other keys show.
    if let Some(mask) = mask {
        for (score, &there) in scores.iter_mut().zip(mask) {
            *score = if there == 0 {
                T::NEGATIVE_INFINITY
            } else {
                *score
            };
        }
    }
    let (largest, sum) = exponentials(arithmetic, scores, weights);
    // A NaN is not the largest either, and must not be hidden.
    if largest == T::NEGATIVE_INFINITY && scores.iter().all(|&score| score == largest) {
        weights.fill(T::zero());
        return;
    }
    let factor = T::from_f64(sum.recip());
    for weight in weights {
        *weight *= factor;
    }
}

/// Writes the weighted means of the values to `result`.
pub(super) fn forward<T: Float>(
    checked: &Checked,
    operands: &Operands<'_, T>,
    (result, view): (&mut [T], View),
) {
    let geometry = checked.geometry;
    let Geometry {
        queries,
        keys,
        width,
        ..
    } = geometry;
    let scale = T::from_f64(checked.scale);
    let [mut q, mut k, mut v] = [queries, keys, keys].map(|rows| vec![T::zero(); rows * width]);
    let mut means = vec![T::zero(); BLOCK * width];
    let mut weights = Weights::new(checked);
    for head in heads(geometry) {
        // The scale is applied once per query instead of once per score.
        head.gather(operands.q, scale, &mut q, width);
        head.gather_seen(operands.k, checked, &mut k);
        head.gather_seen(operands.v, checked, &mut v);
        weights.start(head);
        for (block, q) in q.chunks(BLOCK * width.max(1)).enumerate() {
            let first = block * BLOCK;
            let visible = weights.compute(head, first, q, &k);
            let rows = q.len() / width;
            // P D. Without dropout there are no factors, and nothing is multiplied.
            let kept = &mut weights.weights[..rows * visible];
            for (weight, &factor) in kept.iter_mut().zip(&weights.factors) {
                *weight *= factor;
            }
            // The means (P D) V of this block, written to its rows of the result.
            let means = &mut means[..q.len()];
            multiply(
                Matrix::new(kept, rows, visible),
                Matrix::new(&v, visible, width),
                means,
                false,
            );
            let rows = Rows {
                values: means,
                head,
                first,
                width,
            };
            rows.scatter(result, view);
        }
    }
}

/// Hands the gradients in queries (0), keys (1) and values (2) to `emit`, for a `gradient` of the
/// result.
///
/// With weights `P`, dropout `D` (element by element) and `dO` the gradient: `dV = (P D)^T dO`,
/// `dP = D (dO V^T)`, `dS = P (dP - sum P dP)` with the sum over keys, `dQ = scale dS K` and
/// `dK = dS^T (scale Q)`.
pub(super) fn backward<T: Float>(
    checked: &Checked,
    operands: &Operands<'_, T>,
    gradient: (&[T], View),
    emit: &mut dyn FnMut(usize, Rows<'_, T>),
) {
    let geometry = checked.geometry;
    let Geometry {
        queries,
        keys,
        width,
        ..
    } = geometry;
    let scale = T::from_f64(checked.scale);
    let of_queries = || vec![T::zero(); queries * width];
    let of_keys = || vec![T::zero(); keys * width];
    let (mut q, mut k, mut v, mut to_means) = (of_queries(), of_keys(), of_keys(), of_queries());
    let (mut to_q, mut to_k, mut to_v) = (vec![T::zero(); BLOCK * width], of_keys(), of_keys());
    let mut to_scores = vec![T::zero(); BLOCK * keys];
    let mut weights = Weights::new(checked);
    for head in heads(geometry) {
        head.gather(operands.q, scale, &mut q, width);
        head.gather_seen(operands.k, checked, &mut k);
        head.gather_seen(operands.v, checked, &mut v);
        head.gather(gradient, T::one(), &mut to_means, width);
        // The gradients of keys and values collect over all blocks of queries of the head.
        to_k.fill(T::zero());
        to_v.fill(T::zero());
        weights.start(head);
        let blocks = q
            .chunks(BLOCK * width.max(1))
            .zip(to_means.chunks(BLOCK * width.max(1)));
        for (block, (q, to_means)) in blocks.enumerate() {
            let first = block * BLOCK;
            // P is computed again, with the dropout of the forward pass.
            let visible = weights.compute(head, first, q, &k);
            let rows = q.len() / width;
            let to_means = Matrix::new(to_means, rows, width);
            // dP before dropout.
            let to_scores = &mut to_scores[..rows * visible];
            multiply(
                to_means,
                Matrix::new(&v, visible, width).transposed(),
                to_scores,
                false,
            );
            // Turns dP into dS, and P into P D.
            let kept = &mut weights.weights[..rows * visible];
            let pairs = (kept.chunks_exact_mut(visible.max(1)))
                .zip(to_scores.chunks_exact_mut(visible.max(1)));
            let factors = &weights.factors;
            vectorized(
                #[inline(always)]
                |_| {
                    for (row, (kept, to_scores)) in pairs.enumerate() {
                        let factors = factors.get(row * visible..(row + 1) * visible);
                        score_gradients(kept, to_scores, factors);
                    }
                },
            );
            // dV += (P D)^T dO and dK += dS^T (scale Q), in the rows of the keys that the block
            // sees.
            let kept = Matrix::new(kept, rows, visible);
            let to_scores = Matrix::new(to_scores, rows, visible);
            let seen = visible * width;
            multiply(kept.transposed(), to_means, &mut to_v[..seen], true);
            let q = Matrix::new(q, rows, width);
            multiply(to_scores.transposed(), q, &mut to_k[..seen], true);
            // dQ = scale dS K is complete after its block.
            let to_q = &mut to_q[..rows * width];
            multiply(to_scores, Matrix::new(&k, visible, width), to_q, false);
            to_q.iter_mut().for_each(|to_q| *to_q *= scale);
            emit(
                0,
                Rows {
                    values: to_q,
                    head,
                    first,
                    width,
                },
            );
        }
        // dK and dV are complete after the last block.
        for (part, values) in [(1, &to_k), (2, &to_v)] {
            emit(
                part,
                Rows {
                    values,
                    head,
                    first: 0,
                    width,
                },
            );
        }
    }
}

/// One query: from its weights and the gradient of what dropout left of them to the gradient of its
/// scores; the weights become what dropout leaves.
#[inline(always)]
fn score_gradients<T: Float>(weights: &mut [T], to_weights: &mut [T], factors: Option<&[T]>) {
    // dP = D (dO V^T).
    if let Some(factors) = factors {
        for (to_weight, &factor) in to_weights.iter_mut().zip(factors) {
            *to_weight *= factor;
        }
    }
    // The derivative of the softmax: dS = P (dP - sum P dP).
    let mean = T::from_f64(sum_of_pairs(
        weights,
        to_weights,
        #[inline(always)]
        |weight, to_weight| weight * to_weight,
    ));
    for (&mut weight, to_weight) in weights.iter_mut().zip(to_weights) {
        *to_weight = weight * (*to_weight - mean);
    }
    // P D, which the gradient of the values needs.
    if let Some(factors) = factors {
        for (weight, &factor) in weights.iter_mut().zip(factors) {
            *weight *= factor;
        }
    }
}

/// All heads, one sequence after the other.
fn heads(geometry: Geometry) -> impl Iterator<Item = Head> {
    let Geometry { batch, heads, .. } = geometry;
    (0..batch).flat_map(move |batch| (0..heads).map(move |head| Head { batch, head }))
}
