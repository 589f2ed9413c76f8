//! Tests of command-line programs as their users run them.
//!
//! ```no_run
//! use septet_core::cli::testing::{Situation, TestedProgram};
//!
//! # let path = "/path/of/the/program";
//! // In an integration test: TestedProgram::new(env!("CARGO_BIN_EXE_cachesim"))
//! let program = TestedProgram::new(path);
//! program.write("damaged.lis", "1 2 0 0\n3 4\n");
//! program.check(&[
//!     (Situation::Usage, &["analyze"]),
//!     (Situation::MissingData, &["analyze", "absent.txt", "txt"]),
//!     (Situation::DamagedData, &["analyze", "damaged.lis", "arc"]),
//!     (Situation::ClosedPipe, &["analyze", "--help"]),
//!     #[cfg(unix)]
//!     (Situation::Interrupted, &["analyze", "/dev/stdin", "txt"]),
//! ]);
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
#[cfg(unix)]
use std::time::Duration;

use tempfile::TempDir;

use super::Exit;

/// A program, and a folder of its own in which it runs.
#[derive(Debug)]
pub struct TestedProgram {
    program: PathBuf,
    folder: TempDir,
}

/// How a run of a program is meant to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Situation {
    /// The arguments are wrong.
    Usage,
    /// A file is missing.
    MissingData,
    /// A file is damaged.
    DamagedData,
    /// Standard output is closed from the beginning.
    ClosedPipe,
    /// Ctrl-C once the program handles it. It must not end by itself before: its standard input
    /// stays open and empty, for programs that read it.
    #[cfg(unix)]
    Interrupted,
}

impl Situation {
    /// How a program ends then.
    #[must_use]
    pub fn exit(self) -> Exit {
        match self {
            Self::Usage => Exit::Usage,
            Self::MissingData | Self::DamagedData => Exit::Data,
            Self::ClosedPipe => Exit::Success,
            #[cfg(unix)]
            Self::Interrupted => Exit::Interrupted,
        }
    }
}

impl TestedProgram {
    /// The program at a path, `env!("CARGO_BIN_EXE_<name>")` in a test, with an empty folder.
    ///
    /// # Panics
    ///
    /// When the folder cannot be created. All functions here panic on whatever keeps a test from
    /// continuing.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            folder: tempfile::tempdir().expect("a temporary folder can be made"),
        }
    }

    /// The folder that the program runs in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into the folder; its path.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder().join(name);
        fs::write(&path, bytes).expect("the folder is writable");
        path
    }

    /// A run with these arguments. The data sets and the settings of Septet on this machine do not
    /// reach it.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(self.folder());
        // The cache of the folder is empty: data sets of the user are not found.
        command.env("XDG_CACHE_HOME", self.folder().join(".cache"));
        for variable in [
            "SEPTET_DATA",
            "SEPTET_LOG",
            "SEPTET_LOG_FORMAT",
            "SEPTET_TRACE",
        ] {
            command.env_remove(variable);
        }
        command
    }

    /// What a run prints and how it ends.
    #[track_caller]
    #[must_use]
    pub fn output(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).stdin(Stdio::null()).output();
        output.expect("the program starts")
    }

    /// What a run prints that succeeds.
    #[track_caller]
    #[must_use]
    pub fn prints(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).expect("the output is text")
    }

    /// What a run reports on standard error that ends with this code and prints nothing.
    #[track_caller]
    #[must_use]
    pub fn fails(&self, exit: Exit, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let message = String::from_utf8(output.stderr).expect("the message is text");
        assert_code(output.status, exit, arguments, &message);
        let printed = String::from_utf8_lossy(&output.stdout);
        assert_eq!(printed, "", "{arguments:?}");
        assert_ne!(message, "", "{arguments:?}: no message");
        message
    }

    /// Checks the exit code, and the message, in each of these situations.
    #[track_caller]
    pub fn check(&self, cases: &[(Situation, &[&str])]) {
        for &(situation, arguments) in cases {
            match situation {
                Situation::ClosedPipe => {
                    // Without a reader the first write fails, at any speed of the program.
                    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
                    drop(reader);
                    let mut command = self.command(arguments);
                    let output = command.stdin(Stdio::null()).stdout(writer).output();
                    let output = output.expect("the program starts");
                    let message = String::from_utf8_lossy(&output.stderr);
                    assert_code(output.status, situation.exit(), arguments, &message);
                    assert_eq!(message, "", "{arguments:?}: on a closed pipe");
                }
                #[cfg(unix)]
                Situation::Interrupted => self.interrupt(arguments),
                _ => {
                    let output = self.output(arguments);
                    let message = String::from_utf8_lossy(&output.stderr);
                    assert_code(output.status, situation.exit(), arguments, &message);
                    assert!(message.contains("error"), "{arguments:?}: {message}");
                    assert!(!message.contains("panicked"), "{arguments:?}: {message}");
                }
            }
        }
    }

    /// Sends SIGINT to a run that handles it.
    ///
    /// No program says when it does. One that the signal itself has ended was too slow: it is run
    /// again, and gets more time before the signal.
    #[cfg(unix)]
    #[track_caller]
    fn interrupt(&self, arguments: &[&str]) {
        const MAX_DELAY: Duration = Duration::from_secs(10);

        let mut delay = Duration::from_millis(10);
        loop {
            let mut command = self.command(arguments);
            command.stdin(Stdio::piped());
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().expect("the program starts");
            // Held open until the program has ended.
            let input = child.stdin.take();
            std::thread::sleep(delay);
            let process = rustix::process::Pid::from_child(&child);
            rustix::process::kill_process(process, rustix::process::Signal::INT)
                .expect("the program still runs");
            let output = child.wait_with_output().expect("the program ends");
            drop(input);
            delay *= 3;
            if output.status.code().is_some() || delay > MAX_DELAY {
                let message = String::from_utf8_lossy(&output.stderr);
                assert_code(output.status, Exit::Interrupted, arguments, &message);
                return;
            }
        }
    }
}

/// Checks an exit code. A process that a signal has ended has none.
#[track_caller]
fn assert_code(status: ExitStatus, exit: Exit, arguments: &[&str], message: &str) {
    let expected = i32::from(exit.code());
    assert_eq!(
        status.code(),
        Some(expected),
        "{arguments:?}: {status}: {message}"
    );
}
