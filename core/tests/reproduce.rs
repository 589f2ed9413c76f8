//! Runs of the example `pi` as a program of its own: what a user and a script rely on.

#![expect(
    clippy::unwrap_used,
    reason = "the functions beside the tests are tests as well"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, SystemTime};

use septet_core::report::Report;

/// The program with its results in this folder.
fn pi(out: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pi"));
    command.arg("--out").arg(out).args(arguments);
    for variable in [
        "SEPTET_DATA",
        "SEPTET_LOG",
        "SEPTET_LOG_FORMAT",
        "SEPTET_TRACE",
    ] {
        command.env_remove(variable);
    }
    command
}

fn run(command: &mut Command) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn report(out: &Path, profile: &str) -> Report {
    Report::load(&out.join("pi").join(profile).join("report.json")).unwrap()
}

/// The finished cells and when they were written.
fn cells(out: &Path, profile: &str) -> Vec<(PathBuf, SystemTime)> {
    let Ok(folder) = fs::read_dir(out.join("pi").join(profile).join("cells")) else {
        return Vec::new();
    };
    let mut cells: Vec<(PathBuf, SystemTime)> = folder
        .map(|entry| entry.unwrap())
        .filter(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "json")
        })
        .map(|entry| (entry.path(), entry.metadata().unwrap().modified().unwrap()))
        .collect();
    cells.sort();
    cells
}

#[test]
fn a_run_prints_claims_and_files_and_ends_with_the_line_for_scripts() {
    let out = tempfile::tempdir().unwrap();
    let (code, stdout, stderr) = run(&mut pi(out.path(), &[]));
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(stdout.starts_with("The Monte Carlo Method\n"), "{stdout}");
    let last = stdout.lines().last().unwrap();
    let counts = "reproduce pi quick: 2 reproduced, 0 contradicted, 0 inconclusive, 1 skipped (";
    assert!(last.starts_with(counts), "{last}");
    assert!(stderr.contains("throws: 240 done"), "{stderr}");
    for text in [&stdout, &stderr] {
        assert!(
            !text.contains('\u{1b}') && !text.contains('\r'),
            "control codes in {text}"
        );
    }
    for file in [
        "report.json",
        "report.html",
        "figures/spread.svg",
        "figures/spread.csv",
    ] {
        assert!(out.path().join("pi/quick").join(file).is_file(), "{file}");
    }
}

#[test]
fn the_report_is_the_same_on_one_and_on_two_threads() {
    let reports = ["1", "2"].map(|threads| {
        let out = tempfile::tempdir().unwrap();
        let mut command = pi(out.path(), &["--seed", "5"]);
        assert_eq!(run(command.env("RAYON_NUM_THREADS", threads)).0, 0);
        let report = report(out.path(), "quick");
        assert_eq!(report.provenance.threads.to_string(), threads);
        report.without_timing().to_json()
    });
    assert_eq!(reports[0], reports[1]);
}

#[test]
fn a_killed_run_is_resumed_and_leaves_nothing_half_written() {
    let whole = tempfile::tempdir().unwrap();
    assert_eq!(run(&mut pi(whole.path(), &["--profile", "full"])).0, 0);

    let out = tempfile::tempdir().unwrap();
    let mut command = pi(out.path(), &["--profile", "full"]);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while cells(out.path(), "full").len() < 30 && child.try_wait().unwrap().is_none() {
        thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let finished = cells(out.path(), "full");
    assert!(finished.len() >= 30, "it died by itself");
    assert!(finished.len() < 280, "it was not killed in time");
    for file in ["report.json", "report.html"] {
        assert!(!out.path().join("pi/full").join(file).exists());
    }

    assert_eq!(run(&mut pi(out.path(), &["--profile", "full"])).0, 0);
    let all = cells(out.path(), "full");
    assert_eq!(all.len(), 280);
    assert!(
        finished.iter().all(|cell| all.contains(cell)),
        "a finished cell was written again"
    );
    let resumed = report(out.path(), "full").without_timing().to_json();
    assert_eq!(
        resumed,
        report(whole.path(), "full").without_timing().to_json()
    );
}

#[test]
fn logging_follows_the_environment() {
    let out = tempfile::tempdir().unwrap();
    let trace = out.path().join("trace.json");
    let mut command = pi(out.path(), &[]);
    command
        .env("SEPTET_LOG_FORMAT", "json")
        .env("SEPTET_TRACE", &trace);
    let (code, _, stderr) = run(&mut command);
    assert_eq!(code, 0);
    for line in stderr.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["level"], "INFO");
    }
    let trace: serde_json::Value = serde_json::from_slice(&fs::read(trace).unwrap()).unwrap();
    let events = trace.as_array().unwrap();
    assert!(events.iter().any(|event| event["name"] == "cell"));

    let (code, _, stderr) = run(pi(out.path(), &[]).env("SEPTET_LOG", "off"));
    assert_eq!((code, stderr.as_str()), (0, ""));

    for (variable, value) in [
        ("SEPTET_LOG", "=loud="),
        ("SEPTET_LOG_FORMAT", "xml"),
        ("SEPTET_TRACE", "/nowhere/at/all"),
    ] {
        let (code, _, stderr) = run(pi(out.path(), &[]).env(variable, value));
        assert_eq!(code, 3, "{variable}={value}: {stderr}");
        assert!(stderr.starts_with("error: the "), "{stderr}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("file");
    fs::write(&file, "").unwrap();
    let (code, _, stderr) = run(&mut pi(&file, &[]));
    assert_eq!(code, 5);
    assert!(stderr.contains(&file.display().to_string()), "{stderr}");
}
