//! The program as it is run: its command line, and the cheapest of its questions.

use std::path::Path;
use std::process::{Command, Output};

fn program(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_reproduce-sketch"))
        .args(arguments)
        .env_remove("SEPTET_DATA")
        .output()
        .expect("the program starts")
}

/// The arguments for some claims, with results below a folder in which there is no data either.
fn claims<'a>(claims: &'a str, folder: &'a Path) -> [&'a str; 6] {
    let folder = folder.to_str().expect("a path that is text");
    ["--claims", claims, "--out", folder, "--data", folder]
}

#[test]
fn help_and_unknown_claims() {
    assert_eq!(program(&["--help"]).status.code(), Some(0));
    let folder = tempfile::tempdir().unwrap();
    let unknown = program(&claims("Q99", folder.path()));
    assert_eq!(unknown.status.code(), Some(3));
    let message = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(message.contains("Q99"), "{message}");
}

#[test]
fn a_question_alone_leaves_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let run = program(&claims("Q4", folder.path()));
    let messages = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(0), "{messages}");
    let report = folder.path().join("sketch/quick/partial/report.json");
    let report = std::fs::read_to_string(report).expect("a report");
    assert!(report.contains("Q4.zipf") && report.contains("Q4.flows"));
}

#[test]
fn claims_on_data_that_is_not_there_are_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let run = program(&claims("Q5", folder.path()));
    let messages = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(0), "{messages}");
    let shown = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(shown.contains("skipped"), "{shown}");
}

#[test]
fn exit_codes() {
    let program = Path::new(env!("CARGO_BIN_EXE_reproduce-sketch"));
    septet_core::experiment::testing::check_exit_codes(program, "F1.left", "sketch-books");
}
