//! Output of results: as text, or as one JSON object.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

/// The output of a command.
pub(crate) struct Output {
    json: bool,
    out: io::StdoutLock<'static>,
}

/// The result of a command.
#[derive(Default)]
pub(crate) struct Report {
    sentences: Vec<String>,
    fields: Vec<(String, Value)>,
    tables: Vec<Table>,
}

struct Table {
    name: &'static str,
    columns: Vec<&'static str>,
    rows: Vec<Vec<Value>>,
}

impl Report {
    /// Adds a sentence to the text output; JSON has the same information in fields.
    pub(crate) fn sentence(mut self, text: impl Into<String>) -> Self {
        self.sentences.push(text.into());
        self
    }

    /// Adds a named value.
    pub(crate) fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a table; in JSON a list of objects.
    pub(crate) fn table(
        mut self,
        name: &'static str,
        columns: &[&'static str],
        rows: Vec<Vec<Value>>,
    ) -> Self {
        self.tables.push(Table {
            name,
            columns: columns.to_vec(),
            rows,
        });
        self
    }

    fn to_json(&self) -> Value {
        let mut object: Map<String, Value> = self.fields.iter().cloned().collect();
        for table in &self.tables {
            let row = |row: &Vec<Value>| -> Value {
                let columns = table.columns.iter().map(|&column| column.to_owned());
                Value::Object(columns.zip(row.iter().cloned()).collect())
            };
            object.insert(table.name.to_owned(), table.rows.iter().map(row).collect());
        }
        Value::Object(object)
    }

    fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        for sentence in &self.sentences {
            writeln!(out, "{sentence}")?;
        }
        for (name, value) in &self.fields {
            writeln!(out, "{}: {}", name.replace('_', " "), format_value(value))?;
        }
        for table in &self.tables {
            if !table.rows.is_empty() {
                writeln!(out)?;
                table.write_text(out)?;
            }
        }
        Ok(())
    }
}

impl Table {
    /// Text columns are left-aligned, numeric columns aligned at the decimal point.
    fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        let columns: Vec<Vec<String>> = self
            .columns
            .iter()
            .enumerate()
            .map(|(place, name)| {
                let values = self.rows.iter().map(|row| &row[place]);
                aligned(&name.replace('_', " "), values)
            })
            .collect();
        for line in 0..=self.rows.len() {
            let cells: Vec<&str> = columns.iter().map(|column| column[line].as_str()).collect();
            writeln!(out, "  {}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// A column with its header, padded to the same width.
fn aligned<'a>(name: &str, values: impl Iterator<Item = &'a Value>) -> Vec<String> {
    let values: Vec<&Value> = values.collect();
    let words = values.iter().any(|value| value.is_string());
    let mut cells: Vec<String> = values.into_iter().map(format_value).collect();
    // Pad each number on the right to the longest fraction, then all on the left.
    let fraction = |cell: &str| cell.len() - cell.find('.').unwrap_or(cell.len());
    if !words {
        let widest = cells.iter().map(|cell| fraction(cell)).max().unwrap_or(0);
        for cell in &mut cells {
            let missing = widest - fraction(cell);
            cell.push_str(&" ".repeat(missing));
        }
    }
    cells.insert(0, name.to_owned());
    let width = cells.iter().map(|cell| cell.chars().count()).max();
    let width = width.unwrap_or(0);
    let pad = |cell: String| {
        if words {
            format!("{cell:<width$}")
        } else {
            format!("{cell:>width$}")
        }
    };
    cells.into_iter().map(pad).collect()
}

/// Formats a value on one line, numbers with five significant digits.
fn format_value(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) if number.is_f64() => {
            number.as_f64().map_or_else(String::new, significant)
        }
        Value::Object(fields) => {
            let field = |(name, value)| format!("{name} {}", format_value(value));
            let fields: Vec<String> = fields.iter().map(field).collect();
            if fields.is_empty() {
                "none".to_owned()
            } else {
                fields.join(", ")
            }
        }
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(format_value).collect();
            values.join(", ")
        }
        other => other.to_string(),
    }
}

/// Formats a number with five significant digits, without trailing zeros.
pub(crate) fn significant(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let size = value.abs();
    if !(1e-4..1e6).contains(&size) {
        let text = format!("{value:.4e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = digits.trim_end_matches('0').trim_end_matches('.');
        return format!("{digits}e{exponent}");
    }
    let before = size.log10().floor();
    let decimals = (4.0 - before).max(0.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Formats a fraction in percent.
pub(crate) fn percent(fraction: f64) -> String {
    format!("{:.2} %", 100.0 * fraction)
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            out: io::stdout().lock(),
        }
    }

    /// Prints what was found.
    pub(crate) fn print(&mut self, report: &Report) -> anyhow::Result<()> {
        if self.json {
            writeln!(self.out, "{}", report.to_json())?;
        } else {
            report.write_text(&mut self.out)?;
        }
        self.out.flush()?;
        Ok(())
    }

    /// Says on standard error that something is odd, though it was done.
    pub(crate) fn warn(&self, text: &str) {
        say(self.json, "warning", text);
    }
}

/// Writes to standard error; when that is closed, the exit code alone tells.
pub(crate) fn say(json: bool, kind: &str, text: &str) {
    let _ = if json {
        let line = Map::from_iter([(kind.to_owned(), json!(text))]);
        writeln!(io::stderr(), "{}", Value::Object(line))
    } else if kind == "error" {
        writeln!(io::stderr(), "robust-stats: {text}")
    } else {
        writeln!(io::stderr(), "robust-stats: {kind}: {text}")
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_five_significant_digits() {
        for (value, text) in [
            (0.123_456_789, "0.12346"),
            (0.05, "0.05"),
            (12_345.678, "12346"),
            (1e-9, "1e-9"),
            (-2.5e7, "-2.5e7"),
            (0.999_999_9, "1"),
            (100.0, "100"),
        ] {
            assert_eq!(significant(value), text);
        }
    }

    #[test]
    fn decimal_points_stand_together() {
        let report = Report::default().table(
            "rows",
            &["symbol", "standard_error"],
            vec![
                vec![json!("a"), json!(0.25)],
                vec![json!("bc"), json!(10.125)],
                vec![json!("d"), Value::Null],
            ],
        );
        let mut text = Vec::new();
        report.write_text(&mut text).unwrap();
        let expected = "\n  symbol  standard error\n  a                0.25\n  bc              10.125\n  d                -\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }
}
