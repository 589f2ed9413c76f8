//! Count-min sketches and count-sketches.
//!
//! Parameters of a count-min sketch: depth (u8), layout (u8: 0 row-major, 1 blocked), update rule
//! (u8: 0 plain, 1 conservative), 0, width (u64); of a count-sketch: depth (u8), three zeros, width
//! (u64). The payload is the counters, row by row, or in the blocked layout line by line.

use super::{Envelope, Kind, Native, Numbers, Options, Parts, SketchError};
use crate::count_min::{CountMin, Counter, Layout, UpdateRule};
use crate::count_sketch::{CountSketch, SignedCounter};
use crate::frequency::FrequencySketch;

impl<C: Counter> Native for CountMin<C> {
    fn to_bytes(&self, options: &Options) -> Result<Vec<u8>, SketchError> {
        let numbers = numbers::<C>(false);
        let raw = options.encoding == super::Encoding::Raw;
        let mut parameters = vec![self.depth() as u8];
        parameters.push(match self.layout() {
            Layout::RowMajor => 0,
            Layout::Blocked => 1,
        });
        parameters.push(match self.update_rule() {
            UpdateRule::Plain => 0,
            UpdateRule::Conservative => 1,
        });
        parameters.push(0);
        parameters.extend((self.width() as u64).to_le_bytes());
        let mut payload = Vec::with_capacity(if raw { self.size_bytes() } else { 0 });
        for cell in self.cells().flatten() {
            numbers.push(&mut payload, raw, cell.get());
        }
        Parts {
            kind: Kind::CountMin,
            element: numbers.size as u8,
            keys: 0,
            saturated: self.saturated(),
            seed: self.seed(),
            total: self.total(),
            parameters,
            payload,
        }
        .to_bytes(options)
    }

    fn from_bytes_with_limit(bytes: &[u8], max_memory: usize) -> Result<Self, SketchError> {
        let mut envelope = Envelope::open(bytes, Kind::CountMin, max_memory)?;
        let numbers = numbers::<C>(false);
        envelope.check_element(numbers.size as u8, C::NAME)?;
        let parameters = &mut envelope.parameters;
        let depth = usize::from(parameters.u8("depth")?);
        let layout = match parameters.u8("layout")? {
            0 => Layout::RowMajor,
            1 => Layout::Blocked,
            other => return Err(parameters.fault_before("layout 0 or 1", other)),
        };
        let rule = match parameters.u8("update rule")? {
            0 => UpdateRule::Plain,
            1 => UpdateRule::Conservative,
            other => return Err(parameters.fault_before("update rule 0 or 1", other)),
        };
        match parameters.u8("a zero")? {
            0 => {}
            other => return Err(parameters.fault_before("a zero", other)),
        }
        let width = parameters.u64("width")?;
        parameters.end()?;
        // The builder checks the parameters; its errors are reported at the parameters' offset.
        let cells = cells(&envelope, numbers, depth, width, max_memory)?;
        let builder = Self::builder()
            .depth(depth)
            .width(width as usize)
            .layout(layout)
            .update_rule(rule)
            .seed(envelope.header.seed);
        // `Numbers::read` has checked that they fit.
        let cells = cells.into_iter().map(C::saturating_from);
        let built = builder.build_from_cells(envelope.header.total, envelope.saturated, cells);
        envelope.checked(built)
    }
}

impl<C: SignedCounter> Native for CountSketch<C> {
    fn to_bytes(&self, options: &Options) -> Result<Vec<u8>, SketchError> {
        let numbers = numbers::<C>(true);
        let raw = options.encoding == super::Encoding::Raw;
        let mut parameters = vec![self.depth() as u8, 0, 0, 0];
        parameters.extend((self.width() as u64).to_le_bytes());
        let mut payload = Vec::with_capacity(if raw { self.size_bytes() } else { 0 });
        for cell in self.cells().flatten() {
            numbers.push(&mut payload, raw, cell.get().cast_unsigned());
        }
        Parts {
            kind: Kind::CountSketch,
            element: numbers.size as u8,
            keys: 0,
            saturated: self.saturated(),
            seed: self.seed(),
            total: self.net_total().cast_unsigned(),
            parameters,
            payload,
        }
        .to_bytes(options)
    }

    fn from_bytes_with_limit(bytes: &[u8], max_memory: usize) -> Result<Self, SketchError> {
        let mut envelope = Envelope::open(bytes, Kind::CountSketch, max_memory)?;
        let numbers = numbers::<C>(true);
        envelope.check_element(numbers.size as u8, C::NAME)?;
        let parameters = &mut envelope.parameters;
        let depth = usize::from(parameters.u8("depth")?);
        let zeros: [u8; 3] = parameters.array("three zeros")?;
        if zeros != [0; 3] {
            return Err(parameters.fault_before("three zeros", zeros[2]));
        }
        let width = parameters.u64("width")?;
        parameters.end()?;
        let cells = cells(&envelope, numbers, depth, width, max_memory)?;
        // The smallest value of the type is not used; see `SignedCounter`.
        let end = C::MAX.cast_unsigned();
        if let Some(cell) = cells
            .iter()
            .find(|cell| cell.cast_signed().unsigned_abs() > end)
        {
            let found = format!("{}", cell.cast_signed());
            return Err(envelope.fault(
                super::HEADER_BYTES,
                "counters above the minimum of the type",
                found,
            ));
        }
        let builder = Self::builder()
            .depth(depth)
            .width(width as usize)
            .seed(envelope.header.seed);
        let total = envelope.header.total.cast_signed();
        let cells = cells
            .into_iter()
            .map(|cell| C::saturating_from(cell.cast_signed()));
        let built = builder.build_from_cells(total, envelope.saturated, cells);
        envelope.checked(built)
    }
}

fn numbers<C>(signed: bool) -> Numbers {
    Numbers {
        size: size_of::<C>(),
        signed,
    }
}

/// Reads the counters if they are within the memory limit.
fn cells(
    envelope: &Envelope<'_>,
    numbers: Numbers,
    depth: usize,
    width: u64,
    max_memory: usize,
) -> Result<Vec<u64>, SketchError> {
    let count = usize::try_from(width)
        .ok()
        .and_then(|width| width.checked_mul(depth));
    // The decoded numbers and the counters of the sketch exist at the same time.
    let needed = count.and_then(|count| count.checked_mul(size_of::<u64>() + numbers.size));
    envelope.check_memory(needed, max_memory)?;
    numbers.read(envelope, count.unwrap_or_default())
}
