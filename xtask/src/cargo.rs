//! Running cargo, and through it the programs of the workspace.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use septet_core::cli::{Exit, Failure};
use serde::Deserialize;

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
    // Cargo sets `CARGO` for the programs that it runs: the same toolchain is used again.
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command
        .arg(subcommand)
        .arg("--manifest-path")
        .arg(workspace().join(manifest));
    command
}

/// What is built, and how.
#[derive(Debug)]
pub(crate) struct Build(Vec<String>);

impl Build {
    /// All programs of these packages, optimized.
    pub(crate) fn release<'a>(packages: impl IntoIterator<Item = &'a str>) -> Self {
        let mut arguments = vec!["--release".to_owned(), "--bins".to_owned()];
        for package in packages {
            arguments.extend(["--package".to_owned(), package.to_owned()]);
        }
        Self(arguments)
    }

    /// One optimized program of a package, with a feature.
    pub(crate) fn program(package: &str, program: &str, feature: Option<&str>) -> Self {
        let mut arguments = vec!["--release", "--package", package, "--bin", program];
        arguments.extend(feature.iter().flat_map(|feature| ["--features", feature]));
        Self(arguments.into_iter().map(str::to_owned).collect())
    }

    /// The runner itself with a feature, as the runner is built: it shares most of what that took.
    #[cfg(not(all(feature = "fetch", feature = "report")))]
    fn runner(feature: &str) -> Self {
        let name = env!("CARGO_PKG_NAME");
        let arguments = ["--package", name, "--bin", name, "--features", feature];
        Self(arguments.map(str::to_owned).into())
    }

    /// The programs of these packages (arguments of cargo) as their tests are built: after a test run
    /// of the same packages this builds nothing.
    pub(crate) fn as_tested(packages: &[String]) -> Self {
        let arguments = ["--all-features", "--bins", "--tests"].map(str::to_owned);
        Self([packages, &arguments].concat())
    }
}

/// Programs of the workspace that are built.
#[derive(Debug)]
pub(crate) struct Programs(HashMap<String, PathBuf>);

/// A message of cargo about what it has built.
#[derive(Deserialize)]
struct Message {
    reason: String,
    target: Option<Target>,
    profile: Option<ArtifactProfile>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct ArtifactProfile {
    test: bool,
}

impl Programs {
    /// Builds, showing cargo's progress. When it fails, cargo has explained why.
    pub(crate) fn build(build: &Build) -> anyhow::Result<Self> {
        outlive_control_c()?;
        // Messages come as JSON on standard output, progress and diagnostics go to the terminal.
        let mut child = cargo("build")
            .arg("--message-format=json-render-diagnostics")
            .args(&build.0)
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run `cargo build`")?;
        let mut programs = HashMap::new();
        if let Some(output) = child.stdout.take() {
            for line in BufReader::new(output).lines() {
                let line = line.context("cannot read the messages of `cargo build`")?;
                // Lines of another form come from build scripts and later versions of cargo.
                let Ok(message) = serde_json::from_str::<Message>(&line) else {
                    continue;
                };
                programs.extend(message.program());
            }
        }
        let status = child.wait().context("cannot wait for `cargo build`")?;
        if status.success() {
            return Ok(Self(programs));
        }
        // Cargo may have ended by the signal before this process has recorded it.
        let (outcome, what) = match crate::outcome::of_program(status) {
            Exit::Interrupted => (Exit::Interrupted, "interrupted while building"),
            _ if interrupted() => (Exit::Interrupted, "interrupted while building"),
            _ => (Exit::Internal, "the programs were not built"),
        };
        Err(Failure::new(outcome, anyhow::Error::msg(what)).into())
    }

    /// Runs a program to its end, with the terminal as its own.
    pub(crate) fn run<A: AsRef<OsStr>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> anyhow::Result<Exit> {
        let ran = wait(Command::new(self.path(program)?).args(arguments))?;
        Ok(crate::outcome::of_program(ran))
    }

    /// The path of a program that was built.
    pub(crate) fn path(&self, program: &str) -> anyhow::Result<&Path> {
        let path = self.0.get(program).map(PathBuf::as_path);
        path.with_context(|| format!("cargo built no program named `{program}`"))
    }
}

impl Message {
    /// The name and the path of the program, if it is about one.
    fn program(self) -> Option<(String, PathBuf)> {
        let target = self.target?;
        // A program that is built as a test has the same target name; only the program itself
        // counts.
        let is_program = self.reason == "compiler-artifact"
            && target.kind.iter().any(|kind| kind == "bin")
            && !self.profile?.test;
        is_program.then_some((target.name, self.executable?))
    }
}

/// Builds one program of the workspace and runs it.
pub(crate) fn build_and_run<A: AsRef<OsStr>>(
    build: &Build,
    program: &str,
    arguments: impl IntoIterator<Item = A>,
) -> anyhow::Result<Exit> {
    Programs::build(build)?.run(program, arguments)
}

/// Runs this very command line in the runner built with a feature, and so with what only this
/// command needs.
#[cfg(not(all(feature = "fetch", feature = "report")))]
pub(crate) fn run_again_with(feature: &'static str) -> anyhow::Result<Exit> {
    let name = env!("CARGO_PKG_NAME");
    build_and_run(&Build::runner(feature), name, std::env::args_os().skip(1))
}

/// Runs a command to its end with the terminal as its own.
///
/// Ctrl-C reaches the whole foreground group: the child ends in its own time (a reproduction keeps
/// its finished cells), and the runner lives on to say how it ended.
pub(crate) fn wait(command: &mut Command) -> anyhow::Result<ExitStatus> {
    outlive_control_c()?;
    let name = command.get_program().to_string_lossy().into_owned();
    command
        .status()
        .with_context(|| format!("cannot run `{name}`"))
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Keeps the runner alive on Ctrl-C from its first child on; the child still receives the signal.
/// Commands without a child end at once.
pub(crate) fn outlive_control_c() -> anyhow::Result<()> {
    static IS_SET: Mutex<bool> = Mutex::new(false);
    let mut is_set = IS_SET.lock().unwrap_or_else(PoisonError::into_inner);
    if !*is_set {
        ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed))
            .context("cannot install the handler of Ctrl-C")?;
        *is_set = true;
    }
    Ok(())
}

/// Whether the user has pressed Ctrl-C; a caller that runs several programs stops then.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}
