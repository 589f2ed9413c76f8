//! Python environments that hold what is compared with.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// What an environment holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Environment<'a> {
    /// Its packages as pip takes them, with their versions.
    pub(crate) packages: &'a [&'a str],
    /// Python that fails unless all of them are there. Importing shows that an installation was
    /// completed; metadata alone would not.
    pub(crate) check: &'a str,
}

impl Environment<'_> {
    /// Makes the environment in a folder, or takes the one that is there when it holds the packages;
    /// its Python.
    ///
    /// # Errors
    ///
    /// When there is no Python with its `venv` module, or when the packages cannot be installed.
    pub(crate) fn prepare(
        self,
        folder: &Path,
        log: &mut dyn FnMut(&str),
    ) -> anyhow::Result<PathBuf> {
        let python = folder.join("bin/python");
        if self.is_in(&python) {
            return Ok(python);
        }
        let packages = self.packages.join(" ");
        log(&format!("installing {packages}"));
        // `--clear` removes the remains of other versions and of an interrupted installation.
        let made = Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(folder)
            .status()
            .context("cannot run python3 (on Debian: apt-get install python3 python3-venv)")?;
        if !made.success() {
            bail!("`python3 -m venv` failed (on Debian: apt-get install python3-venv)");
        }
        let installed = Command::new(&python)
            .args(["-m", "pip", "install", "--quiet"])
            .arg("--disable-pip-version-check")
            .args(self.packages)
            .status()
            .context("cannot run pip in the new environment")?;
        if !installed.success() {
            bail!("cannot install {packages} from PyPI; the comparison needs the network once");
        }
        if !self.is_in(&python) {
            bail!(
                "pip installed {packages}, but they do not work: `{}` fails",
                self.check
            );
        }
        Ok(python)
    }

    fn is_in(self, python: &Path) -> bool {
        let checked = Command::new(python).args(["-c", self.check]).output();
        checked.is_ok_and(|output| output.status.success())
    }
}
