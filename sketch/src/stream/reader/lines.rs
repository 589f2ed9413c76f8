//! A key a line.

use super::input::{Failure, Input, decimal, shown};
use super::{Decode, Record};
use crate::any_key::AnyKey;

/// A stream without records.
pub(super) struct Nothing;

impl Decode for Nothing {
    fn next(&mut self) -> Result<Option<Record>, Failure> {
        Ok(None)
    }
}

/// Lines as they are.
pub(super) struct Lines<'a>(pub(super) Input<'a>);

impl Decode for Lines<'_> {
    fn next(&mut self) -> Result<Option<Record>, Failure> {
        let line = self.0.line()?;
        Ok(line.map(|(line, _)| Record::one(AnyKey::Bytes(line.to_vec()))))
    }
}

/// Decimal numbers.
pub(super) struct Integers<'a>(pub(super) Input<'a>);

impl Decode for Integers<'_> {
    fn next(&mut self) -> Result<Option<Record>, Failure> {
        while let Some((line, location)) = self.0.line()? {
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            let integer = decimal(line).ok_or_else(|| {
                Failure::at(location, "an integer from 0 below 2^64", shown(line))
            })?;
            return Ok(Some(Record::one(AnyKey::Integer(integer))));
        }
        Ok(None)
    }
}
