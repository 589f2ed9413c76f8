//! Simulation of sketches with fully random hashes, as the theory and the paper's experiments assume.
//!
//! Each key gets an independent, uniformly distributed position in each row, drawn at random instead
//! of computed by a hash function: one draw per key and row. The count of a key is added at once, so
//! the time does not depend on the length of the stream.

use rand::RngCore;

use crate::error::SketchError;

/// The errors of a simulated sketch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SimulatedError {
    /// `sum f |f - estimate|` over the keys of the sketch. Divided by the length of the whole stream
    /// it is the average absolute frequency error; divided by that of the residual stream, the
    /// residual error.
    pub weighted: f64,
    /// `sum (f - estimate)^2` over the keys of the sketch.
    pub squares: f64,
}

impl SimulatedError {
    fn add(&mut self, count: u64, error: f64) {
        self.weighted += count as f64 * error.abs();
        self.squares += error * error;
    }
}

/// Simulates a count-min sketch (plain update) of keys with these counts.
///
/// # Errors
///
/// [`SketchError::Parameter`] when `depth` is zero or `width` is not from 1 to below 2^32.
pub fn count_min(
    counts: &[u64],
    depth: usize,
    width: usize,
    rng: &mut impl RngCore,
) -> Result<SimulatedError, SketchError> {
    let width = check(depth, width)?;
    let mut positions = vec![0_u32; counts.len()];
    let mut row = vec![0_u64; width as usize];
    let mut excess = vec![u64::MAX; counts.len()];
    // One row at a time: a key's overestimate is the minimum over the rows of what the other keys
    // add to its counter.
    for _ in 0..depth {
        row.fill(0);
        for (position, &count) in positions.iter_mut().zip(counts) {
            *position = uniform(rng.next_u32(), width);
            let cell = &mut row[*position as usize];
            *cell = cell.saturating_add(count);
        }
        for ((position, excess), count) in positions.iter().zip(&mut excess).zip(counts) {
            *excess = (*excess).min(row[*position as usize] - count);
        }
    }
    let mut error = SimulatedError::default();
    for (&count, &excess) in counts.iter().zip(&excess) {
        error.add(count, excess as f64);
    }
    Ok(error)
}

/// Simulates a count-sketch of keys with these counts. The estimate is the median of the rows, for an
/// even depth the mean of the middle two.
///
/// # Errors
///
/// As [`count_min`].
pub fn count_sketch(
    counts: &[u64],
    depth: usize,
    width: usize,
    rng: &mut impl RngCore,
) -> Result<SimulatedError, SketchError> {
    let width = check(depth, width)?;
    let mut draws = vec![0_u64; counts.len()];
    let mut row = vec![0_i64; width as usize];
    let mut errors = vec![0_i64; counts.len() * depth];
    // One row at a time; the errors of a key in all rows are kept side by side for the median.
    for index in 0..depth {
        row.fill(0);
        for (draw, &count) in draws.iter_mut().zip(counts) {
            *draw = rng.next_u64();
            let (position, sign) = signed_position(*draw, width);
            row[position] += sign * count as i64;
        }
        for (key, (&draw, &count)) in draws.iter().zip(counts).enumerate() {
            let (position, sign) = signed_position(draw, width);
            errors[key * depth + index] = sign * row[position] - count as i64;
        }
    }
    let mut error = SimulatedError::default();
    for (errors, &count) in errors.chunks_exact_mut(depth).zip(counts) {
        errors.sort_unstable();
        let middle = errors[depth / 2];
        error.add(
            count,
            if depth % 2 == 1 {
                middle as f64
            } else {
                (errors[depth / 2 - 1] + middle) as f64 / 2.0
            },
        );
    }
    Ok(error)
}

/// A position in a row from 32 random bits, without a division; the bias is below `width / 2^32`.
fn uniform(draw: u32, width: u32) -> u32 {
    ((u64::from(draw) * u64::from(width)) >> 32) as u32
}

/// A position from the upper half of a draw, and a sign from its last bit.
fn signed_position(draw: u64, width: u32) -> (usize, i64) {
    let sign = if draw & 1 == 0 { 1 } else { -1 };
    (uniform((draw >> 32) as u32, width) as usize, sign)
}

fn check(depth: usize, width: usize) -> Result<u32, SketchError> {
    if depth == 0 {
        return Err(SketchError::parameter("depth", "at least 1", depth));
    }
    match u32::try_from(width) {
        Ok(width) if width > 0 => Ok(width),
        _ => Err(SketchError::parameter("width", "1 to 4294967295", width)),
    }
}

#[cfg(test)]
mod tests {
    use septet_core::seed::SeedTree;

    use super::*;

    #[test]
    fn one_counter_holds_all() {
        let mut rng = SeedTree::new(1).rng();
        let error = count_min(&[3, 5], 4, 1, &mut rng).unwrap();
        assert_eq!(error.weighted, 3.0 * 5.0 + 5.0 * 3.0);
        assert_eq!(error.squares, 34.0);
    }

    #[test]
    fn wide_sketches_are_exact() {
        let mut rng = SeedTree::new(1).rng();
        let counts = [7; 20];
        assert_eq!(
            count_min(&counts, 4, 1 << 20, &mut rng).unwrap().weighted,
            0.0
        );
        assert_eq!(
            count_sketch(&counts, 3, 1 << 20, &mut rng)
                .unwrap()
                .weighted,
            0.0
        );
    }

    #[test]
    fn parameters_are_checked() {
        let mut rng = SeedTree::new(1).rng();
        assert!(count_min(&[1], 0, 10, &mut rng).is_err());
        assert!(count_min(&[1], 1, 0, &mut rng).is_err());
        assert!(count_sketch(&[1], 1, 1 << 32, &mut rng).is_err());
        assert_eq!(
            count_min(&[], 2, 10, &mut rng).unwrap(),
            SimulatedError::default()
        );
    }
}
