//! The claims of a report as a table for a terminal.

use std::io::{self, Write};

use comfy_table::{Cell, ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::claim::{Claim, Short, Verdict};
use super::estimate::Estimate;

impl Claim {
    /// What is expected, and below it where that comes from.
    pub(crate) fn expectation(&self) -> String {
        let bound = self.expected.map(|expected| expected.to_string());
        let origin = self.source.as_ref().or(self.paper_ref.as_ref());
        match (bound, origin) {
            (Some(bound), Some(origin)) => format!("{bound}\n({origin})"),
            (Some(bound), None) => bound,
            (None, Some(origin)) => format!("({origin})"),
            (None, None) => "–".to_owned(),
        }
    }
}

impl Estimate {
    /// The value with its unit.
    pub(crate) fn show_value(&self) -> String {
        format!("{} {}", Short(self.value), self.unit)
            .trim_end()
            .to_owned()
    }

    /// The interval and the number of samples, or why there are none.
    pub(crate) fn show_confidence(&self) -> String {
        match self.interval {
            Some((low, high)) => format!(
                "[{}, {}], n\u{a0}=\u{a0}{}",
                Short(low),
                Short(high),
                self.n
            ),
            None if self.deterministic => "exact".to_owned(),
            None => format!("no interval, n\u{a0}=\u{a0}{}", self.n),
        }
    }
}

/// Writes the claims as a table of this width, and below it why claims are skipped or
/// inconclusive.
pub(crate) fn write_claims(out: &mut dyn Write, claims: &[Claim], width: u16) -> io::Result<()> {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width)
        .set_header([
            "id",
            "statement",
            "expected (source)",
            "measured (interval, n)",
            "scale",
            "verdict",
        ]);
    for claim in claims {
        let measured = claim.measured.as_ref().map_or_else(
            || "–".to_owned(),
            |estimate| {
                format!(
                    "{}\n({})",
                    estimate.show_value(),
                    estimate.show_confidence()
                )
            },
        );
        table.add_row([
            Cell::new(&claim.id),
            Cell::new(&claim.statement),
            Cell::new(claim.expectation()),
            Cell::new(measured),
            Cell::new(claim.scale.map_or("–", |scale| scale.name())),
            Cell::new(claim.verdict.name()),
        ]);
    }
    // Names and verdicts are what a reader searches for: they are not broken.
    for unbroken in [0, 4, 5] {
        if let Some(column) = table.column_mut(unbroken) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    // Narrower columns would break numbers and words.
    for (column, least) in [(1, 16), (2, 13), (3, 15)] {
        if let Some(column) = table.column_mut(column) {
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
        }
    }
    writeln!(out, "{table}")?;
    for claim in claims {
        let Some(reason) = &claim.reason else {
            continue;
        };
        write!(out, "{} {}: {reason}", claim.id, claim.verdict.name())?;
        match &claim.how_to_get {
            Some(how) if claim.verdict == Verdict::Skipped => writeln!(out, "; to get it: {how}")?,
            _ => writeln!(out)?,
        }
    }
    Ok(())
}
