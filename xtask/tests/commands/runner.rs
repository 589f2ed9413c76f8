//! Runs the runner, with a stand-in for cargo where a test wants one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

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
            .env(
                "FAKE_CARGO_METADATA",
                cargo.folder.path().join("metadata.json"),
            )
            .env("FAKE_CARGO_PROGRAMS", cargo.folder.path())
            .env("FAKE_CARGO_BUILD", &cargo.build);
        self
    }

    pub(crate) fn run(mut self) -> Run {
        Run::of(self.0.output().unwrap())
    }

    /// Presses Ctrl-C once the condition holds: like a terminal, the signal goes to the runner and
    /// to all that it has spawned. The condition has to hold within a minute.
    pub(crate) fn interrupt_when(mut self, condition: impl Fn() -> bool) -> Run {
        const DEADLINE: Duration = Duration::from_secs(60);
        let child = self
            .0
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let group = format!("-{}", child.id());
        let signal = |name: &str| {
            let sent = Command::new("kill").args([name, "--", &group]).status();
            assert!(sent.unwrap().success());
        };
        let start = Instant::now();
        while !condition() {
            if start.elapsed() > DEADLINE {
                signal("-KILL");
                panic!("nothing to interrupt after {DEADLINE:?}");
            }
            sleep(Duration::from_millis(20));
        }
        signal("-INT");
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

/// A stand-in for cargo that writes down how it was called, and how the programs that it builds were.
/// Its workspace has two papers: `slow`, with the alias `tortoise`, and `quick`.
#[derive(Debug)]
pub(crate) struct FakeCargo {
    folder: TempDir,
    build: String,
}

impl FakeCargo {
    /// Builds succeed, and what is run exits with this code.
    pub(crate) fn whose_programs_exit_with(code: i32) -> Self {
        Self::whose_programs(&format!("exit {code}"))
    }

    /// Builds succeed, and what is run ends by a signal only, or after half a minute by itself. It
    /// is ready for a signal before it says that it runs.
    pub(crate) fn whose_programs_go_on() -> Self {
        Self::whose_programs("for i in $(seq 300); do sleep 0.1; done; exit 99")
    }

    fn whose_programs(run: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let package = |id: &str, seconds: u32, aliases: &str| {
            format!(
                r#"{{"name": "septet-{id}-reproduce", "manifest_path": "/nowhere/{id}/Cargo.toml",
                "features": {{}}, "metadata": {{"septet": {{
                "id": "{id}", "aliases": [{aliases}], "title": "The {id} one", "authors": "A. Author",
                "venue": "Somewhere", "year": 2021, "url": "https://example.org",
                "claim": "It is {id}.", "questions": [{{"id": "Q1", "text": "Is it?"}},
                {{"id": "F1", "text": "Is it really?", "full_only": true}}],
                "quick": {{"seconds": {seconds}}}, "full": {{"seconds": 600, "data": ["mnist"]}}}}}}}}"#
            )
        };
        let packages = [
            package("slow", 50, r#""tortoise""#),
            r#"{"name": "xtask", "manifest_path": "/nowhere/xtask/Cargo.toml", "features": {"fetch": []}, "metadata": null}"#.to_owned(),
            package("quick", 2, ""),
        ];
        let metadata = format!(r#"{{"packages": [{}]}}"#, packages.join(","));
        fs::write(folder.path().join("metadata.json"), metadata).unwrap();
        for name in [
            "reproduce-quick",
            "reproduce-slow",
            "peers-cache",
            "peers-sketch",
            "xtask",
        ] {
            let program = folder.path().join(name);
            let note = format!("echo run {name} \"$@\" >>\"$FAKE_CARGO_CALLS\"");
            let text = format!("#!/bin/sh\ntrap 'exit 130' INT\n{note}\n{run}\n");
            fs::write(&program, text).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self {
            folder,
            build: String::new(),
        }
    }

    /// Builds end by a signal only, or after half a minute by themselves.
    pub(crate) fn whose_builds_go_on() -> Self {
        Self {
            build: "for i in $(seq 300); do sleep 0.1; done; exit 99".to_owned(),
            ..Self::whose_programs_exit_with(0)
        }
    }

    /// Builds fail as cargo's do.
    pub(crate) fn whose_builds_fail() -> Self {
        Self {
            build: "exit 101".to_owned(),
            ..Self::whose_programs_exit_with(0)
        }
    }

    /// The arguments of each call so far but for `metadata`, separated by spaces; `run NAME ..` for
    /// those of programs.
    pub(crate) fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.log()).unwrap_or_default();
        let calls = calls.lines().filter(|call| !call.starts_with("metadata"));
        calls.map(str::to_owned).collect()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("calls")
    }
}
