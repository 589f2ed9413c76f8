//! The contenders, and how a sample of each is taken.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, bail};

use super::environment::NATIVE_POLICIES;
use super::sample::Sample;
use super::workload::Workload;

/// A simulator that replays the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// Septet's simulator.
    Ours,
    /// libCacheSim with a hash table that fits the capacity.
    Tuned,
    /// libCacheSim with its default parameters.
    AsInstalled,
}

/// The programs that take samples.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The program that replays with our simulator: this one.
    pub ours: PathBuf,
    /// The Python in the environment that holds libCacheSim.
    pub python: PathBuf,
    /// The script that replays with libCacheSim.
    pub script: PathBuf,
}

impl Contender {
    /// How many contenders there are.
    pub const COUNT: usize = 3;

    /// Those that have a policy.
    #[must_use]
    pub fn all(policy: &str) -> Vec<Self> {
        if NATIVE_POLICIES.iter().any(|(name, _)| *name == policy) {
            vec![Self::Ours, Self::Tuned, Self::AsInstalled]
        } else {
            vec![Self::Ours]
        }
    }

    /// Replays the trace once in a process of its own.
    ///
    /// # Errors
    /// When the process cannot be started, fails, or does not print a sample.
    pub fn measure(
        self,
        programs: &Programs,
        workload: &Workload,
        policy: &str,
    ) -> anyhow::Result<Sample> {
        let capacity = workload.capacity.to_string();
        let mut command = match self {
            Self::Ours => {
                // This program again, as a child: peak memory is that of a whole process.
                let mut command = Command::new(&programs.ours);
                command
                    .arg("replay")
                    .arg(&workload.path)
                    .args([policy, &capacity]);
                command
            }
            Self::Tuned | Self::AsInstalled => {
                let (_, native) = NATIVE_POLICIES
                    .iter()
                    .find(|(name, _)| *name == policy)
                    .context("libCacheSim has no such policy")?;
                let mut command = Command::new(&programs.python);
                // Isolated: neither the user's packages nor the script's folder are searched.
                command
                    .arg("-I")
                    .arg(&programs.script)
                    .arg(&workload.path)
                    .args([native, capacity.as_str()]);
                if self == Self::Tuned {
                    command.arg(hash_power(workload.capacity).to_string());
                }
                // libCacheSim clears only the first bytes of its hash tables and relies on fresh
                // pages for the rest: keep every table above the threshold of mapped allocations.
                command.env("MALLOC_MMAP_THRESHOLD_", "65536");
                command
            }
        };
        let output = command
            .output()
            .with_context(|| format!("cannot run {}", command.get_program().display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        // libCacheSim logs to standard output; the sample is the last line.
        let sample = text
            .lines()
            .last()
            .and_then(|line| serde_json::from_str(line).ok());
        match sample {
            Some(sample) if output.status.success() => Ok(sample),
            _ => bail!(
                "no sample ({}):\n{}{}",
                output.status,
                text,
                String::from_utf8_lossy(&output.stderr)
            ),
        }
    }
}

impl std::fmt::Display for Contender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ours => "septet",
            Self::Tuned => "libCacheSim, tuned",
            Self::AsInstalled => "libCacheSim, as installed",
        })
    }
}

/// Binary logarithm of the number of buckets: at least two a cached object, and at least 2^14, the
/// smallest table that the C library allocates as fresh pages.
fn hash_power(capacity: u64) -> u32 {
    (2 * capacity).next_power_of_two().trailing_zeros().max(14)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tuned_table_has_two_buckets_an_object() {
        assert_eq!(hash_power(100), 14);
        assert_eq!(hash_power(5_000), 14);
        assert_eq!(hash_power(80_000), 18);
    }

    #[test]
    fn only_we_combine() {
        assert_eq!(Contender::all("LRU").len(), Contender::COUNT);
        assert_eq!(Contender::all("D(SIEVE, LRU)"), [Contender::Ours]);
    }
}
