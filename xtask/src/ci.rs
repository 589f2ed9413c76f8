//! `cargo xtask ci`: the checks that every change passes.

mod beyond;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Args, ValueEnum};
use septet_core::cli::{Exit, Failure};

use crate::cargo::{cargo, cargo_of, interrupted, wait, workspace};
use crate::conformance;
use crate::packages::{self, Package};
use crate::reproduce;
use crate::system;
use crate::tool::{self, Tool};

/// Which checks to run.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Only these stages [default: all in this order, without `datafusion`]
    #[arg(long, value_name = "STAGE", value_enum, value_delimiter = ',')]
    stage: Vec<Stage>,

    /// Only what concerns this package: `cache`, `septet-cache` or `xtask`
    #[arg(long, value_name = "NAME")]
    package: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// The formatting (rustfmt)
    Fmt,
    /// The spelling (typos, where installed)
    Spelling,
    /// The licenses and sources of the dependencies (cargo-deny, where installed)
    Licenses,
    /// The lints, warnings denied
    Clippy,
    /// Unit, integration and documentation tests
    Test,
    /// The documentation, warnings denied
    Docs,
    /// Each crate without default features and with each feature alone
    Features,
    /// What does without std, for a bare target (where installed)
    NoStd,
    /// Everything with the lowest supported version of Rust (where installed)
    Msrv,
    /// The fuzz targets compile
    Fuzz,
    /// The Python wheel of robust-stats, built and tested (where installed)
    Python,
    /// The browser client of robust-stats compiles (where installed)
    Browser,
    /// The tests of sketch/datafusion, only when named (it takes minutes)
    Datafusion,
    /// The servers of coded-serving, queried by Python clients (where installed)
    Conformance,
    /// The quick reproduction of every paper
    Reproduce,
}

/// The part of the workspace that is checked.
#[derive(Debug)]
struct Scope {
    /// The members that are named; all when empty.
    named: Vec<Package>,
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

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    // `datafusion` compiles a dependency tree of its own for minutes: it runs only when named.
    let by_default: Vec<Stage> = Stage::value_variants()
        .iter()
        .copied()
        .filter(|stage| *stage != Stage::Datafusion)
        .collect();
    let scope = Scope::of(arguments.package.as_deref())?;
    // Stages that are named run as named, even if they check nothing of the named packages.
    let stages: Vec<Stage> = if arguments.stage.is_empty() {
        let concerns = |stage: &Stage| scope.named.is_empty() || stage.concerns(&scope);
        by_default.into_iter().filter(concerns).collect()
    } else {
        arguments.stage.clone()
    };
    // A failed stage does not stop the others: one run shows everything that is wrong.
    let mut tests = None;
    let mut results: Vec<(Stage, Verdict, Duration)> = Vec::new();
    for &stage in &stages {
        println!("\n=== {} ===", stage.name());
        let start = Instant::now();
        let verdict = stage.run(&scope, &mut tests)?;
        if let Verdict::Skipped(why) = &verdict {
            println!("skipped: {why}");
        }
        results.push((stage, verdict, start.elapsed()));
        // The verdict of an interrupted stage says nothing about the code, so there is no summary.
        if interrupted() {
            return Ok(Exit::Interrupted);
        }
    }
    // One line a stage, since the output of the first ones has scrolled away.
    println!("\n=== summary ===");
    for (stage, verdict, time) in &results {
        let verdict = match verdict {
            Verdict::Passed => "passed",
            Verdict::Failed => "FAILED",
            Verdict::Skipped(_) => "skipped",
        };
        println!(
            "{:<11} {verdict:<8} {:>7.1} s",
            stage.name(),
            time.as_secs_f64()
        );
    }
    // There is a count only if a stage has run tests.
    if let Some(TestCount {
        passed,
        failed,
        ignored,
    }) = tests
    {
        println!("tests: {passed} passed, {failed} failed, {ignored} ignored");
    }
    // A skipped stage does not fail the run: tools beyond Rust and a C compiler are optional.
    let failed = results
        .iter()
        .any(|(_, verdict, _)| matches!(verdict, Verdict::Failed));
    Ok(if failed {
        Exit::Negative
    } else {
        Exit::Success
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

    /// Whether the stage checks anything of the named packages.
    fn concerns(self, scope: &Scope) -> bool {
        let names = |name: &str| scope.named.iter().any(|package| package.name == name);
        match self {
            // These look at the whole workspace or outside of it; a run for one package stays
            // short.
            Self::Spelling | Self::Licenses | Self::Msrv | Self::Datafusion => false,
            Self::Fmt | Self::Clippy | Self::Test | Self::Docs | Self::Features => true,
            Self::NoStd => names("septet-sketch") || names("septet-robust-stats"),
            Self::Fuzz => scope.named.iter().any(|p| p.folder.join("fuzz").is_dir()),
            Self::Python | Self::Browser => names("septet-robust-stats"),
            Self::Conformance => names("septet-coded-serving"),
            Self::Reproduce => scope.named.iter().any(|package| package.paper.is_some()),
        }
    }

    fn run(self, scope: &Scope, tests: &mut Option<TestCount>) -> anyhow::Result<Verdict> {
        match self {
            Self::Fmt => with_tool(
                tool::RUSTFMT,
                cargo("fmt").args(scope.or("--all")).arg("--check"),
            ),
            Self::Spelling => {
                // typos searches its configuration from the current folder upwards.
                with_tool(tool::TYPOS, Command::new("typos").current_dir(workspace()))
            }
            // Without advisories, whose database would have to be downloaded.
            Self::Licenses => with_tool(
                tool::CARGO_DENY,
                Command::new("cargo")
                    .args(["deny", "check", "bans", "licenses", "sources"])
                    .current_dir(workspace()),
            ),
            Self::Clippy => with_tool(
                tool::CLIPPY,
                cargo("clippy")
                    .args(scope.or("--workspace"))
                    .args(["--all-targets", "--all-features"])
                    .args(["--", "--deny", "warnings"]),
            ),
            Self::Test => {
                let mut command = cargo("test");
                command.args(scope.or("--workspace"));
                // Test programs after a failing one run too, so that the counts are complete.
                command.args(["--all-features", "--no-fail-fast"]);
                test(&mut command, tests.get_or_insert_default())
            }
            Self::Datafusion => {
                let mut command = cargo_of("sketch/datafusion/Cargo.toml", "test");
                command.args(["--all-targets", "--no-fail-fast"]);
                test(&mut command, tests.get_or_insert_default())
            }
            Self::Docs => verdict_of(
                cargo("doc")
                    .args(scope.or("--workspace"))
                    .args(["--no-deps", "--all-features"])
                    .env("RUSTDOCFLAGS", "--deny warnings"),
            ),
            Self::Features => features(scope),
            Self::NoStd => beyond::no_std(),
            Self::Msrv => beyond::msrv(),
            Self::Fuzz => beyond::fuzz(),
            Self::Python => beyond::python(),
            Self::Browser => beyond::browser(),
            Self::Conformance => conformance::run(&scope.or("--workspace")),
            Self::Reproduce => {
                // A scope that names a system contains its experiment as well (see `Scope::of`).
                let mut systems = system::all()?;
                if !scope.named.is_empty() {
                    let is_named =
                        |package: &str| scope.named.iter().any(|named| named.name == package);
                    systems.retain(|system| is_named(&system.package));
                }
                if systems.is_empty() {
                    let why = "no experiment is among the packages".to_owned();
                    return Ok(Verdict::Skipped(why));
                }
                Ok(
                    // An inconclusive claim fails the stage as well as a contradicted one.
                    match reproduce::quick_and_fresh(&systems, &scope.or("--workspace"))? {
                        Exit::Success => Verdict::Passed,
                        _ => Verdict::Failed,
                    },
                )
            }
        }
    }
}

impl Scope {
    /// The members with this name, this name after `septet-`, or in this folder: a system comes with
    /// its experiment.
    fn of(name: Option<&str>) -> anyhow::Result<Self> {
        let Some(name) = name else {
            return Ok(Self { named: Vec::new() });
        };
        let mut members = packages::members()?;
        // `septet-cache` and `cache` name the same package, which brings `septet-cache-reproduce`.
        let bare = name.strip_prefix("septet-").unwrap_or(name);
        let is_named = |package: &Package| {
            let package = package
                .name
                .strip_prefix("septet-")
                .unwrap_or(&package.name);
            package == bare || package.strip_suffix("-reproduce") == Some(bare)
        };
        if !members.iter().any(is_named) {
            let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
            return Err(Failure::usage(format!(
                "no package is named `{name}`\npackages: {}",
                names.join(", ")
            ))
            .into());
        }
        members.retain(is_named);
        Ok(Self { named: members })
    }

    /// The packages as arguments of cargo; this one for all.
    fn or(&self, all: &str) -> Vec<String> {
        if self.named.is_empty() {
            return vec![all.to_owned()];
        }
        let each = |package: &Package| ["--package".to_owned(), package.name.clone()];
        self.named.iter().flat_map(each).collect()
    }
}

fn with_tool(tool: Tool, command: &mut Command) -> anyhow::Result<Verdict> {
    if tool.is_present() {
        verdict_of(command)
    } else {
        Ok(Verdict::without(tool))
    }
}

pub(crate) fn verdict_of(command: &mut Command) -> anyhow::Result<Verdict> {
    Ok(if wait(command)?.success() {
        Verdict::Passed
    } else {
        Verdict::Failed
    })
}

/// Runs tests, showing their output as it comes and adding up the results.
fn test(command: &mut Command, count: &mut TestCount) -> anyhow::Result<Verdict> {
    crate::cargo::outlive_control_c()?;
    // Standard output passes through this process, which reads the counts; compiler messages go to
    // standard error, and so directly to the terminal.
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run `cargo test`")?;
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            let line = line.context("cannot read the output of `cargo test`")?;
            count.add(&line);
            println!("{line}");
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
        // A number counts for the word that follows it: `3 passed;`.
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
fn features(scope: &Scope) -> anyhow::Result<Verdict> {
    if !tool::CLIPPY.is_present() {
        return Ok(Verdict::without(tool::CLIPPY));
    }
    // First the default features, which most users build, in one call for all members.
    let mut sets = Vec::new();
    if scope.named.is_empty() {
        sets.push(vec!["--workspace".to_owned(), "--all-targets".to_owned()]);
    }
    let members = packages::members()?;
    let checked = if scope.named.is_empty() {
        &members
    } else {
        &scope.named
    };
    // Then each member without features and with each one alone: a feature must not rely on one
    // that it does not enable. A member without features was covered by the call above.
    for package in checked
        .iter()
        .filter(|package| !package.features.is_empty())
    {
        let alone = ["--package", &package.name, "--no-default-features"].map(str::to_owned);
        sets.push(alone.to_vec());
        for feature in &package.features {
            sets.push([&alone[..], &["--features".to_owned(), feature.clone()]].concat());
        }
    }
    // Goes on after a failure: one run lists every combination that does not compile.
    let mut verdict = Verdict::Passed;
    for set in sets {
        if interrupted() {
            break;
        }
        let start = Instant::now();
        let status = wait(
            cargo("clippy")
                .arg("--quiet")
                .args(&set)
                .args(["--", "--deny", "warnings"]),
        )?;
        println!(
            "{:>5.1} s  {}",
            start.elapsed().as_secs_f64(),
            set.join(" ")
        );
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
