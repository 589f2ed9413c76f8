//! Data sets that are missing or damaged.

use std::fs;

#[cfg(not(feature = "fetch"))]
use crate::runner::FakeCargo;
use crate::runner::{Run, xtask};

const SET: &str = "cache-cloudphysics";
const FILE: &str = "cache/w106.trace.xz";

#[test]
fn the_list_says_how_to_get_what_is_not_here() {
    let Run { code, stdout, .. } = xtask(["data", "list"]).run();
    assert_eq!(code, 0);
    assert!(stdout.contains(SET), "{stdout}");
    assert!(
        stdout.contains(&format!("cargo xtask data fetch {SET}")),
        "{stdout}"
    );
}

#[test]
fn a_damaged_file_is_named_with_both_hashes_and_the_command_that_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "abc").unwrap();
    let data = folder.path().to_str().unwrap();

    for named in [&[SET][..], &[]] {
        let arguments = ["data", "verify", "--data", data];
        let Run { code, stdout, .. } = xtask(arguments.iter().chain(named).copied()).run();
        assert_eq!(code, 4);
        for part in [
            file.to_str().unwrap(),
            // What the registry expects.
            "679615d555d3f0c26771b0afd859caeee54e236908cd60105d08b547abadba21",
            // The SHA-256 of "abc": FIPS 180-4.
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            &format!("cargo xtask data fetch {SET}"),
        ] {
            assert!(stdout.contains(part), "{part} is missing in:\n{stdout}");
        }
    }

    let Run {
        code,
        stdout,
        stderr,
    } = xtask(["data", "path", SET, "--data", data]).run();
    assert_eq!((code, stdout.as_str()), (4, ""));
    assert!(stderr.contains("damaged"), "{stderr}");
}

#[test]
fn an_absent_set_is_an_error_only_when_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    assert_eq!(xtask(["data", "verify", SET, "--data", data]).run().code, 4);
    let all = xtask(["data", "verify", "--data", data]).run();
    assert_eq!(all.code, 0);
    assert!(
        all.stdout.contains(&format!("absent   {SET}")),
        "{}",
        all.stdout
    );
}

/// The runner that everybody compiles cannot download: it builds and spawns the one that can.
#[cfg(not(feature = "fetch"))]
#[test]
fn sets_are_downloaded_by_the_runner_that_can() {
    let cargo = FakeCargo::whose_programs_exit_with(4);
    let run = xtask(["data", "fetch", SET]).with_cargo(&cargo).run();
    assert_eq!(run.code, 4);
    let call = cargo.calls().pop().unwrap();
    assert!(
        call.contains("--package xtask --bin xtask --features fetch"),
        "{call}"
    );
    assert!(call.ends_with(&format!("-- data fetch {SET}")), "{call}");
}

#[cfg(feature = "fetch")]
#[test]
fn a_set_without_an_address_says_how_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let run = xtask(["data", "fetch", "fashion-mnist", "--data", data]).run();
    assert_eq!(run.code, 4);
    assert!(
        run.stdout.contains("apt-get install dataset-fashion-mnist"),
        "{}",
        run.stdout
    );
}

#[test]
fn an_unknown_set_is_a_usage_error_that_names_the_known_ones() {
    let Run { code, stderr, .. } = xtask(["data", "path", "no-such-set"]).run();
    assert_eq!(code, 3);
    assert!(stderr.contains(SET), "{stderr}");
}
