//! Apache DataSketches sketches in the native format, which adds the seed, the type of the cells, a
//! checksum and compression. The payload is the DataSketches encoding.

use super::{Envelope, Kind, Native, Options, Parts, SketchError};
use crate::codec::datasketches::{Cell, CellType, CountMin};

impl<C: Cell> Native for CountMin<C> {
    fn to_bytes(&self, options: &Options) -> Result<Vec<u8>, SketchError> {
        let number = self.total_weight().convert::<u64>();
        Parts {
            kind: Kind::DataSketches,
            element: element(C::TYPE),
            keys: 0,
            saturated: false,
            seed: self.seed(),
            total: number.unwrap_or_default(),
            parameters: Vec::new(),
            payload: Self::to_bytes(self),
        }
        .to_bytes(options)
    }

    fn from_bytes_with_limit(bytes: &[u8], memory: usize) -> Result<Self, SketchError> {
        let envelope = Envelope::open(bytes, Kind::DataSketches, memory)?;
        envelope.check_element(element(C::TYPE), &C::TYPE.to_string())?;
        envelope.parameters.end()?;
        Self::from_bytes(&envelope.payload, envelope.header.seed)
            .map_err(|error| envelope.content().inside(0, error))
    }
}

fn element(cells: CellType) -> u8 {
    match cells {
        CellType::F64 => 0,
        CellType::U64 => 1,
        CellType::I64 => 2,
    }
}
