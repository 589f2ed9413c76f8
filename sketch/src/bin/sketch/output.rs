//! Output of the commands.

use std::io::{self, Write};
use std::path::Path;

use anyhow::Result;
use septet_core::cli::Report;
use septet_core::io::{ByteSize, WholeFile, is_stdio};
use septet_sketch::SketchError;
use septet_sketch::codec::native::{Encoding, Options};

/// Options for writing a sketch.
#[derive(clap::Args)]
pub(crate) struct Output {
    /// The file of the sketch; - is standard output.
    #[arg(long, short)]
    pub(crate) output: std::path::PathBuf,
    /// The encoding of numbers: raw as in memory, varint with a variable length, zstd compressed in
    /// addition.
    #[arg(long, value_enum, default_value_t = EncodingName::Varint)]
    encoding: EncodingName,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum EncodingName {
    Raw,
    Varint,
    Zstd,
}

impl Output {
    pub(crate) fn options(&self) -> Options {
        Options::default().encoding(match self.encoding {
            EncodingName::Raw => Encoding::Raw,
            EncodingName::Varint => Encoding::Varint,
            EncodingName::Zstd => Encoding::Zstd,
        })
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> Result<()> {
        write(&self.output, bytes)
    }

    /// Prints a report, unless the sketch itself was written to standard output.
    pub(crate) fn report(&self, json: bool, report: &Report) -> Result<()> {
        if is_stdio(&self.output) {
            return Ok(());
        }
        Ok(report.print(json)?)
    }
}

/// Replaces a file atomically, or writes to standard output.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = WholeFile::create_or_stdout(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.finish()
    });
    Ok(written.map_err(|source| SketchError::File {
        path: path.to_owned(),
        source,
    })?)
}

/// A number of bytes as text, also in a larger unit.
pub(crate) fn with_unit(bytes: usize) -> String {
    format!("{bytes} ({})", ByteSize(bytes as u64))
}

pub(crate) fn print_json(value: &serde_json::Value) -> Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(())
}

/// Prints a table. The last column is not padded: keys of any length stay readable there.
pub(crate) fn print_table(headings: &[&str], rows: &[Vec<String>]) -> Result<()> {
    let mut out = io::stdout().lock();
    // Columns are right-aligned, since all but the last contain numbers. Widths are in characters.
    let columns = headings.len();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([headings[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let headings: Vec<String> = headings.iter().map(ToString::to_string).collect();
    for row in std::iter::once(&headings).chain(rows) {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            if column + 1 == columns {
                line.push_str(cell);
            } else {
                let padding = widths[column] - cell.chars().count();
                line.push_str(&" ".repeat(padding));
                line.push_str(cell);
                line.push_str("  ");
            }
        }
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Formats an estimate, integers without a fraction.
pub(crate) fn number(value: f64) -> String {
    // Beyond 1e15 the digits of an `f64` are no longer exact.
    if value.fract() == 0.0 && value.abs() < 1e15 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}
