//! The program as a user starts it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_reproduce-coded-serving"))
        .args(arguments)
        .env_remove("SEPTET_DATA")
        .output()
        .expect("the program starts")
}

#[test]
fn help_is_no_error() {
    let help = run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&help.stdout).contains("--claims"));
}

#[test]
fn a_claim_that_does_not_exist_is_a_wrong_command_line() {
    let out = tempfile::tempdir().unwrap();
    let out = out.path().to_str().unwrap();
    let unknown = run(&["--claims", "Q99", "--out", out]);
    assert_eq!(unknown.status.code(), Some(3));
    let message = String::from_utf8_lossy(&unknown.stderr);
    assert!(message.contains("Q99"), "{message}");
}

#[test]
fn the_claims_that_need_no_training_leave_a_report() {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().to_str().unwrap();
    let found = run(&["--claims", "Q6", "--out", folder]);
    let printed = String::from_utf8_lossy(&found.stdout);
    assert_eq!(found.status.code(), Some(0), "{printed}");
    let report = out.path().join("coded-serving/quick/partial/report.json");
    let report = fs::read_to_string(report).unwrap();
    assert!(report.contains("Q6.spoiled"));
}

#[test]
fn exit_codes() {
    let program = Path::new(env!("CARGO_BIN_EXE_reproduce-coded-serving"));
    septet_core::experiment::testing::check_exit_codes(program, "Q5", "parm-base-mlp");
}
