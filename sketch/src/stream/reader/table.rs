//! Columns of CSV and TSV tables.

use septet_core::io::PositionedReader;

use super::Decode;
use super::failure::Failure;
use crate::stream::format::Column;

#[cfg(not(feature = "csv"))]
pub(super) fn decoder<'a>(
    _input: PositionedReader<'a>,
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
    input: PositionedReader<'a>,
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
    use septet_core::io::{DEFAULT_MAX_LINE_LEN, quote};

    use super::{Column, Decode, Failure, PositionedReader};
    use crate::any_key::AnyKey;
    use crate::error::Position;
    use crate::stream::reader::Record;
    use crate::stream::reader::failure::decimal;

    /// The maximum number of columns.
    const MAX_COLUMNS: usize = 4096;

    /// Parses records in buffers of fixed size; the reader of the crate `csv` has no limit.
    pub(super) struct Columns<'a> {
        input: PositionedReader<'a>,
        reader: Reader,
        /// The concatenated fields of the record.
        text: Vec<u8>,
        /// The end of each field.
        ends: Vec<usize>,
        fields: usize,
        /// Line feeds consumed so far.
        lines: u64,
        position: Position,
        key: usize,
        count: Option<usize>,
    }

    impl<'a> Columns<'a> {
        pub(super) fn new(
            input: PositionedReader<'a>,
            delimiter: u8,
            key: &Column,
            count: Option<&Column>,
        ) -> Result<Self, Failure> {
            let mut table = Self {
                input,
                reader: ReaderBuilder::new().delimiter(delimiter).build(),
                text: vec![0; DEFAULT_MAX_LINE_LEN],
                ends: vec![0; MAX_COLUMNS],
                fields: 0,
                lines: 0,
                position: Position::Line(1),
                key: 0,
                count: None,
            };
            // Names refer to the header line, which is read first.
            let named = |column: &Column| matches!(column, Column::Name(_));
            if named(key) || count.is_some_and(named) {
                // An empty file has no header and no records.
                if !table.read()? {
                    return Ok(table);
                }
            }
            table.key = table.index(key)?;
            table.count = count.map(|count| table.index(count)).transpose()?;
            Ok(table)
        }

        /// The index of a column, from 0.
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
                    let found = format!("{} names: {}", self.fields, quote(names));
                    Failure::at(self.position, expected, found)
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

        /// The field of a column, which this record must have.
        fn required(&self, index: usize) -> Result<&[u8], Failure> {
            self.field(index).ok_or_else(|| {
                let expected = format!("{} columns or more", index + 1);
                Failure::at(self.position, expected, format!("{}", self.fields))
            })
        }

        /// Reads the next record, ignoring empty lines; returns whether there was one.
        fn read(&mut self) -> Result<bool, Failure> {
            let (mut length, mut fields) = (0, 0);
            // Skip empty lines here: `csv-core` skips them too, but then the line number of the record is
            // not known.
            while self.input.fill(1)?
                && let Some(end @ (b'\n' | b'\r')) = self.input.buffered().first()
            {
                self.lines += u64::from(*end == b'\n');
                self.input.consume(1);
            }
            self.position = Position::Line(self.lines + 1);
            // Feed blocks of input until a record is complete.
            loop {
                // At the end of the input the window is empty, which `csv-core` takes as the end.
                self.input.fill(1)?;
                let window = self.input.buffered();
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
                            self.position,
                            format!("a line of at most {DEFAULT_MAX_LINE_LEN} bytes"),
                            "a longer one, perhaps due to an unclosed quote",
                        ));
                    }
                    ReadRecordResult::OutputEndsFull => {
                        let expected = format!("at most {MAX_COLUMNS} columns");
                        return Err(Failure::at(self.position, expected, "more"));
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
                        Failure::at(self.position, "a count from 0 below 2^64", quote(field))
                    })?
                }
            };
            Ok(Some(Record { key, count }))
        }
    }
}
