//! `sketch convert`

use std::any::Any;
use std::path::PathBuf;

use anyhow::Result;
use septet_core::cli::{Failure, Report};
use septet_sketch::SketchError;
use septet_sketch::codec::datasketches::{Cell, CountMin};

use crate::any_sketch::AnySketch;
use crate::open::OpenOptions;
use crate::output::Output;

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
    open: OpenOptions,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Target {
    /// DataSketches with cells of u64, as in C++.
    DatasketchesCpp,
    /// DataSketches with cells of f64, as in Python.
    DatasketchesPython,
    /// The format of this program: smaller, with a checksum; see --encoding.
    Native,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let opened = arguments.open.open(&arguments.sketch)?;
    let sketch = opened.sketch.as_ref();
    let bytes = match arguments.to {
        Target::Native => {
            sketch.to_native_bytes(&arguments.output.options().key_type(opened.key_type))?
        }
        Target::DatasketchesCpp => datasketches::<u64>(sketch)?,
        Target::DatasketchesPython => datasketches::<f64>(sketch)?,
    };
    arguments.output.write(&bytes)?;
    let report = Report::default()
        .field("kind", sketch.kind())
        .field("file", arguments.output.output.display().to_string())
        .field("file_bytes", bytes.len());
    arguments.output.report(arguments.json, &report)
}

/// The DataSketches bytes with cells of type `D`.
fn datasketches<D: Cell>(sketch: &dyn AnySketch) -> Result<Vec<u8>> {
    fn converted<C: Cell, D: Cell>(sketch: &dyn AnySketch) -> Option<Result<Vec<u8>, SketchError>> {
        let sketch = (sketch as &dyn Any).downcast_ref::<CountMin<C>>()?;
        Some(sketch.convert::<D>().map(|sketch| sketch.to_bytes()))
    }
    // The cell type of the sketch is not known here: try all three.
    let bytes = converted::<f64, D>(sketch)
        .or_else(|| converted::<u64, D>(sketch))
        .or_else(|| converted::<i64, D>(sketch));
    match bytes {
        Some(bytes) => Ok(bytes?),
        None => Err(Failure::usage(format!(
            "a {} cannot be converted, because it hashes keys differently from DataSketches; count \
             the stream again with `sketch build --algorithm datasketches`",
            sketch.kind()
        ))
        .into()),
    }
}
