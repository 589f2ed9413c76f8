//! Counts as bytes: the protocol, and one integer for each count.

use super::read::{Fault, Reader};
use super::{KIND_COUNTS, KIND_DESIGN_COUNTS, Protocol, VERSION, write};
use crate::aggregate::{
    Aggregate, CountMatrix, Countable, DesignCounts, Reject, RejectStatistics, checked_total,
};
use crate::error::RobustStatsError;

/// The counts of a mechanism as bytes.
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

/// Reads the counts of a mechanism.
///
/// # Errors
///
/// When the bytes are cut off or wrong, with the place, or the counts belong to another protocol.
pub fn read_counts<M: Countable + Into<Protocol>>(
    mechanism: M,
    bytes: &[u8],
) -> Result<Aggregate<M>, RobustStatsError> {
    let mut reader = Reader::new(bytes);
    let slots = mechanism.slots();
    let read = |reader: &mut Reader<'_>| {
        reader.head(KIND_COUNTS)?;
        let protocol = Protocol::read(reader)?;
        let reports = reader.number()?;
        let rejected = read_rejected(reader)?;
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

/// The counts of a hash design as bytes.
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

/// Reads the counts of a hash design, whichever it is.
///
/// # Errors
///
/// When the bytes are cut off or wrong, with the place.
pub fn read_design_counts(bytes: &[u8]) -> Result<DesignCounts, RobustStatsError> {
    let mut reader = Reader::new(bytes);
    let read = |reader: &mut Reader<'_>| {
        reader.head(KIND_DESIGN_COUNTS)?;
        let Protocol::Design(parameters) = Protocol::read(reader)? else {
            return Err(reader.fault(Reject::Design, "a hash design", "another protocol"));
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

fn write_rejected(out: &mut Vec<u8>, rejected: &RejectStatistics) {
    for &count in rejected.counts() {
        write::number(out, count);
    }
}

fn read_rejected(reader: &mut Reader<'_>) -> Result<RejectStatistics, Fault> {
    let mut counts = [0; Reject::ALL.len()];
    for count in &mut counts {
        *count = reader.number()?;
    }
    if let Err(error) = checked_total(&counts) {
        return Err(reader.fault(Reject::Range, "fewer rejected reports", error));
    }
    Ok(RejectStatistics::from_counts(counts))
}

/// As many numbers, each of which takes a byte at least: memory is asked for once they can be there.
fn read_numbers(reader: &mut Reader<'_>, count: usize) -> Result<Vec<u64>, Fault> {
    if count > reader.left() {
        let found = format!("{} bytes", reader.left());
        return Err(reader.fault(Reject::Truncated, format!("{count} counts"), found));
    }
    (0..count).map(|_| reader.number()).collect()
}
