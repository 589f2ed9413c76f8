//! The report as a page.

use maud::{DOCTYPE, html};

use super::Report;

/// The report as one self-contained page.
#[must_use]
pub fn render(report: &Report) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { (report.paper.title) } }
            body {
                h1 { (report.paper.title) }
                table {
                    @for claim in &report.claims {
                        tr {
                            td { (claim.id) } td { (claim.statement) } td { (claim.verdict.name()) }
                        }
                    }
                }
            }
        }
    }
    .into_string()
}
