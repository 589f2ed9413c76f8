//! Delimiter-separated columns.

use std::borrow::Cow;
use std::io::Write;

use super::{BATCH, Decode, next_access, txt};
use crate::error::CacheError;
use crate::trace::columns::Trace;
use crate::trace::input::{Fault, Input};
use crate::trace::number;
use crate::trace::options::{Column, CsvOptions};
use crate::trace::record::{NextAccess, Record};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Time,
    Id,
    Size,
    Next,
    Pc,
}

/// Conventional column names, in lower case.
const NAMES: [(Role, &[&str]); 5] = [
    (Role::Time, &["time", "timestamp", "clock_time"]),
    (
        Role::Id,
        &["id", "obj_id", "object_id", "object", "key", "lbn"],
    ),
    (Role::Size, &["size", "obj_size", "object_size"]),
    (Role::Next, &["next", "next_access_vtime"]),
    (Role::Pc, &["pc"]),
];

/// The byte order mark of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

pub(super) struct Decoder {
    options: CsvOptions,
    /// `None` before the first line.
    layout: Option<Layout>,
    /// Index of the next request.
    index: u64,
}

/// The layout of a line.
struct Layout {
    delimiter: u8,
    /// The role of each column, up to the last used one.
    roles: Vec<Option<Role>>,
    numeric_ids: bool,
}

impl Decoder {
    pub(super) fn new(options: &CsvOptions) -> Self {
        Self {
            options: options.clone(),
            layout: None,
            index: 0,
        }
    }
}

impl Decode for Decoder {
    fn decode(&mut self, input: &mut Input<'_>, batch: &mut Vec<Record>) -> Result<(), CacheError> {
        while batch.len() < BATCH {
            let Some(line) = input.line()? else {
                break;
            };
            if line.trim_ascii().is_empty() {
                continue;
            }
            let record = match &self.layout {
                Some(layout) => layout.record(line, self.index).map(Some),
                None => {
                    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
                    Layout::new(&self.options, line).and_then(|(layout, is_header)| {
                        let layout = self.layout.insert(layout);
                        if is_header {
                            return Ok(None);
                        }
                        layout.record(line, self.index).map(Some)
                    })
                }
            };
            match record {
                Ok(None) => {}
                Ok(Some(record)) => {
                    self.index += 1;
                    batch.push(record);
                }
                Err(fault) => return Err(input.fault_on_line(fault)),
            }
        }
        Ok(())
    }
}

impl Layout {
    /// The layout from the options and the first line, and whether that line is a header.
    fn new(options: &CsvOptions, first: &[u8]) -> Result<(Self, bool), Fault> {
        // 1. Split the first line and decide whether it is a header.
        let delimiter = options.delimiter.unwrap_or_else(|| guess_delimiter(first));
        let fields: Vec<_> = Fields::new(first, delimiter).collect::<Result<_, _>>()?;
        let columns = [
            (Role::Time, &options.time),
            (Role::Id, &options.id),
            (Role::Size, &options.size),
            (Role::Next, &options.next),
            (Role::Pc, &options.pc),
        ];
        let named = columns
            .iter()
            .any(|(_, column)| matches!(column, Some(Column::Name(_))));
        let is_header = options.header.unwrap_or_else(|| {
            named
                || fields.iter().all(|field| {
                    number::whole_part(field).is_err() && number::hexadecimal(field).is_none()
                })
        });
        let unspecified = columns.iter().all(|(_, column)| column.is_none());

        // 2. Resolve each role to a column index.
        let mut roles: Vec<Option<Role>> = Vec::new();
        for (role, column) in columns {
            let index = match column {
                Some(Column::Number(number)) => number.get() - 1,
                Some(Column::Name(name)) if is_header => fields
                    .iter()
                    .position(|field| field.as_ref() == name.as_bytes())
                    .ok_or_else(|| Fault::new(format!("a header with a column {name:?}"), first))?,
                Some(Column::Name(name)) => {
                    let expected = format!("a header that names the column {name:?}");
                    return Err(Fault::described(expected, "a trace without header"));
                }
                // Unspecified columns are found by conventional names: all of them if no column is
                // specified, otherwise only the id, which is required.
                None if is_header && (unspecified || role == Role::Id) => {
                    match find_by_usual_name(role, &fields) {
                        Some(index) => index,
                        None => continue,
                    }
                }
                None => continue,
            };
            if index >= MAX_COLUMNS {
                return Err(Fault::described(
                    format!("a column up to {MAX_COLUMNS}"),
                    (index + 1).to_string(),
                ));
            }
            if roles.len() <= index {
                roles.resize(index + 1, None);
            }
            // Two roles on one column are a mistake in the options.
            if let Some(other) = roles[index].replace(role) {
                return Err(Fault::described(
                    "a different column for each field",
                    format!("column {} for {other:?} and {role:?}", index + 1),
                ));
            }
        }
        // 3. Only the id is mandatory.
        if !roles.contains(&Some(Role::Id)) {
            let expected = "a header with a column \"id\", or the option obj-id-col";
            return Err(Fault::new(expected, first));
        }
        let layout = Self {
            delimiter,
            roles,
            numeric_ids: options.numeric_ids,
        };
        Ok((layout, is_header))
    }

    #[inline]
    fn record(&self, line: &[u8], index: u64) -> Result<Record, Fault> {
        let mut record = Record::from_id(0);
        let missing = || {
            let expected = format!("at least {} columns", self.roles.len());
            Fault::new(expected, line)
        };
        // Quotes are rare: only lines with one take the slow path.
        if memchr::memchr(b'"', line).is_some() {
            let mut fields = Fields::new(line, self.delimiter);
            for role in &self.roles {
                let field = fields.next().ok_or_else(missing)??;
                if let Some(role) = role {
                    self.set(&mut record, *role, &field, index)?;
                }
            }
            return Ok(record);
        }
        let mut fields = line.split(|&byte| byte == self.delimiter);
        for role in &self.roles {
            let field = fields.next().ok_or_else(missing)?;
            if let Some(role) = role {
                self.set(&mut record, *role, field.trim_ascii(), index)?;
            }
        }
        Ok(record)
    }

    #[inline]
    fn set(&self, record: &mut Record, role: Role, field: &[u8], index: u64) -> Result<(), Fault> {
        match role {
            Role::Time => record.time = number::whole_part(field)?,
            Role::Id if self.numeric_ids => {
                record.id = number::decimal(field)
                    .or_else(|| number::hexadecimal(field))
                    .ok_or_else(|| Fault::new("a numeric id below 2^64", field))?;
            }
            Role::Id => record.id = txt::id(field)?,
            Role::Size => record.size = number::size(field)?,
            Role::Next => record.next = next(field, index)?,
            Role::Pc => {
                let pc = number::hexadecimal(field).or_else(|| number::decimal(field));
                record.pc = Some(pc.ok_or_else(|| Fault::new("a program counter", field))?);
            }
        }
        Ok(())
    }
}

/// Maximum column number.
const MAX_COLUMNS: usize = 4096;

fn next(field: &[u8], index: u64) -> Result<NextAccess, Fault> {
    if field == b"-1" {
        return Ok(NextAccess::Never);
    }
    let value = number::decimal(field).and_then(|value| i64::try_from(value).ok());
    match value {
        Some(value) => next_access(value, index),
        None => Err(Fault::new("the number of the next access, or -1", field)),
    }
}

/// The index of a column with a conventional name for this role.
fn find_by_usual_name(role: Role, fields: &[Cow<'_, [u8]>]) -> Option<usize> {
    let (_, names) = NAMES.iter().find(|(named, _)| *named == role)?;
    names.iter().find_map(|name| {
        fields
            .iter()
            .position(|field| field.eq_ignore_ascii_case(name.as_bytes()))
    })
}

/// The most frequent of the common delimiters; a comma if there is none.
fn guess_delimiter(line: &[u8]) -> u8 {
    let mut best = (b',', 0);
    for delimiter in [b',', b'\t', b';', b'|'] {
        let count = line.iter().filter(|&&byte| byte == delimiter).count();
        if count > best.1 {
            best = (delimiter, count);
        }
    }
    best.0
}

/// The fields of a line, trimmed and unquoted.
struct Fields<'a> {
    /// The rest of the line; `None` after the last field.
    rest: Option<&'a [u8]>,
    delimiter: u8,
}

impl<'a> Fields<'a> {
    fn new(line: &'a [u8], delimiter: u8) -> Self {
        Self {
            rest: Some(line),
            delimiter,
        }
    }

    /// Trims leading white space, but not a delimiter that is white space itself, such as a tab.
    #[inline]
    fn trim_start<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        let is_content = |&byte: &u8| byte == self.delimiter || !byte.is_ascii_whitespace();
        let start = bytes.iter().position(is_content).unwrap_or(bytes.len());
        &bytes[start..]
    }

    /// A quoted field, in which a doubled quote is a quote and delimiters are literal.
    #[cold]
    fn quoted(&mut self, rest: &'a [u8]) -> Result<Cow<'a, [u8]>, Fault> {
        let fault = || Fault::new("a closing quote before the end of the field", rest);
        // Find the closing quote: the first quote that is not followed by another one.
        let mut end = 1;
        loop {
            end += memchr::memchr(b'"', &rest[end..]).ok_or_else(fault)?;
            if rest.get(end + 1) != Some(&b'"') {
                break;
            }
            end += 2;
        }
        let content = &rest[1..end];
        // After it, only white space may precede the delimiter or the end of the line.
        self.rest = match self.trim_start(&rest[end + 1..]).split_first() {
            None => None,
            Some((byte, after)) if *byte == self.delimiter => Some(after),
            Some(_) => return Err(fault()),
        };
        if !content.contains(&b'"') {
            return Ok(Cow::Borrowed(content));
        }
        // Unescape: keep the second quote of each pair.
        let mut plain = Vec::with_capacity(content.len());
        let mut escaped = false;
        for &byte in content {
            escaped = byte == b'"' && !escaped;
            if !escaped {
                plain.push(byte);
            }
        }
        Ok(Cow::Owned(plain))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Cow<'a, [u8]>, Fault>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        let content = self.trim_start(rest);
        if content.first() == Some(&b'"') {
            return Some(self.quoted(content));
        }
        let field = match rest.iter().position(|&byte| byte == self.delimiter) {
            None => rest,
            Some(end) => {
                self.rest = Some(&rest[end + 1..]);
                &rest[..end]
            }
        };
        Some(Ok(Cow::Borrowed(field.trim_ascii())))
    }
}

/// Writes the columns of the trace with a header.
pub(super) fn encode(trace: &Trace, sink: &mut dyn Write) -> Result<(), CacheError> {
    let columns = [
        (trace.times().is_some(), "time"),
        (true, "id"),
        (trace.sizes().is_some(), "size"),
        (trace.next().is_some(), "next"),
        (trace.pcs().is_some(), "pc"),
    ];
    let names: Vec<_> = columns
        .iter()
        .filter_map(|(held, name)| held.then_some(*name))
        .collect();
    writeln!(sink, "{}", names.join(","))?;
    for index in 0..trace.len() {
        let record = trace.record_at(index);
        if trace.times().is_some() {
            write!(sink, "{},", record.time)?;
        }
        write!(sink, "{}", record.id)?;
        if trace.sizes().is_some() {
            write!(sink, ",{}", record.size)?;
        }
        match record.next {
            NextAccess::Unknown => {}
            NextAccess::Never => sink.write_all(b",-1")?,
            NextAccess::At(number) => write!(sink, ",{number}")?,
        }
        if let Some(pc) = record.pc {
            write!(sink, ",{pc:#x}")?;
        }
        writeln!(sink)?;
    }
    Ok(())
}
