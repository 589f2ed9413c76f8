//! A throw-away Python environment that holds libCacheSim.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// The version of the wheel that is compared with.
pub const VERSION: &str = "0.3.5";

/// The policies that libCacheSim has: our name and its name.
pub const NATIVE_POLICIES: [(&str, &str); 8] = [
    ("LRU", "LRU"),
    ("FIFO", "FIFO"),
    ("CLOCK", "Clock"),
    ("SIEVE", "Sieve"),
    ("S3-FIFO", "S3FIFO"),
    ("ARC", "ARC"),
    ("LIRS", "LIRS"),
    ("W-TinyLFU", "WTinyLFU"),
];

const SCRIPT: &str = include_str!("sample.py");

/// Makes the environment in `folder`, or takes the one that is there when it holds the right
/// version, and returns its Python.
///
/// # Errors
/// When there is no Python with its `venv` module, or when the wheel cannot be installed.
pub fn prepare(folder: &Path) -> anyhow::Result<PathBuf> {
    let python = folder.join("bin/python");
    if installed_version(&python).as_deref() == Some(VERSION) {
        return Ok(python);
    }
    // Another version, or an interrupted installation.
    if folder.exists() {
        std::fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove the stale {}", folder.display()))?;
    }
    let made = Command::new("python3")
        .args(["-m", "venv"])
        .arg(folder)
        .output();
    let made = made.context(
        "cannot run python3, in which libCacheSim runs (on Debian: apt-get install python3 python3-venv)",
    )?;
    if !made.status.success() {
        bail!(
            "`python3 -m venv` failed (on Debian: apt-get install python3-venv):\n{}{}",
            String::from_utf8_lossy(&made.stdout),
            String::from_utf8_lossy(&made.stderr)
        );
    }
    let wheel = format!("libcachesim=={VERSION}");
    let installed = Command::new(&python)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            &wheel,
        ])
        .output()
        .context("cannot run pip in the new environment")?;
    if !installed.status.success() {
        bail!(
            "cannot install {wheel} from PyPI; the comparison needs the network once:\n{}",
            String::from_utf8_lossy(&installed.stderr)
        );
    }
    match installed_version(&python) {
        Some(version) if version == VERSION => Ok(python),
        found => bail!("pip installed libcachesim {found:?}: expected {VERSION}"),
    }
}

fn installed_version(python: &Path) -> Option<String> {
    let output = Command::new(python)
        .args([
            "-c",
            // The import shows that the library loads; metadata alone would not.
            "import libcachesim, importlib.metadata as m; print(m.version('libcachesim'))",
        ])
        .output()
        .ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// Writes the script that takes samples of libCacheSim into `folder`.
///
/// # Errors
/// When it cannot be written.
pub fn write_script(folder: &Path) -> anyhow::Result<PathBuf> {
    let path = folder.join("sample.py");
    std::fs::write(&path, SCRIPT).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
