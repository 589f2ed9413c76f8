//! Flows as records of 13 bytes.

use septet_core::io::{Position, PositionedReader};

use super::failure::Failure;
use super::{Decode, Record};
use crate::any_key::AnyKey;
use crate::key::FlowKey;

/// One flow after another.
pub(super) struct Flows<'a>(pub(super) PositionedReader<'a>);

impl Decode for Flows<'_> {
    fn next(&mut self) -> Result<Option<Record>, Failure> {
        let offset = self.0.offset();
        let mut bytes = [0; 13];
        match self.0.read_full(&mut bytes)? {
            0 => Ok(None),
            13 => Ok(Some(Record::one(AnyKey::Flow(FlowKey::from_bytes(&bytes))))),
            short => Err(Failure::at(
                Position::Byte(offset),
                "a flow of 13 bytes",
                format!("the end after {short} of them"),
            )),
        }
    }
}
