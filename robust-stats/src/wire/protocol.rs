//! The byte format of protocols, on which clients and server must agree.

use alloc::vec::Vec;

use sha2::{Digest, Sha256};

#[cfg(feature = "std")]
use super::read::{Fault, Reader};
use super::{KIND_PROTOCOL, VERSION, write};
#[cfg(feature = "std")]
use crate::aggregate::RejectReason;
use crate::design::{DesignParameters, DesignTag};
#[cfg(feature = "std")]
use crate::error::RobustStatsError;
use crate::mechanism::{
    CountMeanSketch, HadamardCountMeanSketch, HadamardResponse, LocalHashing, Mechanism,
    RandomizedResponse, Rappor, SketchShape, SubsetSelection, UnaryEncoding,
};
use crate::parameter::Epsilon;

/// A mechanism with all its parameters, or a hash design.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Protocol {
    /// A hash design, whose groups the server assigns: the robust choice.
    Design(DesignParameters),
    /// Generalized randomized response.
    RandomizedResponse(RandomizedResponse),
    /// Unary encoding, symmetric or optimized.
    UnaryEncoding(UnaryEncoding),
    /// Subset selection.
    SubsetSelection(SubsetSelection),
    /// Local hashing, with all seeds or a family.
    LocalHashing(LocalHashing),
    /// Hadamard response.
    HadamardResponse(HadamardResponse),
    /// The count-mean sketch.
    CountMeanSketch(CountMeanSketch),
    /// The Hadamard count-mean sketch.
    HadamardCountMeanSketch(HadamardCountMeanSketch),
    /// RAPPOR.
    Rappor(Rappor),
}

macro_rules! from_mechanism {
    ($($name:ident),*) => {$(
        impl From<$name> for Protocol {
            fn from(mechanism: $name) -> Self {
                Self::$name(mechanism)
            }
        }
    )*};
}

from_mechanism!(
    RandomizedResponse,
    UnaryEncoding,
    SubsetSelection,
    LocalHashing,
    HadamardResponse,
    CountMeanSketch,
    HadamardCountMeanSketch,
    Rappor
);

impl From<DesignParameters> for Protocol {
    fn from(parameters: DesignParameters) -> Self {
        Self::Design(parameters)
    }
}

impl Protocol {
    /// The tag of reports of this protocol: the first bytes of the id of a design, or of the hash of
    /// the protocol's bytes.
    #[must_use]
    pub fn tag(&self) -> DesignTag {
        if let Self::Design(parameters) = self {
            return parameters.id().tag();
        }
        let hash = Sha256::new()
            .chain_update(b"septet mechanism 1")
            .chain_update(self.to_bytes())
            .finalize();
        let mut tag = [0; 8];
        tag.copy_from_slice(&hash[..8]);
        DesignTag(tag)
    }

    /// Number of symbols; of RAPPOR, whose symbols are strings, 0.
    #[must_use]
    pub fn domain(&self) -> usize {
        match self {
            Self::Design(design) => design.domain(),
            Self::RandomizedResponse(mechanism) => mechanism.domain(),
            Self::UnaryEncoding(mechanism) => mechanism.domain(),
            Self::SubsetSelection(mechanism) => mechanism.domain(),
            Self::LocalHashing(mechanism) => mechanism.domain(),
            Self::HadamardResponse(mechanism) => mechanism.domain(),
            Self::CountMeanSketch(mechanism) => mechanism.domain(),
            Self::HadamardCountMeanSketch(mechanism) => mechanism.domain(),
            Self::Rappor(_) => 0,
        }
    }

    /// Serializes the protocol; equal protocols have equal bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::from([VERSION, KIND_PROTOCOL]);
        self.write(&mut out);
        out
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            // A tag byte, then the parameters of the mechanism; a design without privacy has epsilon 0.
            Self::Design(design) => {
                out.push(0);
                write::number(out, design.domain() as u64);
                write::number(out, design.cells() as u64);
                write::number(out, design.groups() as u64);
                write::number(out, design.epoch());
                let epsilon = design.epsilon().map_or(0.0, Epsilon::get);
                out.extend(epsilon.to_bits().to_le_bytes());
                out.extend(design.seed());
            }
            Self::RandomizedResponse(mechanism) => write_simple(out, 1, mechanism),
            Self::UnaryEncoding(mechanism) => {
                write_simple(out, if mechanism.is_optimized() { 3 } else { 2 }, mechanism);
            }
            Self::SubsetSelection(mechanism) => write_simple(out, 4, mechanism),
            Self::LocalHashing(mechanism) => {
                write_simple(out, 5, mechanism);
                write::number(out, mechanism.family().unwrap_or(0));
            }
            Self::HadamardResponse(mechanism) => {
                write_simple(out, 6, mechanism);
                write::number(out, mechanism.blocks() as u64);
            }
            Self::CountMeanSketch(mechanism) => {
                write_simple(out, 7, mechanism);
                write_shape(out, mechanism.shape());
            }
            Self::HadamardCountMeanSketch(mechanism) => {
                write_simple(out, 8, mechanism);
                write_shape(out, mechanism.shape());
            }
            Self::Rappor(rappor) => {
                out.push(9);
                let (clear, set, replace) = rappor.thresholds();
                for size in [rappor.bits(), rappor.hashes(), rappor.cohorts()] {
                    write::number(out, size as u64);
                }
                out.extend(clear.to_le_bytes());
                out.extend(set.to_le_bytes());
                out.push(replace);
            }
        }
    }

    /// Deserializes the bytes of [`Protocol::to_bytes`].
    ///
    /// # Errors
    ///
    /// When the bytes are truncated or malformed, the protocol is unknown, or a parameter is out of
    /// range, with the offset.
    #[cfg(feature = "std")]
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RobustStatsError> {
        let mut reader = Reader::new(bytes);
        let read = |reader: &mut Reader<'_>| {
            reader.header(KIND_PROTOCOL)?;
            let protocol = Self::read(reader)?;
            reader.end()?;
            Ok(protocol)
        };
        read(&mut reader).map_err(|fault: Fault| fault.error("protocol"))
    }

    #[cfg(feature = "std")]
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let kind = reader.byte()?;
        match kind {
            0 => {
                let sizes = [
                    reader.number_32()?,
                    reader.number_32()?,
                    reader.number_32()?,
                ];
                let [domain, cells, groups] = sizes.map(|size| size as usize);
                let epoch = reader.number_32()?;
                let epsilon = f64::from_bits(u64::from_le_bytes(reader.array()?));
                let seed = reader.array()?;
                // Constructors check the ranges, so a parsed protocol is valid.
                let make = || {
                    let design = DesignParameters::new(domain, cells, seed)?
                        .with_groups(groups)?
                        .with_epoch(epoch);
                    if epsilon.to_bits() == 0 {
                        Ok(design)
                    } else {
                        design.with_epsilon(Epsilon::new(epsilon)?)
                    }
                };
                let design = checked(reader, make())?;
                if design.cells() != cells {
                    let expected = format!("at most {domain} cells");
                    return Err(reader.fault(RejectReason::Malformed, expected, cells));
                }
                Ok(Self::Design(design))
            }
            // All other mechanisms start with domain and epsilon.
            1..=8 => {
                let domain = reader.number_32()? as usize;
                let epsilon = f64::from_bits(u64::from_le_bytes(reader.array()?));
                let epsilon = checked(reader, Epsilon::new(epsilon))?;
                Self::read_mechanism(reader, kind, domain, epsilon)
            }
            // RAPPOR stores its realized thresholds instead of an epsilon.
            9 => {
                let sizes = [
                    reader.number_32()?,
                    reader.number_32()?,
                    reader.number_32()?,
                ];
                let clear = u64::from_le_bytes(reader.array()?);
                let set = u64::from_le_bytes(reader.array()?);
                let replace = reader.byte()?;
                let sizes = sizes.map(|size| size as usize);
                let rappor = Rappor::from_thresholds(sizes, clear, set, replace);
                Ok(Self::Rappor(checked(reader, rappor)?))
            }
            _ => Err(reader.fault(RejectReason::Malformed, "a protocol from 0 to 9", kind)),
        }
    }

    #[cfg(feature = "std")]
    fn read_mechanism(
        reader: &mut Reader<'_>,
        kind: u8,
        domain: usize,
        epsilon: Epsilon,
    ) -> Result<Self, Fault> {
        Ok(match kind {
            1 => checked(reader, RandomizedResponse::new(domain, epsilon))?.into(),
            2 => checked(reader, UnaryEncoding::symmetric(domain, epsilon))?.into(),
            3 => checked(reader, UnaryEncoding::optimized(domain, epsilon))?.into(),
            4 => checked(reader, SubsetSelection::new(domain, epsilon))?.into(),
            5 => {
                let family = reader.number_32()?;
                let hashing = checked(reader, LocalHashing::new(domain, epsilon))?;
                if family == 0 {
                    hashing.into()
                } else {
                    checked(reader, hashing.with_family(family))?.into()
                }
            }
            6 => {
                let blocks = reader.number_32()? as usize;
                // The number of blocks is derived from epsilon or 1; others are malformed.
                let general = checked(reader, HadamardResponse::new(domain, epsilon))?;
                let single = checked(reader, HadamardResponse::one_block(domain, epsilon))?;
                let of_size = [general, single].into_iter().find(|m| m.blocks() == blocks);
                let expected = || format!("1 or {} blocks", general.blocks());
                of_size
                    .ok_or_else(|| reader.fault(RejectReason::Malformed, expected(), blocks))?
                    .into()
            }
            7 => {
                let shape = read_shape(reader, domain)?;
                checked(reader, CountMeanSketch::new(shape, epsilon))?.into()
            }
            _ => {
                let shape = read_shape(reader, domain)?;
                checked(reader, HadamardCountMeanSketch::new(shape, epsilon))?.into()
            }
        })
    }
}

/// Kind, domain and epsilon.
fn write_simple(out: &mut Vec<u8>, kind: u8, mechanism: &impl Mechanism) {
    out.push(kind);
    write::number(out, mechanism.domain() as u64);
    let epsilon = mechanism.epsilon().map_or(0.0, Epsilon::get);
    out.extend(epsilon.to_bits().to_le_bytes());
}

fn write_shape(out: &mut Vec<u8>, shape: &SketchShape) {
    write::number(out, shape.rows() as u64);
    write::number(out, shape.width() as u64);
    out.extend(shape.seed().to_le_bytes());
}

#[cfg(feature = "std")]
fn read_shape(reader: &mut Reader<'_>, domain: usize) -> Result<SketchShape, Fault> {
    let (rows, width) = (reader.number_32()?, reader.number_32()?);
    let seed = u64::from_le_bytes(reader.array()?);
    let shape = SketchShape::new(domain, rows as usize, width as usize, seed);
    checked(reader, shape)
}

/// Turns an error of a parameter into a fault at the current offset.
#[cfg(feature = "std")]
fn checked<T>(reader: &Reader<'_>, made: Result<T, RobustStatsError>) -> Result<T, Fault> {
    made.map_err(|error| match error {
        RobustStatsError::Parameter {
            argument,
            expected,
            found,
        } => reader.fault(
            RejectReason::Range,
            format!("{argument}: {expected}"),
            found,
        ),
        other => reader.fault(RejectReason::Range, "parameters in range", other),
    })
}
