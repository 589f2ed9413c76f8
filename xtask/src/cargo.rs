//! Running cargo, and through it the programs of the workspace.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

use crate::outcome::Outcome;

/// The folder of the workspace.
pub(crate) fn workspace() -> &'static Path {
    let member = Path::new(env!("CARGO_MANIFEST_DIR"));
    member.parent().unwrap_or(member)
}

/// Where cargo puts what it builds.
pub(crate) fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// Cargo with this subcommand, run in the caller's directory so that relative paths keep their
/// meaning.
pub(crate) fn cargo(subcommand: &str) -> Command {
    cargo_of("Cargo.toml", subcommand)
}

/// Cargo with this subcommand for another manifest than that of the workspace.
pub(crate) fn cargo_of(manifest: &str, subcommand: &str) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command
        .arg(subcommand)
        .arg("--manifest-path")
        .arg(workspace().join(manifest));
    command
}

/// A program of the workspace, built in release mode.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) package: String,
    pub(crate) features: Option<&'static str>,
    pub(crate) name: String,
}

impl Program {
    /// Builds the program, showing cargo's progress, then runs it with the terminal as its own.
    pub(crate) fn run<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> anyhow::Result<Outcome> {
        let built = wait(self.select(&mut cargo("build")))?;
        if !built.success() {
            eprintln!("error: {} of {} was not built", self.name, self.package);
            return Ok(Outcome::of_program(built).max(Outcome::Crash));
        }
        let ran = wait(
            self.select(cargo("run").arg("--quiet"))
                .arg("--")
                .args(arguments),
        )?;
        Ok(Outcome::of_program(ran))
    }

    fn select<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.args(["--release", "--package", &self.package, "--bin", &self.name]);
        if let Some(features) = self.features {
            command.args(["--features", features]);
        }
        command
    }
}

/// Runs this very command line in the runner built with a feature, and so with what only this
/// command needs.
#[cfg(not(all(feature = "fetch", feature = "report")))]
pub(crate) fn run_again_with(feature: &'static str) -> anyhow::Result<Outcome> {
    Program {
        package: env!("CARGO_PKG_NAME").to_owned(),
        features: Some(feature),
        name: env!("CARGO_PKG_NAME").to_owned(),
    }
    .run(std::env::args_os().skip(1))
}

/// Runs a command to its end with the terminal as its own.
///
/// Ctrl-C reaches the whole foreground group: the child ends in its own time (a reproduction keeps
/// its finished cells), and the runner lives on to say how it ended.
pub(crate) fn wait(command: &mut Command) -> anyhow::Result<ExitStatus> {
    let name = command.get_program().to_string_lossy().into_owned();
    command
        .status()
        .with_context(|| format!("cannot run `{name}`"))
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Keeps the runner alive on Ctrl-C while a child runs; the child still receives the signal.
pub(crate) fn outlive_control_c() -> anyhow::Result<()> {
    ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed))
        .context("cannot install the handler of Ctrl-C")
}

/// Whether the user has pressed Ctrl-C: whoever runs several programs stops after this one.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}
