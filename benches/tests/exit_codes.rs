//! How the comparisons end.

use septet_core::cli::Exit;
use septet_core::cli::testing::{Situation, TestedProgram};

/// What every comparison does alike. None of it needs Python.
fn check(program: &TestedProgram) {
    program.write("file", "");
    program.check(&[
        (Situation::Usage, &["--no-such-option"]),
        (Situation::Usage, &["--repetitions", "x"]),
        (Situation::Usage, &["--out", "-"]),
        (Situation::ClosedPipe, &["--help"]),
    ]);
    let message = program.fails(Exit::Data, &["--out", "file/out"]);
    assert!(message.contains("file/out"), "{message}");
}

#[test]
fn of_the_cache() {
    let program = TestedProgram::new(env!("CARGO_BIN_EXE_peers-cache"));
    check(&program);
    program.write("damaged.bin", "x");
    program.check(&[
        (Situation::Usage, &["--traces", "nosuch", "--out", "out"]),
        (
            Situation::MissingData,
            &["--traces", "OLTP", "--out", "out"],
        ),
        (
            Situation::MissingData,
            &["--traces", "OLTP", "--data", "absent", "--out", "out"],
        ),
        (
            Situation::MissingData,
            &["replay", "absent.bin", "LRU", "9"],
        ),
        (
            Situation::DamagedData,
            &["replay", "damaged.bin", "LRU", "9"],
        ),
    ]);
}

#[cfg(feature = "coded-serving-peers")]
#[test]
fn of_coded_serving() {
    let program = TestedProgram::new(env!("CARGO_BIN_EXE_peers-coded-serving"));
    check(&program);
    program.write("damaged", "not a network");
    program.check(&[
        (Situation::Usage, &["--parts", "nosuch"]),
        (Situation::Usage, &["--seconds", "nan"]),
        (Situation::MissingData, &["--serve", "absent"]),
        (Situation::DamagedData, &["--serve", "damaged"]),
    ]);
}

#[cfg(feature = "core-peers")]
#[test]
fn of_the_core() {
    let program = TestedProgram::new(env!("CARGO_BIN_EXE_peers-core"));
    check(&program);
    program.check(&[(Situation::Usage, &["--rows", "nosuch", "--out", "out"])]);
    // Without PyTorch there is nothing to compare with, which is no error.
    let skipped = program.prints(&["--python", "absent", "--out", "out"]);
    assert!(skipped.starts_with("skipped: "), "{skipped}");
}

#[cfg(feature = "robust-stats-peers")]
#[test]
fn of_robust_stats() {
    let program = TestedProgram::new(env!("CARGO_BIN_EXE_peers-robust-stats"));
    check(&program);
    program.check(&[
        (Situation::Usage, &["--epsilon", "x"]),
        (
            Situation::MissingData,
            &["--python", "absent", "--out", "out"],
        ),
    ]);
}

#[cfg(feature = "sketch-peers")]
#[test]
fn of_the_sketches() {
    let program = TestedProgram::new(env!("CARGO_BIN_EXE_peers-sketch"));
    check(&program);
    program.check(&[
        (Situation::Usage, &["--kib", "x"]),
        #[cfg(unix)]
        (Situation::Interrupted, &["--out", "out"]),
    ]);
}
