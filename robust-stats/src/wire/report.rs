//! The byte format of reports.

use alloc::vec::Vec;

#[cfg(feature = "std")]
use super::read::{Fault, Reader};
use super::{KIND_DESIGN_REPORT, KIND_VARIABLE_DESIGN_REPORT, VERSION, write};
#[cfg(feature = "std")]
use crate::aggregate::RejectReason;
use crate::design::{DesignReport, DesignTag};
use crate::mechanism::{BitVector, HashedCell, RapporReport, SketchRow, SketchSign};

/// The fields of a report. The trait is sealed: only the reports of this crate have a format.
pub trait WireReport: Sized + fields::Fields {}

mod fields {
    use super::Vec;
    #[cfg(feature = "std")]
    use super::{Fault, Reader};

    /// Serialization of the fields.
    pub trait Fields: Sized {
        /// The kind of the report.
        const KIND: u8;
        /// Serializes the fields.
        fn write(&self, out: &mut Vec<u8>);
        /// Deserializes the fields.
        #[cfg(feature = "std")]
        fn read(reader: &mut Reader<'_>) -> Result<Self, Fault>;
    }
}

use fields::Fields;

/// Serializes a report: 10 bytes plus its fields.
#[must_use]
pub fn write_report<T: WireReport>(tag: DesignTag, report: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(16);
    out.extend([VERSION, T::KIND]);
    out.extend(tag.0);
    report.write(&mut out);
    out
}

/// Deserializes a report of the protocol with this tag.
///
/// # Errors
///
/// `Truncated`, `Version`, `Malformed`, `Design`, or `Range` for integers of more than 32 bits. The
/// aggregate checks the ranges of the fields.
#[cfg(feature = "std")]
pub fn read_report<T: WireReport>(tag: DesignTag, bytes: &[u8]) -> Result<T, RejectReason> {
    let mut reader = Reader::new(bytes);
    let read = |reader: &mut Reader<'_>| {
        reader.header(T::KIND)?;
        let found = DesignTag(reader.array()?);
        let report = T::read(reader)?;
        reader.end()?;
        Ok::<_, Fault>((found, report))
    };
    // The format is checked before the tag, so that malformed bytes are reported as such.
    let (found, report) = read(&mut reader).map_err(|fault| fault.reason)?;
    if found == tag {
        Ok(report)
    } else {
        Err(RejectReason::Design)
    }
}

/// Serializes a report of a hash design: 14 bytes in an epoch below 128 for designs of up to 128 groups.
/// The length is independent of the cell: whoever sees encrypted reports of a design without privacy
/// learns nothing about it.
#[must_use]
pub fn write_design_report(report: &DesignReport) -> Vec<u8> {
    let mut out = Vec::with_capacity(16);
    // No design has more than 2^16 cells; a report of another one keeps its cell by the other kind.
    let cell = u16::try_from(report.cell);
    let kind = cell.map_or(KIND_VARIABLE_DESIGN_REPORT, |_| KIND_DESIGN_REPORT);
    out.extend([VERSION, kind]);
    out.extend(report.design.0);
    write::number(&mut out, report.epoch);
    write::number(&mut out, report.group);
    match cell {
        Ok(cell) => out.extend(cell.to_le_bytes()),
        Err(_) => write::number(&mut out, report.cell),
    }
    out
}

/// Deserializes a report of a hash design, also of the kind whose cell has a variable length. The
/// aggregator checks that it belongs to its design.
///
/// # Errors
///
/// `Truncated`, `Version`, `Malformed`, or `Range` for integers of more than 32 bits.
#[cfg(feature = "std")]
pub fn read_design_report(bytes: &[u8]) -> Result<DesignReport, RejectReason> {
    let mut reader = Reader::new(bytes);
    let read = |reader: &mut Reader<'_>| {
        let kind = reader.header_of([KIND_DESIGN_REPORT, KIND_VARIABLE_DESIGN_REPORT])?;
        let report = DesignReport {
            design: DesignTag(reader.array()?),
            epoch: reader.number_32()?,
            group: reader.number_32()?,
            cell: if kind == KIND_DESIGN_REPORT {
                u16::from_le_bytes(reader.array()?).into()
            } else {
                reader.number_32()?
            },
        };
        reader.end()?;
        Ok::<_, Fault>(report)
    };
    read(&mut reader).map_err(|fault| fault.reason)
}

macro_rules! report {
    ($report:ty, $kind:literal, |$this:ident, $out:ident| $write:block, |$reader:ident| $read:expr) => {
        impl WireReport for $report {}

        impl Fields for $report {
            const KIND: u8 = $kind;

            fn write(&self, $out: &mut Vec<u8>) {
                let $this = self;
                $write
            }

            #[cfg(feature = "std")]
            fn read($reader: &mut Reader<'_>) -> Result<Self, Fault> {
                Ok($read)
            }
        }
    };
}

// A symbol, or a column of a Hadamard matrix.
report!(
    u32,
    2,
    |this, out| { write::number(out, *this) },
    |reader| reader.number_32()?
);
// One bit for each symbol.
report!(
    BitVector,
    3,
    |this, out| { write::bits(out, this) },
    |reader| reader.bits()?
);
// A seed as eight bytes, and a cell.
report!(
    HashedCell,
    4,
    |this, out| {
        out.extend(this.seed.to_le_bytes());
        write::number(out, this.cell);
    },
    |reader| Self {
        seed: u64::from_le_bytes(reader.array()?),
        cell: reader.number_32()?,
    }
);
// A row of a sketch and its bits.
report!(
    SketchRow,
    5,
    |this, out| {
        write::number(out, this.row);
        write::bits(out, &this.bits);
    },
    |reader| Self {
        row: reader.number_32()?,
        bits: reader.bits()?,
    }
);
// A row, and twice the column plus the sign.
report!(
    SketchSign,
    6,
    |this, out| {
        write::number(out, this.row);
        write::number(out, 2 * u64::from(this.column) + u64::from(this.negative));
    },
    |reader| {
        let row = reader.number_32()?;
        let entry = reader.number()?;
        let column = u32::try_from(entry / 2)
            .map_err(|_| reader.fault(RejectReason::Range, "a column below 2^32", entry / 2))?;
        Self {
            row,
            column,
            negative: entry % 2 == 1,
        }
    }
);
// A cohort and a Bloom filter.
report!(
    RapporReport,
    7,
    |this, out| {
        write::number(out, this.cohort);
        write::bits(out, &this.bits);
    },
    |reader| Self {
        cohort: reader.number_32()?,
        bits: reader.bits()?,
    }
);
