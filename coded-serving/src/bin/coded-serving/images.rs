//! Training and test images, from files or generated.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use septet_coded_serving::images::{Images, Strokes, from_idx};
use septet_coded_serving::network::checkerboard;
use septet_core::cli::Failure;
use septet_core::io;
use septet_core::seed::SeedTree;

/// The maximum size of an unpacked file, larger than any data set of this kind.
const MAX_BYTES: u64 = 1 << 30;

#[derive(Args, Clone, Debug)]
pub(crate) struct Source {
    /// A folder with the four files of MNIST or a data set in the same format, optionally gzipped [default:
    /// generated strokes of 16 x 16 pixels]
    #[arg(long)]
    pub(crate) images: Option<PathBuf>,
}

/// Training and test images.
pub(crate) struct Data {
    pub(crate) train: Images,
    pub(crate) test: Images,
    /// The pixels of the first half of an invertible network, then those of the second.
    pub(crate) order: Vec<usize>,
}

/// The side of generated images.
const SIDE: usize = 16;

impl Source {
    pub(crate) fn load(&self) -> anyhow::Result<Data> {
        let Some(folder) = &self.images else {
            // A fixed seed: the data set does not depend on the seed of the training.
            let seed = SeedTree::new(2021);
            let strokes = Strokes::new(SIDE, &seed);
            return Ok(Data {
                train: strokes.images(8000, &seed.child("train")),
                test: strokes.images(2000, &seed.child("test")),
                order: checkerboard(SIDE, SIDE),
            });
        };
        let train = read(folder, "train")?;
        let test = read(folder, "t10k")?;
        if train.width() != test.width() {
            let (train, test) = (train.width(), test.width());
            let error = format!("the training images have {train} pixels, the test images {test}");
            return Err(Failure::data(error).into());
        }
        let side = train.width().isqrt();
        // Without a square shape the checkerboard becomes every other pixel.
        let order = if side * side == train.width() {
            checkerboard(side, side)
        } else {
            checkerboard(1, train.width())
        };
        Ok(Data { train, test, order })
    }
}

fn read(folder: &Path, prefix: &str) -> anyhow::Result<Images> {
    let images = unpacked(folder, &format!("{prefix}-images-idx3-ubyte"))?;
    let labels = unpacked(folder, &format!("{prefix}-labels-idx1-ubyte"))?;
    from_idx(&images, &labels)
        .with_context(|| format!("{prefix} images in {} are not valid", folder.display()))
}

/// Reads a file, or its gzipped version.
fn unpacked(folder: &Path, name: &str) -> anyhow::Result<Vec<u8>> {
    let plain = folder.join(name);
    let path = if plain.exists() {
        plain
    } else {
        folder.join(format!("{name}.gz"))
    };
    let mut bytes = Vec::new();
    io::open(&path)
        .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes))
        .with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(bytes)
}
