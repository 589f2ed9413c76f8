//! The file of a protocol, with what the server knows about it.

use super::read::{Fault, Reader};
use super::{KIND_PROTOCOL, Protocol, write};
use crate::aggregate::RejectReason;
use crate::design::Certificate;
use crate::error::RobustStatsError;
use crate::labels::Labels;

// The optional sections after a protocol, in this order.
const SECTION_CERTIFICATE: u8 = 1;
const SECTION_LABELS: u8 = 2;

/// A protocol with the certificate of its design and the names of its symbols. Neither changes reports
/// or their tag.
#[derive(Clone, Debug, PartialEq)]
pub struct ProtocolFile {
    /// The protocol.
    pub protocol: Protocol,
    /// What the hash design provably keeps, as computed when it was drawn.
    pub certificate: Option<Certificate>,
    /// The names of the symbols.
    pub labels: Option<Labels>,
}

impl ProtocolFile {
    /// Serializes the protocol, and the sections that are present.
    ///
    /// # Errors
    ///
    /// When the number of labels is not that of the symbols, or a certificate belongs to a protocol that
    /// is no hash design, or is no fraction.
    pub fn to_bytes(&self) -> Result<Vec<u8>, RobustStatsError> {
        self.check()?;
        let mut out = self.protocol.to_bytes();
        if let Some(Certificate { kept }) = self.certificate {
            out.push(SECTION_CERTIFICATE);
            out.extend(kept.to_bits().to_le_bytes());
        }
        if let Some(labels) = &self.labels {
            out.push(SECTION_LABELS);
            write::number(&mut out, labels.names().len() as u64);
            for name in labels.names() {
                write::number(&mut out, name.len() as u64);
                out.extend(name.as_bytes());
            }
        }
        Ok(out)
    }

    /// Deserializes the bytes of [`to_bytes`](Self::to_bytes), or of a [`Protocol`] alone.
    ///
    /// # Errors
    ///
    /// As [`Protocol::from_bytes`], and when a section is malformed or does not match the protocol.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RobustStatsError> {
        let mut reader = Reader::new(bytes);
        let file = Self::read(&mut reader).map_err(|fault| fault.error("protocol"))?;
        file.check()?;
        Ok(file)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        reader.header(KIND_PROTOCOL)?;
        let mut file = Self {
            protocol: Protocol::read(reader)?,
            certificate: None,
            labels: None,
        };
        let mut last = 0;
        while reader.left() > 0 {
            // Every section at most once, in order, so that equal files have equal bytes.
            let section = reader.byte()?;
            if section <= last || section > SECTION_LABELS {
                let expected = format!("a section from {} to {SECTION_LABELS}", last + 1);
                return Err(reader.fault(RejectReason::Malformed, expected, section));
            }
            last = section;
            if section == SECTION_CERTIFICATE {
                let kept = f64::from_bits(u64::from_le_bytes(reader.array()?));
                file.certificate = Some(Certificate { kept });
            } else {
                file.labels = Some(read_labels(reader)?);
            }
        }
        Ok(file)
    }

    fn check(&self) -> Result<(), RobustStatsError> {
        if let Some(labels) = &self.labels {
            let (found, expected) = (labels.names().len(), self.protocol.domain());
            if found != expected {
                let found = format!("{found} labels");
                let expected = format!("{expected} labels");
                return Err(RobustStatsError::parameter("labels", expected, found));
            }
        }
        if let Some(Certificate { kept }) = self.certificate {
            if !(0.0..=1.0).contains(&kept) {
                return Err(RobustStatsError::parameter(
                    "certificate",
                    "a fraction in [0, 1]",
                    kept,
                ));
            }
            if !matches!(self.protocol, Protocol::Design(_)) {
                return Err(RobustStatsError::parameter(
                    "certificate",
                    "a hash design",
                    "another protocol",
                ));
            }
        }
        Ok(())
    }
}

fn read_labels(reader: &mut Reader<'_>) -> Result<Labels, Fault> {
    let count = reader.number()?;
    let mut names = Vec::new();
    for _ in 0..count {
        let length = reader.number_32()? as usize;
        let bytes = reader.take(length)?;
        let name = std::str::from_utf8(bytes)
            .map_err(|error| reader.fault(RejectReason::Malformed, "UTF-8", error))?;
        names.push(name.to_owned());
    }
    Labels::new(names).map_err(|error| reader.fault(RejectReason::Malformed, "labels", error))
}
