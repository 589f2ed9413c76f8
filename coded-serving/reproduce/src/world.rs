//! The images on which models are trained and judged.

use std::io::Read as _;

use septet_coded_serving::images::{Images, Strokes, from_idx};
use septet_core::experiment::{ClaimBuilder, Context, DataSet, ExperimentError, Profile, SeedTree};
use serde::Serialize;

/// A set of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum World {
    Strokes,
    /// MNIST without a margin of four pixels, in which there is next to nothing: half the arithmetic.
    SmallMnist,
    Mnist,
    Fashion,
}

/// Its images.
#[derive(Debug)]
pub(crate) struct Data {
    pub(crate) train: Images,
    pub(crate) test: Images,
    pub(crate) side: usize,
}

/// The side of generated images, and how many there are to train on and to test on.
const SIDE: usize = 16;
/// The side of the images of MNIST and Fashion-MNIST.
const REAL_SIDE: usize = 28;
/// What the quick profile leaves out at each side.
const MARGIN: usize = 4;
const TRAIN: usize = 8000;
const TEST: usize = 2000;

/// The most that a file may unpack to; the images of MNIST to train on have 47 million bytes.
const MOST_BYTES: u64 = 1 << 26;

impl World {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Strokes => "generated strokes",
            Self::SmallMnist => "MNIST cropped to 20 x 20",
            Self::Mnist => "MNIST",
            Self::Fashion => "Fashion-MNIST",
        }
    }

    /// The name in the ids of claims.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Strokes => "strokes",
            Self::SmallMnist | Self::Mnist => "mnist",
            Self::Fashion => "fashion",
        }
    }

    fn side(self) -> usize {
        match self {
            Self::Strokes => SIDE,
            Self::SmallMnist => REAL_SIDE - 2 * MARGIN,
            Self::Mnist | Self::Fashion => REAL_SIDE,
        }
    }

    /// Pixels of an image.
    pub(crate) fn width(self) -> usize {
        self.side() * self.side()
    }

    /// How many images there are to train on.
    pub(crate) fn trained_on(self) -> usize {
        match self {
            Self::Strokes => TRAIN,
            Self::SmallMnist | Self::Mnist | Self::Fashion => 60_000,
        }
    }

    /// The registered data set.
    pub(crate) fn set(self) -> Option<&'static str> {
        match self {
            Self::Strokes => None,
            Self::SmallMnist | Self::Mnist => Some("mnist"),
            Self::Fashion => Some("fashion-mnist"),
        }
    }

    /// The worlds of a profile, those included whose images are not here.
    pub(crate) fn of(profile: Profile) -> &'static [Self] {
        match profile {
            Profile::Quick => &[Self::SmallMnist, Self::Strokes],
            Profile::Full => &[Self::Mnist, Self::Fashion],
        }
    }

    /// Its images; `None` when they are not here.
    pub(crate) fn load(self, cx: &mut Context) -> Result<Option<Data>, ExperimentError> {
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
        let read = |part| -> Result<Images, ExperimentError> {
            let images = read(&set, part)?;
            match self {
                Self::SmallMnist => cropped(&images),
                _ => Ok(images),
            }
        };
        Ok(Some(Data {
            train: read("train")?,
            test: read("t10k")?,
            side: self.side(),
        }))
    }

    /// Notes that a claim cannot be measured, because the images are not here.
    pub(crate) fn skip(self, claim: ClaimBuilder<'_>) {
        let set = self.set().unwrap_or_default();
        claim.skipped(
            &format!("the data set `{set}` is not here"),
            &how_to_get(set),
        );
    }
}

/// How to get a registered data set.
pub(crate) fn how_to_get(set: &str) -> String {
    septet_core::data::set(set).map_or_else(String::new, septet_core::data::Set::how_to_get)
}

fn cropped(images: &Images) -> Result<Images, ExperimentError> {
    let side = REAL_SIDE - 2 * MARGIN;
    let mut pixels = Vec::with_capacity(images.len() * side * side);
    for index in 0..images.len() {
        let rows = images.image(index).chunks(REAL_SIDE);
        for row in rows.skip(MARGIN).take(side) {
            pixels.extend_from_slice(&row[MARGIN..MARGIN + side]);
        }
    }
    Ok(Images::new(side * side, pixels, images.labels().to_vec())?)
}

fn read(set: &DataSet, part: &str) -> Result<Images, ExperimentError> {
    let images = unpacked(set, &format!("{part}-images-idx3-ubyte.gz"))?;
    let labels = unpacked(set, &format!("{part}-labels-idx1-ubyte.gz"))?;
    Ok(from_idx(&images, &labels)?)
}

fn unpacked(set: &DataSet, file: &str) -> Result<Vec<u8>, ExperimentError> {
    let path = set.path(file)?;
    let mut bytes = Vec::new();
    septet_core::io::open(path)?
        .take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        let problem = format!("{file} unpacks to more than {MOST_BYTES} bytes");
        return Err(ExperimentError::new(problem));
    }
    Ok(bytes)
}
