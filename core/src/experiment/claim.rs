//! Stating a claim and handing in its measurement.

use super::Context;
use crate::report::{Claim, Estimate, Expected, Scale, Verdict};

/// A claim that is being stated; [`measured`](Self::measured) judges and records it.
///
/// A claim needs a [`scale`](Self::scale) and an [`expect`](Self::expect).
#[derive(Debug)]
#[must_use = "a claim is recorded by `measured` or `skipped`"]
pub struct ClaimBuilder<'a> {
    context: &'a mut Context,
    claim: Claim,
}

impl<'a> ClaimBuilder<'a> {
    pub(super) fn new(context: &'a mut Context, id: &str, statement: &str) -> Self {
        let claim = Claim::new(id, statement);
        Self { context, claim }
    }

    /// Where the paper says it: a section, table, figure or equation.
    pub fn paper_ref(mut self, place: impl Into<String>) -> Self {
        self.claim.paper_ref = Some(place.into());
        self
    }

    /// How near the setting is to the paper's.
    pub fn scale(mut self, scale: Scale) -> Self {
        self.claim.scale = Some(scale);
        self
    }

    /// The values that reproduce the claim.
    pub fn expect(mut self, expected: Expected) -> Self {
        self.claim.expected = Some(expected);
        self
    }

    /// Where the expected values come from, when it is not the paper itself.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.claim.source = Some(source.into());
        self
    }

    /// Why the tolerance is this wide.
    pub fn tolerance_because(mut self, reason: impl Into<String>) -> Self {
        self.claim.tolerance_because = Some(reason.into());
        self
    }

    /// The value that the paper (or the source of what is expected) gives, in the unit of the
    /// measurement: reports show it beside the measured one.
    pub fn published(mut self, value: f64) -> Self {
        self.claim.published = Some(value);
        self
    }

    /// The value that a theory gives, in the unit of the measurement, where no source publishes it as
    /// a number: reports show it beside the measured one.
    pub fn theory(mut self, value: f64) -> Self {
        self.claim.theory = Some(value);
        self
    }

    /// The claim measures what the abstract claims: the report opens with it. Two to four claims of a
    /// paper are enough.
    pub fn headline(mut self) -> Self {
        self.claim.headline = true;
        self
    }

    /// Judges the measurement and records the claim. A claim that lacks a scale or an expectation
    /// is a fault of the experiment, and ends the run with an error.
    pub fn measured(self, measured: Estimate) -> Verdict {
        let Self { context, mut claim } = self;
        // A claim without bounds or scale is recorded, too: the run computes everything before it
        // ends with the fault.
        match (claim.expected, claim.scale) {
            (Some(expected), Some(_)) if expected.is_valid() => {
                (claim.verdict, claim.reason) = expected.judge(&measured);
            }
            (Some(_), Some(_)) => {
                context.fault(format!("the claim {} has invalid bounds", claim.id));
            }
            (None, _) => context.fault(format!("the claim {} expects nothing", claim.id)),
            (_, None) => context.fault(format!("the claim {} has no scale", claim.id)),
        }
        claim.measured = Some(measured);
        let verdict = claim.verdict;
        context.record(claim);
        verdict
    }

    /// Records the claim as one that cannot be measured here, with the reason and how to get what it
    /// lacks.
    pub fn skipped(self, why: &str, how_to_get_it: &str) {
        let Self { context, mut claim } = self;
        claim.verdict = Verdict::Skipped;
        claim.reason = Some(why.to_owned());
        claim.how_to_get = Some(how_to_get_it.to_owned());
        context.record(claim);
    }
}
