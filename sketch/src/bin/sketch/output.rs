//! What the commands print and write.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};
use septet_sketch::codec::native::{Encoding, Options};
use septet_sketch::stream::WholeFile;

use crate::input::is_standard;

/// How sketches are written.
#[derive(clap::Args)]
pub(crate) struct Output {
    /// The file of the sketch; - is standard output.
    #[arg(long, short)]
    pub(crate) output: std::path::PathBuf,
    /// How numbers are written: raw as in memory, varint in as many bytes as they need, zstd
    /// compressed besides.
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

    /// Says what was done, unless the sketch itself went to standard output.
    pub(crate) fn say(&self, json: bool, rows: &[Row]) -> Result<()> {
        if is_standard(&self.output) {
            return Ok(());
        }
        print(json, rows)
    }
}

/// Writes a file whole or not at all, or to standard output.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if is_standard(path) {
        let mut out = io::stdout().lock();
        return Ok(out.write_all(bytes).and_then(|()| out.flush())?);
    }
    let mut file = WholeFile::create(path)?;
    file.write_all(bytes)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(file.finish()?)
}

/// A name and its value, for people and for programs.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    name: &'static str,
    value: serde_json::Value,
    /// How people read the value, when that differs.
    shown: Option<String>,
}

impl Row {
    pub(crate) fn new(name: &'static str, value: impl Into<serde_json::Value>) -> Self {
        Self {
            name,
            value: value.into(),
            shown: None,
        }
    }

    pub(crate) fn shown(mut self, shown: impl Into<String>) -> Self {
        self.shown = Some(shown.into());
        self
    }
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
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    for row in rows {
        let value = match (&row.shown, &row.value) {
            (Some(shown), _) => shown.clone(),
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

/// Keys with numbers, in columns: numbers first, so that keys of any length stay readable.
pub(crate) fn print_table(headings: &[&str], rows: &[Vec<String>]) -> Result<()> {
    let mut out = io::stdout().lock();
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

/// An estimate: whole numbers without a fraction.
pub(crate) fn number(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}
