//! What the work of one cell may use.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::de::DeserializeOwned;

use super::ExperimentError;
use crate::seed::SeedTree;

/// What is shown of the messages of a child process that failed.
const SHOWN_BYTES: usize = 2000;

/// A unit of work in progress: its seed, and a folder that survives a kill.
#[derive(Debug)]
pub struct Cell {
    seed: SeedTree,
    seed_index: u64,
    scratch: PathBuf,
}

impl Cell {
    pub(super) fn new(seed: SeedTree, seed_index: u64, scratch: PathBuf) -> Self {
        Self {
            seed,
            seed_index,
            scratch,
        }
    }

    /// The cell's own seed: it depends on the master seed, the group, the parameters and the seed
    /// index. For randomness that cells share (paired comparisons) take along a copy of
    /// [`Context::seed`](super::Context::seed).
    #[must_use]
    pub fn seed(&self) -> &SeedTree {
        &self.seed
    }

    /// Which of the group's seeds this is: 0 unless the group has
    /// [several](super::GridBuilder::seeds).
    #[must_use]
    pub fn seed_index(&self) -> u64 {
        self.seed_index
    }

    /// A folder of the cell's own, created on the first call. It survives a kill and is
    /// removed when the cell is finished: the next run continues from what is checkpointed there.
    /// Write files with [`write_whole`](crate::io::write_whole), since a kill can come at any time.
    ///
    /// # Errors
    ///
    /// The folder cannot be made.
    pub fn scratch(&self) -> Result<PathBuf, ExperimentError> {
        fs::create_dir_all(&self.scratch).map_err(|error| {
            ExperimentError::from(error).while_doing(format!("making {}", self.scratch.display()))
        })?;
        Ok(self.scratch.clone())
    }

    /// Runs another program as the work of the cell, and reads the JSON that it prints.
    ///
    /// The program finds the [scratch folder](Self::scratch) in the environment variable
    /// `SEPTET_SCRATCH` and a seed below 2^32 in `SEPTET_SEED`. Its standard error goes to
    /// `stderr.txt` in the scratch folder; the end of it is part of the error when it fails.
    ///
    /// # Errors
    ///
    /// The program cannot be started, ends with another exit code than 0, or prints something else
    /// than one JSON value of the type `T`.
    pub fn run<T: DeserializeOwned>(&self, command: &mut Command) -> Result<T, ExperimentError> {
        let name = command.get_program().to_string_lossy().into_owned();
        let scratch = self.scratch()?;
        let messages = scratch.join("stderr.txt");
        // The messages go to a file, which survives a kill and never blocks the program, as a full
        // pipe would.
        let output = command
            .env("SEPTET_SCRATCH", &scratch)
            .env("SEPTET_SEED", self.seed_of_child().to_string())
            .stdin(Stdio::null())
            .stderr(File::create(&messages)?)
            .output()
            .map_err(|error| {
                ExperimentError::from(error).while_doing(format!("running `{name}`"))
            })?;
        if !output.status.success() {
            // What went wrong is at the end.
            let text = fs::read(&messages).unwrap_or_default();
            let end = &text[text.len().saturating_sub(SHOWN_BYTES)..];
            let end = String::from_utf8_lossy(end);
            let problem = format!(
                "`{name}` failed with {}:\n{}",
                output.status,
                end.trim_end()
            );
            return Err(ExperimentError::new(problem));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| {
            ExperimentError::from(error).while_doing(format!("reading what `{name}` printed"))
        })
    }

    /// A seed for programs that take a small integer.
    fn seed_of_child(&self) -> u32 {
        use rand_chacha::rand_core::RngCore as _;
        self.seed.child("child process").rng().next_u32()
    }
}
