//! Results: sentences, values and tables for people, one JSON object for programs.

use std::borrow::Cow;
use std::io::{self, Write};

use serde_json::{Map, Value};

/// What a command found, printed as text or as one JSON object on one line.
///
/// Names are those of the JSON object, in `snake_case`; the text shows them with spaces.
///
/// ```
/// use serde_json::json;
/// use septet_core::cli::Report;
///
/// let report = Report::default()
///     .sentence("The stream is summarized.")
///     .field("keys", 1234)
///     .field_as("bytes", 1536, "1.5 KiB")
///     .table("top", &["key", "count"], vec![vec![json!("the"), json!(3)]]);
/// let mut text = Vec::new();
/// report.write_text(&mut text)?;
/// assert_eq!(
///     String::from_utf8(text).unwrap(),
///     "The stream is summarized.\nkeys   1234\nbytes  1.5 KiB\n\n  key  count\n  the      3\n"
/// );
/// assert_eq!(
///     report.to_json().to_string(),
///     r#"{"bytes":1536,"keys":1234,"top":[{"count":3,"key":"the"}]}"#
/// );
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Report {
    sentences: Vec<String>,
    fields: Vec<Field>,
    tables: Vec<Table>,
}

#[derive(Clone, Debug)]
struct Field {
    name: Cow<'static, str>,
    value: Value,
    /// How people read it.
    text: String,
}

#[derive(Clone, Debug)]
struct Table {
    name: &'static str,
    columns: Vec<&'static str>,
    rows: Vec<Vec<Value>>,
}

impl Report {
    /// Adds a sentence, which is not part of the JSON object.
    #[must_use]
    pub fn sentence(mut self, text: impl Into<String>) -> Self {
        self.sentences.push(text.into());
        self
    }

    /// Adds a value.
    #[must_use]
    pub fn field(self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> Self {
        let value = value.into();
        let text = value_text(&value);
        self.field_as(name, value, text)
    }

    /// Adds a value that the text shows in another way, such as a size with its unit.
    #[must_use]
    pub fn field_as(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Value>,
        text: impl Into<String>,
    ) -> Self {
        self.fields.push(Field {
            name: name.into(),
            value: value.into(),
            text: text.into(),
        });
        self
    }

    /// Adds a table, in JSON a list of objects. The text leaves an empty one out.
    ///
    /// # Panics
    ///
    /// When a row has another number of cells than there are columns.
    #[must_use]
    pub fn table(
        mut self,
        name: &'static str,
        columns: &[&'static str],
        rows: Vec<Vec<Value>>,
    ) -> Self {
        for row in &rows {
            assert_eq!(row.len(), columns.len(), "cells of a row of {name}");
        }
        self.tables.push(Table {
            name,
            columns: columns.to_vec(),
            rows,
        });
        self
    }

    /// Prints the report on standard output.
    ///
    /// # Errors
    ///
    /// The operating system's error.
    pub fn print(&self, json: bool) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match json {
            true => writeln!(out, "{}", self.to_json())?,
            false => self.write_text(&mut out)?,
        }
        out.flush()
    }

    /// The report as a JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let fields = self.fields.iter();
        let mut object: Map<String, Value> = fields
            .map(|field| (field.name.to_string(), field.value.clone()))
            .collect();
        for table in &self.tables {
            // Objects, not arrays: readers do not depend on the order of the columns.
            let columns = || table.columns.iter().map(|&column| column.to_owned());
            let rows = table.rows.iter();
            let rows = rows.map(|row| Value::Object(columns().zip(row.iter().cloned()).collect()));
            object.insert(table.name.to_owned(), rows.collect());
        }
        Value::Object(object)
    }

    /// Writes the report as text: sentences, values in two columns, tables.
    ///
    /// # Errors
    ///
    /// The error of the sink.
    pub fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        for sentence in &self.sentences {
            writeln!(out, "{sentence}")?;
        }
        // Values begin in one column, behind the longest name.
        let widths = self.fields.iter().map(|field| field.name.chars().count());
        let width = widths.max().unwrap_or(0);
        for field in &self.fields {
            let name = field.name.replace('_', " ");
            writeln!(out, "{name:<width$}  {}", field.text)?;
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
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let columns: Vec<Vec<String>> = self
            .columns
            .iter()
            .enumerate()
            .map(|(place, name)| {
                let values = self.rows.iter().map(|row| &row[place]);
                column(&name.replace('_', " "), values)
            })
            .collect();
        // Line 0 has the names of the columns.
        for line in 0..=self.rows.len() {
            let cells: Vec<&str> = columns.iter().map(|column| column[line].as_str()).collect();
            writeln!(out, "  {}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// A column with its name first, padded to one width: words on the left, numbers with their decimal
/// points aligned.
fn column<'a>(name: &str, values: impl Iterator<Item = &'a Value>) -> Vec<String> {
    let values: Vec<&Value> = values.collect();
    let has_words = values.iter().any(|value| value.is_string());
    let mut cells: Vec<String> = values.into_iter().map(value_text).collect();
    // Numbers get spaces in place of the decimals that others have.
    let fraction = |cell: &str| cell.len() - cell.find('.').unwrap_or(cell.len());
    if !has_words {
        let widest = cells.iter().map(|cell| fraction(cell)).max().unwrap_or(0);
        for cell in &mut cells {
            let missing = widest - fraction(cell);
            cell.push_str(&" ".repeat(missing));
        }
    }
    // The name counts for the width of the column, but has no decimals.
    cells.insert(0, name.to_owned());
    let width = cells.iter().map(|cell| cell.chars().count()).max();
    let width = width.unwrap_or(0);
    let pad = |cell: String| match has_words {
        true => format!("{cell:<width$}"),
        false => format!("{cell:>width$}"),
    };
    cells.into_iter().map(pad).collect()
}

/// A value on one line; a float with five significant digits.
fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) if number.is_f64() => {
            number.as_f64().map_or_else(String::new, significant)
        }
        Value::Number(number) => number.to_string(),
        Value::Object(fields) if fields.is_empty() => "none".to_owned(),
        Value::Object(fields) => {
            let field = |(name, value)| format!("{name} {}", value_text(value));
            let fields: Vec<String> = fields.iter().map(field).collect();
            fields.join(", ")
        }
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(value_text).collect();
            values.join(", ")
        }
    }
}

/// A number with five significant digits, without zeros at the end of its fraction.
///
/// ```
/// use septet_core::cli::significant;
///
/// assert_eq!(significant(0.123_456_7), "0.12346");
/// assert_eq!(significant(12_345.678), "12346");
/// assert_eq!(significant(-2.5e7), "-2.5e7");
/// ```
#[must_use]
pub fn significant(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let strip_zeros = |digits: &str| match digits.contains('.') {
        true => digits
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned(),
        false => digits.to_owned(),
    };
    let size = value.abs();
    // Outside of this range scientific notation is shorter: five digits as well.
    if !(1e-4..1e6).contains(&size) {
        let text = format!("{value:.4e}");
        // Infinities and NaN have no exponent.
        return match text.split_once('e') {
            Some((digits, exponent)) => format!("{}e{exponent}", strip_zeros(digits)),
            None => text,
        };
    }
    // Digits before and behind the point are five together.
    let decimals = (4.0 - size.log10().floor()).max(0.0) as usize;
    strip_zeros(&format!("{value:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_have_five_significant_digits() {
        for (value, text) in [
            (0.05, "0.05"),
            (1e-9, "1e-9"),
            (0.999_999_9, "1"),
            (100.0, "100"),
            (123_456.7, "123457"),
            (1e6, "1e6"),
            (f64::INFINITY, "inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(significant(value), text);
        }
    }

    #[test]
    fn decimal_points_are_aligned() {
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
