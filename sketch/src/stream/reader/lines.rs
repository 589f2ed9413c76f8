//! One key per line.

use septet_core::io::PositionedReader;

use super::failure::{Failure, decimal};
use super::{Decode, Record};
use crate::any_key::AnyKey;

/// A stream without records.
pub(super) struct Empty;

impl Decode for Empty {
    fn next(&mut self) -> Result<Option<Record>, Failure> {
        Ok(None)
    }
}

/// Lines as they are.
pub(super) struct Lines<'a>(pub(super) PositionedReader<'a>);

impl Decode for Lines<'_> {
    fn next(&mut self) -> Result<Option<Record>, Failure> {
        let line = self.0.read_line()?;
        Ok(line.map(|line| Record::one(AnyKey::Bytes(line.to_vec()))))
    }
}

/// Decimal numbers.
pub(super) struct Integers<'a>(pub(super) PositionedReader<'a>);

impl Decode for Integers<'_> {
    fn next(&mut self) -> Result<Option<Record>, Failure> {
        while let Some(line) = self.0.read_line()? {
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            let Some(integer) = decimal(line) else {
                return Err(self
                    .0
                    .unexpected_line("an integer from 0 below 2^64")
                    .into());
            };
            return Ok(Some(Record::one(AnyKey::Integer(integer))));
        }
        Ok(None)
    }
}
