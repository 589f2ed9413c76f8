//! Columns of text.

use super::Decode;
use super::input::{Failure, Input};
use crate::stream::format::Column;

#[cfg(not(feature = "csv"))]
pub(super) fn decoder<'a>(
    _input: Input<'a>,
    _delimiter: u8,
    _key: &Column,
    _count: Option<&Column>,
) -> Result<Box<dyn Decode + Send + 'a>, Failure> {
    Err(Failure::Other(crate::SketchError::NeedsFeature {
        what: "reading a table".into(),
        feature: "csv",
    }))
}

#[cfg(feature = "csv")]
pub(super) fn decoder<'a>(
    input: Input<'a>,
    delimiter: u8,
    key: &Column,
    count: Option<&Column>,
) -> Result<Box<dyn Decode + Send + 'a>, Failure> {
    Ok(Box::new(columns::Columns::new(
        input, delimiter, key, count,
    )?))
}

#[cfg(feature = "csv")]
mod columns {
    use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

    use super::{Column, Decode, Failure, Input};
    use crate::any_key::AnyKey;
    use crate::error::Location;
    use crate::stream::reader::Record;
    use crate::stream::reader::input::{MAX_LINE_BYTES, decimal, shown};

    /// The most columns.
    const MAX_COLUMNS: usize = 4096;

    /// Takes lines apart in buffers of a fixed size, which the reader of the crate `csv` does not.
    pub(super) struct Columns<'a> {
        input: Input<'a>,
        reader: Reader,
        /// The fields of the line, one behind the other.
        text: Vec<u8>,
        /// Where each field ends.
        ends: Vec<usize>,
        fields: usize,
        /// Line feeds passed.
        lines: u64,
        location: Location,
        key: usize,
        count: Option<usize>,
    }

    impl<'a> Columns<'a> {
        pub(super) fn new(
            input: Input<'a>,
            delimiter: u8,
            key: &Column,
            count: Option<&Column>,
        ) -> Result<Self, Failure> {
            let mut table = Self {
                input,
                reader: ReaderBuilder::new().delimiter(delimiter).build(),
                text: vec![0; MAX_LINE_BYTES as usize],
                ends: vec![0; MAX_COLUMNS],
                fields: 0,
                lines: 0,
                location: Location::Line(1),
                key: 0,
                count: None,
            };
            let named = |column: &Column| matches!(column, Column::Name(_));
            if named(key) || count.is_some_and(named) {
                // An empty file has no names, and no keys either.
                if !table.read()? {
                    return Ok(table);
                }
            }
            table.key = table.index(key)?;
            table.count = count.map(|count| table.index(count)).transpose()?;
            Ok(table)
        }

        /// Where a column stands, from 0.
        fn index(&self, column: &Column) -> Result<usize, Failure> {
            let name = match column {
                Column::Number(number) => return Ok(number.get() - 1),
                Column::Name(name) => name,
            };
            (0..self.fields)
                .find(|&index| self.field(index) == Some(name.as_bytes()))
                .ok_or_else(|| {
                    let names = &self.text[..self.ends[self.fields.max(1) - 1]];
                    let expected = format!("a column named {name:?}");
                    let found = format!("{} names: {}", self.fields, shown(names));
                    Failure::at(self.location, expected, found)
                })
        }

        fn field(&self, index: usize) -> Option<&[u8]> {
            if index >= self.fields {
                return None;
            }
            let start = match index {
                0 => 0,
                _ => self.ends[index - 1],
            };
            Some(&self.text[start..self.ends[index]])
        }

        /// The field of a column that this line must have.
        fn required(&self, index: usize) -> Result<&[u8], Failure> {
            self.field(index).ok_or_else(|| {
                let expected = format!("{} columns or more", index + 1);
                Failure::at(self.location, expected, format!("{}", self.fields))
            })
        }

        /// Reads the next line that is not empty; whether there was one.
        fn read(&mut self) -> Result<bool, Failure> {
            let (mut length, mut fields) = (0, 0);
            // The empty lines in front, for the reader tells only where the last line ended.
            while let Some(end @ (b'\n' | b'\r')) = self.input.window()?.first() {
                self.lines += u64::from(*end == b'\n');
                self.input.consume(1);
            }
            self.location = Location::Line(self.lines + 1);
            loop {
                let window = self.input.window()?;
                let (result, taken, written, ended) = self.reader.read_record(
                    window,
                    &mut self.text[length..],
                    &mut self.ends[fields..],
                );
                let feeds = window[..taken].iter().filter(|&&byte| byte == b'\n');
                self.lines += feeds.count() as u64;
                self.input.consume(taken);
                length += written;
                fields += ended;
                match result {
                    ReadRecordResult::InputEmpty => {}
                    ReadRecordResult::OutputFull => {
                        return Err(Failure::at(
                            self.location,
                            format!("a line of at most {MAX_LINE_BYTES} bytes"),
                            "a longer one, perhaps behind an open quote",
                        ));
                    }
                    ReadRecordResult::OutputEndsFull => {
                        let expected = format!("at most {MAX_COLUMNS} columns");
                        return Err(Failure::at(self.location, expected, "more"));
                    }
                    ReadRecordResult::Record => {
                        self.fields = fields;
                        return Ok(true);
                    }
                    ReadRecordResult::End => return Ok(false),
                }
            }
        }
    }

    impl Decode for Columns<'_> {
        fn next(&mut self) -> Result<Option<Record>, Failure> {
            if !self.read()? {
                return Ok(None);
            }
            let key = AnyKey::Bytes(self.required(self.key)?.to_vec());
            let count = match self.count {
                None => 1,
                Some(column) => {
                    let field = self.required(column)?;
                    decimal(field.trim_ascii()).ok_or_else(|| {
                        Failure::at(self.location, "a count from 0 below 2^64", shown(field))
                    })?
                }
            };
            Ok(Some(Record { key, count }))
        }
    }
}
