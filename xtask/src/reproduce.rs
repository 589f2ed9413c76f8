//! `cargo xtask reproduce`: runs the papers' experiments.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use septet_core::cli::{Exit, Failure, named_path};
use septet_core::paper::Run;

use crate::cargo::{Build, Programs};
use crate::summary::{self, Totals};
use crate::system::{self, System};
use crate::terminal::indented;

/// About how long the first build of all programs takes on two processors, in minutes.
const MINUTES_OF_FIRST_BUILD: u32 = 5;

/// What to reproduce, and how.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The paper, by folder or alias as `--list` shows them; `all` for every one
    #[arg(required_unless_present = "list")]
    paper: Option<String>,

    /// Shows the papers: claims, what a run needs, how long it takes
    #[arg(long, conflicts_with_all = ["paper", "seed", "claims", "fresh", "data", "out"])]
    list: bool,

    /// The list as JSON, for programs
    #[arg(long, requires = "list")]
    json: bool,

    /// How much to run
    #[arg(long, value_enum, default_value_t = Profile::Quick)]
    profile: Profile,

    /// The master seed of all randomness, from 0 on [default: 1]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<u64>,

    /// Only these claims or questions of one paper, such as Q1,Q3
    #[arg(long, value_name = "ID,..", value_delimiter = ',')]
    claims: Vec<String>,

    /// Computes everything again: forgets the finished cells of earlier runs
    #[arg(long)]
    fresh: bool,

    /// Where the data sets are [default: `$SEPTET_DATA`, or the user's cache]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// The folder for reports and cells [default: target/septet]
    #[arg(long, value_name = "DIR", value_parser = named_path())]
    out: Option<PathBuf>,
}

/// The profiles that every experiment knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// At most a minute on two cores; needs no data
    Quick,
    /// The paper's experiment on real data: minutes to two hours
    Full,
}

impl Profile {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Full => "full",
        }
    }
}

/// The quick profile of these papers, from nothing: what `ci` runs, with the programs as the tests
/// of these packages have built them. It leaves the user's own reports and cells alone.
pub(crate) fn quick_and_fresh(systems: &[System], packages: &[String]) -> anyhow::Result<Exit> {
    let arguments = Arguments {
        paper: None,
        list: false,
        json: false,
        profile: Profile::Quick,
        seed: None,
        claims: Vec::new(),
        fresh: true,
        data: None,
        out: Some(default_output().join("ci")),
    };
    let programs = Programs::build(&Build::as_tested(packages))?;
    run_each(systems, &programs, &arguments)
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Some(paper) = &arguments.paper else {
        // Without a paper this is `--list`, which clap requires then.
        if arguments.json {
            let papers: Vec<_> = system::all()?
                .into_iter()
                .map(|system| system.paper)
                .collect();
            let text = serde_json::to_string_pretty(&papers).map_err(anyhow::Error::from)?;
            println!("{text}");
            return Ok(Exit::Success);
        }
        println!("{}", listing(&system::all()?));
        return Ok(Exit::Success);
    };
    let systems = system::select(paper)?;
    // Identifiers such as Q1 are unique within one paper only.
    if systems.len() > 1 && !arguments.claims.is_empty() {
        return Err(Failure::usage(
            "`--claims` names the claims of one paper; give that paper instead of `all`",
        )
        .into());
    }
    // One call of cargo for all programs: shared crates get one set of features, and are built once.
    announce(&systems, arguments.profile);
    let packages = systems.iter().map(|system| system.package.as_str());
    let programs = Programs::build(&Build::release(packages))?;
    // A single program says everything itself; several are summed up at the end.
    if let [system] = systems.as_slice() {
        return programs.run(&system.program(), passed_on(arguments));
    }
    run_each(&systems, &programs, arguments)
}

/// Says what is about to happen, and how long it takes: on standard error, as cargo's progress.
fn announce(systems: &[System], profile: Profile) {
    let names: Vec<&str> = systems.iter().map(System::name).collect();
    let seconds: u32 = systems
        .iter()
        .map(|system| system.run(profile).seconds)
        .sum();
    let what = match systems {
        [one] => format!("{}, profile {}", one.name(), profile.name()),
        several => format!(
            "{} papers, profile {}: {}",
            several.len(),
            profile.name(),
            names.join(", ")
        ),
    };
    let text = format!(
        "Reproducing {what}. The programs are built first: up to {MINUTES_OF_FIRST_BUILD} minutes \
         on two cores the first time, next to nothing later. Then the runs take about {}.",
        show_seconds(seconds)
    );
    eprintln!("{}\n", indented(&text, "", ""));
}

/// Runs one after another, and ends with what all came to.
fn run_each(
    systems: &[System],
    programs: &Programs,
    arguments: &Arguments,
) -> anyhow::Result<Exit> {
    let out = arguments.out.clone().unwrap_or_else(default_output);
    // The output of the programs scrolls away: their summaries are repeated at the end.
    let mut text = String::new();
    let mut totals = Totals::default();
    let mut worst = Exit::Success;
    for (place, system) in systems.iter().enumerate() {
        let name = system.name();
        println!("\n=== {} of {}: {name} ===\n", place + 1, systems.len());
        let outcome = programs.run(&system.program(), passed_on(arguments))?;
        let folder = run_directory(&out, name, arguments.profile, arguments.seed);
        let _ = writeln!(text, "{}", summary_of(system, arguments, outcome, &folder));
        // After a run that broke off the folder may hold an older report, which must not be
        // counted.
        if crate::outcome::has_report(outcome) {
            totals.add(&folder.join("report.json"))?;
        }
        worst = crate::outcome::worse(worst, outcome);
        // The program may have ended by the signal before this process has recorded it.
        if outcome == Exit::Interrupted || crate::cargo::interrupted() {
            worst = Exit::Interrupted;
            break;
        }
    }
    println!("\n=== summary ===\n\n{}", text.trim_end());
    println!("\n{}", totals.line());
    println!("{}", out.join("index.html").display());
    Ok(worst)
}

/// The arguments of a system's program, which runs in the caller's folder.
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

/// The default folder for reports and cells.
pub(crate) fn default_output() -> PathBuf {
    crate::cargo::target_directory().join("septet")
}

/// The folder of one paper's run, as its program chooses it.
pub(crate) fn run_directory(
    out: &Path,
    system: &str,
    profile: Profile,
    seed: Option<u64>,
) -> PathBuf {
    let profile = profile.name();
    let name = match seed {
        None | Some(1) => profile.to_owned(),
        Some(seed) => format!("{profile}-seed-{seed}"),
    };
    out.join(system).join(name)
}

/// What the run came to. A run that broke off leaves no report of its own: an earlier one would
/// only mislead.
fn summary_of(system: &System, arguments: &Arguments, outcome: Exit, folder: &Path) -> String {
    let run = format!("reproduce {} {}", system.name(), arguments.profile.name());
    let why = match outcome {
        Exit::Success | Exit::Inconclusive | Exit::Negative => {
            return summary::of_run(folder).unwrap_or_else(|error| format!("{run}: {error:#}"));
        }
        Exit::Data => "data is missing or damaged",
        Exit::Usage => "refused its arguments",
        Exit::Internal => "ended with an internal error",
        Exit::Interrupted => "interrupted",
    };
    format!("{run}: {why} (exit code {})\n", outcome.code())
}

/// The papers, for `reproduce --list`.
fn listing(systems: &[System]) -> String {
    let mut text = String::new();
    for system in systems {
        let paper = &system.paper;
        let aliases = match paper.aliases.as_slice() {
            [] => String::new(),
            aliases => format!(" (alias {})", aliases.join(", ")),
        };
        let _ = writeln!(text, "{}{aliases}", paper.id);
        let mut line = |first: &str, value: &str| {
            let _ = writeln!(text, "{}", indented(value, first, "         "));
        };
        // The paper, and what it claims.
        line("    ", &format!("{}.", paper.title));
        line(
            "    ",
            &format!("{}. {} {}.", paper.authors, paper.venue, paper.year),
        );
        line("    ", &format!("Claim: {}", paper.claim));
        // The questions that the experiment answers; the quick profile leaves some to the full one.
        for question in &paper.questions {
            let only = if question.full_only { " (full)" } else { "" };
            let first = format!("    {:<4} ", question.id);
            line(&first, &format!("{}{only}", question.text));
        }
        // What a run costs. The quick profile only uses data that is here, the full one needs it.
        for (name, run, data) in [
            ("quick", &paper.quick, "uses where they are here"),
            ("full", &paper.full, "needs"),
        ] {
            line(
                "    ",
                &format!("--profile {name}: {}", what_it_takes(run, data)),
            );
        }
        text.push('\n');
    }
    text.push_str(
        "Run one with `cargo xtask reproduce <paper>`, all with `reproduce all`.\n\
         `cargo xtask data list` says what the data sets are and how to get them.",
    );
    text
}

fn what_it_takes(run: &Run, data: &str) -> String {
    let time = format!("about {} on two cores", show_seconds(run.seconds));
    match run.data.as_slice() {
        [] => format!("{time}; no data"),
        sets => format!("{time}; {data}: {}", sets.join(", ")),
    }
}

/// A time in the unit that suits it.
fn show_seconds(seconds: u32) -> String {
    match seconds {
        0..100 => format!("{seconds} s"),
        _ => format!("{} min", seconds.div_ceil(60)),
    }
}
