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
fn the_listing_names_the_papers_of_the_workspace_with_what_they_need() {
    let cargo = FakeCargo::whose_programs_exit_with(0);
    let run = xtask(["reproduce", "--list"]).with_cargo(&cargo).run();
    assert_eq!(run.code, 0, "{}", run.stderr);
    for part in [
        "slow (alias tortoise)\n    The slow one.\n    A. Author. Somewhere 2021.\n",
        "    Claim: It is quick.\n    Q1   Is it?\n    F1   Is it really? (full)\n",
        "--profile full: about 10 min on two cores; needs: mnist",
    ] {
        assert!(run.stdout.contains(part), "{part}\n{}", run.stdout);
    }
    let place = |name: &str| run.stdout.find(&format!("{name}\n")).unwrap();
    assert!(
        place("quick") < place("slow (alias tortoise)"),
        "quickest first"
    );

    let run = xtask(["reproduce", "--list", "--json"])
        .with_cargo(&cargo)
        .run();
    let papers: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(papers[0]["id"], "quick");
    assert_eq!(papers[1]["questions"][0]["text"], "Is it?");

    // A profile may stand beside it.
    let run = xtask(["reproduce", "--list", "--profile", "full"])
        .with_cargo(&cargo)
        .run();
    assert_eq!(run.code, 0, "{}", run.stderr);
}

#[test]
fn what_is_laid_out_for_a_terminal_has_eighty_columns() {
    let cargo = FakeCargo::whose_programs_exit_with(0);
    for arguments in [
        &[][..],
        &["reproduce", "--list"],
        &["reproduce", "-h"],
        &["report", "-h"],
        &["bench", "-h"],
        &["data", "fetch", "-h"],
        &["data", "verify", "-h"],
        &["ci", "--help"],
    ] {
        let run = xtask(arguments.iter().copied()).with_cargo(&cargo).run();
        let stdout = run.stdout;
        let widest = stdout.lines().max_by_key(|line| line.chars().count());
        let widest = widest.unwrap_or_default();
        // What clap lays out is as wide as it likes.
        let limit = if arguments.ends_with(&["--list"]) {
            80
        } else {
            100
        };
        assert!(widest.chars().count() <= limit, "{arguments:?}: {widest}");
    }
}

#[test]
fn an_unknown_paper_is_a_usage_error_that_names_the_known_ones() {
    let cargo = FakeCargo::whose_programs_exit_with(0);
    for command in ["reproduce", "report"] {
        let run = xtask([command, "quick2"]).with_cargo(&cargo).run();
        assert_eq!(run.code, 3);
        let expected = "error: no paper is named `quick2`\npapers: quick, slow, all\n";
        assert_eq!(run.stderr, expected);
    }
}

#[test]
fn a_seed_is_not_negative() {
    let run = xtask(["reproduce", "all", "--seed", "-1"]).run();
    assert_eq!(run.code, 3);
    assert!(run.stderr.contains("'-1'"), "{}", run.stderr);
    assert!(!run.stderr.contains("-- -1"), "{}", run.stderr);
}

#[test]
fn claims_belong_to_one_paper() {
    let cargo = FakeCargo::whose_programs_exit_with(0);
    let run = xtask(["reproduce", "all", "--claims", "Q1"]).with_cargo(&cargo);
    let Run { code, stderr, .. } = run.run();
    assert_eq!(code, 3);
    assert!(stderr.contains("--claims"), "{stderr}");
}

#[test]
fn the_programs_exit_code_is_passed_on() {
    for (program, expected) in [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (101, 5)] {
        let cargo = FakeCargo::whose_programs_exit_with(program);
        let run = xtask(["reproduce", "slow"]).with_cargo(&cargo).run();
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
    assert_eq!(run.code, 130, "{}{}", run.stdout, run.stderr);
    assert!(
        run.stdout.contains("reproduce quick quick: interrupted"),
        "{}",
        run.stdout
    );
    let runs = cargo
        .calls()
        .into_iter()
        .filter(|call| call.starts_with("run "));
    assert_eq!(runs.count(), 1, "the other papers are not run");
}

#[test]
fn control_c_during_the_build_is_no_crash() {
    let cargo = FakeCargo::whose_builds_go_on();
    let is_building = || cargo.calls().iter().any(|call| call.starts_with("build "));
    let run = xtask(["reproduce", "all"])
        .with_cargo(&cargo)
        .interrupt_when(is_building);
    assert_eq!(run.code, 130, "{}{}", run.stdout, run.stderr);
}

#[test]
fn a_failed_build_is_a_crash() {
    let cargo = FakeCargo::whose_builds_fail();
    let run = xtask(["reproduce", "quick"]).with_cargo(&cargo).run();
    assert_eq!(run.code, 5);
    assert!(run.stderr.contains("not built"), "{}", run.stderr);
    assert!(!cargo.calls().iter().any(|call| call.starts_with("run ")));
}

#[test]
fn arguments_reach_the_program_through_a_release_build() {
    let cargo = FakeCargo::whose_programs_exit_with(0);
    let run = xtask([
        "reproduce",
        "tortoise",
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
    let selection = "--release --bins --package septet-slow-reproduce";
    assert!(calls[0].ends_with(selection), "{calls:?}");
    assert_eq!(
        calls[1],
        "run reproduce-slow --profile full --seed 7 --claims Q1,Q3 --fresh --data some/data \
         --out some/out"
    );
}

#[test]
fn all_programs_are_built_in_one_call_after_saying_so() {
    let cargo = FakeCargo::whose_programs_exit_with(0);
    let out = tempfile::tempdir().unwrap();
    write_report(out.path(), "quick", "reproduced");
    write_report(out.path(), "slow", "reproduced");
    let run = xtask(["reproduce", "all", "--out", out.path().to_str().unwrap()])
        .with_cargo(&cargo)
        .run();
    assert_eq!(run.code, 0, "{}", run.stderr);
    let builds: Vec<String> = cargo.calls();
    let builds: Vec<&String> = builds
        .iter()
        .filter(|call| call.starts_with("build"))
        .collect();
    assert_eq!(builds.len(), 1, "{builds:?}");
    let both = "--package septet-quick-reproduce --package septet-slow-reproduce";
    assert!(builds[0].contains(both), "{builds:?}");
    let said = run.stderr.replace('\n', " ");
    assert!(
        said.contains("2 papers, profile quick: quick, slow."),
        "{said}"
    );
    assert!(said.contains("Then the runs take about 52 s."), "{said}");
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
        call.ends_with("run peers-cache --out o --traces P3"),
        "{call}"
    );
    let built = cargo.calls();
    assert!(
        built[0].contains("--package septet-benches --bin peers-cache"),
        "{built:?}"
    );

    let run = xtask(["bench", "sketch", "--peers"])
        .with_cargo(&cargo)
        .run();
    assert_eq!(run.code, 0);
    let call = &cargo.calls()[2];
    assert!(call.contains("--bin peers-sketch"), "{call}");
    assert!(call.contains("--features sketch-peers"), "{call}");

    assert_eq!(xtask(["bench", "biochip"]).run().code, 3);
}

#[test]
fn all_ends_with_a_screen_that_sums_up() {
    let cargo = FakeCargo::whose_programs_exit_with(2);
    let out = tempfile::tempdir().unwrap();
    write_report(out.path(), "quick", "reproduced");
    write_report(out.path(), "slow", "inconclusive");
    let run = xtask(["reproduce", "all", "--out", out.path().to_str().unwrap()])
        .with_cargo(&cargo)
        .run();
    assert_eq!(run.code, 2, "{}", run.stderr);
    let (_, screen) = run.stdout.split_once("=== summary ===").unwrap();
    for part in [
        "the summary of quick",
        "the summary of slow",
        "2 papers: 1 reproduced, 1 inconclusive\n",
        "index.html\n",
    ] {
        assert!(screen.contains(part), "{part}: {screen}");
    }
}

/// What a run with one claim leaves.
fn write_report(out: &std::path::Path, paper: &str, verdict: &str) {
    let folder = out.join(paper).join("quick");
    fs::create_dir_all(&folder).unwrap();
    let report = format!(r#"{{"claims": [{{"verdict": "{verdict}", "scale": "scaled"}}]}}"#);
    fs::write(folder.join("report.json"), report).unwrap();
    let summary = format!("the summary of {paper}\n");
    fs::write(folder.join("summary.txt"), summary).unwrap();
}
