//! Which program a command runs, with which arguments, and what becomes of its exit code.

use std::fs;

use crate::runner::{FakeCargo, Run, xtask};

#[test]
fn without_arguments_it_lists_every_command() {
    let Run { code, stdout, .. } = xtask([]).run();
    assert_eq!(code, 0);
    for command in ["reproduce", "report", "data", "bench", "ci", "doctor"] {
        assert!(stdout.contains(&format!("\n  {command} ")), "{stdout}");
    }
}

#[test]
fn the_listing_names_all_seven_papers() {
    let Run { code, stdout, .. } = xtask(["reproduce", "--list"]).run();
    assert_eq!(code, 0);
    for name in [
        "sketch",
        "cache",
        "robust-stats",
        "coded-serving",
        "pipeline-train",
        "video-plan",
        "biochip",
    ] {
        assert!(stdout.contains(&format!("{name} (")), "{stdout}");
    }
    assert!(stdout.contains("not yet"));
    assert!(stdout.contains("quick"));
}

#[test]
fn nothing_is_wider_than_a_hundred_columns() {
    for arguments in [
        &[][..],
        &["reproduce", "--list"],
        &["data", "list"],
        &["doctor"],
        &["bench"],
        &["reproduce", "-h"],
        &["report", "-h"],
        &["bench", "-h"],
        &["data", "fetch", "-h"],
        &["data", "verify", "-h"],
        &["ci", "--help"],
    ] {
        let Run { stdout, .. } = xtask(arguments.iter().copied()).run();
        let widest = stdout.lines().max_by_key(|line| line.chars().count());
        let widest = widest.unwrap_or_default();
        assert!(widest.chars().count() <= 100, "{arguments:?}: {widest}");
    }
}

#[test]
fn an_unknown_paper_is_a_usage_error_that_names_the_known_ones() {
    let Run { code, stderr, .. } = xtask(["reproduce", "cache2"]).run();
    assert_eq!(code, 3);
    assert!(stderr.contains("cache2"), "{stderr}");
    assert!(
        stderr.contains("all, sketch, cache, robust-stats"),
        "{stderr}"
    );
    assert!(stderr.contains("similar value exists: 'cache'"), "{stderr}");
}

#[test]
fn a_paper_that_is_not_there_yet_is_a_usage_error() {
    let Run { code, stderr, .. } = xtask(["reproduce", "biochip"]).run();
    assert_eq!(code, 3);
    assert!(
        stderr.contains("`biochip` is not reproduced yet"),
        "{stderr}"
    );
    assert!(stderr.contains("cache"), "{stderr}");
}

#[test]
fn claims_belong_to_one_paper() {
    let Run { code, stderr, .. } = xtask(["reproduce", "all", "--claims", "Q1"]).run();
    assert_eq!(code, 3);
    assert!(stderr.contains("--claims"), "{stderr}");
}

#[test]
fn the_programs_exit_code_is_passed_on() {
    for (program, expected) in [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (101, 5)] {
        let cargo = FakeCargo::whose_programs_exit_with(program);
        let run = xtask(["reproduce", "cache"]).with_cargo(&cargo).run();
        assert_eq!(run.code, expected, "program exited with {program}");
    }
}

#[test]
fn control_c_ends_the_program_and_the_runner_says_so() {
    let cargo = FakeCargo::whose_programs_go_on();
    let is_running = || cargo.calls().iter().any(|call| call.starts_with("run "));
    let run = xtask(["reproduce", "all"])
        .with_cargo(&cargo)
        .interrupt_when(is_running);
    assert_eq!(run.code, 130);
    assert!(
        run.stdout.contains("reproduce sketch quick: interrupted"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_failed_build_is_a_crash() {
    let cargo = FakeCargo::whose_builds_fail();
    let run = xtask(["reproduce", "cache"]).with_cargo(&cargo).run();
    assert_eq!(run.code, 5);
    assert!(run.stderr.contains("reproduce-cache"), "{}", run.stderr);
    assert!(!cargo.calls().iter().any(|call| call.starts_with("run ")));
}

#[test]
fn arguments_reach_the_program_through_a_release_build() {
    let cargo = FakeCargo::whose_programs_exit_with(0);
    let run = xtask([
        "reproduce",
        "robust-caching",
        "--profile",
        "full",
        "--seed",
        "7",
        "--claims",
        "Q1,Q3",
        "--fresh",
        "--data",
        "some/data",
        "--out",
        "some/out",
    ])
    .with_cargo(&cargo)
    .run();
    assert_eq!(run.code, 0);
    let calls = cargo.calls();
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert!(calls[0].starts_with("build "), "{calls:?}");
    for call in &calls {
        assert!(
            call.contains(
                "--release --package septet-cache --bin reproduce-cache --features reproduce"
            ),
            "{call}"
        );
    }
    let (_, passed) = calls[1].split_once(" -- ").unwrap();
    assert_eq!(
        passed,
        "--profile full --seed 7 --claims Q1,Q3 --fresh --data some/data --out some/out"
    );
}

#[test]
fn a_comparison_runs_only_when_asked_for() {
    let cargo = FakeCargo::whose_programs_exit_with(0);
    let run = xtask(["bench"]).with_cargo(&cargo).run();
    assert_eq!(run.code, 0);
    assert!(
        run.stdout.contains("cargo xtask bench cache --peers"),
        "{}",
        run.stdout
    );
    assert_eq!(cargo.calls(), [""; 0]);

    let arguments = [
        "bench", "cache", "--peers", "--out", "o", "--", "--traces", "P3",
    ];
    let run = xtask(arguments).with_cargo(&cargo).run();
    assert_eq!(run.code, 0);
    let call = cargo.calls().pop().unwrap();
    assert!(
        call.contains("--package septet-benches --bin peers-cache"),
        "{call}"
    );
    assert!(call.ends_with("-- --out o --traces P3"), "{call}");

    let run = xtask(["bench", "sketch", "--peers"])
        .with_cargo(&cargo)
        .run();
    assert_eq!(run.code, 0);
    let call = cargo.calls().pop().unwrap();
    assert!(call.contains("--bin peers-sketch"), "{call}");
    assert!(call.contains("--features sketch-peers"), "{call}");

    assert_eq!(xtask(["bench", "biochip"]).run().code, 3);
}

#[test]
fn all_runs_what_is_there_and_names_the_rest() {
    let cargo = FakeCargo::whose_programs_exit_with(2);
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().join("cache/quick");
    fs::create_dir_all(&folder).unwrap();
    let report = r#"{
        "paper": {"id": "cache"},
        "profile": "quick",
        "claims": [{"verdict": "reproduced"}, {"verdict": "inconclusive"}],
        "wall_s": 12.34
    }"#;
    fs::write(folder.join("report.json"), report).unwrap();
    let run = xtask(["reproduce", "all", "--out", out.path().to_str().unwrap()])
        .with_cargo(&cargo)
        .run();
    assert_eq!(run.code, 2);
    assert!(
        run.stdout.contains(
            "reproduce cache quick: 1 reproduced, 0 contradicted, 1 inconclusive, 0 skipped (12.3 s)"
        ),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout.contains("not yet: pipeline-train, video-plan"),
        "{}",
        run.stdout
    );
}
