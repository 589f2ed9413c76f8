//! `sketch convert`

use std::any::Any;
use std::path::PathBuf;

use anyhow::Result;
use septet_sketch::SketchError;
use septet_sketch::codec::datasketches::{Cell, CountMin};

use crate::Usage;
use crate::any_sketch::{AnySketch, Reading};
use crate::output::{Output, Row};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The file of the sketch.
    sketch: PathBuf,
    /// The format to write.
    #[arg(long, value_enum)]
    to: Target,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    reading: Reading,
    /// Print what was written as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Target {
    /// Cells of u64, as C++ programs have them.
    DatasketchesCpp,
    /// Cells of f64, as the Python package has them.
    DatasketchesPython,
    /// A file of this program, with a checksum, smaller; see --encoding.
    Native,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let opened = arguments.reading.open(&arguments.sketch)?;
    let sketch = opened.sketch.as_ref();
    let bytes = match arguments.to {
        Target::Native => sketch.stored(&arguments.output.options().key_type(opened.keys))?,
        Target::DatasketchesCpp => datasketches::<u64>(sketch)?,
        Target::DatasketchesPython => datasketches::<f64>(sketch)?,
    };
    arguments.output.write(&bytes)?;
    let rows = [
        Row::new("kind", sketch.kind()),
        Row::new("file", arguments.output.output.display().to_string()),
        Row::new("file bytes", bytes.len()),
    ];
    arguments.output.say(arguments.json, &rows)
}

/// The bytes of DataSketches with other cells.
fn datasketches<D: Cell>(sketch: &dyn AnySketch) -> Result<Vec<u8>> {
    fn converted<C: Cell, D: Cell>(sketch: &dyn AnySketch) -> Option<Result<Vec<u8>, SketchError>> {
        let sketch = (sketch as &dyn Any).downcast_ref::<CountMin<C>>()?;
        Some(sketch.convert::<D>().map(|sketch| sketch.to_bytes()))
    }
    let bytes = converted::<f64, D>(sketch)
        .or_else(|| converted::<u64, D>(sketch))
        .or_else(|| converted::<i64, D>(sketch));
    match bytes {
        Some(bytes) => Ok(bytes?),
        None => Err(Usage(format!(
            "a {} hashes keys in another way than DataSketches: its counters lie elsewhere and \
             cannot be converted. Count the stream again with `sketch build --algo datasketches`",
            sketch.kind()
        ))
        .into()),
    }
}
