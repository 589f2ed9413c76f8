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
    let counts = "reproduce pi quick: 2 reproduced, 0 contradicted, 0 inconclusive, 1 skipped; own claims: 1 reproduced, ";
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
        let report = report(out.path(), "quick-seed-5");
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
    assert_eq!(all.len(), 281);
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

/// The number of finished rounds of the cell that takes long, while it is not finished.
fn rounds(out: &Path) -> Option<(u64, f64, PathBuf)> {
    let folder = fs::read_dir(out.join("pi/quick/cells")).ok()?;
    let mut scratch = folder.filter_map(|entry| Some(entry.ok()?.path().join("rounds.json")));
    let file = scratch.find(|file| file.exists())?;
    let (done, sum) = serde_json::from_slice(&fs::read(&file).ok()?).ok()?;
    Some((done, sum, file))
}

#[test]
fn a_run_killed_inside_a_long_cell_goes_on_inside_it() {
    let checkpoint = ["--claims", "P1.checkpoint"];
    let partial = |out: &Path| {
        let report = Report::load(&out.join("pi/quick/partial/report.json")).unwrap();
        report.claims[0].measured.clone().unwrap().value
    };
    let whole = tempfile::tempdir().unwrap();
    assert_eq!(run(&mut pi(whole.path(), &checkpoint)).0, 0);

    let out = tempfile::tempdir().unwrap();
    let mut child = pi(out.path(), &checkpoint)
        .env("PI_PAUSE", "20")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while rounds(out.path()).is_none_or(|(done, ..)| done < 5)
        && child.try_wait().unwrap().is_none()
    {
        thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let (done, sum, file) = rounds(out.path()).expect("it was not killed in time");
    assert!((5..50).contains(&done), "{done}");

    // What the killed run has done is used: with a wrong sum the result is wrong by as much.
    let kept = fs::read(&file).unwrap();
    fs::write(&file, serde_json::to_string(&(done, sum + 50.0)).unwrap()).unwrap();
    let (code, stdout, _) = run(&mut pi(out.path(), &checkpoint));
    assert_eq!(code, 1, "{stdout}");
    assert!((partial(out.path()) - partial(whole.path()) - 1.0).abs() < 1e-9);
    assert!(
        rounds(out.path()).is_none(),
        "a finished cell has no scratch folder"
    );

    // Resumed from what really was there, it ends as the run that was not killed.
    fs::remove_dir_all(out.path().join("pi/quick/cells")).unwrap();
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, kept).unwrap();
    assert_eq!(run(&mut pi(out.path(), &checkpoint)).0, 0);
    assert_eq!(partial(out.path()), partial(whole.path()));
}

#[test]
fn the_commit_of_another_repository_is_not_that_of_the_report() {
    let elsewhere = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=a", "-c", "user.email=a@example.org"]);
        command
            .args(arguments)
            .current_dir(elsewhere.path())
            .output()
    };
    let committed = git(&["init", "-q"])
        .and_then(|_| git(&["commit", "-q", "--allow-empty", "-m", "other"]))
        .is_ok_and(|output| output.status.success());
    if !committed {
        println!("skipped: git is not here");
        return;
    }
    let head = String::from_utf8(git(&["rev-parse", "HEAD"]).unwrap().stdout).unwrap();
    let out = elsewhere.path().join("out");
    let mut command = pi(&out, &["--claims", "P1.mean"]);
    assert_eq!(run(command.current_dir(elsewhere.path())).0, 0);
    let json = fs::read_to_string(out.join("pi/quick/partial/report.json")).unwrap();
    assert_eq!(head.trim().len(), 40);
    assert!(
        !json.contains(head.trim()),
        "the commit of another repository"
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
    assert_eq!(code, 4);
    assert!(stderr.contains(&file.display().to_string()), "{stderr}");
}
