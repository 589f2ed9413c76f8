//! Output of the commands.

use std::io::{self, Write};
use std::path::Path;

use anyhow::Result;
use septet_core::io::{ByteSize, is_stdio, write_whole};
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

    /// Prints the rows, unless the sketch itself was written to standard output.
    pub(crate) fn report(&self, json: bool, rows: &[Row]) -> Result<()> {
        if is_stdio(&self.output) {
            return Ok(());
        }
        print(json, rows)
    }
}

/// Replaces a file atomically, or writes to standard output.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if is_stdio(path) {
        let mut out = io::stdout().lock();
        return Ok(out.write_all(bytes).and_then(|()| out.flush())?);
    }
    write_whole(path, |file| file.write_all(bytes)).map_err(|source| {
        SketchError::File {
            path: path.to_owned(),
            source,
        }
        .into()
    })
}

/// A name and its value, as text and as JSON.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    name: &'static str,
    value: serde_json::Value,
    /// The text of the value, if it differs from the JSON.
    text: Option<String>,
}

impl Row {
    pub(crate) fn new(name: &'static str, value: impl Into<serde_json::Value>) -> Self {
        Self {
            name,
            value: value.into(),
            text: None,
        }
    }

    pub(crate) fn display(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }
}

/// A row for a number of bytes.
pub(crate) fn bytes_row(name: &'static str, bytes: usize) -> Row {
    Row::new(name, bytes).display(format!("{bytes} ({})", ByteSize(bytes as u64)))
}

/// Prints rows as a JSON object, or as two columns. In JSON, names have underscores.
pub(crate) fn print(json: bool, rows: &[Row]) -> Result<()> {
    let mut out = io::stdout().lock();
    if json {
        let object: serde_json::Map<_, _> = rows
            .iter()
            .map(|row| (row.name.replace(' ', "_"), row.value.clone()))
            .collect();
        return print_json(&serde_json::Value::Object(object));
    }
    // Names in a column as wide as the longest.
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    for row in rows {
        let value = match (&row.text, &row.value) {
            (Some(text), _) => text.clone(),
            (None, serde_json::Value::String(text)) => text.clone(),
            (None, value) => value.to_string(),
        };
        writeln!(out, "{:<width$}  {value}", row.name)?;
    }
    Ok(())
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
