//! The program, as a user calls it.

use std::path::Path;
use std::process::{Command, Output};

fn program(arguments: &[&str], out: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_reproduce-robust-stats"))
        .args(arguments)
        .arg("--out")
        .arg(out)
        .env_remove("SEPTET_DATA")
        .current_dir(out)
        .output()
        .expect("the program starts")
}

#[test]
fn help_is_given() {
    let out = tempfile::tempdir().unwrap();
    assert_eq!(program(&["--help"], out.path()).status.code(), Some(0));
}

#[test]
fn a_claim_that_does_not_exist_is_refused() {
    let out = tempfile::tempdir().unwrap();
    let output = program(&["--claims", "Q99"], out.path());
    assert_eq!(output.status.code(), Some(3), "{output:?}");
}

#[test]
fn one_question_alone_leaves_a_report() {
    let out = tempfile::tempdir().unwrap();
    let output = program(&["--claims", "Q1.formula"], out.path());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let mut folders = vec![out.path().to_path_buf()];
    let mut pages = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "html")
            {
                pages += 1;
            }
        }
    }
    assert!(pages > 0, "a report");
}

#[test]
fn exit_codes() {
    let program = Path::new(env!("CARGO_BIN_EXE_reproduce-robust-stats"));
    septet_core::experiment::testing::check_exit_codes(program, "R", "robust-stats-browsers");
}
