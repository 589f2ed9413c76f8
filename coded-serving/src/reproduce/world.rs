//! The images on which models are trained and judged.

use std::io::Read as _;

use flate2::read::GzDecoder;
use septet_core::experiment::{Context, DataSet, ExperimentError, Profile, SeedTree};
use serde::Serialize;

use crate::images::{Images, Strokes, from_idx};

/// A set of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum World {
    Strokes,
    Mnist,
    Fashion,
}

/// Its images.
#[derive(Debug)]
pub(super) struct Data {
    pub(super) train: Images,
    pub(super) test: Images,
    pub(super) side: usize,
}

/// The side of generated images, and how many there are to train on and to test on.
const SIDE: usize = 16;
/// The side of the images of MNIST and Fashion-MNIST.
const REAL_SIDE: usize = 28;
const TRAIN: usize = 8000;
const TEST: usize = 2000;

/// The most that a file may unpack to; the images of MNIST to train on have 47 million bytes.
const MOST_BYTES: u64 = 1 << 26;

impl World {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Strokes => "generated strokes",
            Self::Mnist => "MNIST",
            Self::Fashion => "Fashion-MNIST",
        }
    }

    /// The name in the ids of claims.
    pub(super) fn id(self) -> &'static str {
        match self {
            Self::Strokes => "strokes",
            Self::Mnist => "mnist",
            Self::Fashion => "fashion",
        }
    }

    /// Pixels of an image.
    pub(super) fn width(self) -> usize {
        match self {
            Self::Strokes => SIDE * SIDE,
            Self::Mnist | Self::Fashion => REAL_SIDE * REAL_SIDE,
        }
    }

    /// How many images there are to train on.
    pub(super) fn trained_on(self) -> usize {
        match self {
            Self::Strokes => TRAIN,
            Self::Mnist | Self::Fashion => 60_000,
        }
    }

    /// The registered data set.
    pub(super) fn set(self) -> Option<&'static str> {
        match self {
            Self::Strokes => None,
            Self::Mnist => Some("mnist"),
            Self::Fashion => Some("fashion-mnist"),
        }
    }

    /// The worlds of a profile, those included whose images are not here.
    pub(super) fn of(profile: Profile) -> &'static [Self] {
        match profile {
            Profile::Quick => &[Self::Strokes, Self::Mnist],
            Profile::Full | Profile::Gpu => &[Self::Mnist, Self::Fashion],
        }
    }

    /// Its images; `None` when they are not here.
    pub(super) fn load(self, cx: &mut Context) -> Result<Option<Data>, ExperimentError> {
        let Some(set) = self.set() else {
            // The same classes in every run: the seed of the program decides the trainings.
            let seed = SeedTree::new(41);
            let strokes = Strokes::new(SIDE, &seed);
            return Ok(Some(Data {
                train: strokes.images(TRAIN, &seed.child("train")),
                test: strokes.images(TEST, &seed.child("test")),
                side: SIDE,
            }));
        };
        let Some(set) = cx.data(set) else {
            return Ok(None);
        };
        let train = read(&set, "train")?;
        let test = read(&set, "t10k")?;
        Ok(Some(Data {
            train,
            test,
            side: REAL_SIDE,
        }))
    }
}

fn read(set: &DataSet, part: &str) -> Result<Images, ExperimentError> {
    let images = unpacked(set, &format!("{part}-images-idx3-ubyte.gz"))?;
    let labels = unpacked(set, &format!("{part}-labels-idx1-ubyte.gz"))?;
    Ok(from_idx(&images, &labels)?)
}

fn unpacked(set: &DataSet, file: &str) -> Result<Vec<u8>, ExperimentError> {
    let path = set.path(file)?;
    let mut bytes = Vec::new();
    GzDecoder::new(std::fs::File::open(path)?)
        .take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        let problem = format!("{file} unpacks to more than {MOST_BYTES} bytes");
        return Err(ExperimentError::new(problem));
    }
    Ok(bytes)
}
