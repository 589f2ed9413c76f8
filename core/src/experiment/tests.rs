//! Whole runs of small experiments, in this process.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rand_chacha::rand_core::RngCore as _;
use tempfile::TempDir;

use super::exit::Exit;
use super::program::run_program;
use super::*;
use crate::report::DataState;

static PAPER: Paper = Paper {
    id: "probe",
    title: "A Probe",
    authors: "N. N.",
    venue: "Nowhere",
    year: 2000,
    url: "https://example.org",
};

/// An experiment that is one function.
struct Probe<F>(F);

impl<F: Fn(&mut Context) -> Result<(), ExperimentError>> Experiment for Probe<F> {
    fn paper(&self) -> &'static Paper {
        &PAPER
    }

    fn run(&self, cx: &mut Context) -> Result<(), ExperimentError> {
        (self.0)(cx)
    }
}

/// A folder for the results of runs.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("probe").join("quick")
    }

    /// Runs the experiment; gives how it ended and what it wrote.
    fn run(
        &self,
        arguments: &[&str],
        experiment: impl Fn(&mut Context) -> Result<(), ExperimentError>,
    ) -> (Exit, String) {
        let mut out = Vec::new();
        let all = [
            OsString::from("probe"),
            "--out".into(),
            self.0.path().into(),
        ];
        let all = all.into_iter().chain(arguments.iter().map(OsString::from));
        let exit = run_program(&Probe(experiment), all, &mut out);
        (exit, String::from_utf8(out).unwrap())
    }

    fn report(&self) -> Report {
        Report::load(&self.folder().join("report.json")).unwrap()
    }
}

fn claim(cx: &mut Context, id: &str, value: f64) -> Verdict {
    cx.claim(id, "The value is at most one")
        .scale(Scale::Analytic)
        .expect(Expected::AtMost(1.0))
        .measured(Estimate::exact(value, ""))
}

#[test]
fn verdicts_decide_the_exit_code_and_the_last_line() {
    let cases: [(&[f64], Exit, &str); 4] = [
        (
            &[0.5, 1.0],
            Exit::Reproduced,
            "2 reproduced, 0 contradicted, 0 inconclusive, 1 skipped",
        ),
        (
            &[0.5, 1.5],
            Exit::Contradicted,
            "1 reproduced, 1 contradicted, 0 inconclusive, 1 skipped",
        ),
        (
            &[f64::NAN],
            Exit::Inconclusive,
            "0 reproduced, 0 contradicted, 1 inconclusive, 1 skipped",
        ),
        (
            &[f64::NAN, 2.0],
            Exit::Contradicted,
            "0 reproduced, 1 contradicted, 1 inconclusive, 1 skipped",
        ),
    ];
    for (values, expected, counts) in cases {
        let place = Place::new();
        let (exit, out) = place.run(&[], |cx| {
            for (index, &value) in values.iter().enumerate() {
                claim(cx, &format!("Q{index}"), value);
            }
            cx.skip(
                "S",
                "A needle is found",
                "there is no haystack",
                "cargo xtask haystack",
            );
            Ok(())
        });
        assert_eq!(exit, expected, "{out}");
        let last = out.lines().last().unwrap();
        assert!(
            last.starts_with(&format!("reproduce probe quick: {counts} (")),
            "{last}"
        );
        assert!(last.ends_with(" s)"), "{last}");
        assert!(out.contains("S skipped: there is no haystack; to get it: cargo xtask haystack"));
        assert!(!out.contains('\u{1b}'), "control codes without a terminal");
        assert!(out.lines().all(|line| line.chars().count() <= 100), "{out}");
        assert_eq!(place.report().claims.len(), values.len() + 1);
    }
}

#[test]
fn an_optional_claim_does_not_fail_the_run() {
    let (exit, _) = Place::new().run(&[], |cx| {
        cx.claim("Q1", "It is zero")
            .scale(Scale::Beyond)
            .expect(Expected::Equals(0.0))
            .optional()
            .measured(Estimate::exact(1.0, ""));
        Ok(())
    });
    assert_eq!(exit, Exit::Reproduced);
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
    assert_eq!(Place::new().run(&["--help"], never).0, Exit::Reproduced);
}

#[test]
fn only_the_claims_asked_for_are_reported() {
    let experiment = |cx: &mut Context| {
        assert!(cx.wants("Q1") && cx.wants("Q1.b") && !cx.wants("Q1.a") && !cx.wants("Q2"));
        claim(cx, "Q1.a", 2.0);
        claim(cx, "Q1.b", 0.0);
        claim(cx, "Q2", 2.0);
        Ok(())
    };
    let place = Place::new();
    let (exit, _) = place.run(&["--claims", "Q1.b"], experiment);
    assert_eq!(exit, Exit::Reproduced);
    let report = place.report();
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
    assert_eq!(exit, Exit::Crash);
    let (exit, _) = place.run(&[], |_| panic!("on purpose"));
    assert_eq!(exit, Exit::Crash);
    let (exit, _) = place.run(&[], |cx| {
        cx.cells("broken", &[1], |_, _| -> Result<(), _> {
            panic!("on purpose")
        })?;
        Ok(())
    });
    assert_eq!(exit, Exit::Crash);
    assert_eq!(
        fs::read(place.folder().join("report.json")).unwrap(),
        before
    );
}

#[test]
fn faults_of_the_experiment_end_the_run() {
    type Fault = fn(&mut Context);
    let faults: [Fault; 7] = [
        |cx| {
            cx.claim("Q", "no scale")
                .expect(Expected::AtMost(1.0))
                .measured(Estimate::exact(0.0, ""));
        },
        |cx| {
            cx.claim("Q", "no bound")
                .scale(Scale::Scaled)
                .measured(Estimate::exact(0.0, ""));
        },
        |cx| {
            cx.claim("Q", "upside down")
                .scale(Scale::Scaled)
                .expect(Expected::Between(1.0, 0.0))
                .measured(Estimate::exact(0.0, ""));
        },
        |cx| {
            claim(cx, "Q", 0.0);
            claim(cx, "Q", 0.0);
        },
        |cx| cx.figure(Figure::new("../escape", "", "", "")),
        |cx| {
            cx.figure(Figure::new("twice", "", "", ""));
            cx.figure(Figure::new("twice", "", "", ""));
        },
        |cx| assert!(cx.data("no-such-set").is_none()),
    ];
    for fault in faults {
        let place = Place::new();
        let (exit, _) = place.run(&[], |cx| {
            fault(cx);
            Ok(())
        });
        assert_eq!(exit, Exit::Crash);
        assert!(!place.folder().join("report.json").exists());
    }
}

#[test]
fn finished_cells_are_not_worked_out_again() {
    let worked = AtomicUsize::new(0);
    let count = || worked.swap(0, Ordering::Relaxed);
    let experiment = |cx: &mut Context| {
        let squares: Vec<f64> = cx.cells("squares", &[3_u32, 1, 2], |&number, _| {
            worked.fetch_add(1, Ordering::Relaxed);
            Ok(f64::from(number * number) / 3.0)
        })?;
        assert_eq!(
            squares,
            [3.0, 1.0 / 3.0, 4.0 / 3.0],
            "in the order of the parameters"
        );
        Ok(())
    };
    let place = Place::new();
    place.run(&[], experiment);
    assert_eq!(count(), 3);
    let first = place.report();
    place.run(&[], experiment);
    assert_eq!(count(), 0, "resumed");
    assert_eq!(
        place.report().without_timing().to_json(),
        first.without_timing().to_json()
    );

    place.run(&["--seed", "2"], experiment);
    assert_eq!(count(), 3, "another seed");
    place.run(&["--profile", "full"], experiment);
    assert_eq!(count(), 3, "another profile");
    place.run(&["--fresh"], experiment);
    assert_eq!(count(), 3, "fresh");

    // A damaged file is as good as none.
    fs::write(place.folder().join(&first.cells[1].file), "{\"key\":").unwrap();
    place.run(&[], experiment);
    assert_eq!(count(), 1, "damaged");
}

#[test]
fn cells_before_a_failure_are_kept() {
    let worked = AtomicUsize::new(0);
    let place = Place::new();
    let experiment = |fails: bool| {
        let worked = &worked;
        move |cx: &mut Context| {
            cx.exclusive_cells("steps", &[0, 1, 2, 3], |&step, _| {
                if fails && step == 2 {
                    return Err(ExperimentError::new("the second step failed"));
                }
                worked.fetch_add(1, Ordering::Relaxed);
                Ok(step)
            })?;
            Ok(())
        }
    };
    assert_eq!(place.run(&[], experiment(true)).0, Exit::Crash);
    assert_eq!(worked.swap(0, Ordering::Relaxed), 2);
    assert_eq!(place.run(&[], experiment(false)).0, Exit::Reproduced);
    assert_eq!(worked.swap(0, Ordering::Relaxed), 2);
}

#[test]
fn cells_that_json_cannot_keep_are_errors() {
    type Cells = fn(&mut Context) -> Result<(), ExperimentError>;
    let cases: [(Cells, &str); 2] = [
        (
            |cx| cx.cells("twins", &[1, 1], |_, _| Ok(())).map(drop),
            "two cells of twins have the parameters 1",
        ),
        (
            |cx| cx.cells("numbers", &[1], |_, _| Ok(f64::NAN)).map(drop),
            "cell numbers 1: invalid type: null, expected f64",
        ),
    ];
    for (cells, expected) in cases {
        let (exit, _) = Place::new().run(&[], |cx| {
            let error = cells(cx).unwrap_err();
            assert_eq!(error.to_string(), expected);
            Ok(())
        });
        assert_eq!(exit, Exit::Reproduced);
    }
}

/// An experiment whose results would show any dependence on the order of work.
fn random_walks(cx: &mut Context) -> Result<(), ExperimentError> {
    let lengths: Vec<u64> = (0..40).map(|index| (index * 7919) % 4096).collect();
    let ends: Vec<f64> = cx.cells("walks", &lengths, |&length, seed| {
        let mut rng = seed.rng();
        let steps = (0..length).map(|_| rng.next_u64() as f64 / u64::MAX as f64 - 0.5);
        Ok(steps.sum())
    })?;
    let mut rng = cx.seed().child("interval").rng();
    let estimate = Estimate::of_samples(&ends, "steps", &mut rng);
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
            assert_eq!(exit, Exit::Reproduced);
            place.report().without_timing().to_json()
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
        place.report().claims[0].measured.clone().unwrap().value
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
    assert_eq!(exit, Exit::Reproduced);
}

#[test]
fn damaged_data_are_named_and_not_used() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("fashion-mnist");
    fs::create_dir(&folder).unwrap();
    for file in crate::data::set("fashion-mnist").unwrap().files {
        fs::write(folder.join(file.name), "not an image").unwrap();
    }
    let place = Place::new();
    let argument = data.path().to_str().unwrap();
    let (exit, out) = place.run(&["--data", argument], |cx| {
        assert!(cx.data("fashion-mnist").is_none());
        assert!(cx.data("fashion-mnist").is_none(), "asked again");
        Ok(())
    });
    assert_eq!(exit, Exit::Data);
    let report = place.report();
    assert_eq!(report.data.len(), 1);
    assert_eq!(report.data[0].state, DataState::Damaged);
    let mend = report.data[0].how_to_get.as_deref().unwrap();
    assert!(
        mend.starts_with("rm '") && mend.contains("train-images"),
        "{mend}"
    );
    for part in [
        "train-images-idx3-ubyte.gz",
        "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
        "expected",
    ] {
        assert!(out.contains(part), "{part} is missing in {out}");
    }
}

#[test]
fn absent_data_end_a_full_run_with_their_own_code() {
    let place = Place::new();
    place.run(&[], |cx| {
        claim(cx, "Q1", 2.0);
        Ok(())
    });
    let mut report = place.report();
    assert_eq!(Exit::of(&report, true), Exit::Contradicted);
    report.data.push(crate::report::DataRecord {
        set: "cache-arc".into(),
        state: DataState::Absent,
        licence: String::new(),
        citation: String::new(),
        files: Vec::new(),
        how_to_get: None,
    });
    assert_eq!(Exit::of(&report, true), Exit::Data);
    assert_eq!(Exit::of(&report, false), Exit::Contradicted);
    report.data[0].state = DataState::Damaged;
    assert_eq!(Exit::of(&report, false), Exit::Data);
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
        [".lock", "figures", "report.html", "report.json"]
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
