//! The seven systems: which paper each one reproduces, and what a run of it needs.

use clap::ValueEnum;
use clap::builder::PossibleValue;

/// One of the seven systems, named by its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    Sketch,
    Cache,
    RobustStats,
    CodedServing,
    PipelineTrain,
    VideoPlan,
    Biochip,
}

/// What `reproduce --list` says about a system.
#[derive(Debug)]
pub(crate) struct Description {
    /// The folder, which is also the package name without the prefix `septet-`.
    pub(crate) folder: &'static str,
    /// The other name that `reproduce` accepts.
    pub(crate) alias: &'static str,
    pub(crate) title: &'static str,
    pub(crate) authors: &'static str,
    pub(crate) venue: &'static str,
    pub(crate) status: Status,
}

/// Whether a system can be run today.
#[derive(Debug)]
pub(crate) enum Status {
    NotYet,
    Ready(Runs),
}

/// What the runs of a system show, need and take.
#[derive(Debug)]
pub(crate) struct Runs {
    pub(crate) claims: &'static [&'static str],
    pub(crate) quick: &'static str,
    pub(crate) full: &'static str,
}

impl System {
    pub(crate) const ALL: [Self; 7] = [
        Self::Sketch,
        Self::Cache,
        Self::RobustStats,
        Self::CodedServing,
        Self::PipelineTrain,
        Self::VideoPlan,
        Self::Biochip,
    ];

    pub(crate) fn description(self) -> &'static Description {
        match self {
            Self::Sketch => &Description {
                folder: "sketch",
                alias: "learned-sketch",
                title: "Putting the \"Learning\" into Learning-Augmented Algorithms for Frequency Estimation",
                authors: "Du, Wang, Mitzenmacher",
                venue: "ICML 2021",
                status: Status::Ready(Runs {
                    claims: &[
                        "Q1  the synthetic table of the authors' notebook, simulated and predicted",
                        "Q2  coverage tells the error, whatever the oracle",
                        "Q3  oracles trained for coverage leave less to the sketch than log-MSE",
                        "Q4  real hash functions err as fully random ones",
                        "Q5  the same losses on block requests, where the gain is small",
                        "G   losses learn the expectation that theory says",
                        "L   a league at equal bytes, models charged, with conservative update",
                        "F   word pairs, the recurrent network, one pass over a stream (full)",
                    ],
                    quick: "1 minute on 2 cores; generated flows, and block requests where the data is there",
                    full: "45 minutes on 2 cores; uses cache-arc and sketch-books of `cargo xtask data list`",
                }),
            },
            Self::Cache => &Description {
                folder: "cache",
                alias: "robust-caching",
                title: "Robust Learning-Augmented Caching: An Experimental Study",
                authors: "Chłędowski, Polak, Szabucki, Żołna",
                venue: "ICML 2021",
                status: Status::Ready(Runs {
                    claims: &[
                        "Q1  exact and reference miss counts on BrightKite and Citi Bike",
                        "Q2  with a good predictor the combination costs little over the predictor",
                        "Q3  with a bad predictor it costs little over the classical policy",
                        "Q4  marker-based methods give away much of a good predictor's gain",
                        "Q5  noise moves the blind follower smoothly away from the optimum",
                        "Q6  the proven bound of the combination holds on every instance",
                    ],
                    quick: "1 minute on 2 cores; generated traces, and real ones where the data is there",
                    full: "45 minutes on 2 cores; needs the data sets of `cargo xtask data list`",
                }),
            },
            Self::RobustStats => &Description {
                folder: "robust-stats",
                alias: "manipulation",
                title: "Robust Testing and Estimation under Manipulation Attacks",
                authors: "Acharya, Sun, Zhang",
                venue: "ICML 2021",
                status: Status::Ready(Runs {
                    claims: &[
                        "Q1  what liars hide from a central test, by formula: rates, constants, the factor sqrt(2)",
                        "Q2  the robust test keeps its level and its power under executed attacks",
                        "Q3  classical tests reject true hypotheses when 1 % of the samples are moved",
                        "Q4  coupling through random partitions costs what the hypergeometric law says",
                        "Q5  the error of min-L1 without liars: sqrt(k^2 / (n L)) with its constant",
                        "Q6  sparse attacks hardly move min-L1, ruin least squares, and are noticed",
                        "Q7  one liar's influence grows as k with private coins, as sqrt(k) with assigned ones",
                        "Q8  testing through one private bit: linear in gamma, sqrt(k)",
                        "Q9  targeted attacks gain what their closed forms say",
                        "M   attacks against decoders: the guarantee holds, and is approached",
                        "G   exponents over wide grids with intervals (full)",
                        "R   browser versions, emoji and countries (full)",
                    ],
                    quick: "half a minute on 2 cores; everything is generated",
                    full: "10 minutes on 2 cores; needs the data sets of `cargo xtask data list`",
                }),
            },
            Self::CodedServing => &Description {
                folder: "coded-serving",
                alias: "coded-invnet",
                title: "Coded-InvNet for Resilient Prediction Serving Systems",
                authors: "Dinh, Lee",
                venue: "ICML 2021",
                status: Status::Ready(Runs {
                    claims: &[
                        "Q1  with the exact inverse as encoder, lost answers come back as they were",
                        "Q2  one of ten answers lost: what a learned encoder recovers",
                        "Q3  its lead over Parity Models",
                        "Q4  its lead over the mean image",
                        "Q5  codes for any model: ApproxIFER and NeRCC, and a worker that lies",
                        "Q6  what a straggler costs a round of queries, in virtual time",
                        "F1  MNIST: 85.9 % recovered, 32.5 points more than Parity Models (full)",
                        "F2  the lead grows from 2 to 4 to 10 queries for one parity (full)",
                        "F3  Fashion-MNIST (full)",
                        "F4  what the encoder, and the base model, have to be trained for (full)",
                        "F6  the load at which more workers do better than a code, in virtual time (full)",
                        "F7  what the redundancy costs, and what else could be had for that (full)",
                        "B1  refusing the least certain tenth of recovered answers",
                    ],
                    quick: "75 s on 2 cores; generated images, and MNIST where it is there",
                    full: "1 hour on 2 cores; uses mnist, fashion-mnist and parm-base-mlp of `data list`",
                }),
            },
            Self::PipelineTrain => &Description {
                folder: "pipeline-train",
                alias: "pipedream-2bw",
                title: "Memory-Efficient Pipeline-Parallel DNN Training",
                authors: "Narayanan, Phanishayee, Shi, Chen, Zaharia",
                venue: "ICML 2021",
                status: Status::NotYet,
            },
            Self::VideoPlan => &Description {
                folder: "video-plan",
                alias: "optimization-planning",
                title: "Optimization Planning for 3D ConvNets",
                authors: "Qiu, Yao, Ngo, Mei",
                venue: "ICML 2021",
                status: Status::NotYet,
            },
            Self::Biochip => &Description {
                folder: "biochip",
                alias: "meda-marl",
                title: "Parallel Droplet Control in MEDA Biochips Using Multi-Agent Reinforcement Learning",
                authors: "Liang, Zhou, Chan, Ho, Chakrabarty, Lee",
                venue: "ICML 2021",
                status: Status::NotYet,
            },
        }
    }

    pub(crate) fn folder(self) -> &'static str {
        self.description().folder
    }

    pub(crate) fn is_ready(self) -> bool {
        matches!(self.description().status, Status::Ready(_))
    }

    /// The package in Cargo's sense.
    pub(crate) fn package(self) -> String {
        format!("septet-{}", self.folder())
    }

    /// The program that runs the paper's experiment.
    pub(crate) fn program(self) -> String {
        format!("reproduce-{}", self.folder())
    }
}

impl ValueEnum for System {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let description = self.description();
        Some(PossibleValue::new(description.folder).alias(description.alias))
    }
}

/// What `reproduce` is asked to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    All,
    One(System),
}

impl ValueEnum for Selection {
    fn value_variants<'a>() -> &'a [Self] {
        const {
            &[
                Self::All,
                Self::One(System::ALL[0]),
                Self::One(System::ALL[1]),
                Self::One(System::ALL[2]),
                Self::One(System::ALL[3]),
                Self::One(System::ALL[4]),
                Self::One(System::ALL[5]),
                Self::One(System::ALL[6]),
            ]
        }
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::All => Some(PossibleValue::new("all")),
            Self::One(system) => system.to_possible_value(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_and_alias_names_its_system() {
        for system in System::ALL {
            let description = system.description();
            for name in [description.folder, description.alias] {
                assert_eq!(System::from_str(name, false), Ok(system));
                assert_eq!(Selection::from_str(name, false), Ok(Selection::One(system)));
            }
        }
        assert_eq!(Selection::from_str("all", false), Ok(Selection::All));
        assert!(Selection::from_str("caching", false).is_err());
    }

    #[test]
    fn what_is_ready_is_what_has_a_folder() {
        for system in System::ALL {
            let manifest = crate::cargo::workspace()
                .join(system.folder())
                .join("Cargo.toml");
            assert_eq!(manifest.exists(), system.is_ready(), "{system:?}");
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = System::ALL
            .iter()
            .flat_map(|system| [system.description().folder, system.description().alias])
            .collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 2 * System::ALL.len());
    }
}
