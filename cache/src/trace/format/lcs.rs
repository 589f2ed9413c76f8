//! The lcs format of libCacheSim: a header that defines the record layout, then the records.
//!
//! Three kinds of header exist. All begin and end with the same eight bytes.
//! - 8 192 bytes: after the magic number, a version from 1 to 8.
//! - 1 024 bytes: the same with version 1 or 2.
//! - 1 024 bytes: after the magic number, a description of the record in the notation of Python's
//!   `struct` module, and the numbers of the fields.

use std::io::Write;

use super::{Decode, decode_records, field, next_access, oracle_general};
use crate::error::CacheError;
use crate::trace::columns::Trace;
use crate::trace::input::{Fault, Input};
use crate::trace::record::{NextAccess, Record};

/// The first and the last eight bytes of a header.
const MAGIC: u64 = 0x1234_5678_9abc_def0;
/// Length of the current header.
const HEADER: usize = 8192;
const SHORT_HEADER: usize = 1024;
/// The offset of the version, or of the description.
const VERSION: usize = 8;

/// Field offsets of the self-describing header.
const DESCRIPTION: std::ops::Range<usize> = VERSION..248;
const ID_FIELD: usize = 248;
const SIZE_FIELD: usize = 249;
const TIME_FIELD: usize = 250;
const NEXT_FIELD: usize = 252;
const ITEM_SIZE: usize = 1004;

#[derive(Default)]
pub(super) struct Decoder {
    layout: Option<Layout>,
    /// Index of the next request.
    index: u64,
}

impl Decode for Decoder {
    fn decode(&mut self, input: &mut Input<'_>, batch: &mut Vec<Record>) -> Result<(), CacheError> {
        let layout = match &self.layout {
            Some(layout) => layout,
            None => self.layout.insert(read_header(input)?),
        };
        decode_records(input, batch, layout.length, |bytes| {
            let record = layout.record(bytes, self.index)?;
            self.index += 1;
            Ok(record)
        })
    }
}

/// The offsets of the fields of a record.
struct Layout {
    length: usize,
    id: Field,
    time: Option<Field>,
    size: Option<Field>,
    next: Option<Field>,
}

#[derive(Clone, Copy)]
struct Field {
    start: usize,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Signed(usize),
    Unsigned(usize),
}

impl Field {
    /// The number in the field.
    #[inline]
    fn read(self, record: &[u8]) -> i128 {
        let bytes = &record[self.start..];
        match self.kind {
            Kind::Signed(1) => i128::from(i8::from_le_bytes(field(bytes, 0))),
            Kind::Signed(2) => i128::from(i16::from_le_bytes(field(bytes, 0))),
            Kind::Signed(4) => i128::from(i32::from_le_bytes(field(bytes, 0))),
            Kind::Signed(_) => i128::from(i64::from_le_bytes(field(bytes, 0))),
            Kind::Unsigned(1) => i128::from(u8::from_le_bytes(field(bytes, 0))),
            Kind::Unsigned(2) => i128::from(u16::from_le_bytes(field(bytes, 0))),
            Kind::Unsigned(4) => i128::from(u32::from_le_bytes(field(bytes, 0))),
            Kind::Unsigned(_) => i128::from(u64::from_le_bytes(field(bytes, 0))),
        }
    }
}

impl Layout {
    /// The layout of a version.
    fn of_version(version: u64) -> Option<Self> {
        const TIME: u8 = 1;
        const ID: u8 = 2;
        const SIZE: u8 = 3;
        // From version 4 on, features of four bytes follow.
        let (description, next, features) = match version {
            1 => ("<IQIq", 4, 0),
            2 => ("<IQIIq", 5, 0),
            3 => ("<IQqIIq", 6, 0),
            4..=8 => ("<IQqIIq", 6, 1 << (version - 4)),
            _ => return None,
        };
        let mut layout = Self::new(description.as_bytes(), ID, TIME, SIZE, next)?;
        layout.length += 4 * features;
        Some(layout)
    }

    /// The layout of a description; fields are numbered from 1, and 0 is for none.
    fn new(description: &[u8], id: u8, time: u8, size: u8, next: u8) -> Option<Self> {
        let mut fields = Vec::new();
        let mut length = 0;
        for &kind in description.strip_prefix(b"<")? {
            let (bytes, kind) = match kind {
                b'b' | b'c' => (1, Some(Kind::Signed(1))),
                b'B' => (1, Some(Kind::Unsigned(1))),
                b'h' => (2, Some(Kind::Signed(2))),
                b'H' => (2, Some(Kind::Unsigned(2))),
                b'i' | b'l' => (4, Some(Kind::Signed(4))),
                b'I' | b'L' => (4, Some(Kind::Unsigned(4))),
                b'q' => (8, Some(Kind::Signed(8))),
                b'Q' => (8, Some(Kind::Unsigned(8))),
                b'f' => (4, None),
                b'd' => (8, None),
                _ => return None,
            };
            fields.push(kind.map(|kind| Field {
                start: length,
                kind,
            }));
            length += bytes;
        }
        // Field numbers count from 1; 0 means absent; a floating-point field is an error.
        let find = |number: u8| match number {
            0 => Some(None),
            _ => Some(Some(fields.get(usize::from(number) - 1).copied()??)),
        };
        Some(Self {
            length,
            id: find(id)??,
            time: find(time)?,
            size: find(size)?,
            next: find(next)?,
        })
    }

    #[inline]
    fn record(&self, bytes: &[u8], index: u64) -> Result<Record, Fault> {
        let time = self.time.map_or(0, |field| field.read(bytes));
        let size = self.size.map_or(1, |field| field.read(bytes));
        let next = match self.next {
            None => NextAccess::Unknown,
            Some(field) => {
                // A value beyond i64 is later than any request.
                let value = i64::try_from(field.read(bytes)).unwrap_or(i64::MAX);
                next_access(value, index)?
            }
        };
        Ok(Record {
            time: u64::try_from(time)
                .map_err(|_| Fault::described("a nonnegative time", time.to_string()))?,
            // The low 64 bits: an id that is negative in the file keeps its bit pattern.
            id: self.id.read(bytes) as u64,
            size: u32::try_from(size)
                .map_err(|_| Fault::described("a size in 0..2^32", size.to_string()))?,
            next,
            pc: None,
        })
    }
}

/// Reads a header of any kind.
fn read_header(input: &mut Input<'_>) -> Result<Layout, CacheError> {
    let magic_at =
        |input: &Input<'_>, at: usize| u64::from_le_bytes(field(input.window(), at)) == MAGIC;
    let truncated = |input: &Input<'_>, expected: &str| {
        let found = format!("end of input after {} bytes", input.window().len());
        Err(input.fault_at(0, Fault::described(expected, found)))
    };
    // 1. The first magic number.
    if !input.fill(SHORT_HEADER)? {
        return truncated(input, "a header of at least 1024 bytes");
    }
    if !magic_at(input, 0) {
        let found = &input.window()[..VERSION];
        return Err(input.fault_at(0, Fault::new("the magic number of the lcs format", found)));
    }
    // 2. The second magic number ends the header, and so tells its length.
    let short = magic_at(input, SHORT_HEADER - VERSION);
    if !short {
        if !input.fill(HEADER)? {
            return truncated(input, "a header of 8192 bytes");
        }
        let end = HEADER - VERSION;
        if !magic_at(input, end) {
            let found = &input.window()[end..HEADER];
            let expected = "the magic number at the end of the header";
            return Err(input.fault_at(end, Fault::new(expected, found)));
        }
    }
    // 3. The record layout: a description in the header, or that of a version.
    let header = input.window();
    let version = u64::from_le_bytes(field(header, VERSION));
    let layout = if short && header[VERSION] == b'<' {
        let description = &header[DESCRIPTION];
        let end = description.iter().position(|&byte| byte == 0);
        Layout::new(
            &description[..end.unwrap_or(description.len())],
            header[ID_FIELD],
            header[TIME_FIELD],
            header[SIZE_FIELD],
            header[NEXT_FIELD],
        )
        .filter(|layout| u32::from_le_bytes(field(header, ITEM_SIZE)) as usize == layout.length)
        .ok_or_else(|| Fault::new("a description of the record with its fields", description))
    } else {
        Layout::of_version(version)
            .ok_or_else(|| Fault::described("a version from 1 to 8", version.to_string()))
    };
    match layout {
        Ok(layout) => {
            input.consume(if short { SHORT_HEADER } else { HEADER });
            Ok(layout)
        }
        Err(fault) => Err(input.fault_at(VERSION, fault)),
    }
}

/// Writes an annotated trace in version 1, whose records are those of oracleGeneral.
pub(super) fn encode(trace: &Trace, sink: &mut dyn Write) -> Result<(), CacheError> {
    const STATISTICS: usize = 16;
    // The header has statistics of the whole trace, so one pass precedes writing.
    let mut first_sizes = vec![None; trace.page_count()];
    let mut requested_bytes = 0;
    for index in 0..trace.len() {
        let size = trace.record_at(index).size;
        first_sizes[trace.pages()[index] as usize].get_or_insert(size);
        requested_bytes += u64::from(size);
    }
    let sizes = || first_sizes.iter().flatten().copied().map(u64::from);
    let times = trace.times().unwrap_or_default();
    let statistics = [
        1, // the version of the statistics
        trace.len() as u64,
        trace.page_count() as u64,
        requested_bytes,
        sizes().sum(),
        times.first().copied().unwrap_or_default(),
        times.last().copied().unwrap_or_default(),
        0, // reads, writes and deletions are not distinguished
        0,
        0,
        sizes().min().unwrap_or_default(),
        sizes().max().unwrap_or_default(),
    ];
    // Magic number, version, statistics as consecutive 64-bit integers, zeros, magic number.
    let mut header = vec![0; HEADER];
    header[..VERSION].copy_from_slice(&MAGIC.to_le_bytes());
    header[VERSION..STATISTICS].copy_from_slice(&1_u64.to_le_bytes());
    for (place, value) in header[STATISTICS..]
        .as_chunks_mut()
        .0
        .iter_mut()
        .zip(statistics)
    {
        *place = value.to_le_bytes();
    }
    header[HEADER - VERSION..].copy_from_slice(&MAGIC.to_le_bytes());
    sink.write_all(&header)?;
    oracle_general::encode_records("lcs", trace, i64::MAX, sink)
}
