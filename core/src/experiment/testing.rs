//! The test that every experiment's program passes.

use std::path::Path;

use crate::cli::testing::{Situation, TestedProgram};
use crate::data;

/// Checks how the program of an experiment ends: wrong arguments, a data set that is absent or
/// damaged, closed output, an interrupt. `claims` are some that rest on the data set `set` in the
/// profile `full` and compute nothing without it.
///
/// ```no_run
/// use septet_core::experiment::testing::check_exit_codes;
///
/// # let path = "/path/of/the/program";
/// // In an integration test: env!("CARGO_BIN_EXE_reproduce-cache")
/// check_exit_codes(path.as_ref(), "Q1", "cache-brightkite-citibike");
/// ```
///
/// # Panics
///
/// When the program ends in another way.
#[track_caller]
pub fn check_exit_codes(program: &Path, claims: &str, set: &str) {
    let program = TestedProgram::new(program);
    let set = data::set(set).expect("the set is registered");
    std::fs::create_dir_all(program.folder().join("data").join(set.folder))
        .expect("the folder is writable");
    // Files with the registered names and other bytes.
    for file in set.files {
        program.write(&format!("data/{}/{}", set.folder, file.name), "damaged");
    }
    let full = ["--profile", "full", "--claims", claims, "--out", "out"];
    let damaged = [&full[..], &["--data", "data"]].concat();
    program.check(&[
        (Situation::Usage, &["--no-such-option"]),
        (
            Situation::Usage,
            &["--claims", "no-such-claim", "--out", "out"],
        ),
        (Situation::MissingData, &full),
        (Situation::ClosedPipe, &["--help"]),
        (Situation::ClosedPipe, &["--out", "out"]),
        #[cfg(unix)]
        (Situation::Interrupted, &["--out", "out"]),
    ]);
    // It is the damage that is reported, not the absence of other sets, with what to do about it.
    let output = program.output(&damaged);
    let message = String::from_utf8_lossy(&output.stderr);
    let code = i32::from(Situation::DamagedData.exit().code());
    assert_eq!(output.status.code(), Some(code), "{message}");
    assert!(message.contains("rm '"), "{message}");
}
