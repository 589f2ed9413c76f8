//! A report for a terminal: what the paper claims and what came out, then what is not reproduced,
//! then the rest, grouped by the questions that the claims answer.

use std::io::{self, IsTerminal, Write};

use super::Report;
use super::claim::{Claim, Verdict};
use crate::wrap::wrap;

/// How wide a report is when it does not go to a terminal.
const DEFAULT_WIDTH: usize = 80;

/// How a report is laid out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// Columns. No line is longer unless a single word, path, command or address is.
    pub(crate) width: usize,
    /// Whether verdicts are colored.
    pub(crate) color: bool,
}

impl Style {
    /// As wide as the terminal behind standard output, within reason, and colored unless the
    /// environment variable `NO_COLOR` is set.
    pub(crate) fn of_stdout() -> Self {
        let is_terminal = io::stdout().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            width: columns().map_or(DEFAULT_WIDTH, |columns| columns.clamp(60, 110)),
            color: is_terminal && !no_color,
        }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.color {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn verdict(self, verdict: Verdict, text: &str) -> String {
        let code = match verdict {
            Verdict::Reproduced => "32",
            Verdict::Contradicted => "31",
            Verdict::Inconclusive => "33",
            Verdict::Skipped => "2",
        };
        self.paint(code, text)
    }
}

#[cfg(unix)]
fn columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0).then_some(size.ws_col.into())
}

#[cfg(not(unix))]
fn columns() -> Option<usize> {
    None
}

/// Writes the whole report but for the paths of its files.
pub(crate) fn write(out: &mut dyn Write, report: &Report, style: Style) -> io::Result<()> {
    // The claim of the paper and its measurement first: many readers stop there.
    let headline: Vec<&Claim> = report.headline().collect();
    writeln!(out, "{}", style.bold("The paper claims"))?;
    paragraph(out, &report.paper.claim, "  ", style)?;
    if !headline.is_empty() {
        writeln!(out, "\n{}", style.bold("Measured here"))?;
        for claim in headline {
            in_full(out, claim, style)?;
        }
    }

    // What is not reproduced comes next, each in full with the reason.
    let not_reproduced: Vec<&Claim> = report.not_reproduced().collect();
    if !not_reproduced.is_empty() {
        writeln!(out, "\n{}", style.bold("Not reproduced"))?;
        for claim in not_reproduced {
            in_full(out, claim, style)?;
        }
    }
    // Then the rest in short, the paper's claims before this project's own.
    for own in [false, true] {
        let mut is_first = true;
        for (question, claims) in report.grouped(own) {
            let claims: Vec<&&Claim> = claims
                .iter()
                .filter(|claim| claim.verdict == Verdict::Reproduced)
                .collect();
            if claims.is_empty() {
                continue;
            }
            let heading = format!("{} {}", question.id, question.text);
            writeln!(out)?;
            // The heading is printed once, and only when a claim follows.
            if std::mem::take(&mut is_first) {
                let whose = if own {
                    "This project's own claims"
                } else {
                    "The paper's claims"
                };
                writeln!(
                    out,
                    "{}\n",
                    style.bold(&format!("{whose} that are reproduced"))
                )?;
            }
            for line in wrapped(&heading, "", "", style) {
                writeln!(out, "{}", style.bold(&line))?;
            }
            for claim in claims {
                briefly(out, claim, style)?;
            }
        }
    }
    if !report.paper.limits.is_empty() {
        writeln!(out, "\n{}", style.bold("Limits"))?;
        for limit in &report.paper.limits {
            paragraph(out, limit, "  - ", style)?;
        }
    }
    writeln!(out)?;
    if let Some(misses) = report.expected_misses() {
        paragraph(out, &misses, "", style)?;
    }
    for warning in report.all_warnings() {
        paragraph(out, &format!("warning: {warning}"), "", style)?;
    }
    if !report.only.is_empty() {
        let only = report.only.join(",");
        writeln!(
            out,
            "only the claims {only}: the report of all claims is not touched"
        )?;
    }
    Ok(())
}

/// The last line of a run, which scripts read.
pub(crate) fn last_line(report: &Report) -> String {
    // Scripts read this line: its form does not change.
    let show = |own| {
        let counts = report.counts(own);
        let counts = counts.map(|(verdict, count)| format!("{count} {}", verdict.name()));
        counts.join(", ")
    };
    let own = if report.claims.iter().any(Claim::is_own) {
        format!("; own claims: {}", show(true))
    } else {
        String::new()
    };
    let (all, new) = report.cell_seconds();
    let kept = if all - new >= 0.05 {
        format!("; cells of earlier runs {:.1} s", all - new)
    } else {
        String::new()
    };
    format!(
        "reproduce {} {}: {}{own} ({:.1} s{kept})",
        report.paper.id,
        report.profile,
        show(false),
        report.wall_s
    )
}

/// What is shown of a report beside those of other papers: the first measurement of the abstract's
/// claim, and the last line of the run.
pub(crate) fn summary(report: &Report) -> String {
    let style = Style {
        width: DEFAULT_WIDTH,
        color: false,
    };
    let paper = &report.paper.id;
    // Without data the first of them may be skipped, and another one not.
    let measured = report.headline().find(|claim| claim.measured.is_some());
    let first = match measured.or_else(|| report.headline().next()) {
        Some(claim) => {
            let measured = claim.measured.as_ref();
            let measured = measured.map_or_else(
                || claim.verdict.name().to_owned(),
                |measured| format!("{} ({})", measured.show_value(), measured.show_confidence()),
            );
            let published = claim.show_published();
            let published = published.map_or_else(String::new, |text| format!("; {text}"));
            let sign = claim.verdict.sign();
            format!("{sign} {paper}: {}: {measured}{published}", claim.statement)
        }
        None => format!("{paper}: {}", report.paper.claim),
    };
    let mut lines = wrapped(&first, "", "  ", style);
    lines.extend(wrapped(&last_line(report), "  ", "  ", style));
    lines.join("\n") + "\n"
}

/// A claim with everything that decides about it.
fn in_full(out: &mut dyn Write, claim: &Claim, style: Style) -> io::Result<()> {
    // Only a contradiction can be known: for other verdicts the list itself is wrong.
    let known = if claim.verdict == Verdict::Contradicted && claim.known.is_some() {
        ", known"
    } else {
        ""
    };
    let verdict = format!("{} {}{known}", claim.verdict.sign(), claim.verdict.name());
    let scale = claim
        .scale
        .map_or_else(String::new, |scale| format!(" ({})", scale.name()));
    writeln!(
        out,
        "  {} {}{scale}",
        style.verdict(claim.verdict, &verdict),
        style.bold(&claim.id)
    )?;
    paragraph(out, &claim.statement, "      ", style)?;
    if let Some(measured) = &claim.measured {
        let text = format!(
            "measured {} ({})",
            measured.show_value(),
            measured.show_confidence()
        );
        paragraph(out, &text, "      ", style)?;
    }
    if let Some(published) = claim.show_published() {
        paragraph(out, &published, "      ", style)?;
    }
    if let Some(expected) = claim.expectation() {
        paragraph(out, &format!("expected {expected}"), "      ", style)?;
    }
    if let (Verdict::Contradicted, Some(known)) = (claim.verdict, &claim.known) {
        paragraph(out, &format!("known: {known}"), "      ", style)?;
    }
    if let Some(reason) = &claim.reason {
        paragraph(out, reason, "      ", style)?;
    }
    // On its own line, so that a command can be copied.
    if let Some(how) = &claim.how_to_get {
        paragraph(out, "to get it:", "      ", style)?;
        paragraph(out, how, "        ", style)?;
    }
    Ok(())
}

/// A claim that is reproduced: what was measured, what was expected, the statement.
fn briefly(out: &mut dyn Write, claim: &Claim, style: Style) -> io::Result<()> {
    let measured = claim
        .measured
        .as_ref()
        .map_or_else(String::new, |measured| {
            format!("{} ({})", measured.show_value(), measured.show_confidence())
        });
    let expected = claim
        .expected
        .map_or_else(String::new, |expected| format!("; expected {expected}"));
    let scale = claim.scale.map_or("", |scale| scale.name());
    let sign = style.verdict(claim.verdict, claim.verdict.sign());
    // The sign is one column wide whatever it is painted with.
    let first = format!("  {} {}  {scale}", claim.verdict.sign(), claim.id);
    writeln!(out, "{}", first.replacen(claim.verdict.sign(), &sign, 1))?;
    paragraph(out, &format!("{measured}{expected}"), "      ", style)?;
    for line in wrapped(&claim.statement, "      ", "      ", style) {
        writeln!(out, "{}", style.paint("2", &line))?;
    }
    Ok(())
}

/// Writes a paragraph behind a first indentation; the other lines are indented as far.
fn paragraph(out: &mut dyn Write, text: &str, first: &str, style: Style) -> io::Result<()> {
    let rest = " ".repeat(first.chars().count());
    for line in wrapped(text, first, &rest, style) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn wrapped(text: &str, first: &str, rest: &str, style: Style) -> Vec<String> {
    wrap(text, style.width, first, rest)
}
