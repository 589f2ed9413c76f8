//! What the program says and how it ends when it fails.

use std::fs;

use septet_core::cli::testing::{Situation, TestedProgram};

use crate::{fails, prints};

#[test]
fn errors_name_file_line_and_cause() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("bad.csv"), "k,n\na,1\nb,x\n").unwrap();
    fs::write(folder.join("keys"), "a\n").unwrap();
    let says = |code, arguments: &[&str], message: &str| {
        let said = fails(folder, code, arguments);
        assert_eq!(said, format!("error: {message}\n"), "{arguments:?}");
    };
    says(
        4,
        &["build", "nosuch.txt", "-o", "x"],
        "nosuch.txt cannot be read or written\n  caused by: No such file or directory (os error 2)",
    );
    says(
        4,
        &["build", "bad.csv", "-f", "csv:k:n", "-o", "x"],
        "bad.csv: csv, line 3: expected a count from 0 below 2^64, found \"x\"",
    );
    says(
        3,
        &["build", "keys", "-o", "x"],
        "the format of keys is unknown; set it with --format",
    );
    says(
        4,
        &["info", "keys"],
        "keys\n  caused by: expected a sketch file (\"LSK1\") or a DataSketches file, found neither",
    );
    prints(
        folder,
        &["build", "keys", "-f", "lines", "-o", "s", "--bytes", "4KiB"],
    );
    prints(
        folder,
        &[
            "build", "keys", "-f", "lines", "-o", "t", "--bytes", "4KiB", "--seed", "1",
        ],
    );
    says(
        4,
        &["merge", "s", "t", "-o", "x"],
        "t cannot be merged into s\n  caused by: the sketches differ in seed: 0 and 1",
    );
    let bytes = fs::read(folder.join("s")).unwrap();
    fs::write(folder.join("cut"), &bytes[..40]).unwrap();
    says(
        4,
        &["info", "cut"],
        "cut\n  caused by: sketch file, byte 32: expected 12 bytes of parameters, found the end after 8 bytes",
    );
    says(
        3,
        &["query", "s"],
        "no keys to query; name some, or a stream with --keys-from",
    );
    assert!(fails(folder, 3, &["build", "keys"]).contains("--output"));
    assert!(fails(folder, 3, &["count"]).contains("unrecognized subcommand"));
    assert!(fails(folder, 3, &["build", "keys", "-o", "x", "-b", "0"]).contains("such as 4096"));
    assert!(prints(folder, &["--help"]).contains("Exit codes"));
    assert!(!folder.join("x").exists());
}

#[test]
fn a_list_of_too_many_keys_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("w.txt"), "word\n").unwrap();
    let top = ["--top", "18446744073709551615"];
    let build = ["build", "w.txt", "-o", "x", "--algorithm", "cu"];
    let message = fails(folder.path(), 3, &[&build[..], &top].concat());
    assert!(message.contains("more than --bytes"), "{message}");
}

#[test]
fn exit_codes() {
    let program = TestedProgram::new(env!("CARGO_BIN_EXE_sketch"));
    program.write("words.txt", "the\nfox\nthe\n");
    program.write("damaged.csv", "key,count\na,1\nb,x\n");
    program.write("damaged.sk", "LSK1 and nothing else");
    let _ = program.prints(&["build", "words.txt", "-o", "words.sk", "--bytes", "4KiB"]);
    program.check(&[
        (Situation::Usage, &["build"]),
        (Situation::Usage, &["--no-such-option"]),
        (
            Situation::Usage,
            &["build", "words.txt", "-o", "x", "--bytes", "1"],
        ),
        #[cfg(feature = "train")]
        (
            Situation::Usage,
            &["train", "words.txt", "-o", "x", "--learning-rate", "nan"],
        ),
        #[cfg(feature = "train")]
        (Situation::Usage, &["train", "words.txt", "-o", "-"]),
        (Situation::Usage, &["query", "words.sk"]),
        (Situation::MissingData, &["info", "absent.sk"]),
        (Situation::MissingData, &["build", "absent.txt", "-o", "x"]),
        (Situation::DamagedData, &["info", "damaged.sk"]),
        (
            Situation::DamagedData,
            &["build", "damaged.csv", "-f", "csv:key:count", "-o", "x"],
        ),
        (Situation::ClosedPipe, &["query", "words.sk", "the"]),
        (Situation::ClosedPipe, &["info", "words.sk", "--json"]),
        #[cfg(unix)]
        (
            Situation::Interrupted,
            &["build", "-", "-f", "lines", "-o", "x"],
        ),
    ]);
}
