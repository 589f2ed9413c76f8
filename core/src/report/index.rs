//! The page that lists all reports below a folder.

use std::fs;
use std::path::{Path, PathBuf};

use maud::html;

use super::claim::Verdict;
use super::html::{badge, page, tally};
use super::{Report, ReportError, write_whole};

/// Writes `index.html` below the folder of all results: a card for each report there, with the
/// abstract's claim and what was measured. Reports of other versions of the form are left out.
///
/// # Errors
///
/// [`ReportError::Write`].
pub fn write_index(folder: &Path) -> Result<PathBuf, ReportError> {
    let file = folder.join("index.html");
    write_whole(&file, &render(&reports(folder)))?;
    Ok(file)
}

/// The reports below a folder with their paths relative to it, in the order of these.
fn reports(folder: &Path) -> Vec<(String, Report)> {
    // Sorted: the page does not depend on the order of the file system.
    let names = |folder: &Path| -> Vec<String> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    };
    let mut reports = Vec::new();
    for paper in names(folder) {
        for profile in names(&folder.join(&paper)) {
            let path = format!("{paper}/{profile}");
            // Other folders, and reports of other versions, are passed over.
            if let Ok(report) = Report::load(&folder.join(&path).join("report.json")) {
                reports.push((path, report));
            }
        }
    }
    reports
}

fn render(reports: &[(String, Report)]) -> String {
    page(
        "Septet: reproductions",
        &html! {
                    header {
                        p.kicker { "Septet" }
                        h1 { "What the papers claim, and what came out here" }
                    }
                    main {
                        @for (path, report) in reports {
                            section.card {
                                p.kicker {
                                    b { (report.paper.id) } ", profile " b { (report.profile) }
                                    ", seed " (report.seeds.master) ", " (report.provenance.started)
                                }
                                h2 { a href={ (path) "/report.html" } { (report.paper.title) } }
                                p.authors {
                                    (report.paper.authors) ". " (report.paper.venue) " " (report.paper.year)
                                }
                                p.abstract { (report.paper.claim) }
                                // Of each report the headline claims only: the report itself is a
                                // click away.
                                @for claim in report.headline() {
                                    div.row {
                                        (badge(claim))
                                        div {
                                            p { (claim.statement) }
                                            @if let Some(measured) = &claim.measured {
                                                p.note {
                                                    b { (measured.show_value()) } " ("
                                                    (measured.show_confidence()) ")"
                                                    @if let Some(published) = claim.show_published() {
                                                        "; " (published)
                                                    }
                                                    @if let Some(scale) = claim.scale { "; " (scale.name()) }
                                                }
                                            }
                                            // Without a measurement the reason stands in its place.
                                            @if claim.verdict == Verdict::Skipped {
                                                @if let Some(reason) = &claim.reason { p.note { (reason) } }
                                            }
                                        }
                                    }
                                }
                                (tally(report))
                            }
                        }
                        @if reports.is_empty() { p { "No report is here yet." } }
                    }
        },
    )
}
