//! NumPy arrays.

use std::path::Path;

use septet_core::io::PositionedReader;

use super::Decode;
use super::failure::Failure;

#[cfg(not(feature = "npz"))]
pub(super) fn array(_input: PositionedReader<'_>) -> Result<Box<dyn Decode + Send + '_>, Failure> {
    Err(needs_feature())
}

#[cfg(not(feature = "npz"))]
pub(super) fn archive(
    _path: &Path,
    _keys: Option<&str>,
    _counts: Option<&str>,
) -> Result<Box<dyn Decode + Send>, Failure> {
    Err(needs_feature())
}

#[cfg(not(feature = "npz"))]
fn needs_feature() -> Failure {
    Failure::Other(crate::SketchError::NeedsFeature {
        what: "reading an array of NumPy".into(),
        feature: "npz",
    })
}

#[cfg(feature = "npz")]
pub(super) fn array(input: PositionedReader<'_>) -> Result<Box<dyn Decode + Send + '_>, Failure> {
    Ok(Box::new(numpy::Rows::new(
        Some(numpy::Array::new(input)?),
        None,
    )?))
}

#[cfg(feature = "npz")]
pub(super) fn archive(
    path: &Path,
    keys: Option<&str>,
    counts: Option<&str>,
) -> Result<Box<dyn Decode + Send>, Failure> {
    let open = |name: &str| numpy::Array::new(numpy::member(path, name)?);
    Ok(Box::new(numpy::Rows::new(
        keys.map(open).transpose()?,
        counts.map(open).transpose()?,
    )?))
}

#[cfg(feature = "npz")]
mod numpy {
    use std::fs::File;
    use std::io::{self, Read, Seek, SeekFrom};
    use std::path::Path;

    use npyz::{DType, Endianness, NpyHeader, Order, TypeChar};

    use super::{Decode, Failure, PositionedReader};
    use crate::any_key::AnyKey;
    use crate::error::Position;
    use crate::key::FlowKey;
    use crate::stream::reader::Record;
    use crate::stream::reader::failure::decimal;

    /// The maximum length of a header in bytes; those that NumPy writes have 128.
    const MAX_HEADER_BYTES: usize = 64 * 1024;

    /// The columns of an array of flows.
    const FLOW_COLUMNS: u64 = 11;

    /// Rows of integers.
    pub(super) struct Array<'a> {
        input: PositionedReader<'a>,
        rows: u64,
        /// 1 for a one-dimensional array.
        columns: u64,
        /// Bytes of an element.
        size: usize,
        signed: bool,
        big_endian: bool,
        row: u64,
    }

    impl<'a> Array<'a> {
        pub(super) fn new(mut input: PositionedReader<'a>) -> Result<Self, Failure> {
            // Check the raw header before `npyz` parses it.
            let text = header_bytes(&mut input)?;
            let wrong = |expected: &str, found: String| {
                Failure::at(Position::Byte(0), expected.to_owned(), found)
            };
            if !is_bounded(&text) {
                let found = "one of a huge or nested array".to_owned();
                return Err(wrong("the header of an array", found));
            }
            // The element type: integers only.
            let header = NpyHeader::from_reader(&text[..])
                .map_err(|error| wrong("the header of an array", error.to_string()))?;
            let dtype = header.dtype();
            let expected = "integers of 1, 2, 4 or 8 bytes";
            let DType::Plain(element) = &dtype else {
                return Err(wrong(expected, format!("elements {}", dtype.descr())));
            };
            let signed = match element.type_char() {
                TypeChar::Int => true,
                TypeChar::Uint => false,
                _ => return Err(wrong(expected, format!("elements {}", dtype.descr()))),
            };
            let Some(size @ (1 | 2 | 4 | 8)) = element.num_bytes() else {
                return Err(wrong(expected, format!("elements {}", dtype.descr())));
            };
            // The shape: one dimension of keys, or rows of flows.
            let (rows, columns) = match *header.shape() {
                [rows] => (rows, 1),
                [rows, columns @ (1 | FLOW_COLUMNS)] => (rows, columns),
                _ => {
                    let found = format!("shape {:?}", header.shape());
                    return Err(wrong("one dimension, or rows of 11 columns", found));
                }
            };
            if columns > 1 && header.order() != Order::C {
                return Err(wrong("rows in C order", "Fortran order".to_owned()));
            }
            Ok(Self {
                input,
                rows,
                columns,
                size,
                signed,
                big_endian: element.endianness() == Endianness::Big,
                row: 0,
            })
        }

        /// The next row, `None` at the end.
        fn next(&mut self) -> Result<Option<Row>, Failure> {
            if self.row == self.rows {
                let end = self.input.read_full(&mut [0])?;
                return match end {
                    0 => Ok(None),
                    _ => Err(Failure::at(
                        Position::Row(self.row),
                        "the end",
                        "more bytes than the shape implies",
                    )),
                };
            }
            let mut bytes = [0; FLOW_COLUMNS as usize * 8];
            let bytes = &mut bytes[..self.columns as usize * self.size];
            if self.input.read_full(bytes)? < bytes.len() {
                return Err(Failure::at(
                    Position::Row(self.row),
                    format!("{} rows", self.rows),
                    "the end",
                ));
            }
            let mut row = Row {
                elements: [0; FLOW_COLUMNS as usize],
                columns: self.columns as usize,
                position: Position::Row(self.row),
            };
            // Widen each element to 64 bits; negative integers are not keys.
            for (element, bytes) in row.elements.iter_mut().zip(bytes.chunks(self.size)) {
                let mut wide = [0; 8];
                wide[..self.size].copy_from_slice(bytes);
                if self.big_endian {
                    wide[..self.size].reverse();
                }
                let integer = u64::from_le_bytes(wide);
                let unused = 64 - 8 * self.size as u32;
                if self.signed && integer.cast_signed() << unused < 0 {
                    return Err(Failure::at(
                        row.position,
                        "integers from 0",
                        format!("{}", (integer.cast_signed() << unused) >> unused),
                    ));
                }
                *element = integer;
            }
            self.row += 1;
            Ok(Some(row))
        }
    }

    /// One row of an array.
    struct Row {
        elements: [u64; FLOW_COLUMNS as usize],
        columns: usize,
        position: Position,
    }

    impl Row {
        /// The key of this row: an integer, or a flow in the column order of Hsu et al.
        fn key(&self) -> Result<AnyKey, Failure> {
            if self.columns == 1 {
                return Ok(AnyKey::Integer(self.elements[0]));
            }
            let mut bytes = [0; 13];
            let byte = |column: usize| self.part::<u8>(column);
            let port = |column: usize| self.part::<u16>(column).map(u16::to_be_bytes);
            for part in 0..4 {
                bytes[part] = byte(part)?;
                bytes[6 + part] = byte(4 + part)?;
            }
            bytes[4..6].copy_from_slice(&port(9)?);
            bytes[10..12].copy_from_slice(&port(10)?);
            bytes[12] = byte(8)?;
            Ok(AnyKey::Flow(FlowKey::from_bytes(&bytes)))
        }

        /// An element that is a byte of an address, a protocol or a port.
        fn part<T: TryFrom<u64>>(&self, column: usize) -> Result<T, Failure> {
            T::try_from(self.elements[column]).map_err(|_| {
                Failure::at(
                    self.position,
                    format!(
                        "an integer of {} bits in column {column}",
                        8 * size_of::<T>()
                    ),
                    self.elements[column].to_string(),
                )
            })
        }
    }

    /// Keys and counts, side by side.
    pub(super) struct Rows<'a> {
        keys: Option<Array<'a>>,
        counts: Option<Array<'a>>,
        row: u64,
    }

    impl<'a> Rows<'a> {
        pub(super) fn new(
            keys: Option<Array<'a>>,
            counts: Option<Array<'a>>,
        ) -> Result<Self, Failure> {
            if let Some(counts) = counts.as_ref().filter(|counts| counts.columns > 1) {
                let found = format!("{} columns", counts.columns);
                return Err(Failure::at(
                    Position::Byte(0),
                    "counts in one dimension",
                    found,
                ));
            }
            if let (Some(keys), Some(counts)) = (&keys, &counts)
                && keys.rows != counts.rows
            {
                return Err(Failure::at(
                    Position::Byte(0),
                    format!("as many counts as keys ({})", keys.rows),
                    counts.rows.to_string(),
                ));
            }
            Ok(Self {
                keys,
                counts,
                row: 0,
            })
        }
    }

    impl Decode for Rows<'_> {
        fn next(&mut self) -> Result<Option<Record>, Failure> {
            let count = match &mut self.counts {
                None => Some(1),
                Some(counts) => counts.next()?.map(|row| row.elements[0]),
            };
            let key = match &mut self.keys {
                None => Some(AnyKey::Integer(self.row)),
                Some(keys) => keys.next()?.map(|row| row.key()).transpose()?,
            };
            self.row += 1;
            Ok(key.zip(count).map(|(key, count)| Record { key, count }))
        }
    }

    /// Reads the magic number, the version and the text of the header.
    fn header_bytes(input: &mut PositionedReader<'_>) -> Result<Vec<u8>, Failure> {
        let wrong = |expected: &str, found: &str| Failure::at(Position::Byte(0), expected, found);
        let mut header = vec![0; 8];
        if input.read_full(&mut header)? < 8 || !header.starts_with(b"\x93NUMPY") {
            return Err(wrong("a NumPy array", "something else"));
        }
        let mut length = [0; 4];
        let width = if header[6] == 1 { 2 } else { 4 };
        if input.read_full(&mut length[..width])? < width {
            return Err(wrong("the length of the header", "the end"));
        }
        header.extend(&length[..width]);
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_HEADER_BYTES {
            let expected = format!("a header of at most {MAX_HEADER_BYTES} bytes");
            return Err(wrong(&expected, &length.to_string()));
        }
        // The length is checked, so that a false one allocates at most 64 KiB.
        let start = header.len();
        header.resize(start + length, 0);
        if input.read_full(&mut header[start..])? < length {
            return Err(wrong("the header", "the end inside it"));
        }
        Ok(header)
    }

    /// Whether the product of the numbers in a header cannot overflow, and its nesting cannot exhaust the
    /// stack: `npyz` does not check.
    fn is_bounded(header: &[u8]) -> bool {
        const MAX_BRACKETS: usize = 8;
        let brackets = header.iter().filter(|byte| b"([{".contains(byte)).count();
        let mut product = Some(1_u64);
        for digits in header.split(|byte| !byte.is_ascii_digit()) {
            if !digits.is_empty() {
                let number = decimal(digits).map(|number| number.max(1));
                product = product.zip(number).and_then(|(a, b)| a.checked_mul(b));
            }
        }
        brackets <= MAX_BRACKETS && product.is_some_and(|product| product < 1 << 62)
    }

    /// A reader of an array in an archive. Every array has its own file handle, so that two can be read
    /// in parallel.
    pub(super) fn member(path: &Path, name: &str) -> Result<PositionedReader<'static>, Failure> {
        let mut file = File::open(path)?;
        let wrong = |error: zip::result::ZipError| match error {
            zip::result::ZipError::Io(error) => Failure::Read(error),
            error => Failure::at(Position::Byte(0), "a zip archive", error.to_string()),
        };
        let mut archive = zip::ZipArchive::new(&mut file).map_err(wrong)?;
        let index = archive
            .index_for_name(&format!("{name}.npy"))
            .ok_or_else(|| {
                const SHOWN: usize = 20;
                let names: Vec<_> = archive
                    .file_names()
                    .filter_map(Result::ok)
                    .filter_map(|name| name.strip_suffix(".npy").map(|name| format!("{name:?}")))
                    .take(SHOWN)
                    .collect();
                let expected = format!("an array named {name:?}");
                Failure::at(
                    Position::Byte(0),
                    expected,
                    format!("[{}]", names.join(", ")),
                )
            })?;
        // Read the entry's data directly from the file: a reader of the `zip` crate would borrow the
        // archive.
        let entry = archive.by_index_raw(index).map_err(wrong)?;
        let (start, length) = (entry.data_start(), entry.compressed_size());
        let (method, sum) = (entry.compression(), entry.crc32());
        let encrypted = entry.encrypted();
        drop(entry);
        drop(archive);
        let start = start.unwrap_or_default();
        file.seek(SeekFrom::Start(start))?;
        let bytes = io::BufReader::new(file.take(length));
        let source: Box<dyn Read + Send> = match method {
            _ if encrypted => {
                return Err(Failure::at(
                    Position::Byte(start),
                    "an unencrypted file",
                    "an encrypted one",
                ));
            }
            zip::CompressionMethod::Stored => Box::new(bytes),
            zip::CompressionMethod::Deflated => {
                Box::new(flate2::bufread::DeflateDecoder::new(bytes))
            }
            other => {
                return Err(Failure::at(
                    Position::Byte(start),
                    "a stored or deflated file",
                    format!("{other}"),
                ));
            }
        };
        Ok(PositionedReader::new(Checked {
            source: flate2::CrcReader::new(source),
            sum,
        }))
    }

    /// Verifies the checksum at the end of the stream.
    struct Checked<R> {
        source: flate2::CrcReader<R>,
        sum: u32,
    }

    impl<R: Read> Read for Checked<R> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.source.read(buffer)?;
            if count == 0 && !buffer.is_empty() && self.source.crc().sum() != self.sum {
                let message = "checksum mismatch in the archived file";
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            Ok(count)
        }
    }
}
