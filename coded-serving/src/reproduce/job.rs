//! Trainings of what makes or answers redundant tasks, and how well lost answers are then recovered.

use std::collections::BTreeMap;
use std::sync::Arc;

use septet_core::experiment::{Context, ExperimentError};
use serde::{Deserialize, Serialize};

use super::base::{Base, BaseId, Bases, of, seed_of};
use super::world::{Data, World};
use crate::code::{Code, Encoder, Inference, InvNet, MixedQueries, Slot, Slots, SumParity};
use crate::network::{Batch, ExactInverse, NetworkError, batch};
use crate::tensor::Tensor;
use crate::train::{EncoderLoss, EncoderNetwork, EncoderSize, Fit, MlpNetwork, outputs};

/// What makes or answers the redundant tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum Means {
    /// Nothing that is learned: the exact inverse of the mean latent.
    ExactInverse,
    /// Nothing that is learned: the mean image.
    MeanImage,
    /// A learned encoder.
    Encoder {
        features: usize,
        hidden: usize,
        loss: Loss,
        steps: u64,
    },
    /// A parity model of three layers.
    Parity { hidden: usize, steps: u64 },
    /// A student of two layers, which answers each query.
    Student { hidden: usize, steps: u64 },
}

/// What an encoder is trained for, as a parameter of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum Loss {
    Task,
    PixelLogCosh,
}

/// One training, judged on groups of `k` test images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Job {
    pub(super) base: BaseId,
    pub(super) k: usize,
    pub(super) means: Means,
}

/// How well answers were recovered, each of every group in turn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Recovered {
    /// The share that has the right label.
    pub(super) label: f64,
    /// The share that has the class that the base model gave.
    pub(super) agreement: f64,
    /// The agreement among the nine tenths of answers with the largest margins between their best two
    /// classes.
    pub(super) confident: f64,
    /// The largest difference of an answer from the base model's.
    pub(super) largest_error: f64,
    /// Multiply-adds of the redundancy of a group, over those of one inference.
    pub(super) operations: f64,
    /// Bytes that redundant workers receive, over those of one query.
    pub(super) ingress: f64,
}

impl Recovered {
    /// The lower of the two shares, in per cent.
    pub(super) fn lower(&self) -> f64 {
        100.0 * self.label.min(self.agreement)
    }
}

const BATCH: usize = 128;
const ENCODER_RATE: f64 = 2e-3;
const PARITY_RATE: f64 = 1e-3;
const STUDENT_RATE: f64 = 2e-3;

/// Trains and judges.
pub(super) fn run(
    cx: &mut Context,
    worlds: &BTreeMap<World, Data>,
    bases: &Bases,
    jobs: &[Job],
) -> Result<Vec<Recovered>, ExperimentError> {
    let root = cx.seed().child("redundancy");
    cx.cells("recovered answers", jobs, |job, _| {
        let data = of(worlds, job.base.world)?;
        let base = bases
            .get(&job.base)
            .ok_or_else(|| ExperimentError::new("a base model is not trained"))?;
        let seed = seed_of(&root, job.base.world, job.base.seed).index(job.k as u64);
        let groups = data.test.groups(job.k, &seed.child("groups"));
        let judge = Judge {
            data,
            base,
            groups: &groups,
            k: job.k,
        };
        match job.means {
            Means::ExactInverse => {
                let bijection = Arc::new(base.classifier.bijection().clone());
                judge.encoder(ExactInverse::new(bijection))
            }
            Means::MeanImage => judge.encoder(MixedQueries),
            Means::Encoder {
                features,
                hidden,
                loss,
                steps,
            } => {
                let size = EncoderSize {
                    width: data.train.width(),
                    features,
                    hidden,
                };
                let network = EncoderNetwork::new(size, &seed)?;
                let loss = match loss {
                    Loss::Task => EncoderLoss::Task,
                    Loss::PixelLogCosh => EncoderLoss::PixelLogCosh,
                };
                let fit = Fit::new(steps, BATCH, ENCODER_RATE);
                network.fit(&base.classifier, &data.train, job.k, loss, &fit, &seed)?;
                judge.encoder(network.encoder()?)
            }
            Means::Parity { hidden, steps } => {
                let widths = [data.train.width(), hidden, hidden, 10];
                let network = MlpNetwork::new(&widths, &seed)?;
                let answers = outputs(&data.train, |x| base.classifier.forward(x))?;
                let fit = Fit::new(steps, BATCH, PARITY_RATE);
                network.fit_parity(&data.train, &answers, job.k, &fit, &seed)?;
                let model = network.parity_model(job.k)?;
                let code = SumParity::new(job.k, model.operations())?;
                judge.code(&code, |x| model.forward(x))
            }
            Means::Student { hidden, steps } => {
                let network = MlpNetwork::new(&[data.train.width(), hidden, 10], &seed)?;
                let answers = outputs(&data.train, |x| base.classifier.forward(x))?;
                let fit = Fit::new(steps, 200, STUDENT_RATE);
                network.fit_student(&data.train, &answers, &fit, &seed)?;
                let student = network.mlp()?;
                judge.student(
                    &outputs(&data.test, |x| student.forward(x))?,
                    student.operations(),
                )
            }
        }
    })
}

/// The test of one job.
struct Judge<'a> {
    data: &'a Data,
    base: &'a Base,
    groups: &'a [Vec<usize>],
    k: usize,
}

impl Judge<'_> {
    fn inference(&self) -> Inference {
        Inference {
            operations: self.base.classifier.operations(),
            values: self.data.test.width(),
        }
    }

    fn encoder(&self, encoder: impl Encoder) -> Result<Recovered, ExperimentError> {
        let code = InvNet::new(self.k, 1, encoder)?;
        self.code(&code, |x| self.base.classifier.forward(x))
    }

    fn code(
        &self,
        code: &dyn Code,
        model: impl Fn(&Batch) -> Result<Batch, NetworkError>,
    ) -> Result<Recovered, ExperimentError> {
        let mut inputs = Vec::new();
        for group in self.groups {
            let queries: Vec<Tensor> = group
                .iter()
                .map(|&index| Tensor::vector(self.data.test.image(index).to_vec()))
                .collect();
            for task in code.encode(&queries)? {
                inputs.extend_from_slice(task.input.values());
            }
        }
        let parities = model(&batch(&inputs, self.data.test.width())?)?;
        let mut tally = Tally::default();
        for (group, parity) in self.groups.iter().zip(parities.column_iter()) {
            let parity = Tensor::vector(parity.as_slice().to_vec());
            let answers: Vec<Tensor> = group.iter().map(|&index| self.answer(index)).collect();
            for lost in 0..self.k {
                let others = answers.iter().enumerate().filter(|(slot, _)| *slot != lost);
                let outputs: Vec<(Slot, &Tensor)> = others.chain([(self.k, &parity)]).collect();
                for decoded in code.decode(self.k, &outputs, Slots::EMPTY.with(lost))? {
                    let label = self.data.test.labels()[group[lost]];
                    tally.count(&decoded.output, &answers[lost], label);
                }
            }
        }
        Ok(tally.recovered(code.cost(self.inference())))
    }

    fn student(&self, answers: &Batch, operations: u64) -> Result<Recovered, ExperimentError> {
        let mut tally = Tally::default();
        for (index, answer) in answers.column_iter().enumerate() {
            let answer = Tensor::vector(answer.as_slice().to_vec());
            tally.count(&answer, &self.answer(index), self.data.test.labels()[index]);
        }
        let code = crate::code::ApproximateBackup::new(self.k, operations)?;
        Ok(tally.recovered(code.cost(self.inference())))
    }

    fn answer(&self, index: usize) -> Tensor {
        Tensor::vector(self.base.answers.column(index).as_slice().to_vec())
    }
}

#[derive(Default)]
struct Tally {
    all: usize,
    label: usize,
    agreement: usize,
    largest_error: f32,
    /// The margin of each answer, and whether it agrees.
    margins: Vec<(f32, bool)>,
}

impl Tally {
    fn count(&mut self, found: &Tensor, base: &Tensor, label: usize) {
        self.all += 1;
        self.label += usize::from(found.argmax() == Some(label));
        let agrees = found.argmax() == base.argmax();
        self.agreement += usize::from(agrees);
        self.margins.push((found.margin(), agrees));
        for (found, base) in found.values().iter().zip(base.values()) {
            self.largest_error = self.largest_error.max((found - base).abs());
        }
    }

    fn recovered(mut self, cost: crate::code::Cost) -> Recovered {
        let all = self.all.max(1) as f64;
        self.margins.sort_by(|a, b| a.0.total_cmp(&b.0));
        let confident = &self.margins[self.margins.len() / 10..];
        let agree = confident.iter().filter(|(_, agrees)| *agrees).count();
        Recovered {
            label: self.label as f64 / all,
            agreement: self.agreement as f64 / all,
            confident: agree as f64 / confident.len().max(1) as f64,
            largest_error: self.largest_error.into(),
            operations: cost.operations,
            ingress: cost.ingress,
        }
    }
}
