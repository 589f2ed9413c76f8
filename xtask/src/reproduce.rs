//! `cargo xtask reproduce`: runs the papers' experiments.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::cargo::Program;
use crate::outcome::{CommandError, Outcome};
use crate::summary;
use crate::system::{Runs, Selection, Status, System};
use crate::terminal::say;

/// What to reproduce, and how.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The paper, by folder or alias as `--list` shows them; `all` for every one
    #[arg(required_unless_present = "list", hide_possible_values = true)]
    paper: Option<Selection>,

    /// Shows the seven papers: claims, what a run needs, how long it takes
    #[arg(long, exclusive = true)]
    list: bool,

    /// How much to run
    #[arg(long, value_enum, default_value_t = Profile::Quick)]
    profile: Profile,

    /// The master seed of all randomness [default: the experiment's own]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Only these claims of one paper, such as Q1,Q3
    #[arg(long, value_name = "ID,..", value_delimiter = ',')]
    claims: Vec<String>,

    /// Forgets the finished cells of earlier runs
    #[arg(long)]
    fresh: bool,

    /// Where the data sets are [default: `$SEPTET_DATA`, or the user's cache]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// The folder for reports and cells [default: target/septet]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// The profiles that every experiment knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// A minute on two cores; needs no data
    Quick,
    /// The paper's experiment on real data, up to an hour
    Full,
    /// What only a GPU can do
    Gpu,
}

impl Profile {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Full => "full",
            Self::Gpu => "gpu",
        }
    }
}

/// The quick profile of every paper, from nothing: what `ci` runs.
pub(crate) fn quick_and_fresh() -> Result<Outcome, CommandError> {
    run(&Arguments {
        paper: Some(Selection::All),
        list: false,
        profile: Profile::Quick,
        seed: None,
        claims: Vec::new(),
        fresh: true,
        data: None,
        out: None,
    })
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, CommandError> {
    match arguments.paper {
        None => {
            say!("{}", listing());
            Ok(Outcome::Success)
        }
        Some(Selection::One(system)) => run_one(system, arguments),
        Some(Selection::All) => run_all(arguments),
    }
}

fn run_one(system: System, arguments: &Arguments) -> Result<Outcome, CommandError> {
    if !system.is_ready() {
        return Err(CommandError::usage(format!(
            "`{}` is not reproduced yet\nready: {}",
            system.folder(),
            names_of_ready_systems(),
        )));
    }
    let program = Program {
        package: system.package(),
        features: Some("reproduce"),
        name: system.program(),
    };
    Ok(program.run(passed_on(arguments))?)
}

fn run_all(arguments: &Arguments) -> Result<Outcome, CommandError> {
    if !arguments.claims.is_empty() {
        return Err(CommandError::usage(
            "`--claims` names the claims of one paper; give that paper instead of `all`",
        ));
    }
    let mut summary = String::new();
    let mut worst = Outcome::Success;
    for system in System::ALL.into_iter().filter(|system| system.is_ready()) {
        let outcome = run_one(system, arguments)?;
        let _ = writeln!(summary, "{}", summary_line(system, arguments, outcome));
        worst = worst.max(outcome);
        if crate::cargo::interrupted() {
            worst = Outcome::Interrupted;
            break;
        }
    }
    let not_yet: Vec<_> = System::ALL
        .into_iter()
        .filter(|system| !system.is_ready())
        .map(System::folder)
        .collect();
    if !not_yet.is_empty() {
        let _ = writeln!(summary, "not yet: {}", not_yet.join(", "));
    }
    say!("\n{}", summary.trim_end());
    Ok(worst)
}

/// The arguments of a system's program. Paths are made absolute: they are the caller's.
fn passed_on(arguments: &Arguments) -> Vec<OsString> {
    let mut passed: Vec<OsString> = vec!["--profile".into(), arguments.profile.name().into()];
    if let Some(seed) = arguments.seed {
        passed.extend(["--seed".into(), seed.to_string().into()]);
    }
    if !arguments.claims.is_empty() {
        passed.extend(["--claims".into(), arguments.claims.join(",").into()]);
    }
    if arguments.fresh {
        passed.push("--fresh".into());
    }
    if let Some(data) = &arguments.data {
        passed.extend(["--data".into(), data.into()]);
    }
    let out = arguments.out.clone().unwrap_or_else(default_output);
    passed.extend(["--out".into(), out.into()]);
    passed
}

/// Where reports and cells go unless the user says otherwise.
pub(crate) fn default_output() -> PathBuf {
    crate::cargo::target_directory().join("septet")
}

/// The folder of one paper's run.
pub(crate) fn run_directory(out: &Path, system: System, profile: Profile) -> PathBuf {
    out.join(system.folder()).join(profile.name())
}

/// What the run came to. A run that broke off leaves no report of its own: an earlier one would
/// only mislead.
fn summary_line(system: System, arguments: &Arguments, outcome: Outcome) -> String {
    let run = format!("reproduce {} {}", system.folder(), arguments.profile.name());
    let why = match outcome {
        Outcome::Success | Outcome::Inconclusive | Outcome::Failure => {
            let out = arguments.out.clone().unwrap_or_else(default_output);
            let folder = run_directory(&out, system, arguments.profile);
            return summary::of_report(&folder.join("report.json"))
                .unwrap_or_else(|error| format!("{run}: {error:#}"));
        }
        Outcome::DataMissing => "data is missing or damaged",
        Outcome::Usage => "refused its arguments",
        Outcome::Crash => "broke down",
        Outcome::Interrupted => "interrupted",
    };
    format!("{run}: {why} (exit code {})", outcome.code())
}

fn names_of_ready_systems() -> String {
    let ready: Vec<_> = System::ALL
        .into_iter()
        .filter(|system| system.is_ready())
        .map(System::folder)
        .collect();
    ready.join(", ")
}

/// The seven papers, for `reproduce --list`.
fn listing() -> String {
    let mut text = String::new();
    for system in System::ALL {
        let description = system.description();
        let _ = writeln!(text, "{} (alias {})", description.folder, description.alias);
        let _ = writeln!(text, "    {}", description.title);
        let _ = writeln!(text, "    {}, {}", description.authors, description.venue);
        match &description.status {
            Status::NotYet => text.push_str("    not yet\n"),
            Status::Ready(Runs {
                claims,
                quick,
                full,
            }) => {
                for claim in *claims {
                    let _ = writeln!(text, "    {claim}");
                }
                let _ = writeln!(text, "    quick: {quick}");
                let _ = writeln!(text, "    full:  {full}");
            }
        }
        text.push('\n');
    }
    text.push_str(
        "Run one with `cargo xtask reproduce <paper>`, all with `cargo xtask reproduce all`.",
    );
    text
}
