//! Reports: where they are written, what they hold, and what they never replace.

use std::fs;
use std::path::Path;

use rand_chacha::rand_core::RngCore as _;

use super::super::*;
use super::{Place, claim};
use crate::cli::Exit;

#[test]
fn a_partial_run_does_not_replace_the_full_report() {
    let place = Place::new();
    let experiment = |cx: &mut Context| {
        claim(cx, "Q1", 0.0);
        claim(cx, "Q2", 0.0);
        cx.figure(Figure::new("f", "A figure", "x", "y"));
        Ok(())
    };
    place.run(&[], experiment);
    let files = |folder: &Path| {
        ["report.json", "report.html", "figures/f.svg"].map(|file| fs::read(folder.join(file)).ok())
    };
    let before = files(&place.folder());
    assert!(before.iter().all(Option::is_some));
    for arguments in [
        &["--claims", "Q1"][..],
        &["--seed", "2"],
        &["--seed", "2", "--claims", "Q2"],
    ] {
        place.run(arguments, experiment);
        assert_eq!(files(&place.folder()), before, "{arguments:?}");
    }
    let claims = |folder: &str| {
        let report = Report::load(
            &place
                .0
                .path()
                .join("probe")
                .join(folder)
                .join("report.json"),
        );
        report.unwrap().claims.len()
    };
    assert_eq!(claims("quick/partial"), 1);
    assert_eq!(claims("quick-seed-2"), 2);
    assert_eq!(claims("quick-seed-2/partial"), 1);
    let index = fs::read_to_string(place.0.path().join("index.html")).unwrap();
    assert!(index.contains("probe/quick/report.html"), "{index}");
    assert!(index.contains("probe/quick-seed-2/report.html"), "{index}");
}

#[test]
fn the_report_names_the_commit_of_the_build() {
    let place = Place::new();
    place.run(&[], |_| Ok(()));
    assert_eq!(
        place.report().provenance.build.commit.as_deref(),
        Some("0123abc")
    );
    let page = fs::read_to_string(place.folder().join("report.html")).unwrap();
    assert!(page.contains("0123abc"));
}

#[test]
fn wrong_arguments_are_refused_before_anything_runs() {
    let never = |_: &mut Context| -> Result<(), ExperimentError> { panic!("it runs") };
    for arguments in [
        &["--profile", "medium"][..],
        &["--seed", "-1"],
        &["--what"],
        &["cache"],
    ] {
        let place = Place::new();
        assert_eq!(place.run(arguments, never).0, Exit::Usage, "{arguments:?}");
        assert!(!place.folder().exists());
    }
    assert_eq!(Place::new().run(&["--help"], never).0, Exit::Success);
}

#[test]
fn only_selected_claims_are_reported() {
    let experiment = |cx: &mut Context| {
        assert!(cx.selects("Q1") && cx.selects("Q1.b") && !cx.selects("Q1.a") && !cx.selects("Q2"));
        claim(cx, "Q1.a", 2.0);
        claim(cx, "Q1.b", 0.0);
        claim(cx, "Q2", 2.0);
        Ok(())
    };
    let place = Place::new();
    let (exit, _) = place.run(&["--claims", "Q1.b"], experiment);
    assert_eq!(exit, Exit::Success);
    let report = Report::load(&place.folder().join("partial/report.json")).unwrap();
    let ids: Vec<&str> = report
        .claims
        .iter()
        .map(|claim| claim.id.as_str())
        .collect();
    assert_eq!(ids, ["Q1.b"]);

    let (exit, _) = place.run(&["--claims", "Q1.b,Q7"], experiment);
    assert_eq!(exit, Exit::Usage, "there is no Q7");
}

#[test]
fn a_run_that_stops_leaves_the_earlier_report() {
    let place = Place::new();
    place.run(&[], |cx| {
        claim(cx, "Q1", 0.0);
        Ok(())
    });
    let before = fs::read(place.folder().join("report.json")).unwrap();
    let (exit, _) = place.run(&[], |_| Err(ExperimentError::new("it stopped")));
    assert_eq!(exit, Exit::Internal);
    let (exit, _) = place.run(&[], |_| panic!("on purpose"));
    assert_eq!(exit, Exit::Internal);
    let (exit, _) = place.run(&[], |cx| {
        cx.grid("broken", [1])
            .run(|_, _| -> Result<(), _> { panic!("on purpose") })?;
        Ok(())
    });
    assert_eq!(exit, Exit::Internal);
    assert_eq!(
        fs::read(place.folder().join("report.json")).unwrap(),
        before
    );
}

/// An experiment whose results would show any dependence on the order of work.
fn random_walks(cx: &mut Context) -> Result<(), ExperimentError> {
    let lengths: Vec<u64> = (0..40).map(|index| (index * 7919) % 4096).collect();
    let grid = cx.grid("walks", lengths.clone());
    let grid = grid.run(|&length, cell| {
        let mut rng = cell.seed().rng();
        let steps = (0..length).map(|_| rng.next_u64() as f64 / u64::MAX as f64 - 0.5);
        Ok(steps.sum())
    })?;
    let ends: Vec<f64> = grid.into_firsts();
    let mut rng = cx.seed().child("interval").rng();
    let estimate = Estimate::mean(&ends, "walks", "steps", &mut rng);
    cx.claim("W", "A walk ends where it began")
        .scale(Scale::Original)
        .expect(Expected::near(0.0, 100.0))
        .measured(estimate);
    let points = lengths
        .iter()
        .zip(&ends)
        .map(|(&length, &end)| (length as f64, end));
    cx.figure(
        Figure::new("walks", "Ends", "length", "end").series(Series::new("walks").points(points)),
    );
    Ok(())
}

#[test]
fn reports_do_not_depend_on_the_number_of_threads() {
    let reports: Vec<String> = [1, 2, 5]
        .into_iter()
        .map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let place = Place::new();
            let (exit, _) = pool.install(|| place.run(&["--seed", "9"], random_walks));
            assert_eq!(exit, Exit::Success);
            place.report_in("quick-seed-9").without_timing().to_json()
        })
        .collect();
    assert_eq!(reports[0], reports[1]);
    assert_eq!(reports[0], reports[2]);
}

#[test]
fn another_seed_gives_other_results() {
    let ends = |seed: &str| {
        let place = Place::new();
        place.run(&["--seed", seed], random_walks);
        let folder = if seed == "1" { "quick" } else { "quick-seed-2" };
        place.report_in(folder).claims[0]
            .measured
            .clone()
            .unwrap()
            .value
    };
    assert_ne!(ends("1"), ends("2"));
}

#[test]
fn two_runs_do_not_write_to_one_folder() {
    let place = Place::new();
    let (exit, _) = place.run(&[], |_| {
        let (inner, _) = place.run(&[], |_| Ok(()));
        assert_eq!(inner, Exit::Usage);
        Ok(())
    });
    assert_eq!(exit, Exit::Success);
}

#[test]
fn a_new_report_takes_the_place_of_the_whole_old_one() {
    let place = Place::new();
    let with_figure = |id: &'static str| {
        move |cx: &mut Context| {
            let series = Series::new("a \"quoted\", name").point_with_band(1.0, 2.0, (1.5, 2.5));
            cx.figure(
                Figure::new(id, "A <caption>", "x", "y")
                    .series(series)
                    .reference("r", 3.0),
            );
            Ok(())
        }
    };
    place.run(&[], with_figure("first"));
    place.run(&[], with_figure("second"));
    let names = |folder: &Path| {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(
        names(&place.folder()),
        [
            ".lock",
            "figures",
            "report.html",
            "report.json",
            "summary.txt"
        ]
    );
    let figures = place.folder().join("figures");
    assert_eq!(names(&figures), ["second.csv", "second.svg"]);
    assert_eq!(
        fs::read_to_string(figures.join("second.csv")).unwrap(),
        "series,x,y,low,high\n\"a \"\"quoted\"\", name\",1,2,1.5,2.5\nr,,3,,\n"
    );
    let page = fs::read_to_string(place.folder().join("report.html")).unwrap();
    assert!(page.contains("A &lt;caption&gt;") && !page.contains("A <caption>"));
}
