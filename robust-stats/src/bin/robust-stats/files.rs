//! Reading and writing files, and printing results as lines or as JSON.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use septet_robust_stats::Pmf;
use septet_robust_stats::distribution::read_counts;
use septet_robust_stats::wire::Protocol;
use serde_json::Value;

/// Where results go.
pub(crate) struct Output {
    json: bool,
    out: io::StdoutLock<'static>,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            out: io::stdout().lock(),
        }
    }

    /// Prints an object: as JSON, or each field on a line and lists of numbers as columns.
    pub(crate) fn print(&mut self, value: &Value) -> anyhow::Result<()> {
        if self.json {
            writeln!(self.out, "{value}")?;
            return Ok(());
        }
        let Value::Object(fields) = value else {
            writeln!(self.out, "{value}")?;
            return Ok(());
        };
        // Lists last, and the fields about all of them first.
        let (lists, single): (Vec<_>, Vec<_>) = fields.iter().partition(|(_, f)| f.is_array());
        for (name, field) in single.into_iter().chain(lists) {
            let name = name.replace('_', " ");
            match field {
                Value::Array(rows) => {
                    writeln!(self.out, "{name}:")?;
                    for row in rows {
                        writeln!(self.out, "  {}", plain(row))?;
                    }
                }
                field => writeln!(self.out, "{name}: {}", plain(field))?,
            }
        }
        Ok(())
    }
}

/// A value on one line.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            let field = |(name, value)| format!("{name} {}", plain(value));
            let fields: Vec<String> = fields.iter().map(field).collect();
            fields.join("  ")
        }
        other => other.to_string(),
    }
}

/// The bytes of a file.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Writes a file under another name and renames it, so that nobody reads half of it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    fs::write(&name, bytes)
        .and_then(|()| fs::rename(&name, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// A protocol file.
pub(crate) fn protocol(path: &Path) -> anyhow::Result<Protocol> {
    Protocol::from_bytes(&read(path)?).with_context(|| path.display().to_string())
}

/// The server's key: 32 hexadecimal digits.
pub(crate) fn key(path: &Path) -> anyhow::Result<[u8; 16]> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    hexadecimal(text.trim()).with_context(|| {
        format!(
            "{}: expected a key of 32 hexadecimal digits",
            path.display()
        )
    })
}

/// Bytes from twice as many hexadecimal digits.
pub(crate) fn hexadecimal<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// A distribution from a count file, or `uniform`.
pub(crate) fn reference(name: &str, domain: usize) -> anyhow::Result<Pmf> {
    if name == "uniform" {
        return Ok(Pmf::uniform(domain)?);
    }
    Ok(read_counts(Path::new(name))?.pmf()?)
}
