//! Options for reading traces.

use std::num::NonZeroUsize;
use std::str::FromStr;

use crate::error::CacheError;

/// Options for reading a trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadOptions {
    /// Maximum number of requests; more are an error. It bounds the expansion of a small compressed
    /// file or of one line of an ARC trace. `None` for no limit.
    pub max_records: Option<u64>,
    /// The columns of a csv trace.
    pub csv: CsvOptions,
}

impl ReadOptions {
    /// Sets the maximum number of requests.
    #[must_use]
    pub fn max_records(mut self, limit: u64) -> Self {
        self.max_records = Some(limit);
        self
    }

    /// Sets the columns of a csv trace.
    #[must_use]
    pub fn csv(mut self, csv: CsvOptions) -> Self {
        self.csv = csv;
        self
    }
}

/// The columns of a csv trace.
///
/// It parses the syntax of libCacheSim's option `-t`: comma-separated `key=value` pairs. The keys are
/// `time-col`, `obj-id-col`, `obj-size-col`, `next-access-col` and `pc-col`, with a column number from
/// 1 or a column name of the header; `delimiter`, with one character, `\t` or `,`; `has-header` and
/// `obj-id-is-num`, with `true` or `false`.
///
/// Without any column, the columns are found by conventional names in the header: `time` or
/// `timestamp`; `id`, `obj_id`, `object`, `key` or `lbn`; `size` or `obj_size`; `next` or
/// `next_access_vtime`; `pc`.
///
/// ```
/// use septet_cache::trace::{Column, CsvOptions};
///
/// let options: CsvOptions = "time-col=2, obj-id-col=lbn, delimiter=,, has-header=true".parse()?;
/// assert_eq!(options.time, Some(Column::number(2)?));
/// assert_eq!(options.id, Some(Column::Name("lbn".to_owned())));
/// assert_eq!(options.delimiter, Some(b','));
/// # Ok::<(), septet_cache::CacheError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CsvOptions {
    /// The time stamps; fractions are truncated.
    pub time: Option<Column>,
    /// The ids: numbers (decimal, or hexadecimal with `0x`); other text is hashed.
    pub id: Option<Column>,
    /// The sizes in bytes.
    pub size: Option<Column>,
    /// The next accesses as request numbers from 1; -1 for never.
    pub next: Option<Column>,
    /// The program counters.
    pub pc: Option<Column>,
    /// The column separator. `None`: the most frequent of comma, tab, semicolon and bar in the
    /// first line.
    pub delimiter: Option<u8>,
    /// Whether the first line is a header. `None`: it is if a column above is given by name, or if
    /// no field of the line is a number.
    pub header: Option<bool>,
    /// Whether an id that is not a number is an error.
    pub numeric_ids: bool,
}

/// A column of a csv trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// The column with this number, from 1.
    Number(NonZeroUsize),
    /// The column with this name in the header.
    Name(String),
}

impl Column {
    /// The column with this number.
    ///
    /// # Errors
    /// [`CacheError::Argument`] for 0.
    pub fn number(number: usize) -> Result<Self, CacheError> {
        NonZeroUsize::new(number)
            .map(Self::Number)
            .ok_or_else(|| CacheError::Argument {
                name: "column",
                value: number.to_string(),
                expected: "a number from 1, or a name",
            })
    }
}

impl FromStr for Column {
    type Err = CacheError;

    /// # Errors
    /// [`CacheError::Argument`] for 0 and for an empty name.
    fn from_str(text: &str) -> Result<Self, CacheError> {
        match text.parse() {
            Ok(number) => Self::number(number),
            Err(_) if !text.is_empty() => Ok(Self::Name(text.to_owned())),
            Err(_) => Self::number(0),
        }
    }
}

impl FromStr for CsvOptions {
    type Err = CacheError;

    /// # Errors
    /// [`CacheError::UnknownName`] for a key, [`CacheError::Argument`] for a value.
    fn from_str(text: &str) -> Result<Self, CacheError> {
        let mut options = Self::default();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (key, after) = rest.split_once('=').ok_or_else(|| CacheError::Argument {
                name: "trace parameters",
                value: rest.to_owned(),
                expected: "comma-separated key=value pairs",
            })?;
            // A comma may be the value itself: `delimiter=,`.
            let (value, after) = match after.strip_prefix(',') {
                Some(after) => (",", after),
                None => after.split_once(',').unwrap_or((after, "")),
            };
            options.set(key.trim(), value)?;
            rest = after.trim_start_matches([' ', ',']).trim_end();
        }
        Ok(options)
    }
}

impl CsvOptions {
    fn set(&mut self, key: &str, value: &str) -> Result<(), CacheError> {
        let column = || value.trim().parse().map(Some);
        match key.to_ascii_lowercase().replace('_', "-").as_str() {
            "time-col" | "time-field" => self.time = column()?,
            "obj-id-col" | "obj-id-field" => self.id = column()?,
            "obj-size-col" | "obj-size-field" | "size-col" | "size-field" => self.size = column()?,
            "next-access-col" | "next-access-field" => self.next = column()?,
            "pc-col" => self.pc = column()?,
            "delimiter" => self.delimiter = Some(delimiter(value)?),
            "has-header" | "header" => self.header = Some(parse_bool("has-header", value)?),
            "obj-id-is-num" => self.numeric_ids = parse_bool("obj-id-is-num", value)?,
            _ => {
                return Err(CacheError::UnknownName {
                    what: "trace parameter",
                    name: key.to_owned(),
                    known: "time-col, obj-id-col, obj-size-col, next-access-col, pc-col, \
                            delimiter, has-header, obj-id-is-num"
                        .to_owned(),
                });
            }
        }
        Ok(())
    }
}

fn delimiter(value: &str) -> Result<u8, CacheError> {
    match value.as_bytes() {
        // `\` alone is what remains of an escaped comma.
        b"\\" | b"" => Ok(b','),
        b"\\t" => Ok(b'\t'),
        &[byte] if byte.is_ascii() && byte != b'"' && byte != b'\n' && byte != b'\r' => Ok(byte),
        _ => Err(CacheError::Argument {
            name: "delimiter",
            value: value.to_owned(),
            expected: "one ASCII character other than a quote or a line end",
        }),
    }
}

fn parse_bool(name: &'static str, value: &str) -> Result<bool, CacheError> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "y" => Ok(true),
        "false" | "0" | "no" | "n" => Ok(false),
        _ => Err(CacheError::Argument {
            name,
            value: value.to_owned(),
            expected: "true or false",
        }),
    }
}
