//! Coded-InvNet.

use std::fmt;

use super::combine::{check_queries, combined, rounded, same_shape};
use super::weights::{LinearDecoder, Weights};
use super::{Code, Cost, Decoded, Inference, Model, Shape, Slot, Slots, Task, check_group};
use crate::error::CodeError;
use crate::tensor::Tensor;

/// Computes parity queries: inputs whose latent is close to a weighted mean of the latents of a group.
pub trait Encoder: Send + Sync + fmt::Debug {
    /// An input `x` with `f(x)` near `sum_i weights[i] f(queries[i])`, where `f` is the bijection of
    /// the base model. The weights sum to 1.
    ///
    /// # Errors
    ///
    /// When the encoder does not support queries of this shape, or these weights.
    fn encode(&self, queries: &[Tensor], weights: &[f64]) -> Result<Tensor, CodeError>;

    /// Whether the encoder supports groups of this size. Unsupported groups get no redundancy.
    fn supports(&self, _queries: usize) -> bool {
        true
    }

    /// The multiply-adds for one parity query, for a group of `queries` with `values` values each.
    fn operations(&self, queries: usize, values: usize) -> u64;
}

impl<E: Encoder + ?Sized> Encoder for Box<E> {
    fn encode(&self, queries: &[Tensor], weights: &[f64]) -> Result<Tensor, CodeError> {
        (**self).encode(queries, weights)
    }

    fn supports(&self, queries: usize) -> bool {
        (**self).supports(queries)
    }

    fn operations(&self, queries: usize, values: usize) -> u64 {
        (**self).operations(queries, values)
    }
}

/// The weighted mean of the queries themselves: exact for a linear model, and the baseline that a learned
/// encoder has to beat for any other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MixedQueries;

impl Encoder for MixedQueries {
    fn encode(&self, queries: &[Tensor], weights: &[f64]) -> Result<Tensor, CodeError> {
        let terms: Vec<(Slot, &Tensor)> = queries.iter().enumerate().collect();
        combined("query", &rounded(weights.iter().copied()), &terms)
    }

    fn operations(&self, queries: usize, values: usize) -> u64 {
        (queries * values) as u64
    }
}

/// T. Dinh, K. Lee, "Coded-InvNet for Resilient Prediction Serving Systems" (ICML 2021): the base model is
/// an invertible network with an affine head, and also answers the parity queries of an [`Encoder`]. Its
/// outputs for them are weighted means of the group's answers, and are solved for the missing ones.
///
/// With one parity, the mean, a lost answer is `k` times the parity minus the other answers, so errors of
/// the encoder are multiplied by `k`. With `r` parities any `r` answers may be lost.
///
/// ```
/// use septet_coded_serving::Tensor;
/// use septet_coded_serving::code::{Code, InvNet, MixedQueries, Slots};
///
/// // For a linear model the mixed query is the exact parity query.
/// let model = |x: &Tensor| Tensor::vector(vec![x.values()[0] - x.values()[1], 3.0 * x.values()[1]]);
/// let code = InvNet::new(3, 1, MixedQueries)?;
/// let queries = [[1.0, 2.0], [4.0, 0.5], [-1.0, 3.0]].map(|x| Tensor::vector(x.to_vec()));
/// let parity = &code.encode(&queries)?[0];
///
/// // The answer to the second query is lost.
/// let (first, third, mean) = (model(&queries[0]), model(&queries[2]), model(&parity.input));
/// let lost = [1].into_iter().collect();
/// let decoded = code.decode(3, &[(0, &first), (2, &third), (parity.slot, &mean)], lost)?;
/// assert!((decoded[0].output.values()[0] - 3.5).abs() < 1e-5);
/// # Ok::<(), septet_coded_serving::CodeError>(())
/// ```
#[derive(Debug)]
pub struct InvNet<E> {
    encoder: E,
    /// The weights for groups of 1 query, of 2, and so on.
    weights: Vec<Weights>,
    parities: usize,
    decoder: LinearDecoder,
}

impl<E: Encoder> InvNet<E> {
    /// The code for groups of up to `queries`, with `parities` parities.
    ///
    /// # Errors
    ///
    /// When `queries` or `parities` is zero, there are more parities than queries, or more than
    /// [`MAX_TASKS`](super::MAX_TASKS) of both together.
    pub fn new(queries: usize, parities: usize, encoder: E) -> Result<Self, CodeError> {
        Weights::cauchy(queries, parities)?;
        Ok(Self {
            encoder,
            weights: (1..=queries)
                .map(|queries| Weights::cauchy(queries, parities.min(queries)))
                .collect::<Result<_, _>>()?,
            parities,
            decoder: LinearDecoder::default(),
        })
    }

    /// The encoder.
    #[must_use]
    pub fn encoder(&self) -> &E {
        &self.encoder
    }

    /// The weights of a full group.
    #[must_use]
    pub fn weights(&self) -> &Weights {
        &self.weights[self.queries() - 1]
    }

    fn queries(&self) -> usize {
        self.weights.len()
    }
}

impl<E: Encoder> Code for InvNet<E> {
    fn name(&self) -> String {
        format!("coded-invnet({},{})", self.queries(), self.parities)
    }

    fn shape(&self) -> Shape {
        Shape {
            queries: self.queries(),
            tasks: self.queries() + self.parities,
            stragglers: self.parities,
            byzantine: 0,
            systematic: true,
        }
    }

    fn encode(&self, queries: &[Tensor]) -> Result<Vec<Task>, CodeError> {
        check_group(queries.len(), self.queries())?;
        if !self.encoder.supports(queries.len()) {
            return Ok(Vec::new());
        }
        check_queries(queries)?;
        let shape = same_shape(queries)?;
        let weights = &self.weights[queries.len() - 1];
        (0..weights.parities())
            .map(|parity| {
                // The mean of one query is the query itself.
                let input = match queries {
                    [only] => only.clone(),
                    _ => self.encoder.encode(queries, &weights.row(parity))?,
                };
                // The worker would reject a parity query of another shape, long after the cause.
                if input.shape() != shape {
                    return Err(CodeError::Shapes {
                        first: shape.clone(),
                        other: input.shape().to_vec(),
                    });
                }
                Ok(Task {
                    slot: queries.len() + parity,
                    model: Model::Base,
                    input,
                })
            })
            .collect()
    }

    fn decodable(&self, queries: usize, arrived: Slots) -> Slots {
        match queries.checked_sub(1).and_then(|n| self.weights.get(n)) {
            Some(weights) => self.decoder.decodable(weights, arrived),
            None => arrived.and(Slots::below(queries)),
        }
    }

    fn decode(
        &self,
        queries: usize,
        outputs: &[(Slot, &Tensor)],
        missing: Slots,
    ) -> Result<Vec<Decoded>, CodeError> {
        check_group(queries, self.queries())?;
        self.decoder
            .decode(&self.weights[queries - 1], outputs, missing)
    }

    fn cost(&self, base: Inference) -> Cost {
        // Every parity takes one pass of the encoder and one inference.
        let encoder = self.encoder.operations(self.queries(), base.values);
        let parities = self.parities as u64;
        base.cost(
            parities * (encoder + base.operations),
            self.parities * base.values,
        )
    }
}
