//! Scaled dot-product attention as one operation.

mod kernel;
#[cfg(all(test, feature = "test-util"))]
mod tests;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp3, DType, Layout, Result, Shape, Tensor};

use super::values::{Float, by_type, elements, same_type, stored, with_elements};
use crate::seed::SeedTree;
use kernel::{Geometry, Operands, View};

/// Options of [`attention`] and [`self_attention`]; the default sees all keys, without dropout.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attention<'a> {
    /// Whether query `i` sees only keys `0..=i`. The numbers of queries and keys must be equal. Later
    /// keys have the weight 0, which does not hide an infinite or undefined value: it may reach the
    /// up to 63 queries before it.
    pub causal: bool,
    /// Which keys there are, of shape `[b, keys]` and type u8: 0 for padding, which no query sees,
    /// whatever it holds.
    pub key_mask: Option<&'a Tensor>,
    /// The probability, in `[0, 1)`, with which a weight is dropped, and the seed that selects
    /// which. The others are scaled up, as by [`dropout`](crate::nn::dropout). What is dropped
    /// depends on the seed, the positions and the sizes alone.
    pub dropout: Option<(f64, &'a SeedTree)>,
    /// The factor of the scores; `1 / sqrt(d)` when it is absent.
    pub scale: Option<f64>,
}

/// `softmax(scale q k^T) v` (Vaswani et al., NeurIPS 2017, equation 1), for queries `q` of shape
/// `[b, heads, queries, d]` and keys `k` and values `v` of shape `[b, heads, keys, d]`. The result
/// has the shape of `q`.
///
/// A query that sees no key gives zeros and gets no gradient.
///
/// It runs on the calling thread, on blocks of queries of one head at a time: the scores of all
/// pairs are never in memory, and those that causality hides are computed only inside the blocks on
/// the diagonal. The backward pass computes the weights again (Dao et al., NeurIPS 2022, section
/// 3.1) and draws the same dropout. For `n` pairs of query and key that takes `4 n d` floating-point
/// operations forward and `10 n d` backward, and memory for one head.
///
/// # Errors
/// Candle's error when shapes or types disagree, options are out of range, or the tensors are not on
/// the CPU or of another type than f32 and f64.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, options: &Attention<'_>) -> Result<Tensor> {
    const NAME: &str = "attention";
    same_type(NAME, &[q, k, v])?;
    let (batch, heads, queries, width) = q.dims4()?;
    let (_, _, keys, _) = k.dims4()?;
    if k.dims() != [batch, heads, keys, width] || v.dims() != k.dims() {
        candle_core::bail!(
            "{NAME}: k {:?} and v {:?} do not fit q {:?}",
            k.dims(),
            v.dims(),
            q.dims()
        );
    }
    let geometry = Geometry {
        batch,
        heads,
        queries,
        keys,
        width,
    };
    let operation = Separate(Checked::new(NAME, geometry, options)?);
    q.contiguous()?
        .apply_op3(&k.contiguous()?, &v.contiguous()?, operation)
}

/// [`attention`] of a sequence to itself, for queries, keys and values beside each other, as one
/// linear map gives them: `qkv` of shape `[b, t, 3 heads d]` holds the queries of all heads,
/// their keys, then their values. The result has the shape `[b, t, heads d]`, as the next linear map
/// takes it.
///
/// The heads are not transposed in memory, neither forward nor backward, which for short sequences
/// costs as much as the attention.
///
/// # Errors
/// As [`attention`], and when the last axis of `qkv` is not divisible by `3 heads`.
pub fn self_attention(qkv: &Tensor, heads: usize, options: &Attention<'_>) -> Result<Tensor> {
    const NAME: &str = "self_attention";
    let (batch, length, columns) = qkv.dims3()?;
    if heads == 0 || !columns.is_multiple_of(3 * heads) {
        candle_core::bail!(
            "{NAME}: qkv {:?} cannot be split into queries, keys and values of {heads} heads",
            qkv.dims()
        );
    }
    let geometry = Geometry {
        batch,
        heads,
        queries: length,
        keys: length,
        width: columns / (3 * heads),
    };
    let operation = Packed(Checked::new(NAME, geometry, options)?);
    qkv.contiguous()?.apply_op1(operation)
}

/// Sizes and options that fit each other.
struct Checked {
    geometry: Geometry,
    causal: bool,
    scale: f64,
    /// `[b, keys]`, 0 for a key that is not there.
    key_mask: Option<Vec<u8>>,
    dropout: Option<(f64, SeedTree)>,
}

impl Checked {
    fn new(name: &str, geometry: Geometry, options: &Attention<'_>) -> Result<Self> {
        let Geometry {
            batch,
            queries,
            keys,
            width,
            ..
        } = geometry;
        if options.causal && queries != keys {
            candle_core::bail!("{name}: causal with {queries} queries and {keys} keys");
        }
        if let Some((probability, _)) = options.dropout
            && !(0.0..1.0).contains(&probability)
        {
            candle_core::bail!(
                "{name}: expected a dropout probability in [0, 1), found {probability}"
            );
        }
        // Read once, so that both passes have it as bytes.
        let key_mask = match options.key_mask {
            None => None,
            Some(mask) if mask.dims() == [batch, keys] && mask.dtype() == DType::U8 => {
                Some(mask.flatten_all()?.to_vec1()?)
            }
            Some(mask) => candle_core::bail!(
                "{name}: expected a key mask U8 [{batch}, {keys}], found {:?} {:?}",
                mask.dtype(),
                mask.dims()
            ),
        };
        // 1 / sqrt(d) keeps the variance of the scores independent of the width (Vaswani et al.,
        // NeurIPS 2017, section 3.2.1).
        let scale = options
            .scale
            .unwrap_or_else(|| (width.max(1) as f64).sqrt().recip());
        Ok(Self {
            geometry,
            causal: options.causal,
            scale,
            key_mask,
            dropout: options
                .dropout
                .map(|(probability, seed)| (probability, *seed)),
        })
    }

    /// Where the heads are in tensors `[b, heads, t, d]`.
    fn by_head(&self, length: usize) -> View {
        let Geometry { heads, width, .. } = self.geometry;
        View {
            offset: 0,
            batch: heads * length * width,
            head: length * width,
            row: width,
        }
    }

    /// Where the heads are in tensors `[b, t, parts heads d]`, in the part of this number.
    fn by_row(&self, part: usize, parts: usize) -> View {
        let Geometry {
            heads,
            queries,
            width,
            ..
        } = self.geometry;
        View {
            offset: part * heads * width,
            batch: queries * parts * heads * width,
            head: width,
            row: parts * heads * width,
        }
    }

    fn packed<'a, T>(&self, qkv: &'a [T]) -> Operands<'a, T> {
        Operands {
            q: (qkv, self.by_row(0, 3)),
            k: (qkv, self.by_row(1, 3)),
            v: (qkv, self.by_row(2, 3)),
        }
    }

    fn separate<'a, T>(&self, [q, k, v]: [&'a [T]; 3]) -> Operands<'a, T> {
        let (queries, keys) = (
            self.by_head(self.geometry.queries),
            self.by_head(self.geometry.keys),
        );
        Operands {
            q: (q, queries),
            k: (k, keys),
            v: (v, keys),
        }
    }
}

/// Queries, keys and values in tensors of their own.
struct Separate(Checked);

impl CustomOp3 for Separate {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let operands = [(q, q_layout), (k, k_layout), (v, v_layout)];
        by_type!(self.name(), q.dtype(), separate_forward(&self.0, operands))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let operands = [q, k, v, gradient];
        by_type!(self.name(), q.dtype(), separate_backward(&self.0, operands))
    }
}

fn separate_forward<T: Float>(
    checked: &Checked,
    operands: [(&CpuStorage, &Layout); 3],
) -> Result<(CpuStorage, Shape)> {
    let shape = operands[0].1.shape();
    let [q, k, v] = operands.map(|(storage, layout)| elements::<T>(storage, layout));
    let mut result = vec![T::zero(); shape.elem_count()];
    let view = checked.by_head(checked.geometry.queries);
    kernel::forward(
        checked,
        &checked.separate([q?, k?, v?]),
        (&mut result, view),
    );
    Ok(stored(result, shape))
}

type Gradients = (Option<Tensor>, Option<Tensor>, Option<Tensor>);

fn separate_backward<T: Float>(checked: &Checked, operands: [&Tensor; 4]) -> Result<Gradients> {
    let [q, k, v, _] = operands;
    // The kernel emits blocks of rows, which are scattered into these.
    let [mut to_q, mut to_k, mut to_v] =
        [q, k, v].map(|operand| vec![T::zero(); operand.elem_count()]);
    with_elements(operands, |[q, k, v, gradient]: [&[T]; 4]| {
        let operands = checked.separate([q, k, v]);
        kernel::backward(
            checked,
            &operands,
            (gradient, operands.q.1),
            &mut |part, rows| {
                let to = [&mut to_q, &mut to_k, &mut to_v];
                let views = [operands.q.1, operands.k.1, operands.v.1];
                rows.scatter(to[part], views[part]);
            },
        );
        Ok(())
    })?;
    let tensor = |values: Vec<T>, like: &Tensor| {
        Tensor::from_vec(values, like.shape(), like.device()).map(Some)
    };
    Ok((tensor(to_q, q)?, tensor(to_k, k)?, tensor(to_v, v)?))
}

/// Queries, keys and values in one tensor.
struct Packed(Checked);

impl CustomOp1 for Packed {
    fn name(&self) -> &'static str {
        "self_attention"
    }

    fn cpu_fwd(&self, qkv: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        by_type!(
            self.name(),
            qkv.dtype(),
            packed_forward(&self.0, qkv, layout)
        )
    }

    fn bwd(&self, qkv: &Tensor, _result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        by_type!(
            self.name(),
            qkv.dtype(),
            packed_backward(&self.0, qkv, gradient)
        )
        .map(Some)
    }
}

fn packed_forward<T: Float>(
    checked: &Checked,
    qkv: &CpuStorage,
    layout: &Layout,
) -> Result<(CpuStorage, Shape)> {
    let (batch, length, columns) = layout.shape().dims3()?;
    let mut result = vec![T::zero(); batch * length * columns / 3];
    let operands = checked.packed(elements::<T>(qkv, layout)?);
    kernel::forward(checked, &operands, (&mut result, checked.by_row(0, 1)));
    Ok(stored(result, (batch, length, columns / 3)))
}

fn packed_backward<T: Float>(checked: &Checked, qkv: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let mut to_qkv = vec![T::zero(); qkv.elem_count()];
    with_elements([qkv, gradient], |[qkv, gradient]: [&[T]; 2]| {
        kernel::backward(
            checked,
            &checked.packed(qkv),
            (gradient, checked.by_row(0, 1)),
            &mut |part, rows| rows.scatter(&mut to_qkv, checked.by_row(part, 3)),
        );
        Ok(())
    })?;
    Tensor::from_vec(to_qkv, qkv.shape(), qkv.device())
}
