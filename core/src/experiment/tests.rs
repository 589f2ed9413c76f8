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

const MANIFEST: &str = r#"
    [package.metadata.septet]
    id = "probe"
    title = "A Probe"
    authors = "N. N."
    venue = "Nowhere"
    year = 2000
    url = "https://example.org"
    claim = "Probes probe."
    quick = { seconds = 1 }
    full = { seconds = 1 }
    questions = [
QUESTIONS
    ]
"#;

/// The package of an experiment with these questions; `F` ones are in the profile full only.
fn package(questions: &[&str], contradictions: &'static str) -> Package {
    let lines = questions.iter().map(|id| {
        let full_only = id.starts_with('F');
        format!("{{ id = \"{id}\", text = \"What about {id}?\", full_only = {full_only} }},\n")
    });
    let manifest = MANIFEST.replace("QUESTIONS", &lines.collect::<String>());
    Package {
        manifest: manifest.leak(),
        contradictions,
        build: crate::report::Build {
            commit: Some("0123abc".into()),
            changed: false,
            compiler: None,
        },
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
    ///
    /// The manifest has the questions that the claims of the experiment answer.
    fn run(
        &self,
        arguments: &[&str],
        experiment: impl Fn(&mut Context) -> Result<(), ExperimentError>,
    ) -> (Exit, String) {
        let all = package(&["Q", "Q0", "Q1", "Q2", "S", "W"], "");
        let probe = |cx: &mut Context| {
            let result = experiment(cx);
            // A question that no claim answers is a fault, which is not what these tests are about.
            let claims = cx.results.claims.iter();
            let answered = claims.map(|claim| claim.id.split('.').next().unwrap().to_owned());
            let answered: Vec<String> = answered.collect();
            cx.keep_questions(&answered);
            result
        };
        self.run_package(&all, arguments, &probe)
    }

    fn run_package(
        &self,
        package: &Package,
        arguments: &[&str],
        experiment: &dyn Fn(&mut Context) -> Result<(), ExperimentError>,
    ) -> (Exit, String) {
        let mut out = Vec::new();
        let all = [
            OsString::from("probe"),
            "--out".into(),
            self.0.path().into(),
        ];
        let all = all.into_iter().chain(arguments.iter().map(OsString::from));
        let exit = run_program(package, experiment, all, &mut out);
        (exit, String::from_utf8(out).unwrap())
    }

    fn report(&self) -> Report {
        self.report_in("quick")
    }

    fn report_in(&self, folder: &str) -> Report {
        Report::load(&self.0.path().join("probe").join(folder).join("report.json")).unwrap()
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
        assert!(
            out.contains("there is no haystack\n      to get it:\n        cargo xtask haystack")
        );
        assert!(!out.contains('\u{1b}'), "control codes without a terminal");
        assert!(out.lines().all(|line| line.chars().count() <= 110), "{out}");
        assert_eq!(place.report().claims.len(), values.len() + 1);
    }
}

#[test]
fn known_contradictions_do_not_fail_the_run_and_other_verdicts_of_them_do() {
    let known = "[[contradiction]]\nclaim = \"Q1\"\nreason = \"the stream repeats\"\n";
    let in_full = "[[contradiction]]\nclaim = \"Q1\"\nreason = \"r\"\nprofile = \"full\"\n";
    for (listed, value, expected, part) in [
        (known, 2.0, Exit::Reproduced, "known: the stream repeats"),
        (
            known,
            0.5,
            Exit::Contradicted,
            "lists this claim as contradicted, and it is not",
        ),
        (
            known,
            f64::NAN,
            Exit::Contradicted,
            "lists this claim as contradicted, and it is not",
        ),
        (in_full, 2.0, Exit::Contradicted, "contradicted"),
        (in_full, 0.5, Exit::Reproduced, "reproduced"),
    ] {
        let package = package(&["Q1"], listed);
        let (exit, out) = Place::new().run_package(&package, &[], &|cx| {
            claim(cx, "Q1", value);
            Ok(())
        });
        assert_eq!(exit, expected, "{listed}{value}");
        assert!(out.contains(part), "{out}");
    }
}

#[test]
fn names_that_the_manifest_and_the_list_do_not_share_with_the_claims_are_faults() {
    let claims_q1 = |cx: &mut Context| {
        claim(cx, "Q1.a", 0.0);
        Ok(())
    };
    let unknown = "[[contradiction]]\nclaim = \"Q1.b\"\nreason = \"r\"\n";
    for (questions, listed, arguments, expected) in [
        (&["Q1"][..], "", &[][..], Exit::Reproduced),
        (&["Q2"], "", &[], Exit::Crash),
        (&["Q1", "Q2"], "", &[], Exit::Crash),
        (&["Q1", "Q2"], "", &["--claims", "Q1"], Exit::Reproduced),
        (&["Q1", "F2"], "", &[], Exit::Reproduced),
        (&["Q1", "F2"], "", &["--profile", "full"], Exit::Crash),
        (&["Q1"], unknown, &[], Exit::Crash),
        (&["Q1"], "[[contradiction]]\nclaim = 1", &[], Exit::Crash),
        (&["Q1"], "[[contradictions]]", &[], Exit::Crash),
    ] {
        let package = package(questions, listed);
        let (exit, _) = Place::new().run_package(&package, arguments, &claims_q1);
        assert_eq!(exit, expected, "{questions:?} {listed} {arguments:?}");
    }
}

#[test]
fn every_question_of_the_manifest_can_be_asked_for() {
    let package = package(&["Q1", "F2"], "");
    let experiment = |cx: &mut Context| {
        claim(cx, "Q1.a", 0.0);
        if cx.profile() == Profile::Full {
            claim(cx, "F2.b", 0.0);
        }
        Ok(())
    };
    let run = |arguments: &[&str]| Place::new().run_package(&package, arguments, &experiment).0;
    assert_eq!(run(&["--claims", "Q1"]), Exit::Reproduced);
    assert_eq!(run(&["--claims", "F2"]), Exit::Usage);
    assert_eq!(
        run(&["--claims", "F2", "--profile", "full"]),
        Exit::Reproduced
    );
}

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
    assert_eq!(exit, Exit::Crash);
    let (exit, _) = place.run(&[], |_| panic!("on purpose"));
    assert_eq!(exit, Exit::Crash);
    let (exit, _) = place.run(&[], |cx| {
        cx.grid("broken", [1])
            .run(|_, _| -> Result<(), _> { panic!("on purpose") })?;
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
    let faults: [Fault; 9] = [
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
        |cx| {
            claim(cx, "X1", 0.0);
        },
        |cx| {
            let grid = cx.grid("reading", [1]).reads(["fashion-mnist"]);
            grid.run(|_, _| Ok(())).unwrap();
        },
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
fn finished_cells_are_not_computed_again() {
    let worked = AtomicUsize::new(0);
    let count = || worked.swap(0, Ordering::Relaxed);
    let version = AtomicUsize::new(1);
    let experiment = |cx: &mut Context| {
        let version = version.load(Ordering::Relaxed) as u32;
        let grid = cx.grid("squares", [3_u32, 1, 2]).version(version);
        let squares: Vec<f64> = grid
            .run(|&number, _| {
                worked.fetch_add(1, Ordering::Relaxed);
                Ok(f64::from(number * number) / 7.0)
            })?
            .into_firsts();
        assert_eq!(squares, [9.0 / 7.0, 1.0 / 7.0, 4.0 / 7.0], "in order");
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

    version.store(2, Ordering::Relaxed);
    place.run(&[], experiment);
    assert_eq!(count(), 3, "another version of the work");
    version.store(1, Ordering::Relaxed);

    // A damaged file is as good as none.
    fs::write(place.folder().join(&first.cells[1].file), "{\"key\":").unwrap();
    place.run(&[], experiment);
    assert_eq!(count(), 1, "damaged");
}

#[test]
fn a_fresh_run_of_some_claims_leaves_the_cells_of_the_others() {
    let computed = std::sync::Mutex::new(Vec::new());
    let experiment = |cx: &mut Context| {
        for id in ["Q1", "Q2"] {
            if cx.wants(id) {
                cx.grid(id, [1]).run(|_, _| {
                    computed.lock().unwrap().push(id);
                    Ok(())
                })?;
                claim(cx, id, 0.0);
            }
        }
        Ok(())
    };
    let place = Place::new();
    place.run(&[], experiment);
    place.run(&["--fresh", "--claims", "Q1"], experiment);
    place.run(&[], experiment);
    assert_eq!(*computed.lock().unwrap(), ["Q1", "Q2", "Q1"]);
}

#[test]
fn contradictions_of_claims_on_absent_data_are_no_faults() {
    let listed = "[[contradiction]]\nclaim = \"Q1.real\"\nreason = \"r\"\n";
    let package = package(&["Q1"], listed);
    let nowhere = tempfile::tempdir().unwrap();
    let arguments = [
        "--profile",
        "full",
        "--data",
        nowhere.path().to_str().unwrap(),
    ];
    let (exit, _) = Place::new().run_package(&package, &arguments, &|cx| {
        assert!(
            cx.data("cache-cloudphysics").is_none(),
            "a set that no package installs"
        );
        cx.skip(
            "Q1",
            "All claims on real data",
            "it is not here",
            "fetch it",
        );
        Ok(())
    });
    assert_eq!(exit, Exit::Data);
}

#[test]
fn cells_of_another_build_are_used_and_said_to_be() {
    let place = Place::new();
    let experiment = |cx: &mut Context| {
        cx.grid("steps", [1, 2]).run(|&step, _| Ok(step))?;
        Ok(())
    };
    let (_, out) = place.run(&[], experiment);
    assert!(!out.contains("another build"), "{out}");
    let cells = place.report().cells;
    let file = place.folder().join(&cells[0].file);
    let mut stored: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    stored["program"] = "0".into();
    fs::write(&file, stored.to_string()).unwrap();

    let (_, out) = place.run(&[], experiment);
    assert!(
        out.contains("1 of 2 cells were computed by another build"),
        "{out}"
    );
    assert!(place.report().cells[0].other_build);
    assert!(!place.report().cells[0].is_new);
    let (_, out) = place.run(&["--fresh"], experiment);
    assert!(!out.contains("another build"), "{out}");
}

#[test]
fn the_scratch_folder_of_a_cell_survives_a_failure_and_goes_when_it_is_finished() {
    let place = Place::new();
    let folder = std::sync::Mutex::new(PathBuf::new());
    let experiment = |cx: &mut Context| {
        let grid = cx.grid("training", [1]).run(|_, cell| {
            let scratch = cell.scratch()?;
            *folder.lock().unwrap() = scratch.clone();
            let file = scratch.join("steps");
            let done = fs::read_to_string(&file).unwrap_or_default();
            fs::write(&file, format!("{done}."))?;
            if done.len() < 2 {
                return Err(ExperimentError::new("stopped"));
            }
            Ok(done.len())
        })?;
        assert_eq!(*grid.get(&1)?, 2);
        Ok(())
    };
    assert_eq!(place.run(&[], experiment).0, Exit::Crash);
    assert_eq!(place.run(&[], experiment).0, Exit::Crash);
    assert!(folder.lock().unwrap().exists());
    assert_eq!(place.run(&[], experiment).0, Exit::Reproduced);
    assert!(!folder.lock().unwrap().exists());
}

#[cfg(unix)]
#[test]
fn a_cell_can_be_a_child_process() {
    use std::process::Command;
    let (exit, _) = Place::new().run(&[], |cx| {
        let grid = cx
            .grid("child", ["echo", "fail", "lie"])
            .run(|&what, cell| {
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(match what {
                    "echo" => r#"test -d "$SEPTET_SCRATCH" && echo "[\"$SEPTET_SEED\"]""#,
                    "fail" => "echo no luck >&2; exit 3",
                    _ => "echo nonsense",
                });
                let result: Result<[String; 1], _> = cell.run(&mut shell);
                Ok(result.map_or_else(|error| error.to_string(), |[seed]| seed))
            })?;
        assert!(grid.get(&"echo")?.parse::<u32>().is_ok());
        let failed = grid.get(&"fail")?;
        assert!(
            failed.contains("exit status: 3") && failed.contains("no luck"),
            "{failed}"
        );
        let lied = grid.get(&"lie")?;
        assert!(
            lied.starts_with("reading what `sh` printed: expected"),
            "{lied}"
        );
        Ok(())
    });
    assert_eq!(exit, Exit::Reproduced);
}

#[test]
fn cells_before_a_failure_are_kept() {
    let worked = AtomicUsize::new(0);
    let place = Place::new();
    let experiment = |fails: bool| {
        let worked = &worked;
        move |cx: &mut Context| {
            for step in [0, 1, 2, 3] {
                cx.grid("steps", [step]).run(|&step, _| {
                    if fails && step == 2 {
                        return Err(ExperimentError::new("the second step failed"));
                    }
                    worked.fetch_add(1, Ordering::Relaxed);
                    Ok(step)
                })?;
            }
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
            |cx| cx.grid("twins", [1, 1]).run(|_, _| Ok(())).map(drop),
            "two cells of twins have the parameters 1",
        ),
        (
            |cx| cx.grid("numbers", [1]).run(|_, _| Ok(f64::NAN)).map(drop),
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

#[test]
fn a_grid_is_looked_up_by_parameters_and_seeds() {
    let (exit, _) = Place::new().run(&[], |cx| {
        let grid = cx.grid("powers", [2_u32, 3]).seeds(4).run(|&base, cell| {
            Ok((
                base.pow(cell.seed_index() as u32),
                cell.seed().rng().next_u32(),
            ))
        })?;
        let powers: Vec<u32> = grid.by_seed(&3)?.iter().map(|cell| cell.0).collect();
        assert_eq!(powers, [1, 3, 9, 27]);
        assert_eq!(grid.get(&2)?.0, 1);
        assert_eq!(grid.iter().len(), 2);
        let mean = grid.over_seeds(&2, "seeds", "", |cell| f64::from(cell.0))?;
        assert_eq!(mean.value, 3.75);
        assert!(matches!(mean.certainty, Certainty::Confidence { n: 4, .. }));
        let mut draws: Vec<u32> = grid.iter().flatten().map(|cell| cell.1).collect();
        draws.sort_unstable();
        draws.dedup();
        assert_eq!(draws.len(), 8, "every cell has its own seed");
        let error = grid.get(&5).unwrap_err();
        assert_eq!(error.to_string(), "no cell of powers has the parameters 5");
        Ok(())
    });
    assert_eq!(exit, Exit::Reproduced);
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
            assert_eq!(exit, Exit::Reproduced);
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
        license: String::new(),
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
