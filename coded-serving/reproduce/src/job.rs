//! Trainings of encoders, parity models and students, and the accuracy of answers recovered with them.

use std::sync::Arc;

use septet_coded_serving::Tensor;
use septet_coded_serving::code::{
    ApproximateBackup, Code, Cost, Inference, Interpolation, InvNet, MixedQueries, Slot, Slots,
    Smoother, SumParity,
};
use septet_coded_serving::images::Images;
use septet_coded_serving::network::{Batch, ExactInverse, NetworkError, batch};
use septet_coded_serving::train::{
    EncoderLoss, EncoderNetwork, EncoderSize, Fit, MlpNetwork, outputs,
};
use septet_core::experiment::{Context, ExperimentError, Grid, SeedTree};
use serde::{Deserialize, Serialize};

use crate::base::{Base, BaseId, Bases, CLASSES, seed_of};
use crate::interpolation::{Setting, best_spline, queries_of, run_group};
use crate::plan::trainings;
use crate::world::{Data, World};

/// The means of redundancy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum Means {
    /// Not learned: the exact inverse of the mean latent.
    ExactInverse,
    /// Not learned: the mean image.
    MeanImage,
    /// A learned encoder.
    Encoder {
        features: usize,
        hidden: usize,
        loss: Loss,
        /// Groups per step.
        batch: usize,
        steps: u64,
    },
    /// A parity model of three layers.
    Parity {
        hidden: usize,
        batch: usize,
        steps: u64,
    },
    /// A student of two layers, which answers each query.
    Student { hidden: usize, steps: u64 },
    /// Not learned: every task is a mixture, and one of them is lost.
    Curve(Curve),
}

/// The kind of curve, as a parameter of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum Curve {
    /// `ApproxIFER`.
    Berrut,
    /// `NeRCC`, with penalties chosen on groups of training images.
    Spline,
}

/// The loss of an encoder, as a parameter of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum Loss {
    Task,
    PixelLogCosh,
}

/// One training, judged on groups of `k` test images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Job {
    pub(crate) base: BaseId,
    pub(crate) k: usize,
    pub(crate) means: Means,
}

/// The accuracy of recovered answers, each of every group lost in turn. Of a [`Curve`] all answers of a group
/// are counted, with each task lost in turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Recovered {
    /// The fraction with the right label.
    pub(crate) label: f64,
    /// The fraction with the class of the base model's own answer.
    pub(crate) agreement: f64,
    /// The accuracy when nothing is lost, if it differs from that of the base model.
    pub(crate) undisturbed: Option<f64>,
    /// The answers that remain with a minimum margin; of encoders.
    pub(crate) gate: Option<Gate>,
    /// The same encoder on smaller groups than it was trained for.
    pub(crate) partial: Vec<Partial>,
    /// The largest absolute difference of an output from the base model's.
    pub(crate) largest_error: f64,
    /// Multiply-adds of the redundancy of a group, over those of one inference.
    pub(crate) operations: f64,
    /// Bytes that redundant workers receive, over those of one query.
    pub(crate) ingress: f64,
}

/// Answers with a margin between the best two classes below a threshold are withheld. The threshold is the 10th
/// percentile of the margins of recovered answers on training images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Gate {
    /// The fraction of answers to test images that are released.
    pub(crate) given: f64,
    /// The accuracy of these.
    pub(crate) label: f64,
    /// The agreement among these.
    pub(crate) agreement: f64,
}

/// One lost answer of a group that is not full.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Partial {
    pub(crate) queries: usize,
    pub(crate) label: f64,
    pub(crate) agreement: f64,
}

impl Recovered {
    /// The lower of accuracy and agreement, in per cent.
    pub(crate) fn lower(&self) -> f64 {
        100.0 * self.label.min(self.agreement)
    }
}

/// Groups per step, for the profile with many steps.
pub(crate) const BATCH: usize = 128;
const ENCODER_RATE: f64 = 2e-3;
const PARITY_RATE: f64 = 1e-3;
const STUDENT_RATE: f64 = 2e-3;

/// Training images on whose groups thresholds are learned.
const GATE_IMAGES: usize = 5000;
/// The fraction of these answers that the threshold withholds.
const REFUSED: f64 = 0.1;

/// Sizes of groups that are not full.
pub(crate) const PARTIAL: [usize; 3] = [2, 4, 7];

/// Trains the means of a job, and evaluates it.
pub(crate) fn run(
    cx: &mut Context,
    world: World,
    data: &Data,
    bases: &Bases,
    jobs: Vec<Job>,
) -> Result<Grid<Job, Recovered>, ExperimentError> {
    let root = cx.seed().child("redundancy");
    let group = format!("recovered answers, {}", world.name());
    let grid = cx
        .grid(&group, jobs)
        .version(super::base::VERSION)
        .seeds(trainings(world))
        .reads(world.set());
    grid.run(|job, cell| {
        let number = cell.seed_index();
        // Each training goes with the base model of the same number, so that the spread over trainings
        // includes that of base models.
        let base = bases
            .get(&job.base)
            .and_then(|bases| bases.get(number as usize))
            .ok_or_else(|| ExperimentError::new("a base model is not trained"))?;
        let seed = seed_of(&root, world, number).index(job.k as u64);
        // The seed does not depend on the means: all of one size are evaluated on the same groups.
        let judge = Judge {
            base,
            images: &data.test,
            answers: &base.answers,
            seed: seed.child("groups"),
        };
        match job.means {
            Means::ExactInverse => {
                let bijection = Arc::new(base.classifier.bijection().clone());
                let code = InvNet::new(job.k, 1, ExactInverse::new(bijection))?;
                judge.code(&code, |x| base.classifier.forward(x))
            }
            Means::MeanImage => {
                let code = InvNet::new(job.k, 1, MixedQueries)?;
                judge.code(&code, |x| base.classifier.forward(x))
            }
            Means::Encoder {
                features,
                hidden,
                loss,
                batch,
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
                // The base model is frozen: the loss passes through it to the encoder.
                let fit = Fit::new(steps, batch, ENCODER_RATE);
                network.fit(&base.classifier, &data.train, job.k, loss, &fit, &seed)?;
                // The threshold of the margin is learned on training images, not on the test images.
                let train = data.train.first(GATE_IMAGES);
                let answers = outputs(&train, |x| base.classifier.forward(x))?;
                let training = Judge {
                    base,
                    images: &train,
                    answers: &answers,
                    seed: seed.child("gate"),
                };
                let code = InvNet::new(job.k, 1, network.encoder()?)?;
                judge.encoder(&code, &training)
            }
            Means::Parity {
                hidden,
                batch,
                steps,
            } => {
                // The targets are the answers of the base model, computed once for all steps.
                let widths = [data.train.width(), hidden, hidden, CLASSES];
                let network = MlpNetwork::new(&widths, &seed)?;
                let answers = outputs(&data.train, |x| base.classifier.forward(x))?;
                let fit = Fit::new(steps, batch, PARITY_RATE);
                network.fit_parity(&data.train, &answers, job.k, &fit, &seed)?;
                let model = network.parity_model(job.k)?;
                let code = SumParity::new(job.k, model.operations())?;
                judge.code(&code, |x| model.forward(x))
            }
            Means::Student { hidden, steps } => {
                let network = MlpNetwork::new(&[data.train.width(), hidden, CLASSES], &seed)?;
                let answers = outputs(&data.train, |x| base.classifier.forward(x))?;
                let fit = Fit::new(steps, 200, STUDENT_RATE);
                network.fit_student(&data.train, &answers, &fit, &seed)?;
                let student = network.mlp()?;
                judge.student(
                    job.k,
                    &outputs(&data.test, |x| student.forward(x))?,
                    student.operations(),
                )
            }
            Means::Curve(curve) => {
                let setting = Setting::one_lost(job.k);
                let model = |x: &Batch| base.classifier.forward(x);
                let smoother = match curve {
                    Curve::Berrut => Smoother::Berrut,
                    Curve::Spline => {
                        best_spline(setting, &data.train, model, &seed.child("penalties"))?
                            .smoother()
                    }
                };
                judge.curve(&setting.code(smoother)?, model)
            }
        }
    })
}

/// Images, and the outputs of the base model for them.
struct Judge<'a> {
    base: &'a Base,
    images: &'a Images,
    answers: &'a Batch,
    /// Determines the groups.
    seed: SeedTree,
}

impl Judge<'_> {
    fn inference(&self) -> Inference {
        Inference {
            operations: self.base.classifier.operations(),
            values: self.images.width(),
        }
    }

    /// A learned encoder, also on smaller groups and with a minimum margin.
    fn encoder(&self, code: &dyn Code, training: &Judge<'_>) -> Result<Recovered, ExperimentError> {
        let full = code.shape().queries;
        let model = |x: &Batch| self.base.classifier.forward(x);
        let tally = self.lost_answers(code, full, model)?;
        let threshold = training.lost_answers(code, full, model)?.margin(REFUSED);
        let gate = Some(tally.gate(threshold));
        let mut partial = Vec::new();
        for queries in PARTIAL.into_iter().filter(|&queries| queries < full) {
            let all = self.lost_answers(code, queries, model)?.all();
            partial.push(Partial {
                queries,
                label: all.label,
                agreement: all.agreement,
            });
        }
        Ok(Recovered {
            gate,
            partial,
            ..tally.recovered(code.cost(self.inference()))
        })
    }

    fn code(
        &self,
        code: &dyn Code,
        model: impl Fn(&Batch) -> Result<Batch, NetworkError>,
    ) -> Result<Recovered, ExperimentError> {
        let tally = self.lost_answers(code, code.shape().queries, model)?;
        Ok(tally.recovered(code.cost(self.inference())))
    }

    /// One answer of each group is lost, every one in turn.
    fn lost_answers(
        &self,
        code: &dyn Code,
        queries: usize,
        model: impl Fn(&Batch) -> Result<Batch, NetworkError>,
    ) -> Result<Tally, ExperimentError> {
        let groups = self.images.groups(queries, &self.seed);
        // The parities of all groups are answered in one batch, which is faster than group by group.
        let mut inputs = Vec::new();
        for group in &groups {
            for task in code.encode(&queries_of(self.images, group))? {
                inputs.extend_from_slice(task.input.values());
            }
        }
        let parities = model(&batch(&inputs, self.images.width())?)?;
        let mut tally = Tally::default();
        for (group, parity) in groups.iter().zip(parities.column_iter()) {
            let parity = Tensor::vector(parity.as_slice().to_vec());
            let answers: Vec<Tensor> = group.iter().map(|&index| self.answer(index)).collect();
            // Every query is lost once, so that all images have the same weight. The parity is never lost.
            for lost in 0..queries {
                let others = answers.iter().enumerate().filter(|(slot, _)| *slot != lost);
                let outputs: Vec<(Slot, &Tensor)> = others.chain([(queries, &parity)]).collect();
                for decoded in code.decode(queries, &outputs, Slots::EMPTY.with(lost))? {
                    let label = self.images.labels()[group[lost]];
                    tally.count(&decoded.output, &answers[lost], label);
                }
            }
        }
        Ok(tally)
    }

    /// A code all of whose tasks are mixtures: no task is lost, then each in turn.
    fn curve(
        &self,
        code: &Interpolation,
        model: impl Fn(&Batch) -> Result<Batch, NetworkError>,
    ) -> Result<Recovered, ExperimentError> {
        let shape = code.shape();
        let (mut complete, mut tally) = (Tally::default(), Tally::default());
        for group in self.images.groups(shape.queries, &self.seed) {
            let outputs = run_group(code, self.images, &group, &model)?;
            let lost = (0..shape.tasks).map(Some);
            // The first pass loses nothing, and is tallied apart: these answers are approximate even then.
            for lost in std::iter::once(None).chain(lost) {
                let tally = if lost.is_none() {
                    &mut complete
                } else {
                    &mut tally
                };
                let here = outputs.iter().enumerate();
                let here: Vec<(Slot, &Tensor)> =
                    here.filter(|(slot, _)| Some(*slot) != lost).collect();
                // All answers of the group are counted, since the loss of one task affects each of them.
                for decoded in code.decode(shape.queries, &here, Slots::below(shape.queries))? {
                    let index = group[decoded.query];
                    let label = self.images.labels()[index];
                    tally.count(&decoded.output, &self.answer(index), label);
                }
            }
        }
        Ok(Recovered {
            undisturbed: Some(complete.all().label),
            ..tally.recovered(code.cost(self.inference()))
        })
    }

    fn student(
        &self,
        queries: usize,
        answers: &Batch,
        operations: u64,
    ) -> Result<Recovered, ExperimentError> {
        let mut tally = Tally::default();
        for (index, answer) in answers.column_iter().enumerate() {
            let answer = Tensor::vector(answer.as_slice().to_vec());
            tally.count(&answer, &self.answer(index), self.images.labels()[index]);
        }
        let code = ApproximateBackup::new(queries, operations)?;
        Ok(tally.recovered(code.cost(self.inference())))
    }

    fn answer(&self, index: usize) -> Tensor {
        Tensor::vector(self.answers.column(index).as_slice().to_vec())
    }
}

/// A recovered answer.
struct Answer {
    margin: f32,
    is_right: bool,
    agrees: bool,
}

#[derive(Default)]
struct Tally {
    answers: Vec<Answer>,
    largest_error: f32,
}

impl Tally {
    fn count(&mut self, found: &Tensor, base: &Tensor, label: usize) {
        self.answers.push(Answer {
            margin: found.margin(),
            is_right: found.argmax() == Some(label),
            agrees: found.argmax() == base.argmax(),
        });
        for (found, base) in found.values().iter().zip(base.values()) {
            self.largest_error = self.largest_error.max((found - base).abs());
        }
    }

    /// The margin below which this share of the answers lies.
    fn margin(&self, share: f64) -> f32 {
        let mut margins: Vec<f32> = self.answers.iter().map(|answer| answer.margin).collect();
        margins.sort_by(f32::total_cmp);
        let place = (share * margins.len() as f64) as usize;
        margins.get(place).copied().unwrap_or(0.0)
    }

    /// The answers with at least this margin.
    fn gate(&self, threshold: f32) -> Gate {
        let (mut given, mut right, mut agree) = (0_usize, 0_usize, 0_usize);
        for answer in self
            .answers
            .iter()
            .filter(|answer| answer.margin >= threshold)
        {
            given += 1;
            right += usize::from(answer.is_right);
            agree += usize::from(answer.agrees);
        }
        let of_given = given.max(1) as f64;
        Gate {
            given: given as f64 / self.answers.len().max(1) as f64,
            label: right as f64 / of_given,
            agreement: agree as f64 / of_given,
        }
    }

    /// All answers.
    fn all(&self) -> Gate {
        self.gate(f32::NEG_INFINITY)
    }

    fn recovered(&self, cost: Cost) -> Recovered {
        let all = self.all();
        Recovered {
            label: all.label,
            agreement: all.agreement,
            undisturbed: None,
            gate: None,
            partial: Vec::new(),
            largest_error: self.largest_error.into(),
            operations: cost.operations,
            ingress: cost.ingress,
        }
    }
}
