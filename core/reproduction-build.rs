//! The build script of every `septet-<system>-reproduce`: tells the program the commit that it is
//! built from, for its report.
//!
//! It runs again when there is a new commit or when the sources that the program consists of change.

#![expect(clippy::print_stdout, reason = "build scripts talk to cargo so")]

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    let package = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let system = Path::new(&package).parent().unwrap_or(Path::new(""));
    let root = system.parent().unwrap_or(Path::new(""));
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-C".as_ref(), root.as_os_str()]);
        output(command.arg("--no-optional-locks").args(arguments))
    };

    // What the program consists of; a change of anything else does not matter to its results.
    let sources = [
        ".cargo/config.toml",
        "Cargo.lock",
        "Cargo.toml",
        "core/Cargo.toml",
        "core/reproduction-build.rs",
        "core/src",
    ]
    .map(|path| root.join(path));
    let own = [
        system.join("Cargo.toml"),
        system.join("src"),
        Path::new(&package).to_path_buf(),
    ];
    let sources: Vec<String> = (sources.iter().chain(&own))
        .map(|path| path.display().to_string())
        .collect();
    for source in &sources {
        println!("cargo::rerun-if-changed={source}");
    }
    // Git appends to this file at every commit and checkout.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={}", root.join(log).display());
    }

    // Sources that lie in the checkout of something else have no commit of their own.
    let tracked = git(&["ls-files", "--error-unmatch", "core/src/lib.rs"]).is_some();
    if tracked && let Some(commit) = git(&["rev-parse", "HEAD"]) {
        println!("cargo::rustc-env=SEPTET_COMMIT={commit}");
        let mut status = vec!["status", "--porcelain", "--"];
        status.extend(sources.iter().map(String::as_str));
        if git(&status).is_none_or(|changes| !changes.is_empty()) {
            println!("cargo::rustc-env=SEPTET_CHANGED=1");
        }
    }
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    if let Some(version) = output(Command::new(rustc).arg("--version")) {
        println!("cargo::rustc-env=SEPTET_COMPILER={version}");
    }
}

/// What a command prints, when it succeeds.
fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
