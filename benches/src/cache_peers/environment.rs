//! A throw-away Python environment that holds libCacheSim.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::python::Environment;

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
pub fn prepare(folder: &Path, log: &mut dyn FnMut(&str)) -> anyhow::Result<PathBuf> {
    let check = format!(
        "import libcachesim, importlib.metadata as m; \
         assert m.version('libcachesim') == '{VERSION}'"
    );
    let environment = Environment {
        packages: &[&format!("libcachesim=={VERSION}")],
        check: &check,
    };
    environment.prepare(folder, log)
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
