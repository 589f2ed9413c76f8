//! The report as a page: one file, no scripts, light and dark, readable on a telephone.

mod strip;

use std::collections::BTreeMap;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::claim::{Claim, Short, Verdict};
use super::figure::{Figure, Point};
use super::provenance::Provenance;
use super::svg::{self, Size};
use super::table::{Alignment, Column, Table};
use super::{Cell, DataRecord, DataState, Report};

/// A figure's numbers are shown in the page up to this many rows; the CSV file has them all.
const MAX_ROWS: usize = 500;

/// The report as one self-contained page.
#[must_use]
pub fn render(report: &Report) -> String {
    let paper = &report.paper;
    let title = format!("{} {}: {}", paper.id, report.profile, paper.title);
    page(
        &title,
        &html! {
                    (head(report))
                    main {
                        (headline(report))
                        (claims(report))
                        (section("Figures", report.figures.iter().filter(|&other| !is_headline(report, other)).map(figure)))
                        (section("Tables", report.tables.iter().map(table)))
                        (warnings(report))
                        (section("Data", report.data.iter().map(data_set)))
                        (section("Work", cells(&report.cells)))
                        section { h2 { "Provenance" } (provenance(report)) }
                    }
        },
    )
}

/// A page with this title and body that needs no other file.
pub(super) fn page(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                // An empty icon keeps browsers from asking for one.
                link rel="icon" href="data:,";
                style { (PreEscaped(include_str!("page.css"))) }
            }
            body { (body) }
        }
    };
    page.into_string()
}

fn head(report: &Report) -> Markup {
    let paper = &report.paper;
    // The time of the work, which a resumed run has taken over in part.
    let (all, new) = report.cell_seconds();
    html! {
        header {
            p.kicker {
                "Reproduction of " b { (paper.id) } ", profile " b { (report.profile) }
                ", seed " (report.seeds.master)
                @if !report.only.is_empty() { ", only the claims " (report.only.join(", ")) }
                ", " (format!("{all:.0} s of work"))
                @if all - new >= 0.05 { (format!(", {:.0} s of it in earlier runs", all - new)) }
            }
            h1 { (paper.title) }
            p.authors {
                (paper.authors) ". " (paper.venue) " " (paper.year) ". "
                a href=(paper.url) { (paper.url) }
            }
            (tally(report))
        }
    }
}

/// How many claims have which verdict, those of the paper apart from those of this project.
pub(super) fn tally(report: &Report) -> Markup {
    html! {
        @for own in [false, true] {
            @let counts = report.counts(own);
            // Most experiments have no claims of this project.
            @if !own || counts.iter().any(|&(_, count)| count > 0) {
                ul.counts {
                    li.whose { (if own { "This project's claims" } else { "The paper's claims" }) }
                    @for (verdict, count) in counts {
                        li class=(if count == 0 { "none" } else { verdict.name() }) {
                            span.number { (count) } " " (verdict.name())
                        }
                    }
                }
            }
        }
    }
}

/// What the paper claims, what was measured beside what was published, and one figure.
fn headline(report: &Report) -> Markup {
    html! {
        section.headline {
            h2 { "The claim, and what came out" }
            p.abstract { (report.paper.claim) }
            @if report.headline().next().is_some() {
                (claim_table(report.headline()))
            }
            @if let Some(shown) = headline_figure(report) { (figure(shown)) }
            @if !report.paper.limits.is_empty() {
                h3 { "Limits" }
                ul.limits { @for limit in &report.paper.limits { li { (limit) } } }
            }
        }
    }
}

/// The figure beside the headline: the first.
fn headline_figure(report: &Report) -> Option<&Figure> {
    report.figures.first()
}

fn is_headline(report: &Report, figure: &Figure) -> bool {
    headline_figure(report).is_some_and(|shown| shown.id == figure.id)
}

fn claims(report: &Report) -> Markup {
    // What is not reproduced comes first, as links to the rows below.
    let not_reproduced: Vec<&Claim> = report.not_reproduced().collect();
    html! {
        @if !not_reproduced.is_empty() {
            section {
                h2 { "Not reproduced" }
                ul.missed {
                    @for claim in not_reproduced {
                        li {
                            (badge(claim)) " " a href={ "#" (claim.id) } { (claim.id) }
                            ": " (claim.statement)
                        }
                    }
                }
            }
        }
        // Then all claims by question; those of the headline have their row at the top of the page.
        @for own in [false, true] {
            @let groups = report.grouped(own);
            @if !groups.is_empty() {
                section {
                    h2 { (if own { "This project's own claims" } else { "The paper's claims" }) }
                    @for (question, claims) in groups {
                        h3.question { span.id { (question.id) } " " (question.text) }
                        (claim_table(claims.into_iter().filter(|claim| !claim.headline)))
                        @if report.headline().any(|claim| claim.is_own() == own && claim.id.split('.').next() == Some(&question.id)) {
                            p.note { "Some claims on this question are at the top of the page." }
                        }
                    }
                }
            }
        }
        section {
            // Closed, so that the claims fill the page.
            details.key {
                summary { "How to read this" }
                p {
                    "A claim is " b { "reproduced" } " when the whole interval of the measurement \
                    is within what is expected, " b { "contradicted" }
                    " when it is wholly outside, " b { "inconclusive" } " when it straddles the bound \
                    or when a single random run has no interval, and " b { "skipped" } " when \
                    something that it needs is not here. A contradiction is " b { "known" }
                    " when it is listed with its reason."
                }
                p {
                    "An interval is a confidence interval at 95 %, with what was replicated to get it. A "
                    b { "range" } " goes from the lowest to the highest replicate, and a claim on a range \
                    is a claim on every replicate. " b { "Exact" } " is what has no randomness."
                }
                p {
                    "Scale: " b { "original" } ": the paper's own data and sizes; " b { "scaled" }
                    ": the same mechanism on other, smaller or generated data; " b { "simulated" }
                    ": hardware or a network is simulated; " b { "analytic" } ": computed from a formula; "
                    b { "beyond" } ": not measured in the paper."
                }
                p {
                    "In the small drawings the shaded range is what is expected, the line is the interval \
                    and the dot the measured value."
                }
                @if let Some(misses) = report.expected_misses() { p { (misses) } }
            }
        }
    }
}

fn claim_table<'a>(claims: impl Iterator<Item = &'a Claim>) -> Markup {
    // A table without rows is left out, with its head.
    let mut claims = claims.peekable();
    html! {
        @if claims.peek().is_some() {
            table.claims {
                thead {
                    tr { th { "Claim" } th { "Expected" } th { "Measured" } th { "Scale" } th { "Verdict" } }
                }
                tbody { @for claim in claims { (claim_row(claim)) } }
            }
        }
    }
}

fn claim_row(claim: &Claim) -> Markup {
    html! {
        tr id=(claim.id) {
            // The id is a link to itself, so that a claim can be cited.
            td.statement {
                a.id href={ "#" (claim.id) } { (claim.id) }
                p { (claim.statement) }
                @if let Some(place) = &claim.paper_ref { p.note { (place) } }
            }
            // On narrow screens cells stand below each other: `data-label` is then their title.
            td.nothing[claim.expected.is_none()] data-label="Expected" {
                @if let Some(expected) = claim.expected { p.value { (expected) } } @else { "–" }
                @if let Some(source) = &claim.source { p.note { "from " (source) } }
                @if let Some(why) = &claim.tolerance_because { p.note { "tolerance: " (why) } }
            }
            td.nothing[claim.measured.is_none()] data-label="Measured" {
                @if let Some(measured) = &claim.measured {
                    p.value { (measured.show_value()) }
                    p.note { (measured.show_confidence()) }
                    @if let Some(published) = claim.show_published() { p.note { (published) } }
                    @if let Some(expected) = claim.expected { (strip::draw(expected, measured)) }
                } @else { "–" }
            }
            td.nothing[claim.scale.is_none()] data-label="Scale" {
                (claim.scale.map_or("–", |scale| scale.name()))
            }
            td data-label="Verdict" {
                (badge(claim))
                @if let (Verdict::Contradicted, Some(known)) = (claim.verdict, &claim.known) {
                    p.note { (known) }
                }
                @if let Some(reason) = &claim.reason { p.note { (reason) } }
                @if let Some(how) = &claim.how_to_get { p.note { "To get it: " code { (how) } } }
            }
        }
    }
}

/// A verdict with its own sign, readable without colors.
pub(super) fn badge(claim: &Claim) -> Markup {
    let verdict = claim.verdict;
    html! {
        span class={ "badge " (verdict.name()) } {
            span aria-hidden="true" { (verdict.sign()) } " " (verdict.name())
            @if verdict == Verdict::Contradicted && claim.known.is_some() { ", known" }
        }
    }
}

fn figure(figure: &Figure) -> Markup {
    // The error of a figure takes its place: the report is worth more than the figure.
    let draw = |size| match svg::render(figure, size) {
        Ok(svg) => PreEscaped(svg),
        Err(error) => html! { p { (error) } },
    };
    // All points in one table, for those who cannot see the drawing.
    let rows = figure.series.iter().flat_map(|series| {
        let points = series.points.iter();
        points.map(move |point| (series.name.as_str(), point))
    });
    let count = figure
        .series
        .iter()
        .map(|series| series.points.len())
        .sum::<usize>();
    let number = |number: f64| {
        if number.is_nan() {
            html! { "–" }
        } else {
            html! { (Short(number)) }
        }
    };
    let file = |extension| format!("figures/{}.{extension}", figure.id);
    html! {
        figure id=(figure.id) {
            // Both sizes are in the page; the style sheet shows the one that fits.
            div.wide { (draw(Size::Wide)) }
            div.narrow { (draw(Size::Narrow)) }
            figcaption { (figure.caption) }
            details {
                summary { "Numbers" }
                div.scroll {
                    table {
                        thead {
                            tr {
                                th { "Series" }
                                th.right { (figure.x_label) }
                                th.right { (figure.y_label) }
                                th.right { "Low" }
                                th.right { "High" }
                            }
                        }
                        tbody {
                            @for (name, Point { x, y, band }) in rows.take(MAX_ROWS) {
                                @let (low, high) = band.unwrap_or((f64::NAN, f64::NAN));
                                tr {
                                    td { (name) }
                                    @for value in [*x, *y, low, high] { td.right { (number(value)) } }
                                }
                            }
                            @for reference in &figure.references {
                                tr {
                                    td { (reference.name) }
                                    td.right { "–" }
                                    td.right { (number(reference.y)) }
                                    td.right { "–" }
                                    td.right { "–" }
                                }
                            }
                        }
                    }
                }
                p.note {
                    @if count > MAX_ROWS { "The first " (MAX_ROWS) " of " (count) " points. " }
                    "Files: " a href=(file("csv")) { (file("csv")) } ", "
                    a href=(file("svg")) { (file("svg")) }
                }
            }
        }
    }
}

fn table(table: &Table) -> Markup {
    let class = |column: &Column| match column.alignment {
        Alignment::Left => "left",
        Alignment::Right => "right",
    };
    html! {
        div.table {
            h3 { (table.title) }
            div.scroll tabindex="0" role="region" aria-label=(table.title) {
                table {
                    thead {
                        tr { @for column in &table.columns { th class=(class(column)) { (column.title) } } }
                    }
                    tbody {
                        @for row in &table.rows {
                            tr {
                                @for (column, value) in table.columns.iter().zip(row) {
                                    td class=(class(column)) { (column.show(value)) }
                                }
                            }
                        }
                    }
                }
            }
            @if let Some(note) = &table.note { p.note { (note) } }
        }
    }
}

fn warnings(report: &Report) -> Markup {
    let warnings = report.all_warnings().into_iter();
    section(
        "Warnings",
        warnings.map(|warning| html! { p.warning { (warning) } }),
    )
}

fn data_set(record: &DataRecord) -> Markup {
    html! {
        div.data {
            h3 {
                (record.set) " "
                @match record.state {
                    DataState::Verified => span.badge.reproduced { "✓ verified" },
                    DataState::Absent => span.badge.skipped { "– absent" },
                    DataState::Damaged => span.badge.contradicted { "✗ damaged" },
                }
            }
            @if let Some(how) = &record.how_to_get { p { "To get it: " code { (how) } } }
            p.note { (record.citation) ". License: " (record.license) "." }
            details {
                summary { "Files" }
                @for file in &record.files {
                    p.file {
                        (file.name) ", " (bytes(file.bytes))
                        @if let Some(place) = &file.found_in { ", from " (place) }
                        br;
                        "sha256 " code { (file.sha256) }
                    }
                }
            }
        }
    }
}

/// The work behind the report: a row for each group of cells.
fn cells(cells: &[Cell]) -> Option<Markup> {
    let mut groups: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for cell in cells {
        groups.entry(&cell.group).or_default().push(cell.seconds);
    }
    let rows = groups.into_iter().fold(
        Table::new(
            "Groups of cells",
            [
                Column::text("Group"),
                Column::integer("Cells"),
                Column::number("Time of all, s", 1),
                Column::number("Longest, s", 2),
            ],
        ),
        |table, (group, seconds)| {
            let longest = seconds.iter().copied().fold(0.0, f64::max);
            let all: f64 = seconds.iter().sum();
            table.row([
                group.into(),
                seconds.len().into(),
                all.into(),
                longest.into(),
            ])
        },
    );
    (!cells.is_empty()).then(|| table(&rows))
}

fn provenance(report: &Report) -> Markup {
    let Provenance {
        started,
        command,
        program_sha256,
        release_build,
        build,
        platform,
        kernel,
        processor,
        processors,
        threads,
        memory_bytes,
        load_before,
        load_after,
    } = &report.provenance;
    let program = program_sha256.as_deref();
    // Uncommitted changes are named: the commit alone would not give this program again.
    let commit = build.commit.as_ref().map(|commit| match build.changed {
        true => format!("{commit} and changes"),
        false => commit.clone(),
    });
    // Time of the work in all runs, and of it what this run took.
    let (all, new) = report.cell_seconds();
    let machine = [Some(platform), kernel.as_ref(), processor.as_ref()];
    let machine: Vec<&str> = machine.into_iter().flatten().map(String::as_str).collect();
    let load = load_before.zip(*load_after);
    // What the system does not provide is `None`, and left out.
    let facts = [
        ("Started", Some(started.clone())),
        (
            "Time of all cells",
            Some(format!("{all:.1} s, of which {new:.1} s in this run")),
        ),
        ("Time of this run", Some(format!("{:.1} s", report.wall_s))),
        (
            "Processor time of this run",
            report.cpu_s.map(|seconds| format!("{seconds:.1} s")),
        ),
        ("Peak memory", report.peak_rss_bytes.map(bytes)),
        (
            "Seed",
            Some(format!(
                "{} ({})",
                report.seeds.master, report.seeds.derivation
            )),
        ),
        ("Command", Some(command.join(" "))),
        ("Built from commit", commit),
        ("Compiler", build.compiler.clone()),
        ("Program", program.map(|hash| format!("sha256 {hash}"))),
        (
            "Build",
            Some(String::from(if *release_build {
                "release"
            } else {
                "with debug assertions"
            })),
        ),
        ("Machine", Some(machine.join(", "))),
        ("Memory", memory_bytes.map(bytes)),
        (
            "Threads",
            Some(format!("{threads} on {processors} processors")),
        ),
        (
            "Load",
            load.map(|(before, after)| format!("{before:.2} before, {after:.2} after")),
        ),
        ("Format", Some(report.schema.clone())),
    ];
    html! {
        dl {
            @for (name, fact) in facts {
                @if let Some(fact) = fact { dt { (name) } dd { (fact) } }
            }
        }
    }
}

/// A section with a title; nothing when it has no contents.
fn section(title: &str, contents: impl IntoIterator<Item = Markup>) -> Markup {
    let contents: Vec<Markup> = contents.into_iter().collect();
    html! {
        @if !contents.is_empty() {
            section {
                h2 { (title) }
                @for part in contents { (part) }
            }
        }
    }
}

/// A number of bytes in the unit that suits it.
fn bytes(bytes: u64) -> String {
    let bytes = bytes as f64;
    match bytes {
        ..1e3 => format!("{bytes:.0} B"),
        1e3..1e6 => format!("{:.1} kB", bytes / 1e3),
        1e6..1e9 => format!("{:.1} MB", bytes / 1e6),
        _ => format!("{:.1} GB", bytes / 1e9),
    }
}
