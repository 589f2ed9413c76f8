//! Encoders for parity queries.

use std::sync::Arc;

use super::mlp::rectify;
use super::{Batch, Bijection, Mlp, NetworkError, Tensors};
use crate::code::{Encoder, combine};
use crate::error::CodeError;
use crate::tensor::Tensor;

/// A learned encoder: `E(X) = mean(x_i) + rho(mean(phi(x_i)), mean(x_i))`, with the weights of the parity in
/// all means.
///
/// It is invariant to the order of the queries and accepts any number of them; it is trained for one group
/// size, and accurate near it.
#[derive(Clone, Debug, PartialEq)]
pub struct SetEncoder {
    phi: Mlp,
    rho: Mlp,
}

impl SetEncoder {
    /// An encoder from its networks; a rectifier follows `phi`.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Width`] when `rho` does not map the output of `phi`, concatenated with a query, to a
    /// query.
    pub fn new(phi: Mlp, rho: Mlp) -> Result<Self, NetworkError> {
        let width = phi.inputs();
        for (layer, expected, found) in [
            ("rho", phi.outputs() + width, rho.inputs()),
            ("the encoder", width, rho.outputs()),
        ] {
            if expected != found {
                return Err(NetworkError::Width {
                    layer: layer.to_owned(),
                    expected,
                    found,
                });
            }
        }
        Ok(Self { phi, rho })
    }

    /// Reads the tensors that [`to_tensors`](Self::to_tensors) returns.
    ///
    /// # Errors
    ///
    /// When a tensor is missing or has the wrong shape.
    pub fn from_tensors(tensors: &Tensors) -> Result<Self, NetworkError> {
        let phi = Mlp::from_tensors(tensors, "phi.", 1)?;
        Self::new(phi, Mlp::from_tensors(tensors, "rho.", 1)?)
    }

    /// The parameters by name.
    #[must_use]
    pub fn to_tensors(&self) -> Tensors {
        let mut tensors = Tensors::default();
        self.phi.insert_into(&mut tensors, "phi.");
        self.rho.insert_into(&mut tensors, "rho.");
        tensors
    }

    /// The parity queries of several groups. `groups` holds the queries of one group after another, one query
    /// per weight.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Width`].
    pub fn encode_groups(&self, groups: &Batch, weights: &[f32]) -> Result<Batch, NetworkError> {
        let size = weights.len();
        if size == 0 || !groups.ncols().is_multiple_of(size) {
            return Err(NetworkError::Width {
                layer: "groups".to_owned(),
                expected: size,
                found: groups.ncols(),
            });
        }
        // The features of all queries at once, as one matrix product.
        let mut features = self.phi.forward(groups)?;
        features.apply(rectify);
        let (width, hidden) = (self.phi.inputs(), self.phi.outputs());
        // One column per group: the weighted means of its features and of its queries.
        let mut means = Batch::zeros(hidden + width, groups.ncols() / size);
        for (group, mut column) in means.column_iter_mut().enumerate() {
            let (feature, input) = column.as_mut_slice().split_at_mut(hidden);
            let start = |batch: &'_ Batch| group * size * batch.nrows();
            sum(&features.as_slice()[start(&features)..], weights, feature);
            sum(&groups.as_slice()[start(groups)..], weights, input);
        }
        // `rho` learns the correction to the mean query.
        let mut result = self.rho.forward(&means)?;
        result += means.rows(hidden, width);
        Ok(result)
    }
}

/// The weighted sum of consecutive vectors of the length of `out`.
fn sum(values: &[f32], weights: &[f32], out: &mut [f32]) {
    let width = out.len();
    if width == 0 {
        return;
    }
    let terms: Vec<&[f32]> = values.chunks_exact(width).take(weights.len()).collect();
    // The callers pass as many vectors as weights, so this cannot fail.
    let combined = combine(weights, &terms, out);
    debug_assert!(combined.is_ok());
}

/// The queries of a group as the columns of a matrix.
fn side_by_side(queries: &[Tensor], width: usize) -> Result<Batch, CodeError> {
    let mut values = Vec::with_capacity(queries.len() * width);
    for query in queries {
        // The encoder ignores shapes, but not the number of values.
        if query.values().len() != width {
            let found = query.values().len();
            let expected = format!("{width} values");
            return Err(CodeError::parameter("query", expected, found));
        }
        values.extend_from_slice(query.values());
    }
    Ok(Batch::from_column_slice(width, queries.len(), &values))
}

/// Checks that there is one weight per query, and at least one query.
fn check_weights(queries: &[Tensor], weights: &[f64]) -> Result<(), CodeError> {
    if queries.len() == weights.len() && !queries.is_empty() {
        return Ok(());
    }
    let expected = format!("{}, one per query", queries.len());
    Err(CodeError::parameter("weights", expected, weights.len()))
}

/// The parity query in one column, with the shape of the queries.
fn as_query(column: &Batch, queries: &[Tensor]) -> Result<Tensor, CodeError> {
    let made = Tensor::from_parts(queries[0].shape().to_vec(), column.as_slice().to_vec());
    if made.is_finite() {
        Ok(made)
    } else {
        Err(CodeError::NotFinite {
            what: "parity query",
            index: 0,
        })
    }
}

fn as_code_error(error: &NetworkError) -> CodeError {
    CodeError::parameter("encoder", "a parity query", error)
}

impl Encoder for SetEncoder {
    fn encode(&self, queries: &[Tensor], weights: &[f64]) -> Result<Tensor, CodeError> {
        check_weights(queries, weights)?;
        let group = side_by_side(queries, self.phi.inputs())?;
        let weights: Vec<f32> = weights.iter().map(|&weight| weight as f32).collect();
        let made = self.encode_groups(&group, &weights);
        as_query(&made.map_err(|error| as_code_error(&error))?, queries)
    }

    fn operations(&self, queries: usize, values: usize) -> u64 {
        // Both weighted means are counted.
        let sums = queries * (values + self.phi.outputs());
        queries as u64 * self.phi.operations() + self.rho.operations() + sums as u64
    }
}

/// The exact encoder: `f^-1(sum_i w_i f(x_i))`, the inverse of the mean latent.
///
/// It costs more than answering all queries again; it is the reference for learned encoders.
#[derive(Clone, Debug)]
pub struct ExactInverse<F> {
    bijection: Arc<F>,
}

impl<F: Bijection> ExactInverse<F> {
    /// The encoder for the bijection of a base model.
    #[must_use]
    pub fn new(bijection: Arc<F>) -> Self {
        Self { bijection }
    }
}

impl<F: Bijection> Encoder for ExactInverse<F> {
    fn encode(&self, queries: &[Tensor], weights: &[f64]) -> Result<Tensor, CodeError> {
        check_weights(queries, weights)?;
        let group = side_by_side(queries, self.bijection.width())?;
        let weights: Vec<f32> = weights.iter().map(|&weight| weight as f32).collect();
        let invert = || {
            let latents = self.bijection.forward(&group)?;
            let mut mixture = Batch::zeros(latents.nrows(), 1);
            sum(latents.as_slice(), &weights, mixture.as_mut_slice());
            self.bijection.inverse(&mixture)
        };
        as_query(&invert().map_err(|error| as_code_error(&error))?, queries)
    }

    fn operations(&self, queries: usize, values: usize) -> u64 {
        let forward = queries as u64 * self.bijection.operations();
        forward + self.bijection.inverse_operations() + (queries * values) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::super::dense::counting::count;
    use super::super::{Array, Coupling, Dense, InvertibleClassifier};
    use super::*;
    use crate::code::{
        ApproximateBackup, Code, Inference, Interpolation, InvNet, Model, Replication, Smoother,
        SumParity,
    };

    fn dense(outputs: usize, inputs: usize) -> Dense {
        let array = |shape: Vec<usize>| Array {
            values: (0..shape.iter().product())
                .map(|i: usize| (i as f32 * 0.7).sin() * 0.1)
                .collect(),
            shape,
        };
        Dense::new(
            "layer",
            &array(vec![outputs, inputs]),
            &array(vec![outputs]),
        )
        .unwrap()
    }

    fn mlp(widths: &[usize]) -> Mlp {
        Mlp::new(
            widths
                .windows(2)
                .map(|pair| dense(pair[1], pair[0]))
                .collect(),
        )
        .unwrap()
    }

    /// The stated cost is that of the products that are made, within 1 %: sums are counted too.
    #[test]
    fn stated_costs_are_counted_ones() {
        let (k, width) = (10, 64);
        let block = || mlp(&[32, 40, 32]);
        let coupling = Coupling::new((0..width).collect(), vec![block(), block()]).unwrap();
        let base = InvertibleClassifier::new(coupling.clone(), dense(10, width)).unwrap();
        let inference = Inference {
            operations: base.operations(),
            values: width,
        };
        let queries: Vec<Tensor> = (0..k)
            .map(|i| Tensor::vector((0..width).map(|j| ((i * j) as f32).sin()).collect()))
            .collect();
        assert_eq!(
            count(|| drop(base.answer(&queries[0]).unwrap())),
            base.operations()
        );
        let redundant = |code: &dyn Code| {
            count(|| {
                for task in code.encode(&queries).unwrap() {
                    base.answer(&task.input).unwrap();
                }
            })
        };
        let learned = SetEncoder::new(mlp(&[width, 128]), mlp(&[128 + width, 100, width])).unwrap();
        let learned = InvNet::new(k, 1, learned).unwrap();
        let exact = InvNet::new(k, 2, ExactInverse::new(Arc::new(coupling))).unwrap();
        let codes: [(&dyn Code, usize); 2] =
            [(&learned, k * (width + 128)), (&exact, 2 * k * width)];
        for (code, sums) in codes {
            let counted = (redundant(code) + sums as u64) as f64 / base.operations() as f64;
            let stated = code.cost(inference).operations;
            assert!((stated / counted - 1.0).abs() < 0.01, "{stated} {counted}");
        }
        // Codes whose tasks other models answer, or that make no network's input.
        let parity = mlp(&[width, 70, 10]);
        let sum = SumParity::new(k, parity.operations()).unwrap();
        let student = mlp(&[width, 20, 10]);
        let backup = ApproximateBackup::new(k, student.operations()).unwrap();
        let copies = Replication::new(k, 2).unwrap();
        let codes: [(&dyn Code, usize); 3] = [(&sum, k * width), (&backup, 0), (&copies, 0)];
        for (code, sums) in codes {
            let counted = count(|| {
                for task in code.encode(&queries).unwrap() {
                    let answer = match &task.model {
                        Model::Base => base.answer(&task.input),
                        Model::Redundant(name) if &**name == "student" => {
                            student.answer(&task.input)
                        }
                        Model::Redundant(_) => parity.answer(&task.input),
                    };
                    answer.unwrap();
                }
            });
            let counted = (counted + sums as u64) as f64 / base.operations() as f64;
            let stated = code.cost(inference).operations;
            assert!((stated / counted - 1.0).abs() < 0.01, "{stated} {counted}");
        }
        // Of a code that is not systematic, ten of twelve tasks would be answered anyway.
        let curve = Interpolation::new(k, k + 2, 1, Smoother::SPLINE).unwrap();
        let counted = redundant(&curve) - k as u64 * base.operations();
        let counted = counted + (k * (k + 2) * width) as u64;
        let stated = curve.cost(inference).operations;
        assert!((stated * base.operations() as f64 / counted as f64 - 1.0).abs() < 0.01);
        // Inverting exactly costs more than answering every query again.
        assert!(exact.cost(inference).operations > 2.0 * k as f64);
    }
}
