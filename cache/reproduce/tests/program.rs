//! The experiment as a program of its own.

#![expect(
    clippy::unwrap_used,
    reason = "the functions beside the tests are tests as well"
)]

use std::path::Path;
use std::process::Command;

fn run(out: &Path, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_reproduce-cache"))
        .arg("--out")
        .arg(out)
        .args(arguments)
        .env_remove("SEPTET_DATA")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), stderr)
}

#[test]
fn help_is_no_fault_and_an_unknown_claim_is_one() {
    let out = tempfile::tempdir().unwrap();
    assert_eq!(run(out.path(), &["--help"]).0, 0);
    let (code, stderr) = run(out.path(), &["--claims", "Q99"]);
    assert_eq!(code, 3, "{stderr}");
}

#[test]
fn one_claim_alone_leaves_a_report() {
    let out = tempfile::tempdir().unwrap();
    let (code, stderr) = run(out.path(), &["--claims", "Q7.learning"]);
    assert_eq!(code, 0, "{stderr}");
    let mut reports = walk(out.path());
    reports.retain(|path| path.ends_with("report.json"));
    assert_eq!(reports.len(), 1);
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path);
        }
    }
    files
}

#[test]
fn exit_codes() {
    let program = Path::new(env!("CARGO_BIN_EXE_reproduce-cache"));
    septet_core::experiment::testing::check_exit_codes(program, "Q1", "cache-brightkite-citibike");
}
