//! `cargo xtask ci`: the checks that every change passes.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Args, ValueEnum};

use crate::cargo::{cargo, cargo_of, interrupted, wait, workspace};
use crate::conformance;
use crate::outcome::{CommandError, Outcome};
use crate::packages;
use crate::reproduce;
use crate::terminal::say;
use crate::tool::{self, Tool};

/// Which checks to run.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Only these stages [default: all in this order, without `datafusion`]
    #[arg(long, value_name = "STAGE", value_enum, value_delimiter = ',')]
    stage: Vec<Stage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// The formatting (rustfmt)
    Fmt,
    /// The spelling (typos, where installed)
    Spelling,
    /// The licences and sources of the dependencies (cargo-deny, where installed)
    Licences,
    /// The lints, warnings denied
    Clippy,
    /// Unit, integration and documentation tests
    Test,
    /// The documentation, warnings denied
    Docs,
    /// Each crate without default features and with each feature alone
    Features,
    /// The tests of sketch/datafusion, only when named (it takes minutes)
    Datafusion,
    /// The servers of coded-serving, asked by clients in Python (where installed)
    Conformance,
    /// The quick reproduction of every paper
    Reproduce,
}

/// How a stage ended.
#[derive(Debug)]
pub(crate) enum Verdict {
    Passed,
    Failed,
    Skipped(String),
}

/// What `cargo test` counted, over all test programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct TestCount {
    passed: u64,
    failed: u64,
    ignored: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, CommandError> {
    let by_default: Vec<Stage> = Stage::value_variants()
        .iter()
        .copied()
        .filter(|stage| *stage != Stage::Datafusion)
        .collect();
    let stages = if arguments.stage.is_empty() {
        &by_default
    } else {
        &arguments.stage
    };
    let mut tests = None;
    let mut results: Vec<(Stage, Verdict, Duration)> = Vec::new();
    for &stage in stages {
        say!("\n=== {} ===", stage.name());
        let start = Instant::now();
        let verdict = stage.run(&mut tests)?;
        if let Verdict::Skipped(why) = &verdict {
            say!("skipped: {why}");
        }
        results.push((stage, verdict, start.elapsed()));
        if interrupted() {
            return Ok(Outcome::Interrupted);
        }
    }
    say!("\n=== summary ===");
    for (stage, verdict, time) in &results {
        let verdict = match verdict {
            Verdict::Passed => "passed",
            Verdict::Failed => "FAILED",
            Verdict::Skipped(_) => "skipped",
        };
        say!(
            "{:<11} {verdict:<8} {:>7.1} s",
            stage.name(),
            time.as_secs_f64()
        );
    }
    if let Some(TestCount {
        passed,
        failed,
        ignored,
    }) = tests
    {
        say!("tests: {passed} passed, {failed} failed, {ignored} ignored");
    }
    let failed = results
        .iter()
        .any(|(_, verdict, _)| matches!(verdict, Verdict::Failed));
    Ok(if failed {
        Outcome::Failure
    } else {
        Outcome::Success
    })
}

impl Verdict {
    /// A stage that cannot run because the tool is missing.
    pub(crate) fn without(tool: Tool) -> Self {
        Self::Skipped(format!("{} is not installed ({})", tool.name, tool.install))
    }
}

impl Stage {
    fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn run(self, tests: &mut Option<TestCount>) -> Result<Verdict, CommandError> {
        match self {
            Self::Fmt => with_tool(tool::RUSTFMT, cargo("fmt").args(["--all", "--check"])),
            Self::Spelling => {
                with_tool(tool::TYPOS, Command::new("typos").current_dir(workspace()))
            }
            Self::Licences => with_tool(
                tool::CARGO_DENY,
                Command::new("cargo")
                    .args(["deny", "check", "bans", "licenses", "sources"])
                    .current_dir(workspace()),
            ),
            Self::Clippy => with_tool(
                tool::CLIPPY,
                cargo("clippy")
                    .args(["--workspace", "--all-targets", "--all-features"])
                    .args(["--", "--deny", "warnings"]),
            ),
            Self::Test => {
                let mut command = cargo("test");
                command.args(["--workspace", "--all-features", "--no-fail-fast"]);
                test(&mut command, tests.get_or_insert_default())
            }
            Self::Datafusion => {
                let mut command = cargo_of("sketch/datafusion/Cargo.toml", "test");
                command.args(["--all-targets", "--no-fail-fast"]);
                test(&mut command, tests.get_or_insert_default())
            }
            Self::Docs => verdict_of(
                cargo("doc")
                    .args(["--workspace", "--no-deps", "--all-features"])
                    .env("RUSTDOCFLAGS", "--deny warnings"),
            ),
            Self::Features => features(),
            Self::Conformance => conformance::run(),
            Self::Reproduce => Ok(match reproduce::quick_and_fresh()? {
                Outcome::Success => Verdict::Passed,
                _ => Verdict::Failed,
            }),
        }
    }
}

fn with_tool(tool: Tool, command: &mut Command) -> Result<Verdict, CommandError> {
    if tool.is_present() {
        verdict_of(command)
    } else {
        Ok(Verdict::without(tool))
    }
}

pub(crate) fn verdict_of(command: &mut Command) -> Result<Verdict, CommandError> {
    Ok(if wait(command)?.success() {
        Verdict::Passed
    } else {
        Verdict::Failed
    })
}

/// Runs tests, showing their output as it comes and adding up the results.
fn test(command: &mut Command, count: &mut TestCount) -> Result<Verdict, CommandError> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run `cargo test`")?;
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            let line = line.context("cannot read the output of `cargo test`")?;
            count.add(&line);
            say!("{line}");
        }
    }
    let status = child.wait().context("cannot wait for `cargo test`")?;
    Ok(if status.success() {
        Verdict::Passed
    } else {
        Verdict::Failed
    })
}

impl TestCount {
    /// Adds a line such as `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; ..`.
    fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
        let words: Vec<_> = result.split_whitespace().collect();
        for pair in words.windows(2) {
            let Ok(number) = pair[0].parse::<u64>() else {
                continue;
            };
            match pair[1] {
                "passed;" => self.passed += number,
                "failed;" => self.failed += number,
                "ignored;" => self.ignored += number,
                _ => {}
            }
        }
    }
}

/// Checks what `--all-features` hides: code that compiles only together with a feature.
fn features() -> Result<Verdict, CommandError> {
    if !tool::CLIPPY.is_present() {
        return Ok(Verdict::without(tool::CLIPPY));
    }
    let mut sets = vec![vec!["--workspace".to_owned(), "--all-targets".to_owned()]];
    for package in packages::members()? {
        let alone = ["--package", &package.name, "--no-default-features"].map(str::to_owned);
        sets.push(alone.to_vec());
        for feature in package.features {
            sets.push([&alone[..], &["--features".to_owned(), feature]].concat());
        }
    }
    let mut verdict = Verdict::Passed;
    for set in sets {
        if interrupted() {
            break;
        }
        say!("cargo clippy {}", set.join(" "));
        let status = wait(
            cargo("clippy")
                .arg("--quiet")
                .args(&set)
                .args(["--", "--deny", "warnings"]),
        )?;
        if !status.success() {
            verdict = Verdict::Failed;
        }
    }
    Ok(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_results_add_up() {
        let mut count = TestCount::default();
        count.add("running 3 tests");
        count.add("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        count.add("test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 measured; 7 filtered out; finished in 0.01s");
        assert_eq!(
            count,
            TestCount {
                passed: 5,
                failed: 4,
                ignored: 1
            }
        );
    }
}
