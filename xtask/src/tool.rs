//! The programs outside the workspace that some command needs, and what for.

use std::process::{Command, Stdio};

/// A program that the user's machine has or lacks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    /// The command that prints its version.
    probe: &'static [&'static str],
    /// What stays undone without it.
    pub(crate) needed_for: &'static str,
    /// How to get it.
    pub(crate) install: &'static str,
}

pub(crate) const RUSTC: Tool = Tool {
    name: "rustc",
    probe: &["rustc", "--version"],
    needed_for: "everything",
    install: "https://rustup.rs",
};

pub(crate) const C_COMPILER: Tool = Tool {
    name: "cc",
    probe: &["cc", "--version"],
    needed_for: "linking; compressed traces (zstd, xz) and `data fetch` (TLS) build C code",
    install: "apt-get install build-essential, or your system's C compiler",
};

pub(crate) const GIT: Tool = Tool {
    name: "git",
    probe: &["git", "--version"],
    needed_for: "the commit in reports; the tidy test",
    install: "apt-get install git",
};

pub(crate) const RUSTFMT: Tool = Tool {
    name: "rustfmt",
    probe: &["cargo", "fmt", "--version"],
    needed_for: "`ci --stage fmt`",
    install: "rustup component add rustfmt",
};

pub(crate) const CLIPPY: Tool = Tool {
    name: "clippy",
    probe: &["cargo", "clippy", "--version"],
    needed_for: "`ci --stage clippy,features`",
    install: "rustup component add clippy",
};

pub(crate) const TYPOS: Tool = Tool {
    name: "typos",
    probe: &["typos", "--version"],
    needed_for: "`ci --stage spelling`",
    install: "pip install typos, or cargo install typos-cli",
};

pub(crate) const CARGO_DENY: Tool = Tool {
    name: "cargo-deny",
    probe: &["cargo", "deny", "--version"],
    needed_for: "`ci --stage licenses`",
    install: "cargo install --locked cargo-deny",
};

pub(crate) const PYTHON: Tool = Tool {
    name: "python3",
    probe: &[
        "python3",
        "-c",
        "import sys, venv; print(sys.version.split()[0])",
    ],
    needed_for: "`bench --peers`, `ci --stage conformance`: packages from PyPI, in folders of their own",
    install: "apt-get install python3 python3-venv",
};

/// Whether the standard library of a target is installed.
pub(crate) fn has_target(target: &str) -> bool {
    // Installed by rustup or by a distribution, targets are in the sysroot.
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output();
    sysroot.is_ok_and(|output| {
        let sysroot = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let library = std::path::Path::new(&sysroot)
            .join("lib/rustlib")
            .join(target);
        library.is_dir()
    })
}

impl Tool {
    /// The first line that the tool says about its version; `None` where it is missing.
    pub(crate) fn version(&self) -> Option<String> {
        let (program, arguments) = self.probe.split_first()?;
        // Without standard input: a probe must not wait for the terminal.
        let output = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .ok()
            .filter(|output| output.status.success())?;
        let text = String::from_utf8_lossy(&output.stdout);
        Some(text.lines().next().unwrap_or_default().trim().to_owned())
    }

    pub(crate) fn is_present(&self) -> bool {
        self.version().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_has_no_version() {
        let missing = Tool {
            probe: &["septet-no-such-tool", "--version"],
            ..GIT
        };
        assert!(!missing.is_present());
        assert!(
            RUSTC
                .version()
                .is_some_and(|line| line.starts_with("rustc"))
        );
    }
}
