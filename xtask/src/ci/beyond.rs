//! Stages for what no build of the workspace itself covers: other targets, versions of Rust, and
//! workspaces.

use std::path::Path;
use std::process::Command;

use super::{Verdict, verdict_of};
use crate::cargo::{cargo, interrupted, target_directory, wait, workspace};
use crate::{conformance, packages, tool};

/// A target without an operating system, as small devices have.
const BARE_TARGET: &str = "thumbv7em-none-eabi";

/// The packages whose libraries build without std when their default features are off.
const WITHOUT_STD: [&str; 2] = ["septet-sketch", "septet-robust-stats"];

pub(super) fn no_std() -> anyhow::Result<Verdict> {
    if !tool::has_target(BARE_TARGET) {
        return Ok(Verdict::Skipped(format!(
            "the target {BARE_TARGET} is not installed (rustup target add {BARE_TARGET})"
        )));
    }
    // Only the library: programs and tests need std.
    all_of(WITHOUT_STD.map(|package| {
        let mut command = cargo("check");
        command.args(["--package", package, "--lib", "--no-default-features"]);
        command.args(["--target", BARE_TARGET]);
        command
    }))
}

/// The lowest supported version, as the manifests state it.
const LOWEST: &str = env!("CARGO_PKG_RUST_VERSION");

pub(super) fn msrv() -> anyhow::Result<Verdict> {
    let version = tool::RUSTC.version().unwrap_or_default();
    // `rustc 1.95.0 (..)`: every patch release of the lowest minor version counts as lowest.
    let is_lowest = |version: &str| {
        let number = version.split_whitespace().nth(1).unwrap_or_default();
        number == LOWEST || number.starts_with(&format!("{LOWEST}."))
    };
    if is_lowest(&version) {
        println!("every other stage uses the lowest supported version: {version}");
        return Ok(Verdict::Passed);
    }
    // rustup's proxy of cargo selects the toolchain; a cargo without rustup rejects the argument,
    // and then the stage is skipped.
    let toolchain = format!("+{LOWEST}");
    let probe = Command::new("cargo")
        .args([&toolchain, "--version"])
        .output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        return Ok(Verdict::Skipped(format!(
            "Rust {LOWEST} is not installed (rustup toolchain install {LOWEST})"
        )));
    }
    verdict_of(
        Command::new("cargo")
            .args([&toolchain, "check", "--workspace", "--all-features"])
            // The toolchain that runs this program must not decide about the other one.
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("CARGO")
            .current_dir(workspace()),
    )
}

/// The fuzz targets are workspaces of their own: nothing else compiles them.
pub(super) fn fuzz() -> anyhow::Result<Verdict> {
    let members = packages::members()?.into_iter();
    let folders = members.map(|package| package.folder.join("fuzz"));
    let manifests = folders.map(|folder| folder.join("Cargo.toml"));
    all_of(
        manifests
            .filter(|manifest| manifest.is_file())
            .map(|manifest| {
                // Each fuzz target is a program of its own.
                let mut command = elsewhere(&manifest, "check");
                command.arg("--bins");
                command
            }),
    )
}

pub(super) fn browser() -> anyhow::Result<Verdict> {
    const TARGET: &str = "wasm32-unknown-unknown";
    if !tool::has_target(TARGET) {
        return Ok(Verdict::Skipped(format!(
            "the target {TARGET} is not installed (rustup target add {TARGET})"
        )));
    }
    let manifest = workspace().join("robust-stats/examples/browser-client/Cargo.toml");
    let mut command = elsewhere(&manifest, "build");
    command.args(["--release", "--target", TARGET]);
    verdict_of(&mut command)
}

pub(super) fn python() -> anyhow::Result<Verdict> {
    let folder = workspace().join("robust-stats/python");
    let requirements = folder.join("requirements-test.txt");
    let python = match conformance::environment("wheel", &requirements)? {
        conformance::Environment::Ready(python) => python,
        conformance::Environment::Missing(why) => return Ok(Verdict::Skipped(why)),
    };
    let bin = python.parent().unwrap_or(Path::new("")).to_path_buf();
    all_of([
        {
            // maturin builds the wheel and installs it into the environment that VIRTUAL_ENV names.
            let mut command = Command::new(bin.join("maturin"));
            command.args(["develop", "--quiet"]).current_dir(&folder);
            command
                .env("VIRTUAL_ENV", bin.parent().unwrap_or(&bin))
                .env("CARGO_TARGET_DIR", target_directory().join("elsewhere"));
            command
        },
        {
            let mut command = Command::new(&python);
            // The tests import the installed module; nothing compiled or cached stays in the
            // sources.
            command.args(["-m", "pytest", "--quiet", "-p", "no:cacheprovider", "tests"]);
            command
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .current_dir(&folder);
            command
        },
    ])
}

/// Cargo for a manifest outside the workspace. What such manifests have in common is built once.
fn elsewhere(manifest: &Path, subcommand: &str) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        // The lock files of these workspaces are tracked: a check must not change them.
        .args([subcommand, "--locked", "--manifest-path"])
        .arg(manifest)
        .env("CARGO_TARGET_DIR", target_directory().join("elsewhere"));
    command
}

/// Runs all, also after one has failed.
fn all_of(commands: impl IntoIterator<Item = Command>) -> anyhow::Result<Verdict> {
    let mut verdict = Verdict::Passed;
    for mut command in commands {
        // Ctrl-C ended the command before; the next one must not start.
        if interrupted() {
            break;
        }
        if !wait(&mut command)?.success() {
            verdict = Verdict::Failed;
        }
    }
    Ok(verdict)
}
