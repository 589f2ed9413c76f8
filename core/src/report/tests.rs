//! Reports: their JSON form, their page, their figures.

use std::fs;

use proptest::prelude::*;

use super::*;
use crate::paper::Run;

fn report() -> Report {
    let estimate = Estimate::confidence(0.1 + 0.2, (0.25, 1.0 / 3.0), "t", 20, "runs", "misses");
    let claim = |id: &str, verdict, measured| Claim {
        paper_ref: Some("section 4".to_owned()),
        scale: Some(Scale::Scaled),
        expected: Some(Expected::AtMost(1.015)),
        published: Some(0.31),
        measured,
        headline: id == "Q1",
        verdict,
        ..Claim::new(id, "Less is <more> & \"better\"")
    };
    Report {
        schema: SCHEMA.to_owned(),
        paper: Paper {
            id: "probe".into(),
            aliases: Vec::new(),
            title: "A <Probe>".into(),
            authors: "N. N.".into(),
            venue: "Nowhere".into(),
            year: 2000,
            url: "https://example.org".into(),
            claim: "Probes <probe>.".into(),
            limits: vec!["The paper was not read.".into()],
            questions: ["Q1", "Q2", "Q3"]
                .map(|id| Question {
                    id: id.into(),
                    text: format!("What about {id}?"),
                    full_only: false,
                })
                .into(),
            quick: Run {
                seconds: 1,
                data: Vec::new(),
            },
            full: Run {
                seconds: 1,
                data: Vec::new(),
            },
        },
        profile: "quick".into(),
        only: Vec::new(),
        claims: vec![
            claim("Q1", Verdict::Reproduced, Some(estimate)),
            claim(
                "Q2",
                Verdict::Inconclusive,
                Some(Estimate::exact(f64::NAN, "")),
            ),
            claim("Q3", Verdict::Skipped, None),
        ],
        cells: vec![Cell {
            group: "runs".into(),
            params: serde_json::json!({"k": 10}),
            file: "cells/runs-0.json".into(),
            seed_index: None,
            seconds: 1.5,
            is_new: true,
            other_build: false,
            load: None,
        }],
        tables: vec![
            Table::new(
                "Numbers",
                [
                    Column::text("Name"),
                    Column::number("Ratio", 2),
                    Column::integer("Count"),
                ],
            )
            .row(["one".into(), 1.0.into(), 12_345_usize.into()])
            .row(["two".into(), f64::NAN.into()])
            .note("A note."),
        ],
        figures: vec![
            Figure::new("noise", "Misses over noise", "noise", "misses")
                .log_x()
                .series(
                    Series::new("a")
                        .point_with_band(1.0, 2.0, (1.5, 2.5))
                        .points([(10.0, 3.0)]),
                )
                .series(Series::theory("b").points([(1.0, f64::NAN), (2.0, 1.0)]))
                .reference("LRU", 1.29),
        ],
        warnings: vec!["Mind the gap.".into()],
        provenance: Provenance::collect(Build::default()),
        data: vec![DataRecord {
            set: "cache-arc".into(),
            state: DataState::Absent,
            license: "none".into(),
            citation: "none".into(),
            files: Vec::new(),
            how_to_get: Some("cargo xtask data fetch cache-arc".into()),
        }],
        seeds: Seeds {
            master: u64::MAX,
            derivation: "test".into(),
        },
        wall_s: 1.0,
        cpu_s: Some(2.0),
        peak_rss_bytes: Some(1 << 20),
    }
}

#[test]
fn the_json_form_is_read_back_to_the_last_bit() {
    let folder = tempfile::tempdir().unwrap();
    let report = report();
    report.write(folder.path()).unwrap();
    let read = Report::load(&folder.path().join("report.json")).unwrap();
    assert_eq!(read.to_json(), report.to_json());
    assert_eq!(read.claims[0], report.claims[0]);
    assert!(read.claims[1].measured.as_ref().unwrap().value.is_nan());
    assert_eq!(read.seeds.master, u64::MAX);
}

#[test]
fn names_in_the_json_form_are_lower_case() {
    let json: serde_json::Value = serde_json::from_str(&report().to_json()).unwrap();
    assert_eq!(json["schema"], "septet-report/2");
    assert_eq!(json["claims"][0]["id"], "Q1");
    assert_eq!(json["claims"][0]["verdict"], "reproduced");
    assert_eq!(json["claims"][0]["scale"], "scaled");
    assert_eq!(json["claims"][0]["expected"]["at_most"], 1.015);
    assert_eq!(json["claims"][2]["verdict"], "skipped");
    assert_eq!(json["data"][0]["state"], "absent");
    let top: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(
        top,
        [
            "cells",
            "claims",
            "cpu_s",
            "data",
            "figures",
            "only",
            "paper",
            "peak_rss_bytes",
            "profile",
            "provenance",
            "schema",
            "seeds",
            "tables",
            "wall_s",
            "warnings"
        ]
    );
}

#[test]
fn what_is_no_report_is_refused_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    assert!(matches!(Report::load(&file), Err(ReportError::Read { .. })));
    let cut = report().to_json();
    for (text, part) in [
        ("", "is not a report: EOF"),
        (&cut[..cut.len() / 2], "is not a report: EOF"),
        ("{}", "missing field `schema`"),
        (
            "{\"schema\": \"septet-report/9\"}",
            "has the form `septet-report/9`, expected `septet-report/2`",
        ),
        ("{\"schema\": \"septet-report/2\"}", "missing field `paper`"),
    ] {
        fs::write(&file, text).unwrap();
        let error = Report::load(&file).unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        let error = format!("{error}: {}", cause.unwrap_or_default());
        assert!(
            error.contains(part) && error.contains("report.json"),
            "{error}"
        );
    }
}

#[test]
fn timing_and_provenance_are_apart_from_results() {
    let mut again = report();
    again.wall_s = 9.0;
    again.cpu_s = None;
    again.peak_rss_bytes = Some(1);
    again.provenance = Provenance::default();
    again.cells[0].seconds = 7.0;
    assert_ne!(again.to_json(), report().to_json());
    assert_eq!(
        again.without_timing().to_json(),
        report().without_timing().to_json()
    );
    again.claims[0].verdict = Verdict::Contradicted;
    assert_ne!(
        again.without_timing().to_json(),
        report().without_timing().to_json()
    );
}

#[test]
fn the_page_shows_everything_and_needs_nothing_else() {
    let page = html::render(&report());
    for part in [
        "A &lt;Probe&gt;",
        "Less is &lt;more&gt; &amp; &quot;better&quot;",
        "✓</span> reproduced",
        "?</span> inconclusive",
        "≤ 1.015",
        "[0.25, 0.33333], 95 % over 20 runs",
        "published 0.31, difference -3.23 %",
        "Probes &lt;probe&gt;.",
        "The paper was not read.",
        "What about Q2?",
        "Misses over noise",
        "12\u{2009}345",
        "Mind the gap.",
        "cargo xtask data fetch cache-arc",
        "role=\"img\" aria-label=\"Misses over noise\"",
    ] {
        assert!(page.contains(part), "{part} is missing");
    }
    for outside in ["<script", "src=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside} is in the page");
    }
    let opened = page.matches("<svg").count();
    assert_eq!(opened, page.matches("</svg>").count());
}

fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -1e3_f64..1e3,
        1 => prop::num::f64::ANY,
        1 => Just(0.0),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_figure_can_be_drawn(
        names in prop::collection::vec(".{0,12}", 0..10),
        points in prop::collection::vec((any_number(), any_number(), any_number()), 0..12),
        references in prop::collection::vec(any_number(), 0..4),
        log_x: bool,
        log_y: bool,
    ) {
        let mut figure = Figure::new("any", "Any figure", "x", "y");
        (figure.log_x, figure.log_y) = (log_x, log_y);
        for name in &names {
            let mut series = Series::new(name);
            for &(x, y, margin) in &points {
                series = series.point_with_band(x, y, (y - margin, y + margin));
            }
            figure = figure.series(series);
        }
        for y in references {
            figure = figure.reference("reference", y);
        }
        for size in [svg::Size::Wide, svg::Size::Narrow] {
            let svg = svg::render(&figure, size).unwrap();
            prop_assert!(svg.starts_with("<svg role=\"img\"") && svg.ends_with("</svg>\n"));
        }
        let lines = figure.to_csv().lines().count();
        prop_assert!(lines > names.len() * points.len());
    }
}
