//! Claims and verdicts.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::estimate::Estimate;

/// A statement of a paper, what it lets expect, what was measured, and the verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// The name on the command line, such as `Q1.opt-bk`.
    pub id: String,
    /// The statement, in one sentence.
    pub statement: String,
    /// Where the paper says it: a section, table, figure or equation.
    pub paper_ref: Option<String>,
    /// How near the setting is to the paper's; `None` for a claim that was skipped.
    pub scale: Option<Scale>,
    /// The values that reproduce the claim.
    pub expected: Option<Expected>,
    /// Where the expected values come from.
    pub source: Option<String>,
    /// Why the expected values leave the room that they leave.
    pub tolerance_because: Option<String>,
    /// What was measured.
    pub measured: Option<Estimate>,
    /// Whether the run fails when the claim is not reproduced.
    pub required: bool,
    /// The verdict.
    pub verdict: Verdict,
    /// Why it was skipped or is inconclusive.
    pub reason: Option<String>,
    /// How to get what a skipped claim lacks.
    pub how_to_get: Option<String>,
}

/// The values of a quantity that reproduce a claim. Ends belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// This number exactly; for counts.
    Equals(f64),
    /// This number or less.
    AtMost(f64),
    /// This number or more.
    AtLeast(f64),
    /// From the first to the second number.
    Between(f64, f64),
}

/// How near the setting of a measurement is to the paper's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// The paper's own data and sizes.
    Original,
    /// The same mechanism on smaller or generated data.
    Scaled,
    /// A simulation of hardware or of a network that is not here.
    Simulated,
    /// A computation from a formula, without a run.
    Analytic,
    /// Something the paper does not measure.
    Beyond,
}

/// What a measurement says about a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The whole interval lies in what is expected.
    Reproduced,
    /// The whole interval lies outside.
    Contradicted,
    /// The interval straddles the bound, or there is none.
    Inconclusive,
    /// Not measured, with a reason.
    Skipped,
}

impl Expected {
    /// From `value - tolerance` to `value + tolerance`.
    #[must_use]
    pub fn near(value: f64, tolerance: f64) -> Self {
        Self::Between(value - tolerance, value + tolerance)
    }

    /// The lowest and the highest value that reproduce the claim.
    pub(crate) fn bounds(self) -> (f64, f64) {
        match self {
            Self::Equals(value) => (value, value),
            Self::AtMost(high) => (f64::NEG_INFINITY, high),
            Self::AtLeast(low) => (low, f64::INFINITY),
            Self::Between(low, high) => (low, high),
        }
    }

    /// Whether the bounds are finite numbers in order.
    pub(crate) fn is_valid(self) -> bool {
        match self {
            Self::Equals(value) | Self::AtMost(value) | Self::AtLeast(value) => value.is_finite(),
            Self::Between(low, high) => low.is_finite() && high.is_finite() && low <= high,
        }
    }

    /// Judges a measurement; what is inconclusive comes with the reason.
    #[must_use]
    pub fn judge(self, measured: &Estimate) -> (Verdict, Option<String>) {
        let inconclusive = |reason: &str| (Verdict::Inconclusive, Some(reason.to_owned()));
        if !measured.value.is_finite() {
            return inconclusive("the measured value is not a finite number");
        }
        let (low, high) = match (measured.interval, measured.deterministic) {
            (Some(interval), _) => interval,
            (None, true) => (measured.value, measured.value),
            (None, false) => {
                return inconclusive("a stochastic quantity without an interval settles nothing");
            }
        };
        let (lowest, highest) = self.bounds();
        if lowest <= low && high <= highest {
            (Verdict::Reproduced, None)
        } else if high < lowest || highest < low {
            (Verdict::Contradicted, None)
        } else {
            inconclusive("the interval straddles the bound")
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equals(value) => write!(f, "= {}", Short(*value)),
            Self::AtMost(value) => write!(f, "≤ {}", Short(*value)),
            Self::AtLeast(value) => write!(f, "≥ {}", Short(*value)),
            Self::Between(low, high) => write!(f, "{} to {}", Short(*low), Short(*high)),
        }
    }
}

impl Scale {
    /// The name in reports, in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Scaled => "scaled",
            Self::Simulated => "simulated",
            Self::Analytic => "analytic",
            Self::Beyond => "beyond",
        }
    }
}

impl Verdict {
    /// All verdicts, in the order in which they are counted.
    pub const ALL: [Self; 4] = [
        Self::Reproduced,
        Self::Contradicted,
        Self::Inconclusive,
        Self::Skipped,
    ];

    /// The name in reports, in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reproduced => "reproduced",
            Self::Contradicted => "contradicted",
            Self::Inconclusive => "inconclusive",
            Self::Skipped => "skipped",
        }
    }
}

/// A number as a person writes it: up to five significant digits, thousands of integers grouped by
/// thin spaces, powers of ten only where they are shorter.
pub(crate) struct Short(pub(crate) f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0;
        let size = number.abs();
        if !number.is_finite() {
            write!(f, "{number}")
        } else if number.fract() == 0.0 && size < 1e15 {
            f.write_str(&grouped(number as i64))
        } else if !(1e-4..1e7).contains(&size) {
            write!(f, "{number:.3e}")
        } else {
            // Five significant digits, but at least one behind the point.
            let before_point = size.log10().floor() as i32 + 1;
            let decimals = (5 - before_point).max(1) as usize;
            let text = format!("{number:.decimals$}");
            f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
        }
    }
}

/// An integer with its thousands apart.
pub(crate) fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) && digits.len() > 4 {
            text.push('\u{2009}');
        }
        text.push(digit);
    }
    text
}
