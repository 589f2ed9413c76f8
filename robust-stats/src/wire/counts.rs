//! The byte format of counts: the protocol, then one integer per count.

use super::read::{Fault, Reader};
use super::{KIND_COUNTS, KIND_DESIGN_COUNTS, Protocol, VERSION, write};
use crate::aggregate::{
    Aggregate, CountMatrix, Countable, DesignCounts, RejectCounts, RejectReason, checked_total,
};
use crate::error::RobustStatsError;

/// Serializes the counts of a mechanism.
#[must_use]
pub fn write_counts<M: Countable + Into<Protocol>>(aggregate: &Aggregate<M>) -> Vec<u8> {
    let mut out = vec![VERSION, KIND_COUNTS];
    aggregate.mechanism().clone().into().write(&mut out);
    write::number(&mut out, aggregate.reports());
    write_rejected(&mut out, aggregate.rejected());
    for count in aggregate.counts() {
        write::number(&mut out, count);
    }
    out
}

/// Deserializes the counts of a mechanism.
///
/// # Errors
///
/// When the bytes are truncated or malformed, with the offset, or the counts belong to another
/// protocol.
pub fn read_counts<M: Countable + Into<Protocol>>(
    mechanism: M,
    bytes: &[u8],
) -> Result<Aggregate<M>, RobustStatsError> {
    let mut reader = Reader::new(bytes);
    let slots = mechanism.slots();
    let read = |reader: &mut Reader<'_>| {
        reader.header(KIND_COUNTS)?;
        let protocol = Protocol::read(reader)?;
        let reports = reader.number()?;
        let rejected = read_rejected(reader)?;
        // Another protocol has another number of counts: stop reading, and report the mismatch below.
        if protocol != mechanism.clone().into() {
            return Ok((protocol, reports, rejected, Vec::new()));
        }
        let counts = read_numbers(reader, slots)?;
        reader.end()?;
        Ok((protocol, reports, rejected, counts))
    };
    let (protocol, reports, rejected, counts) =
        read(&mut reader).map_err(|fault: Fault| fault.error("counts"))?;
    let expected: Protocol = mechanism.clone().into();
    if protocol != expected {
        return Err(RobustStatsError::mismatch(
            "protocol",
            format!("{expected:?}"),
            format!("{protocol:?}"),
        ));
    }
    Aggregate::from_counts(mechanism, reports, counts, rejected)
}

/// Serializes the counts of a hash design.
#[must_use]
pub fn write_design_counts(counts: &DesignCounts) -> Vec<u8> {
    let mut out = vec![VERSION, KIND_DESIGN_COUNTS];
    Protocol::from(counts.parameters).write(&mut out);
    write_rejected(&mut out, &counts.rejected);
    for &count in counts.matrix.counts() {
        write::number(&mut out, count);
    }
    out
}

/// Deserializes the counts of any hash design.
///
/// # Errors
///
/// When the bytes are truncated or malformed, with the offset.
pub fn read_design_counts(bytes: &[u8]) -> Result<DesignCounts, RobustStatsError> {
    let mut reader = Reader::new(bytes);
    let read = |reader: &mut Reader<'_>| {
        reader.header(KIND_DESIGN_COUNTS)?;
        let Protocol::Design(parameters) = Protocol::read(reader)? else {
            return Err(reader.fault(RejectReason::Design, "a hash design", "another protocol"));
        };
        let rejected = read_rejected(reader)?;
        let entries = parameters.groups().checked_mul(parameters.cells());
        let counts = read_numbers(reader, entries.unwrap_or(usize::MAX))?;
        reader.end()?;
        Ok((parameters, rejected, counts))
    };
    let (parameters, rejected, counts) =
        read(&mut reader).map_err(|fault: Fault| fault.error("design counts"))?;
    Ok(DesignCounts {
        parameters,
        matrix: CountMatrix::from_counts(parameters.groups(), parameters.cells(), counts)?,
        rejected,
    })
}

fn write_rejected(out: &mut Vec<u8>, rejected: &RejectCounts) {
    for &count in rejected.counts() {
        write::number(out, count);
    }
}

fn read_rejected(reader: &mut Reader<'_>) -> Result<RejectCounts, Fault> {
    let mut counts = [0; RejectReason::ALL.len()];
    for count in &mut counts {
        *count = reader.number()?;
    }
    if let Err(error) = checked_total(&counts) {
        return Err(reader.fault(
            RejectReason::Range,
            "rejected reports with a bounded sum",
            error,
        ));
    }
    Ok(RejectCounts::from_counts(counts))
}

/// Reads `count` integers. Each takes at least a byte, which is checked before allocating.
fn read_numbers(reader: &mut Reader<'_>, count: usize) -> Result<Vec<u64>, Fault> {
    if count > reader.left() {
        let found = format!("{} bytes", reader.left());
        return Err(reader.fault(RejectReason::Truncated, format!("{count} counts"), found));
    }
    (0..count).map(|_| reader.number()).collect()
}
