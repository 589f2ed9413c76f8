//! The whole program of a reproduction.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use clap::Parser;

use super::context::Context;
use super::exit::exit_of;
use super::store::{Store, remove_if_there};
use super::{ExperimentError, Package, Profile, header};
use crate::cli::{self, Exit, Failure};
use crate::data::Lookup;
use crate::report::text::{self, Style};
use crate::report::{DataState, Provenance, Report, SCHEMA, Seeds, provenance, write_index};
use crate::telemetry;

/// The default master seed: that of the report in the profile's own folder.
const DEFAULT_SEED: u64 = 1;

/// Runs the experiment of a paper and reports what it found.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// How much to run.
    #[arg(long, value_enum, default_value = "quick")]
    profile: Profile,
    /// The master seed of all randomness.
    #[arg(long, default_value_t = DEFAULT_SEED)]
    seed: u64,
    /// Only these claims: `Q1` stands for all claims whose id begins with it.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    claims: Vec<String>,
    /// Compute everything again, also what an earlier run has finished.
    #[arg(long)]
    fresh: bool,
    /// The folder where data sets are looked for first.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The folder below which results are written: the report of all claims with the default seed
    /// to `<paper>/<profile>/`, of another seed to `<paper>/<profile>-seed-<N>/`, and of some claims to
    /// `partial/` in there.
    #[arg(
        long,
        value_name = "DIR",
        default_value = "target/septet",
        value_parser = cli::named_path()
    )]
    out: PathBuf,
}

/// The whole program of a reproduction: reads the command line, runs the experiment, and leaves
/// the report in `target/septet/<paper>/<profile>/`.
///
/// The exit code is that of [`Exit`]: 0 when every claim is reproduced, skipped with a reason, or
/// contradicted as `contradictions.toml` says; 1 when another claim is contradicted, or one on that
/// list is not; 2 when a claim is inconclusive; 3 for a wrong command line; 4 when a data set is damaged
/// or (beyond the profile `quick`) absent, or the results cannot be written; 5 when the experiment
/// stopped; 130 when it was interrupted.
pub fn main(
    package: &Package,
    experiment: impl Fn(&mut Context) -> Result<(), ExperimentError>,
) -> ExitCode {
    cli::run(no_class, |arguments| {
        cli::exit_on_interrupt();
        run(package, &experiment, arguments, &mut io::stdout())
    })
}

/// An experiment as a function.
type Run<'a> = &'a dyn Fn(&mut Context) -> Result<(), ExperimentError>;

/// The program with these arguments, the first of which is its name.
#[cfg(test)]
pub(super) fn run_program(
    package: &Package,
    experiment: Run<'_>,
    arguments: impl IntoIterator<Item = std::ffi::OsString>,
    out: &mut dyn Write,
) -> Exit {
    cli::run_from(arguments, no_class, |arguments| {
        run(package, experiment, arguments, out)
    })
}

/// All errors here have a class, but those of writing files, which are [`Exit::Data`] anyway.
fn no_class(_: &(dyn std::error::Error + 'static)) -> Option<Exit> {
    None
}

/// Prints on standard error what does not stop the run.
fn complain(problem: &dyn std::fmt::Display) {
    telemetry::above_bars(|| {
        // There is nowhere else to complain.
        let _ = writeln!(io::stderr(), "error: {problem}");
    });
}

fn run(
    package: &Package,
    experiment: Run<'_>,
    arguments: Arguments,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let _guard = telemetry::init().map_err(Failure::usage)?;
    let start = Instant::now();
    let paper = package.paper().map_err(Failure::from)?;
    let Arguments {
        profile,
        seed,
        claims,
        ..
    } = arguments;
    let known = package.contradictions(profile).map_err(Failure::from)?;
    // Cells are shared by runs of all and of some claims; a report of some never takes the place of
    // a report of all, nor one of another seed the place of the default seed's.
    let mut name = profile.name().to_owned();
    if seed != DEFAULT_SEED {
        name = format!("{name}-seed-{seed}");
    }
    let folder = arguments.out.join(&paper.id).join(name);
    let report_folder = if claims.is_empty() {
        folder.clone()
    } else {
        folder.join("partial")
    };
    // Nothing is shown or computed before the folder is known to be writable and this run's own.
    let in_folder = || format!("writing to {}", folder.display());
    let Some(_lock) = Lock::take(&folder).with_context(in_folder)? else {
        let message = format!("another run is writing to {}", folder.display());
        return Err(Failure::usage(message).into());
    };
    // With some claims only, the cells of the others stay: the context passes over what it computes.
    if arguments.fresh && claims.is_empty() {
        remove_if_there(&folder.join("cells")).with_context(in_folder)?;
    }
    let mut provenance = Provenance::collect(package.build.clone());
    let lookup = Lookup::new(arguments.data);
    header::write(out, &paper, profile, seed, &lookup, &provenance)?;
    out.flush()?;

    // The experiment itself; then whether it kept to its manifest and has the selected claims.
    let only = claims.clone();
    let store = Store::open(folder, arguments.fresh)?;
    let mut cx = Context::new(paper, known, profile, seed, claims, lookup, store);
    experiment(&mut cx).map_err(Failure::from)?;
    cx.check_names();
    if let [fault, ..] = cx.faults() {
        return Err(Failure::internal(fault.clone()).into());
    }
    if let [problem, ..] = cx.unknown_claims().as_slice() {
        return Err(Failure::usage(problem.clone()).into());
    }

    // The report is on disk before anything is printed: a closed pipe loses nothing.
    provenance.load_after = provenance::load();
    let (paper, results) = cx.finish();
    // Everything that the page and the terminal show is in the report: they are rendered from it
    // alone.
    let report = Report {
        schema: SCHEMA.to_owned(),
        paper,
        profile: profile.name().to_owned(),
        only,
        claims: results.claims,
        cells: results.cells,
        tables: results.tables,
        figures: results.figures,
        warnings: results.warnings,
        provenance,
        data: results.data,
        seeds: Seeds {
            master: seed,
            derivation: "ChaCha8 keyed by SHA-256 of the path from the master seed".to_owned(),
        },
        wall_s: start.elapsed().as_secs_f64(),
        cpu_s: provenance::processor_seconds(),
        peak_rss_bytes: provenance::peak_memory_bytes(),
    };
    report.write(&report_folder)?;
    // The page of all reports is another's as well: what is wrong with it is no reason to fail.
    if let Err(error) = write_index(&arguments.out) {
        complain(&ExperimentError::from(error));
    }
    let index = arguments.out.join("index.html");
    conclude(out, &report, &report_folder, &index)?;
    // The exit code, with how to fix the data that it is about.
    let absent_data_is_an_error = profile != Profile::Quick;
    let exit = exit_of(&report, absent_data_is_an_error);
    if exit == Exit::Data {
        for record in report
            .data
            .iter()
            .filter(|record| record.state != DataState::Verified)
        {
            let how_to_fix = record.how_to_get.as_deref().unwrap_or_default();
            complain(&format!(
                "the data set {} is not usable; to fix it: {how_to_fix}",
                record.set
            ));
        }
    }
    Ok(exit)
}

/// A folder of results that no other run writes to.
struct Lock(File);

impl Lock {
    /// Takes the folder for this run; `None` when another run has it.
    fn take(folder: &Path) -> io::Result<Option<Self>> {
        fs::create_dir_all(folder)?;
        let file = File::create(folder.join(".lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Closing the file would not do while a process that was just started shares it.
impl Drop for Lock {
    fn drop(&mut self) {
        // The end of this process gives the folder free as well.
        let _ = self.0.unlock();
    }
}

/// Writes the claims, where the files are, and the last line, which scripts read.
fn conclude(out: &mut dyn Write, report: &Report, folder: &Path, index: &Path) -> io::Result<()> {
    text::write(out, report, Style::of_stdout())?;
    writeln!(out)?;
    for path in [
        folder.join("report.html"),
        folder.join("report.json"),
        index.to_owned(),
    ] {
        writeln!(out, "{}", path.display())?;
    }
    writeln!(out, "{}", text::last_line(report))
}
