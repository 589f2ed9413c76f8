//! The formats of trace files, one a file.

mod arc;
mod lirs;
mod oracle_general;
mod pc_address;
mod txt;

use std::path::Path;
use std::str::FromStr;

use crate::error::CacheError;
use crate::trace::compression::Compression;
use crate::trace::input::{Fault, Input};
use crate::trace::options::ReadOptions;
use crate::trace::record::Record;

/// Records decoded at once: their 56 kB stay in the second-level cache.
pub(super) const BATCH: usize = 1024;

/// The decoder of one format.
pub(super) trait Decode: Send {
    /// Appends the next records, at most [`BATCH`]; none at the end of the input. After an error
    /// the decoder is not asked again; the records appended before it are good.
    fn decode(&mut self, input: &mut Input<'_>, batch: &mut Vec<Record>) -> Result<(), CacheError>;
}

/// A format of trace files.
///
/// It is parsed from its name, in any letter case; the names are those of libCacheSim where it
/// knows the format.
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
    /// size `u32`, index of the next request of the same id `i64` (-1 or `i64::MAX`: never).
    OracleGeneral,
    /// `txt`: one id a line, a number (decimal, or hexadecimal after `0x`) or any other text,
    /// which is hashed.
    Txt,
    /// `arc`: the block lists of the ARC paper, `start count 0 sequence` a line: `count` requests
    /// of consecutive blocks.
    Arc,
    /// `lirs`: the traces of the LIRS paper: one decimal block a line; lines of `*` are marks.
    Lirs,
    /// `pc-address`: `0xPC,0xADDRESS` a line, hexadecimal.
    PcAddress,
}

impl TraceFormat {
    /// Every format.
    pub const ALL: [Self; 5] = [
        Self::OracleGeneral,
        Self::Txt,
        Self::Arc,
        Self::Lirs,
        Self::PcAddress,
    ];

    /// The name of the format.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OracleGeneral => "oracleGeneral",
            Self::Txt => "txt",
            Self::Arc => "arc",
            Self::Lirs => "lirs",
            Self::PcAddress => "pc-address",
        }
    }

    /// The format that the name of a file tells, `None` when it is ambiguous. A suffix of a
    /// compression is passed over.
    #[must_use]
    pub fn detect(path: &Path) -> Option<Self> {
        let name = Compression::strip(path)
            .file_name()?
            .to_str()?
            .to_ascii_lowercase();
        if name.contains("oraclegeneral") {
            return Some(Self::OracleGeneral);
        }
        match name.rsplit_once('.')?.1 {
            "txt" => Some(Self::Txt),
            "lis" => Some(Self::Arc),
            "lirs" => Some(Self::Lirs),
            _ => None,
        }
    }

    pub(super) fn decoder(self, _options: &ReadOptions) -> Box<dyn Decode> {
        match self {
            Self::OracleGeneral => Box::new(oracle_general::Decoder::default()),
            Self::Txt => Box::new(Lines(txt::parse)),
            Self::Arc => Box::new(arc::Decoder::default()),
            Self::Lirs => Box::new(Lines(lirs::parse)),
            Self::PcAddress => Box::new(Lines(pc_address::parse)),
        }
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
    /// [`CacheError::UnknownName`] with the names there are.
    fn from_str(name: &str) -> Result<Self, CacheError> {
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

/// Decodes a format of one request, or none, a line.
struct Lines<P>(P);

impl<P> Decode for Lines<P>
where
    P: FnMut(&[u8]) -> Result<Option<Record>, Fault> + Send,
{
    fn decode(&mut self, input: &mut Input<'_>, batch: &mut Vec<Record>) -> Result<(), CacheError> {
        while batch.len() < BATCH {
            let Some(line) = input.line()? else {
                break;
            };
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

/// Decodes a format of requests of `N` bytes each.
fn decode_fixed<const N: usize>(
    input: &mut Input<'_>,
    batch: &mut Vec<Record>,
    mut parse: impl FnMut(&[u8; N]) -> Result<Record, Fault>,
) -> Result<(), CacheError> {
    if !input.fill(N)? {
        return match input.window() {
            [] => Ok(()),
            rest => {
                let found = format!("the end after {}", rest.len());
                Err(input.fault_at(0, Fault::described(format!("a record of {N} bytes"), found)))
            }
        };
    }
    let (records, _) = input.window().as_chunks::<N>();
    let wanted = records.len().min(BATCH - batch.len());
    let mut fault = None;
    let before = batch.len();
    for record in &records[..wanted] {
        match parse(record) {
            Ok(record) => batch.push(record),
            Err(found) => {
                fault = Some(found);
                break;
            }
        }
    }
    input.consume((batch.len() - before) * N);
    fault.map_or(Ok(()), |fault| Err(input.fault_at(0, fault)))
}
