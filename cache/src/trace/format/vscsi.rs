//! The traces of `VMware`'s virtual SCSI devices, versions 1 and 2.

use std::io::Write;

use super::{Decode, decode_fixed, does_not_fit, field};
use crate::error::CacheError;
use crate::trace::columns::Trace;
use crate::trace::input::{Fault, Input};
use crate::trace::record::Record;

/// Version 1: serial number `u32`, length `u32`, scatter-gather entries `u32`, command `u16`,
/// version `u16`, block `u64`, microseconds `u64`.
const LENGTH_1: usize = 32;
/// Version 2: command `u16`, version `u16`, serial number `u32`, length `u32`, scatter-gather
/// entries `u32`, block `u64`, microseconds `u64`, response time `u64`.
const LENGTH_2: usize = 40;

/// Offset of the high byte of the version field.
const VERSION_BYTE_1: usize = 15;
const VERSION_BYTE_2: usize = 3;

/// Microseconds per second, the unit of [`Record::time`].
const MICROSECONDS: u64 = 1_000_000;

#[derive(Clone, Copy, Default)]
pub(super) enum Decoder {
    #[default]
    Unknown,
    Version1,
    Version2,
}

impl Decode for Decoder {
    fn decode(&mut self, input: &mut Input<'_>, batch: &mut Vec<Record>) -> Result<(), CacheError> {
        if let Self::Unknown = self {
            *self = detect(input)?;
        }
        match self {
            Self::Unknown => Ok(()),
            Self::Version1 => decode_fixed(input, batch, |bytes: &[u8; LENGTH_1]| {
                check(bytes[VERSION_BYTE_1], 1)?;
                Ok(record(field(bytes, 4), field(bytes, 16), field(bytes, 24)))
            }),
            Self::Version2 => decode_fixed(input, batch, |bytes: &[u8; LENGTH_2]| {
                check(bytes[VERSION_BYTE_2], 2)?;
                Ok(record(field(bytes, 8), field(bytes, 16), field(bytes, 24)))
            }),
        }
    }
}

/// Detects the version by the first two records (or the only one). `Unknown` for an empty stream.
fn detect(input: &mut Input<'_>) -> Result<Decoder, CacheError> {
    // Test both versions on the first two records, each at its own record length.
    input.fill(2 * LENGTH_2)?;
    let window = input.window();
    let all = |length: usize, byte: usize, version: u8| {
        window.len() >= length
            && window
                .chunks_exact(length)
                .take(2)
                .all(|record| record[byte] == version)
    };
    if window.is_empty() {
        Ok(Decoder::Unknown)
    } else if all(LENGTH_2, VERSION_BYTE_2, 2) {
        Ok(Decoder::Version2)
    } else if all(LENGTH_1, VERSION_BYTE_1, 1) {
        Ok(Decoder::Version1)
    } else {
        let found = &window[..window.len().min(VERSION_BYTE_1 + 1)];
        Err(input.fault_at(0, Fault::new("a record of vscsi version 1 or 2", found)))
    }
}

fn check(found: u8, version: u8) -> Result<(), Fault> {
    if found == version {
        return Ok(());
    }
    Err(Fault::described(
        format!("a record of vscsi version {version}"),
        format!("version {found}"),
    ))
}

fn record(length: [u8; 4], block: [u8; 8], microseconds: [u8; 8]) -> Record {
    Record {
        time: u64::from_le_bytes(microseconds) / MICROSECONDS,
        size: u32::from_le_bytes(length),
        ..Record::from_id(u64::from_le_bytes(block))
    }
}

/// Writes read commands in version 1.
pub(super) fn encode(trace: &Trace, sink: &mut dyn Write) -> Result<(), CacheError> {
    const READ_10: u16 = 0x28;
    const VERSION_1: u16 = 1 << 8;
    for index in 0..trace.len() {
        let record = trace.record_at(index);
        let limit = u64::MAX / MICROSECONDS;
        let microseconds = (record.time <= limit)
            .then(|| record.time * MICROSECONDS)
            .ok_or_else(|| does_not_fit("vscsi", index, "time", record.time, limit))?;
        let mut bytes = [0; LENGTH_1];
        bytes[..4].copy_from_slice(&(index as u32).to_le_bytes());
        bytes[4..8].copy_from_slice(&record.size.to_le_bytes());
        bytes[8..12].copy_from_slice(&1_u32.to_le_bytes());
        bytes[12..14].copy_from_slice(&READ_10.to_le_bytes());
        bytes[14..16].copy_from_slice(&VERSION_1.to_le_bytes());
        bytes[16..24].copy_from_slice(&record.id.to_le_bytes());
        bytes[24..].copy_from_slice(&microseconds.to_le_bytes());
        sink.write_all(&bytes)?;
    }
    Ok(())
}
