//! Runs the runner, with a stand-in for cargo where a test wants one.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

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
            .env("FAKE_CARGO_BUILD", &cargo.build)
            .env("FAKE_CARGO_RUN", &cargo.run);
        self
    }

    pub(crate) fn run(mut self) -> Run {
        Run::of(self.0.output().unwrap())
    }

    /// Presses Ctrl-C once the condition holds: like a terminal, the signal goes to the runner and
    /// to all that it has spawned.
    pub(crate) fn interrupt_when(mut self, condition: impl Fn() -> bool) -> Run {
        let child = self
            .0
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        while !condition() {
            sleep(Duration::from_millis(20));
        }
        let group = format!("-{}", child.id());
        let sent = Command::new("kill").args(["-INT", "--", &group]).status();
        assert!(sent.unwrap().success());
        Run::of(child.wait_with_output().unwrap())
    }
}

impl Run {
    fn of(output: Output) -> Self {
        Self {
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
    build: String,
    run: String,
}

impl FakeCargo {
    /// Builds succeed, and what is run exits with this code.
    pub(crate) fn whose_programs_exit_with(code: i32) -> Self {
        Self::whose_programs(format!("exit {code}"))
    }

    /// Builds succeed, and what is run does not end by itself.
    pub(crate) fn whose_programs_go_on() -> Self {
        Self::whose_programs("exec sleep 600".to_owned())
    }

    fn whose_programs(run: String) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            build: "exit 0".to_owned(),
            run,
        }
    }

    /// Builds fail as cargo's do.
    pub(crate) fn whose_builds_fail() -> Self {
        Self {
            build: "exit 101".to_owned(),
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
