//! How the runner ends by itself; that the ends of programs pass through is tested with the commands
//! that start them.

use septet_core::cli::Exit;
use septet_core::cli::testing::{Situation, TestedProgram};

const SET: &str = "cache-cloudphysics";

#[test]
fn exit_codes() {
    let program = TestedProgram::new(env!("CARGO_BIN_EXE_xtask"));
    std::fs::create_dir(program.folder().join("cache")).unwrap();
    program.write("cache/w106.trace.xz", "damaged");
    program.check(&[
        (Situation::Usage, &["no-such-command"]),
        (Situation::Usage, &["data", "path", "no-such-set"]),
        (Situation::MissingData, &["data", "path", SET]),
        (
            Situation::DamagedData,
            &["data", "path", SET, "--data", "."],
        ),
        (Situation::Usage, &["report", "cache", "--out", "-"]),
        (Situation::ClosedPipe, &[]),
        (Situation::ClosedPipe, &["--help"]),
        (Situation::ClosedPipe, &["data", "list"]),
    ]);
    let message = program.fails(Exit::Data, &["data", "path", SET, "--data", "."]);
    assert!(message.contains("rm '"), "{message}");
}
