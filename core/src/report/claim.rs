//! Claims and verdicts.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::estimate::{Certainty, Estimate};

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
    /// Why the tolerance is this wide.
    pub tolerance_because: Option<String>,
    /// The value that the paper or another source publishes, in the unit of the measured one.
    pub published: Option<f64>,
    /// The value of a theory that is not published as a number.
    pub theory: Option<f64>,
    /// What was measured.
    pub measured: Option<Estimate>,
    /// Whether it measures the abstract's claim: the report opens with it.
    pub headline: bool,
    /// The verdict.
    pub verdict: Verdict,
    /// Why it is known to be contradicted, if it is.
    pub known: Option<String>,
    /// Why it was skipped or is inconclusive, or what is wrong with the list of known
    /// contradictions.
    pub reason: Option<String>,
    /// How to get what a skipped claim lacks.
    pub how_to_get: Option<String>,
}

impl Claim {
    /// A claim about which nothing is known yet.
    pub(crate) fn new(id: &str, statement: &str) -> Self {
        Self {
            id: id.to_owned(),
            statement: statement.to_owned(),
            paper_ref: None,
            scale: None,
            expected: None,
            source: None,
            tolerance_because: None,
            published: None,
            theory: None,
            measured: None,
            headline: false,
            verdict: Verdict::Inconclusive,
            known: None,
            reason: None,
            how_to_get: None,
        }
    }

    /// Whether this is a claim of this project, about something that the paper does not measure.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.scale == Some(Scale::Beyond)
    }

    /// Whether the verdict differs from what the list of known contradictions says.
    #[must_use]
    pub fn is_news(&self) -> bool {
        match self.verdict {
            Verdict::Contradicted => self.known.is_none(),
            Verdict::Reproduced | Verdict::Inconclusive => self.known.is_some(),
            Verdict::Skipped => false,
        }
    }

    /// What is expected, and where that comes from.
    pub(crate) fn expectation(&self) -> Option<String> {
        let bound = self.expected.map(|expected| expected.to_string());
        let origin = self.source.as_ref().or(self.paper_ref.as_ref());
        match (bound, origin) {
            (Some(bound), Some(origin)) => Some(format!("{bound} ({origin})")),
            (Some(bound), None) => Some(bound),
            (None, _) => None,
        }
    }

    /// The published value, or that of theory, beside the measured one, with the difference in percent
    /// where that means something.
    pub(crate) fn show_published(&self) -> Option<String> {
        let (name, published) = match (self.published, self.theory) {
            (Some(value), _) => ("published", value),
            (None, theory) => ("theory", theory?),
        };
        let shown = format!("{name} {}", Short(published));
        let measured = self.measured.as_ref().map(|measured| measured.value);
        Some(match measured {
            Some(measured) if measured.is_finite() && published != 0.0 => {
                let percent = 100.0 * (measured / published - 1.0);
                format!("{shown}, difference {percent:+.2} %")
            }
            _ => shown,
        })
    }
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
    /// The first number, give or take the second.
    Near(f64, f64),
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
    /// The whole interval is within what is expected.
    Reproduced,
    /// The whole interval is outside.
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
        Self::Near(value, tolerance)
    }

    /// The lowest and the highest value that reproduce the claim.
    pub(crate) fn bounds(self) -> (f64, f64) {
        match self {
            Self::Equals(value) => (value, value),
            Self::AtMost(high) => (f64::NEG_INFINITY, high),
            Self::AtLeast(low) => (low, f64::INFINITY),
            Self::Between(low, high) => (low, high),
            Self::Near(value, tolerance) => (value - tolerance, value + tolerance),
        }
    }

    /// Whether the bounds are finite numbers in order.
    pub(crate) fn is_valid(self) -> bool {
        match self {
            Self::Equals(value) | Self::AtMost(value) | Self::AtLeast(value) => value.is_finite(),
            Self::Between(low, high) => low.is_finite() && high.is_finite() && low <= high,
            Self::Near(value, tolerance) => {
                value.is_finite() && tolerance.is_finite() && tolerance >= 0.0
            }
        }
    }

    /// Judges a measurement; what is inconclusive comes with the reason.
    #[must_use]
    pub fn judge(self, measured: &Estimate) -> (Verdict, Option<String>) {
        let inconclusive = |reason: &str| (Verdict::Inconclusive, Some(reason.to_owned()));
        if !measured.value.is_finite() {
            return inconclusive("the measured value is not a finite number");
        }
        let Some((low, high)) = measured.ends() else {
            return inconclusive("a random quantity without an interval settles nothing");
        };
        let (lowest, highest) = self.bounds();
        // A claim on a range is a claim on every replicate: one outside is enough.
        let is_range = matches!(measured.certainty, Certainty::Range { .. });
        if lowest <= low && high <= highest {
            (Verdict::Reproduced, None)
        } else if high < lowest || highest < low || is_range {
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
            Self::Near(value, tolerance) => {
                write!(f, "{} ± {}", Short(*value), Short(*tolerance))
            }
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

    /// A sign of one column, which makes verdicts readable without colors.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Reproduced => "✓",
            Self::Contradicted => "✗",
            Self::Inconclusive => "?",
            Self::Skipped => "–",
        }
    }

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
        // Groups of three from the right; numbers of four digits stay together.
        if place > 0 && (digits.len() - place).is_multiple_of(3) && digits.len() > 4 {
            text.push('\u{2009}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn interval(low: f64, high: f64) -> Estimate {
        Estimate::confidence(f64::midpoint(low, high), (low, high), "t", 5, "runs", "")
    }

    fn verdict(expected: Expected, measured: &Estimate) -> Verdict {
        expected.judge(measured).0
    }

    #[test]
    fn an_interval_is_judged_as_a_whole() {
        use Verdict::{Contradicted, Inconclusive, Reproduced};
        for (expected, low, high, judged) in [
            (Expected::AtMost(1.0), 0.5, 1.0, Reproduced),
            (Expected::AtMost(1.0), 0.5, 1.1, Inconclusive),
            (Expected::AtMost(1.0), 1.1, 1.2, Contradicted),
            (Expected::AtLeast(1.0), 1.0, 2.0, Reproduced),
            (Expected::AtLeast(1.0), 0.9, 2.0, Inconclusive),
            (Expected::AtLeast(1.0), 0.8, 0.9, Contradicted),
            (Expected::Between(1.0, 2.0), 1.0, 2.0, Reproduced),
            (Expected::Between(1.0, 2.0), 0.9, 2.1, Inconclusive),
            (Expected::Between(1.0, 2.0), 2.1, 2.2, Contradicted),
            (Expected::near(1.5, 0.5), 1.0, 2.0, Reproduced),
            (Expected::near(1.5, 0.5), 0.9, 1.5, Inconclusive),
            (Expected::near(1.5, 0.5), 2.1, 2.2, Contradicted),
            (Expected::Equals(1.0), 1.0, 1.0, Reproduced),
            (Expected::Equals(1.0), 0.9, 1.1, Inconclusive),
        ] {
            assert_eq!(
                verdict(expected, &interval(low, high)),
                judged,
                "{expected:?} {low} {high}"
            );
        }
    }

    #[test]
    fn one_replicate_outside_refutes_a_claim_on_every_one() {
        let range = Estimate::range(&[0.80, 0.89], "trainings", "");
        let at_least = Expected::AtLeast(0.859);
        assert_eq!(verdict(at_least, &range), Verdict::Contradicted);
        assert_eq!(verdict(Expected::AtLeast(0.8), &range), Verdict::Reproduced);
    }

    #[test]
    fn one_random_run_settles_nothing() {
        let expected = Expected::AtMost(1.0);
        for measured in [
            Estimate::once(0.0, "runs", ""),
            Estimate::exact(f64::NAN, ""),
            Estimate::confidence(0.0, (0.0, f64::NAN), "t", 5, "runs", ""),
            Estimate::confidence(0.0, (0.5, -0.5), "t", 5, "runs", ""),
        ] {
            let (verdict, reason) = expected.judge(&measured);
            assert_eq!(verdict, Verdict::Inconclusive);
            assert!(reason.is_some());
        }
        assert_eq!(
            verdict(expected, &Estimate::exact(0.0, "")),
            Verdict::Reproduced
        );
    }

    #[test]
    fn only_what_the_list_of_known_contradictions_does_not_say_is_news() {
        use Verdict::{Contradicted, Inconclusive, Reproduced, Skipped};
        let claim = |verdict, known: Option<&str>| Claim {
            verdict,
            known: known.map(str::to_owned),
            ..Claim::new("Q1", "")
        };
        for (verdict, listed, is_news) in [
            (Contradicted, false, true),
            (Contradicted, true, false),
            (Reproduced, false, false),
            (Reproduced, true, true),
            (Inconclusive, false, false),
            (Inconclusive, true, true),
            (Skipped, true, false),
        ] {
            let claim = claim(verdict, listed.then_some("why"));
            assert_eq!(claim.is_news(), is_news, "{verdict:?} {listed}");
        }
    }

    #[test]
    fn numbers_are_written_as_a_person_writes_them() {
        for (number, text) in [
            (33_990.0, "33\u{2009}990"),
            (1_848.0, "1848"),
            (-1e6, "-1\u{2009}000\u{2009}000"),
            (1.29113, "1.2911"),
            (0.5, "0.5"),
            (12_345.678, "12345.7"),
            (0.000_012, "1.200e-5"),
            (0.1 + 0.2, "0.3"),
            (0.0, "0"),
            (1e16, "1.000e16"),
        ] {
            assert_eq!(Short(number).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn a_wider_interval_never_settles_more(
            bound in -2.0_f64..2.0,
            low in -3.0_f64..3.0,
            width in 0.0_f64..2.0,
            wider in 0.0_f64..2.0,
        ) {
            let narrow = interval(low, low + width);
            let wide = interval(low - wider, low + width + wider);
            for expected in [Expected::AtMost(bound), Expected::AtLeast(bound)] {
                let judged = verdict(expected, &wide);
                let settled = judged != Verdict::Inconclusive;
                prop_assert!(!settled || judged == verdict(expected, &narrow));
            }
        }

        #[test]
        fn a_bound_and_its_opposite_disagree(bound in -2.0_f64..2.0, value in -2.0_f64..2.0) {
            prop_assume!(bound != value);
            let measured = Estimate::exact(value, "");
            let at_most = verdict(Expected::AtMost(bound), &measured);
            let at_least = verdict(Expected::AtLeast(bound), &measured);
            prop_assert_ne!(at_most, at_least);
        }
    }
}
