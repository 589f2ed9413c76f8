//! The formats of trace files.

mod address;
mod arc;
mod binary_ids;
mod csv;
mod lcs;
mod lirs;
mod oracle_general;
mod pc_address;
mod time_id_size;
mod txt;
mod vscsi;

use std::io::Write;
use std::path::Path;
use std::str::FromStr;

use septet_core::io::Compression;

use crate::error::CacheError;
use crate::trace::columns::Trace;
use crate::trace::input::{Fault, Input};
#[cfg(doc)]
use crate::trace::options::CsvOptions;
use crate::trace::options::ReadOptions;
use crate::trace::record::{NextAccess, Record};

/// Records per batch; 56 kB fit into the second-level cache.
pub(super) const BATCH: usize = 1024;

/// The decoder of one format.
pub(super) trait Decode: Send {
    /// Appends up to [`BATCH`] records; none at the end of the input. Records appended before an
    /// error are valid; the decoder is not called again after an error.
    fn decode(&mut self, input: &mut Input<'_>, batch: &mut Vec<Record>) -> Result<(), CacheError>;
}

/// A format of trace files.
///
/// It parses from its name, case-insensitively. Names are those of libCacheSim where it supports the
/// format.
///
/// ```
/// use septet_cache::trace::TraceFormat;
///
/// assert_eq!("oracleGeneral".parse::<TraceFormat>()?, TraceFormat::OracleGeneral);
/// assert_eq!(TraceFormat::detect("OLTP.lis.zst".as_ref()), Some(TraceFormat::Arc));
/// # Ok::<(), septet_cache::CacheError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TraceFormat {
    /// `oracleGeneral` of libCacheSim: 24 bytes a request, little-endian: time `u32`, id `u64`,
    /// size `u32`, number of the next request of the same id `i64` (from 1; -1 or `i64::MAX`:
    /// never).
    OracleGeneral,
    /// `lcs` of libCacheSim: a header with a magic number and a version, then records like those
    /// of oracleGeneral with further fields.
    Lcs,
    /// `vscsi`: the binary traces of `VMware`'s virtual SCSI devices, versions 1 and 2.
    Vscsi,
    /// `csv`: delimiter-separated columns, defined by [`CsvOptions`].
    Csv,
    /// `txt`: one id per line: a number (decimal, or hexadecimal with `0x`); other text is hashed.
    Txt,
    /// `time-id-size`: these three columns per line, separated by white space; further columns are
    /// ignored.
    TimeIdSize,
    /// `arc`: the block lists of the ARC paper, `start count 0 sequence` per line: `count` requests
    /// of consecutive blocks.
    Arc,
    /// `lirs`: the traces of the LIRS paper: one decimal block per line; lines `*` are separators.
    Lirs,
    /// `cloud-physics`: block numbers as unsigned 32-bit integers, little-endian.
    CloudPhysics,
    /// `cache2k`: ids as signed 32-bit integers, big-endian.
    Cache2k,
    /// `corda`: ids as signed 64-bit integers, big-endian.
    Corda,
    /// `scarab`: ids as signed 64-bit integers, big-endian.
    Scarab,
    /// `address`: per line `l 0xADDRESS n` for a load or `s 0xADDRESS n` for a store.
    Address,
    /// `pc-address`: `0xPC,0xADDRESS` per line, hexadecimal.
    PcAddress,
}

impl TraceFormat {
    /// Every format.
    pub const ALL: [Self; 14] = [
        Self::OracleGeneral,
        Self::Lcs,
        Self::Vscsi,
        Self::Csv,
        Self::Txt,
        Self::TimeIdSize,
        Self::Arc,
        Self::Lirs,
        Self::CloudPhysics,
        Self::Cache2k,
        Self::Corda,
        Self::Scarab,
        Self::Address,
        Self::PcAddress,
    ];

    /// The name of the format.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OracleGeneral => "oracleGeneral",
            Self::Lcs => "lcs",
            Self::Vscsi => "vscsi",
            Self::Csv => "csv",
            Self::Txt => "txt",
            Self::TimeIdSize => "time-id-size",
            Self::Arc => "arc",
            Self::Lirs => "lirs",
            Self::CloudPhysics => "cloud-physics",
            Self::Cache2k => "cache2k",
            Self::Corda => "corda",
            Self::Scarab => "scarab",
            Self::Address => "address",
            Self::PcAddress => "pc-address",
        }
    }

    /// Detects the format by file name; `None` if unknown or ambiguous. A suffix of a compression
    /// is ignored.
    #[must_use]
    pub fn detect(path: &Path) -> Option<Self> {
        let path = Compression::strip_suffix(path);
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        if name.contains("oraclegeneral") {
            return Some(Self::OracleGeneral);
        }
        match name.rsplit_once('.')?.1 {
            "lcs" => Some(Self::Lcs),
            "vscsi" => Some(Self::Vscsi),
            "csv" => Some(Self::Csv),
            "txt" => Some(Self::Txt),
            "lis" => Some(Self::Arc),
            "lirs" => Some(Self::Lirs),
            "address" => Some(Self::Address),
            _ => None,
        }
    }

    pub(super) fn decoder(self, options: &ReadOptions) -> Box<dyn Decode> {
        match self {
            Self::OracleGeneral => Box::new(oracle_general::Decoder::default()),
            Self::Lcs => Box::new(lcs::Decoder::default()),
            Self::Vscsi => Box::new(vscsi::Decoder::default()),
            Self::Csv => Box::new(csv::Decoder::new(&options.csv)),
            Self::Txt => Box::new(Lines(txt::parse)),
            Self::TimeIdSize => Box::new(Lines(time_id_size::parse)),
            Self::Arc => Box::new(arc::Decoder::default()),
            Self::Lirs => Box::new(Lines(lirs::parse)),
            Self::CloudPhysics => Box::new(binary_ids::Decoder(binary_ids::u32_little)),
            Self::Cache2k => Box::new(binary_ids::Decoder(binary_ids::i32_big)),
            Self::Corda | Self::Scarab => Box::new(binary_ids::Decoder(binary_ids::i64_big)),
            Self::Address => Box::new(Lines(address::parse)),
            Self::PcAddress => Box::new(Lines(pc_address::parse)),
        }
    }
}

impl TraceFormat {
    /// The formats that can be written.
    pub const WRITABLE: [Self; 7] = [
        Self::OracleGeneral,
        Self::Lcs,
        Self::Vscsi,
        Self::Csv,
        Self::Txt,
        Self::TimeIdSize,
        Self::PcAddress,
    ];

    /// Writes a trace, which must be annotated if [`TraceFormat::has_next_access`].
    pub(super) fn encode(self, trace: &Trace, sink: &mut dyn Write) -> Result<(), CacheError> {
        match self {
            Self::OracleGeneral => oracle_general::encode(trace, sink),
            Self::Lcs => lcs::encode(trace, sink),
            Self::Vscsi => vscsi::encode(trace, sink),
            Self::Csv => csv::encode(trace, sink),
            Self::Txt => txt::encode(trace, sink),
            Self::TimeIdSize => time_id_size::encode(trace, sink),
            Self::PcAddress => pc_address::encode(trace, sink),
            _ => Err(CacheError::UnknownName {
                what: "trace format to write",
                name: self.name().to_owned(),
                known: Self::WRITABLE.map(Self::name).join(", "),
            }),
        }
    }

    /// Whether records of the format have a next access.
    pub(super) fn has_next_access(self) -> bool {
        matches!(self, Self::OracleGeneral | Self::Lcs)
    }
}

impl std::fmt::Display for TraceFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TraceFormat {
    type Err = CacheError;

    /// # Errors
    /// [`CacheError::UnknownName`] with the known names.
    fn from_str(name: &str) -> Result<Self, CacheError> {
        // libCacheSim has two names for its main format.
        let name = match name {
            "oracleGeneralBin" => "oracleGeneral",
            name => name,
        };
        Self::ALL
            .into_iter()
            .find(|format| format.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| CacheError::UnknownName {
                what: "trace format",
                name: name.to_owned(),
                known: Self::ALL.map(Self::name).join(", "),
            })
    }
}

/// Decodes formats with at most one request per line.
struct Lines<P>(P);

impl<P> Decode for Lines<P>
where
    P: FnMut(&[u8]) -> Result<Option<Record>, Fault> + Send,
{
    fn decode(&mut self, input: &mut Input<'_>, batch: &mut Vec<Record>) -> Result<(), CacheError> {
        // Blank lines are skipped in every line-based format; marks yield no record.
        while batch.len() < BATCH {
            let Some(line) = input.line()? else {
                break;
            };
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            match (self.0)(line) {
                Ok(Some(record)) => batch.push(record),
                Ok(None) => {}
                Err(fault) => return Err(input.fault_on_line(fault)),
            }
        }
        Ok(())
    }
}

/// Decodes records of `N` bytes.
fn decode_fixed<const N: usize>(
    input: &mut Input<'_>,
    batch: &mut Vec<Record>,
    mut parse: impl FnMut(&[u8; N]) -> Result<Record, Fault>,
) -> Result<(), CacheError> {
    decode_records(input, batch, N, |bytes| parse(&field(bytes, 0)))
}

/// Decodes records of `length` bytes.
#[inline]
fn decode_records(
    input: &mut Input<'_>,
    batch: &mut Vec<Record>,
    length: usize,
    mut parse: impl FnMut(&[u8]) -> Result<Record, Fault>,
) -> Result<(), CacheError> {
    // Fewer bytes than a record: the end of the input, or a truncated record.
    if !input.fill(length)? {
        return match input.window() {
            [] => Ok(()),
            rest => {
                let expected = format!("a record of {length} bytes");
                let found = format!("end of input after {} bytes", rest.len());
                Err(input.fault_at(0, Fault::described(expected, found)))
            }
        };
    }
    // Decode all complete records of the window, up to a batch. The fault's position is that of the
    // first record not taken.
    let mut fault = None;
    let mut taken = 0;
    for bytes in input.window().chunks_exact(length).take(BATCH) {
        match parse(bytes) {
            Ok(record) => batch.push(record),
            Err(found) => {
                fault = Some(found);
                break;
            }
        }
        taken += length;
    }
    input.consume(taken);
    fault.map_or(Ok(()), |fault| Err(input.fault_at(0, fault)))
}

/// The bytes of a field at offset `start`.
#[inline]
fn field<const N: usize>(bytes: &[u8], start: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[start..start + N]);
    field
}

/// Parses the next access of the request at this index.
#[inline]
fn next_access(value: i64, index: u64) -> Result<NextAccess, Fault> {
    if value == -1 || value == i64::MAX {
        return Ok(NextAccess::Never);
    }
    match u64::try_from(value) {
        Ok(next) if next > index => Ok(NextAccess::At(next)),
        _ => Err(Fault::described(
            format!("a next access after request {index}, or -1 for never"),
            value.to_string(),
        )),
    }
}

/// Converts a value to the narrower type of a field of the format.
fn fits<T: TryFrom<u64>>(
    format: &'static str,
    request: usize,
    field: &'static str,
    value: u64,
) -> Result<T, CacheError> {
    let limit = u64::MAX >> (64 - 8 * size_of::<T>());
    T::try_from(value).map_err(|_| does_not_fit(format, request, field, value, limit))
}

#[cold]
fn does_not_fit(
    format: &'static str,
    request: usize,
    field: &'static str,
    value: u64,
    limit: u64,
) -> CacheError {
    CacheError::ValueOutOfRange {
        format,
        request,
        field,
        value,
        limit,
    }
}
