//! The commands of `cachesim` that work on traces.

#![cfg(feature = "cli")]

use std::path::Path;
use std::process::{Command, Output};

use septet_core::cli::testing::{Situation, TestedProgram};

fn cachesim(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cachesim"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the program starts")
}

/// What the program prints when it succeeds.
#[track_caller]
fn prints(folder: &Path, arguments: &[&str]) -> String {
    let output = cachesim(folder, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("the output is text")
}

/// What the program says when it fails with this exit code.
#[track_caller]
fn fails(folder: &Path, code: i32, arguments: &[&str]) -> String {
    let output = cachesim(folder, arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    String::from_utf8(output.stderr).expect("the message is text")
}

#[track_caller]
fn summary(folder: &Path, arguments: &[&str]) -> serde_json::Value {
    let text = prints(folder, &[&["analyze", "--json"], arguments].concat());
    serde_json::from_str(&text).expect("the output is JSON")
}

#[test]
fn a_trace_is_generated_annotated_converted_and_analyzed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let phases = ["Zipf(objects=100):3000", "Scan(pages=50):100"];
    let generate = |name: &str, seed: &str| {
        let options = ["--repeat", "2", "--median-size", "1000", "--seed", seed];
        prints(
            folder,
            &[&["gen", name, "auto"], &phases[..], &options].concat(),
        );
    };
    generate("a.csv", "1");
    generate("again.csv", "1");
    generate("other.csv", "2");
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert_eq!(read("a.csv"), read("again.csv"));
    assert_ne!(read("a.csv"), read("other.csv"));

    prints(folder, &["annotate", "a.csv", "csv", "a.oracleGeneral.zst"]);
    let annotated = summary(folder, &["a.oracleGeneral.zst", "oracleGeneral"]);
    assert_eq!(annotated["requests"], 6200);
    assert_eq!(annotated["pages"], 150);
    assert_eq!(annotated["has_next_access"], true);
    let unit = summary(folder, &["a.csv", "csv", "--ignore-obj-size"]);
    assert_eq!(unit["requested_bytes"], 6200);
    assert!(annotated["requested_bytes"].as_u64() > Some(6200));

    prints(
        folder,
        &["convert", "a.oracleGeneral.zst", "auto", "a.txt.gz"],
    );
    let converted = summary(folder, &["a.txt.gz", "txt"]);
    assert_eq!(converted["stack_distances"], annotated["stack_distances"]);
    let table = prints(folder, &["analyze", "a.txt.gz", "auto"]);
    assert!(table.starts_with("requests "), "{table}");

    prints(
        folder,
        &["gen", "program.trace", "pc-address", "mcf-like:5000"],
    );
    let program = summary(folder, &["program.trace", "pc-address", "--sets", "2048"]);
    assert_eq!(program["sets"]["used"], 64);
}

#[test]
fn columns_are_specified_as_for_libcachesim() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(
        folder.join("a.csv"),
        "v,when,what,bytes\n1,5,x,7\n1,6,x,7\n1,7,y,9\n",
    )
    .unwrap();
    let columns = "time-col=2, obj-id-col=3, obj-size-col=4, delimiter=,, has-header=true";
    let found = summary(folder, &["a.csv", "csv", "-t", columns]);
    assert_eq!(found["pages"], 2);
    assert_eq!(found["distinct_bytes"], 16);
    assert_eq!(found["times"], serde_json::json!([5, 7]));
}

#[test]
fn errors_name_the_file_the_place_and_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("a.lis"), "1 2 0 0\n3 4\n").unwrap();
    assert_eq!(
        fails(folder, 4, &["analyze", "a.lis", "arc"]),
        "error: a.lis: arc trace, line 2: expected four numbers: start count 0 sequence, \
         found \"3 4\"\n"
    );
    let message = fails(folder, 4, &["convert", "a.lis", "arc", "b.txt"]);
    assert!(message.contains("line 2"), "{message}");
    assert!(!folder.join("b.txt").exists());
    let message = fails(
        folder,
        4,
        &["analyze", "a.lis", "arc", "--max-records", "1"],
    );
    assert!(message.contains("more than 1 requests"), "{message}");
    let message = fails(folder, 4, &["analyze", "missing.txt", "auto"]);
    assert!(message.contains("missing.txt"), "{message}");
    let message = fails(folder, 3, &["analyze", "a.trace", "auto"]);
    assert!(message.contains("oracleGeneral"), "{message}");
    let message = fails(folder, 3, &["analyze", "a.lis", "ark"]);
    assert!(message.contains("unknown trace format"), "{message}");
    let message = fails(folder, 3, &["gen", "a.txt", "txt", "Zipf(object=3):5"]);
    assert!(message.contains("objects=10000"), "{message}");
    let message = fails(folder, 3, &["annotate", "a.lis", "arc", "b.txt", "txt"]);
    assert!(message.contains("oracleGeneral"), "{message}");
}

#[test]
fn a_trace_can_be_written_to_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("a.csv"), "1,7,9\n2,8,9\n").unwrap();
    let generated = prints(folder, &["gen", "-", "txt", "Scan(pages=2):3"]);
    assert_eq!(generated.lines().count(), 3, "{generated}");
    let columns = "time-col=1, obj-id-col=2, obj-size-col=3";
    let converted = prints(
        folder,
        &["convert", "a.csv", "csv", "-t", columns, "-", "txt"],
    );
    assert_eq!(converted.lines().count(), 2, "{converted}");
    let annotated = prints(
        folder,
        &["annotate", "a.csv", "csv", "-t", columns, "-", "csv"],
    );
    assert!(annotated.lines().count() >= 2, "{annotated}");
    assert!(!folder.join("-").exists());
}

#[test]
fn exit_codes() {
    let program = TestedProgram::new(env!("CARGO_BIN_EXE_cachesim"));
    program.write("a.txt", "1\n2\n1\n");
    program.write("damaged.lis", "1 2 0 0\n3 4\n");
    program.write("damaged.txt.gz", "1\n2\n1\n");
    program.check(&[
        (Situation::Usage, &["analyze"]),
        (Situation::Usage, &["--no-such-option"]),
        (Situation::Usage, &["analyze", "a.trace", "auto"]),
        (Situation::Usage, &["sim", "a.txt", "txt", "LRU", "2cups"]),
        (Situation::Usage, &["sim", "a.txt", "txt", "LRU", "1.5"]),
        (Situation::Usage, &["sim", "a.txt", "txt", "Belady", "2"]),
        (
            Situation::Usage,
            &[
                "gen",
                "b.txt",
                "txt",
                "Scan(pages=2):0",
                "--repeat",
                "4000000000",
            ],
        ),
        (
            Situation::Usage,
            &[
                "gen",
                "b.txt",
                "txt",
                "Scan(pages=2):1000",
                "--repeat",
                "1000000",
            ],
        ),
        (Situation::Usage, &["gen", "-", "auto", "Scan(pages=2):3"]),
        (Situation::MissingData, &["analyze", "absent.txt", "txt"]),
        (Situation::DamagedData, &["analyze", "damaged.lis", "arc"]),
        (
            Situation::DamagedData,
            &["analyze", "damaged.txt.gz", "txt"],
        ),
        (Situation::ClosedPipe, &["analyze", "a.txt", "txt"]),
        #[cfg(unix)]
        (Situation::Interrupted, &["analyze", "/dev/stdin", "txt"]),
    ]);
}
