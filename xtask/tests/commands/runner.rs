//! Runs the runner, with a stand-in for cargo where a test wants one.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A run that is about to start.
#[derive(Debug)]
pub(crate) struct Runner(Command);

/// The runner with these arguments, shielded from the data sets of the machine.
pub(crate) fn xtask<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Runner {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command
        .args(arguments)
        .env_remove("SEPTET_DATA")
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    Runner(command)
}

impl Runner {
    pub(crate) fn with_cargo(mut self, cargo: &FakeCargo) -> Self {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/commands/cargo");
        self.0
            .env("CARGO", program)
            .env("FAKE_CARGO_CALLS", cargo.log())
            .env("FAKE_CARGO_BUILD", cargo.build.to_string())
            .env("FAKE_CARGO_RUN", cargo.run.to_string());
        self
    }

    pub(crate) fn run(mut self) -> Run {
        let output = self.0.output().unwrap();
        Run {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A stand-in for cargo that writes down how it was called.
#[derive(Debug)]
pub(crate) struct FakeCargo {
    folder: TempDir,
    build: i32,
    run: i32,
}

impl FakeCargo {
    /// Builds succeed, and what is run exits with this code.
    pub(crate) fn whose_programs_exit_with(code: i32) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            build: 0,
            run: code,
        }
    }

    /// Builds fail as cargo's do.
    pub(crate) fn whose_builds_fail() -> Self {
        Self {
            build: 101,
            ..Self::whose_programs_exit_with(0)
        }
    }

    /// The arguments of each call so far, separated by spaces.
    pub(crate) fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.log()).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("calls")
    }
}
