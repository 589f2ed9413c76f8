//! The axes of a figure: from values to places, and round numbers to label.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use crate::report::claim::Short;

/// An axis: linear or logarithmic, wide enough for all of its values.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    logarithmic: bool,
    /// The lowest and the highest place: values, or their decimal logarithms.
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

impl Axis {
    /// An axis for these values, with at most about `max_labels` labels. Values that have no place on
    /// it are left out.
    pub(super) fn new(
        values: impl Iterator<Item = f64>,
        logarithmic: bool,
        max_labels: usize,
    ) -> Self {
        let mut axis = Self {
            logarithmic,
            low: f64::INFINITY,
            high: f64::NEG_INFINITY,
            ticks: Vec::new(),
        };
        // From the lowest to the highest place of all values.
        for value in values {
            if let Some(place) = axis.place(value) {
                axis.low = axis.low.min(place);
                axis.high = axis.high.max(place);
            }
        }
        // Without values any axis will do.
        if axis.low > axis.high {
            (axis.low, axis.high) = (0.0, 1.0);
        }
        let extent = axis.high - axis.low;
        // Values that differ in their last bits only are one value on paper.
        let size = axis.low.abs().max(axis.high.abs()).max(1e-290);
        let margin = match extent > 1e-12 * size {
            true => 0.04 * extent,
            false if logarithmic => 0.5,
            false => axis.low.abs().max(1.0) * 0.1,
        };
        axis.low -= margin;
        axis.high += margin;
        axis.ticks = if logarithmic {
            logarithmic_ticks(axis.low, axis.high, max_labels)
        } else {
            linear_ticks(axis.low, axis.high, max_labels)
        };
        axis
    }

    /// The place of a value; `None` when it has none.
    fn place(&self, value: f64) -> Option<f64> {
        let place = if self.logarithmic {
            value.log10()
        } else {
            value
        };
        // Beyond this the extent of an axis would overflow.
        (place.abs() < 1e300).then_some(place)
    }

    /// The value at a place.
    fn value(&self, place: f64) -> f64 {
        if self.logarithmic {
            10.0_f64.powf(place)
        } else {
            place
        }
    }

    /// Whether a value has a place on the axis.
    pub(super) fn holds(&self, value: f64) -> bool {
        self.place(value).is_some()
    }

    /// The labels.
    pub(super) fn labels(&self) -> impl Iterator<Item = String> {
        self.ticks.iter().map(|&place| self.label(place))
    }

    fn label(&self, place: f64) -> String {
        if !self.logarithmic {
            return Short(place).to_string();
        }
        let exponent = place.round();
        if (place - exponent).abs() < 1e-9 && !(-3.0..=4.0).contains(&exponent) {
            return format!("10{}", superscript(exponent as i32));
        }
        // Back from the logarithm the number is no longer round: a tick has one digit.
        let unit = 10.0_f64.powf((place + 1e-9).floor());
        Short((self.value(place) / unit).round() * unit).to_string()
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (start, end): (i32, i32)) -> i32 {
        let share = self
            .place(*value)
            .map_or(0.0, |place| (place - self.low) / (self.high - self.low));
        start + (share * f64::from(end - start)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // Every point is a bold one; between them there are none.
        if hint.weight().allow_light_points() {
            return Vec::new();
        }
        self.ticks.iter().map(|&place| self.value(place)).collect()
    }

    fn range(&self) -> Range<f64> {
        self.value(self.low)..self.value(self.high)
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        self.place(*value)
            .map_or_else(String::new, |place| self.label(place))
    }
}

/// Multiples of 1, 2 or 5 times a power of ten, at most `max` of them.
fn linear_ticks(low: f64, high: f64, max: usize) -> Vec<f64> {
    // The smallest round step with few enough multiples, searched upward from the power of ten
    // below the ideal step.
    let mut power = 10.0_f64.powf(((high - low) / max as f64).log10().floor());
    loop {
        for factor in [1.0, 2.0, 5.0] {
            let step = factor * power;
            let (first, last) = ((low / step).ceil(), (high / step).floor());
            let count = last - first + 1.0;
            if count <= max as f64 {
                let multiples = 0..count.max(0.0) as usize;
                return multiples
                    .map(|index| (first + index as f64) * step)
                    .collect();
            }
        }
        power *= 10.0;
    }
}

/// Powers of ten, thinned out to at most `max`; when there are less than three, also twice and
/// five times those.
fn logarithmic_ticks(low: f64, high: f64, max: usize) -> Vec<f64> {
    // Three powers of ten or more suffice as labels.
    let (first, last) = (low.ceil() as i64, high.floor() as i64);
    if last - first >= 2 {
        let every = (last - first) as usize / max + 1;
        return (first..=last)
            .step_by(every)
            .map(|power| power as f64)
            .collect();
    }
    // Otherwise multiples of the powers, as few as give three labels.
    let (first, last) = (low.floor() as i64, high.floor() as i64);
    let candidates = |factors: &[f64]| -> Vec<f64> {
        let powers = first..=last;
        powers
            .flat_map(|power| {
                factors
                    .iter()
                    .map(move |factor| power as f64 + factor.log10())
            })
            .filter(|&place| (low..=high).contains(&place))
            .collect()
    };
    let coarse = candidates(&[1.0, 2.0, 5.0]);
    if coarse.len() > 2 {
        return coarse;
    }
    candidates(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0])
}

fn superscript(number: i32) -> String {
    let digit = |c| match c {
        '-' => '⁻',
        '0' => '⁰',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4' => '⁴',
        '5' => '⁵',
        '6' => '⁶',
        '7' => '⁷',
        '8' => '⁸',
        _ => '⁹',
    };
    number.to_string().chars().map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(values: &[f64], logarithmic: bool) -> Vec<String> {
        Axis::new(values.iter().copied(), logarithmic, 6)
            .labels()
            .collect()
    }

    #[test]
    fn linear_labels_are_round() {
        assert_eq!(
            labels(&[0.0, 1.0], false),
            ["0", "0.2", "0.4", "0.6", "0.8", "1"]
        );
        assert_eq!(
            labels(&[1.02, 1.31], false),
            ["1.05", "1.1", "1.15", "1.2", "1.25", "1.3"]
        );
        assert_eq!(
            labels(&[-3.0, 12_000.0], false),
            ["0", "5000", "10\u{2009}000"]
        );
    }

    #[test]
    fn logarithmic_labels_are_powers_of_ten_or_their_simple_multiples() {
        assert_eq!(
            labels(&[0.001, 1e6], true),
            ["0.001", "0.1", "10", "1000", "10⁵"]
        );
        assert_eq!(
            labels(&[1.0, 60.0], true),
            ["1", "2", "5", "10", "20", "50"]
        );
        assert_eq!(labels(&[1.1, 1.9, 0.0, -2.0], true).len(), 0);
    }

    #[test]
    fn odd_values_leave_an_axis() {
        for values in [
            &[][..],
            &[f64::NAN],
            &[5.0],
            &[0.0, 0.0],
            &[f64::INFINITY, 1.0],
            &[5e-324, 1e-323],
            &[-1e308, 1e308],
            &[1.0, 1.0 + f64::EPSILON],
            &[1e15, 1e15 + 1.0],
        ] {
            for logarithmic in [false, true] {
                let axis = Axis::new(values.iter().copied(), logarithmic, 6);
                assert!(axis.low < axis.high, "{values:?}");
            }
        }
    }
}
