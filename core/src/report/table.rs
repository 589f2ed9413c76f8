//! Tables of results.

use serde::{Deserialize, Serialize};

use super::claim::{Short, grouped};

/// A table: columns with a title each, and rows of texts and numbers.
///
/// ```
/// use septet_core::report::{Column, Table};
///
/// let table = Table::new(
///     "Misses relative to the optimum",
///     [Column::text("Trace"), Column::number("LRU", 3), Column::integer("Requests")],
/// )
/// .row(["BrightKite".into(), 1.2911.into(), 210_000_u64.into()])
/// .note("Means over 100 instances.");
/// assert_eq!(table.rows.len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// The title.
    pub title: String,
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows, each with a value for each column.
    pub rows: Vec<Vec<Value>>,
    /// An explanation below the table.
    pub note: Option<String>,
}

/// A column of a [`Table`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// The title.
    pub title: String,
    /// The side of its values.
    pub alignment: Alignment,
    /// The digits behind the point of its numbers; `None` for what the number needs, up to
    /// five significant ones.
    pub decimals: Option<usize>,
}

/// The side of the values of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Alignment {
    /// On the left: texts.
    Left,
    /// On the right: numbers.
    Right,
}

/// A value of a [`Table`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// An integer.
    Integer(i64),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// No value.
    Nothing,
}

impl Table {
    /// A table without rows.
    #[must_use]
    pub fn new(title: impl Into<String>, columns: impl IntoIterator<Item = Column>) -> Self {
        Self {
            title: title.into(),
            columns: columns.into_iter().collect(),
            rows: Vec::new(),
            note: None,
        }
    }

    /// The table with one more row. A row that is too short is filled with nothing; what has no
    /// column is left out.
    #[must_use]
    pub fn row(mut self, values: impl IntoIterator<Item = Value>) -> Self {
        self.push(values);
        self
    }

    /// Adds a row, as [`row`](Self::row) does.
    pub fn push(&mut self, values: impl IntoIterator<Item = Value>) {
        let mut row: Vec<Value> = values.into_iter().take(self.columns.len()).collect();
        row.resize(self.columns.len(), Value::Nothing);
        self.rows.push(row);
    }

    /// The table with a note below it.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}

impl Column {
    /// A column of texts.
    #[must_use]
    pub fn text(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            alignment: Alignment::Left,
            decimals: None,
        }
    }

    /// A column of numbers with this number of digits behind the point.
    #[must_use]
    pub fn number(title: impl Into<String>, decimals: usize) -> Self {
        Self {
            title: title.into(),
            alignment: Alignment::Right,
            decimals: Some(decimals),
        }
    }

    /// A column of integers.
    #[must_use]
    pub fn integer(title: impl Into<String>) -> Self {
        Self::number(title, 0)
    }

    /// A value of this column as it is shown.
    pub(crate) fn show(&self, value: &Value) -> String {
        match (value, self.decimals) {
            (Value::Integer(number), _) => grouped(*number),
            (Value::Number(number), _) if number.is_nan() => "–".to_owned(),
            (Value::Number(number), Some(decimals)) => format!("{number:.decimals$}"),
            (Value::Number(number), None) => Short(*number).to_string(),
            (Value::Text(text), _) => text.clone(),
            (Value::Nothing, _) => "–".to_owned(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<f64> for Value {
    /// Numbers that JSON cannot express become [`Value::Nothing`].
    fn from(number: f64) -> Self {
        if number.is_finite() {
            Self::Number(number)
        } else {
            Self::Nothing
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        i64::try_from(number).map_or(Self::Number(number as f64), Self::Integer)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        (number as u64).into()
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nothing, Into::into)
    }
}
