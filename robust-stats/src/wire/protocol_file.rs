//! The file of a protocol, with what the server knows about it.

use super::read::{Fault, Reader};
use super::{KIND_PROTOCOL_FILE, Protocol, VERSION, write};
use crate::aggregate::RejectReason;
use crate::design::Certificate;
use crate::error::RobustStatsError;
use crate::labels::Labels;

// The bits of the optional sections, which follow the protocol in this order.
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
        let certificate = self.certificate.map_or(0, |_| SECTION_CERTIFICATE);
        let labels = self.labels.as_ref().map_or(0, |_| SECTION_LABELS);
        let mut out = vec![VERSION, KIND_PROTOCOL_FILE, certificate | labels];
        self.protocol.write(&mut out);
        if let Some(Certificate { kept }) = self.certificate {
            out.extend(kept.to_bits().to_le_bytes());
        }
        if let Some(labels) = &self.labels {
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
        // Any other kind is an error of a protocol.
        if bytes.get(1) != Some(&KIND_PROTOCOL_FILE) {
            return Ok(Self {
                protocol: Protocol::from_bytes(bytes)?,
                certificate: None,
                labels: None,
            });
        }
        let mut reader = Reader::new(bytes);
        let file = Self::read(&mut reader).map_err(|fault| fault.error("protocol file"))?;
        file.check()?;
        Ok(file)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        reader.header(KIND_PROTOCOL_FILE)?;
        let sections = reader.byte()?;
        if sections & !(SECTION_CERTIFICATE | SECTION_LABELS) != 0 {
            return Err(reader.fault(RejectReason::Malformed, "known sections", sections));
        }
        let protocol = Protocol::read(reader)?;
        let certificate = if sections & SECTION_CERTIFICATE == 0 {
            None
        } else {
            let kept = f64::from_bits(u64::from_le_bytes(reader.array()?));
            Some(Certificate { kept })
        };
        let labels = if sections & SECTION_LABELS == 0 {
            None
        } else {
            Some(read_labels(reader)?)
        };
        reader.end()?;
        Ok(Self {
            protocol,
            certificate,
            labels,
        })
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
