//! Streams of reports with the names of their clients.
//!
//! An envelope is the length of the name, the name, the length of the report, and the report.

use alloc::vec::Vec;

#[cfg(feature = "std")]
use super::read::{Fault, Reader};
use super::write;
#[cfg(feature = "std")]
use crate::error::RobustStatsError;

/// Appends an envelope of a client name and a report.
pub fn write_envelope(out: &mut Vec<u8>, client: &[u8], report: &[u8]) {
    for part in [client, report] {
        write::number(out, part.len() as u64);
        out.extend(part);
    }
}

/// An iterator over the envelopes of a byte stream: client names and unparsed reports.
///
/// It ends after an error, because the start of the next envelope is unknown.
#[cfg(feature = "std")]
#[derive(Debug)]
pub struct Envelopes<'a> {
    reader: Option<Reader<'a>>,
}

#[cfg(feature = "std")]
impl<'a> Envelopes<'a> {
    /// The envelopes of these bytes.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            reader: Some(Reader::new(bytes)),
        }
    }
}

#[cfg(feature = "std")]
impl<'a> Iterator for Envelopes<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), RobustStatsError>;

    fn next(&mut self) -> Option<Self::Item> {
        let reader = self.reader.as_mut().filter(|reader| reader.left() > 0)?;
        let mut part = || {
            let length = reader.number()?;
            reader.take(usize::try_from(length).unwrap_or(usize::MAX))
        };
        let read = part().and_then(|client| Ok((client, part()?)));
        // The stream cannot be resynchronized.
        if read.is_err() {
            self.reader = None;
        }
        Some(read.map_err(|fault: Fault| fault.error("envelopes")))
    }
}
