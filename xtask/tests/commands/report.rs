//! Reports that are missing or broken.

use std::fs;

#[cfg(not(feature = "report"))]
use crate::runner::Run;
use crate::runner::{FakeCargo, xtask};

#[test]
fn a_missing_report_is_an_error_with_the_command_that_makes_it() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let cargo = FakeCargo::whose_programs_exit_with(0);
    let run = xtask(["report", "quick", "--profile", "full", "--out", out])
        .with_cargo(&cargo)
        .run();
    assert_eq!(run.code, 4);
    assert!(
        run.stderr
            .contains("cargo xtask reproduce quick --profile full"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains(out), "{}", run.stderr);
}

/// The runner that everybody compiles does not draw: it builds and spawns the one that does.
#[cfg(not(feature = "report"))]
#[test]
fn reports_are_built_by_the_runner_that_can() {
    let folder = folder_with_report("{}");
    let out = folder.path().to_str().unwrap();
    let cargo = FakeCargo::whose_programs_exit_with(4);
    let Run { code, .. } = xtask(["report", "quick", "--out", out])
        .with_cargo(&cargo)
        .run();
    assert_eq!(code, 4);
    let [build, run] = cargo.calls().try_into().unwrap();
    assert!(
        build.ends_with("--package xtask --bin xtask --features report"),
        "{build}"
    );
    assert_eq!(run, format!("run xtask report quick --out {out}"));
}

#[cfg(feature = "report")]
#[test]
fn a_broken_report_is_an_error_that_says_what_is_wrong_with_it() {
    for (text, complaint) in [
        ("{\"schema\": \"septet", "is not a report"),
        ("{\"schema\": \"septet-report/0\"}", "`septet-report/0`"),
        ("{\"schema\": \"septet-report/2\"}", "missing field"),
    ] {
        let folder = folder_with_report(text);
        let out = folder.path().to_str().unwrap();
        let cargo = FakeCargo::whose_programs_exit_with(0);
        let run = xtask(["report", "all", "--out", out])
            .with_cargo(&cargo)
            .run();
        assert_eq!(run.code, 4, "{text}");
        assert!(run.stderr.contains("report.json"), "{}", run.stderr);
        assert!(run.stderr.contains(complaint), "{}", run.stderr);
        assert!(
            run.stderr.contains("cargo xtask reproduce"),
            "{}",
            run.stderr
        );
    }
}

/// A folder of results with this report of the paper `quick`, profile quick.
fn folder_with_report(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("quick/quick");
    fs::create_dir_all(&run).unwrap();
    fs::write(run.join("report.json"), text).unwrap();
    folder
}
