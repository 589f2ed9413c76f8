//! `cargo xtask ci --stage conformance`: the servers of coded-serving, queried by the Python clients
//! of other projects.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;

use crate::cargo::{Build, Programs, target_directory, wait, workspace};
use crate::ci::{Verdict, verdict_of};
use crate::tool::{self, Tool};

/// Where the checks and the versions of the clients are.
const FOLDER: &str = "coded-serving/conformance";

/// How often and how long pip tries, so that a machine without network skips soon.
const PIP_RETRIES: [&str; 4] = ["--retries", "1", "--timeout", "15"];

/// Checks the servers where Python and its packages can be had.
pub(crate) fn run(packages: &[String]) -> anyhow::Result<Verdict> {
    let folder = workspace().join(FOLDER);
    let python = match environment("conformance", &folder.join("requirements.txt"))? {
        Environment::Ready(python) => python,
        Environment::Missing(why) => return Ok(Verdict::Skipped(why)),
    };
    let programs = Programs::build(&Build::as_tested(packages))?;
    verdict_of(
        Command::new(python)
            .arg(folder.join("conformance.py"))
            .arg(programs.path("coded-serving")?)
            // No compiled modules among the sources.
            .env("PYTHONDONTWRITEBYTECODE", "1"),
    )
}

/// Python with the packages of a requirements file.
pub(crate) enum Environment {
    Ready(PathBuf),
    /// Why it cannot be made.
    Missing(String),
}

/// Makes the environment of this name, or takes the one that is there if it was made for the same
/// requirements.
pub(crate) fn environment(name: &str, requirements: &Path) -> anyhow::Result<Environment> {
    // Nothing below is an error: without Python or a network the stage is skipped.
    if !tool::PYTHON.is_present() {
        let Tool { name, install, .. } = tool::PYTHON;
        return Ok(Environment::Missing(format!(
            "{name} is not installed ({install})"
        )));
    }
    let folder = target_directory().join("septet").join(name).join("python");
    let python = folder.join(if cfg!(windows) {
        "Scripts/python.exe"
    } else {
        "bin/python"
    });
    let required = fs::read(requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    // A copy of the requirements says what the environment was made for. It is written last, so that
    // an interrupted installation is made again. An upgrade of the system's Python can break an
    // environment without touching it: hence `works`.
    let made = folder.join("requirements.txt");
    if fs::read(&made).is_ok_and(|made| made == required) && works(&python) {
        return Ok(Environment::Ready(python));
    }
    println!("installing the clients, which takes a minute or two");
    // `--clear` removes the remains of an older or interrupted installation.
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(&folder);
    if !quietly(&mut venv)? {
        let install = tool::PYTHON.install;
        return Ok(Environment::Missing(format!(
            "`python3 -m venv` fails ({install})"
        )));
    }
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--disable-pip-version-check"])
        .args(PIP_RETRIES)
        .arg("--requirement")
        .arg(requirements);
    if !quietly(&mut pip)? {
        // The output of pip was hidden: the message gives the command that shows it.
        let command: Vec<OsString> = std::iter::once(pip.get_program())
            .chain(pip.get_args())
            .map(OsString::from)
            .collect();
        let command = command.join(" ".as_ref());
        return Ok(Environment::Missing(format!(
            "the packages cannot be installed, perhaps without network; `{}` says why",
            command.display()
        )));
    }
    fs::write(&made, required).with_context(|| format!("cannot write {}", made.display()))?;
    Ok(Environment::Ready(python))
}

fn works(python: &Path) -> bool {
    quietly(Command::new(python).arg("--version")).unwrap_or(false)
}

/// Whether a command succeeds; nothing of it is shown.
fn quietly(command: &mut Command) -> anyhow::Result<bool> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Ok(wait(command)?.success())
}
