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

/// What is typed or copied is never broken: addresses, hashes, names, commands.
#[test]
fn every_address_of_the_list_can_be_copied() {
    let Run { stdout, .. } = xtask(["data", "list"]).run();
    for whole in [
        "https://raw.githubusercontent.com/1a1a11a/libCacheSim/aa0fc40914b2b786f4b9f4dafb099f8f332b216a/data/",
        "https://raw.githubusercontent.com/optiq-lab/3L-Cache/fa5caa62b1d69886a615b9a506b17c4f28612bf8/data/tencentBlock.ns1326.sample.csv",
    ] {
        assert!(stdout.contains(whole), "{whole} is broken in\n{stdout}");
    }
    // Every word of what the registry says stands in the list as it is.
    for set in septet_core::data::sets() {
        for word in set.how_to_get().split_whitespace() {
            assert!(stdout.contains(word), "{word} of {}", set.name);
        }
    }
    // No line is wide but for a single word that is.
    for line in stdout.lines() {
        let longest = line
            .split_whitespace()
            .map(|word| word.chars().count())
            .max();
        let width = line.chars().count();
        assert!(width <= 80 || longest.unwrap_or(0) > 60, "{line}");
    }
}

#[test]
fn the_list_has_a_short_form_and_one_for_programs() {
    let short = xtask(["data", "list", "--short"]).run();
    assert_eq!(short.code, 0);
    assert_eq!(
        short.stdout.lines().count(),
        septet_core::data::sets().len()
    );
    assert!(short.stdout.contains("absent"), "{}", short.stdout);

    let json = xtask(["data", "list", "--json"]).run();
    let sets: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        sets.as_array().unwrap().len(),
        septet_core::data::sets().len()
    );
    assert_eq!(sets[0]["state"], "absent");

    let doctor = xtask(["doctor", "--json"]).run();
    let doctor: serde_json::Value = serde_json::from_str(&doctor.stdout).unwrap();
    assert_eq!(doctor["required"][0]["name"], "rustc");
}

/// No build of the runner with HTTP and TLS where there is nothing to download.
#[cfg(not(feature = "fetch"))]
#[test]
fn a_set_without_an_address_is_refused_at_once() {
    let cargo = FakeCargo::whose_programs_exit_with(0);
    let run = xtask(["data", "fetch", "fashion-mnist"])
        .with_cargo(&cargo)
        .run();
    assert_eq!(run.code, 4);
    assert!(
        run.stdout.contains("apt-get install dataset-fashion-mnist"),
        "{}",
        run.stdout
    );
    assert_eq!(cargo.calls(), [""; 0]);
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
    let [build, run] = cargo.calls().try_into().unwrap();
    assert!(
        build.ends_with("--package xtask --bin xtask --features fetch"),
        "{build}"
    );
    assert_eq!(run, format!("run xtask data fetch {SET}"));
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
