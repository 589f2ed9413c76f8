//! The whole program of a reproduction.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use clap::error::ErrorKind;

use super::context::Context;
use super::exit::Exit;
use super::{Experiment, ExperimentError, Profile, header};
use crate::data::Lookup;
use crate::report::{
    self, DataState, PaperRecord, Provenance, Report, SCHEMA, Seeds, Verdict, provenance,
};
use crate::telemetry;

/// Runs the experiment of a paper and reports what it found.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// How much to run.
    #[arg(long, value_enum, default_value = "quick")]
    profile: Profile,
    /// The master seed of all randomness.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only these claims: `Q1` stands for all claims whose id begins with it.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    claims: Vec<String>,
    /// Work out everything anew, also what an earlier run has finished.
    #[arg(long)]
    fresh: bool,
    /// The folder where data sets are looked for first.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The folder below which results are written.
    #[arg(long, value_name = "DIR", default_value = "target/septet")]
    out: PathBuf,
}

/// The whole program of a reproduction: reads the command line, runs the experiment, and leaves
/// the report in `target/septet/<paper>/<profile>/`.
///
/// The exit code is 0 when every required claim is reproduced or skipped with a reason, 1 when one
/// is contradicted, 2 when one is inconclusive, 3 for a wrong command line, 4 when a data set is
/// damaged or (beyond the profile `quick`) absent, 5 when the experiment stopped.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a program has one experiment and ends with it"
)]
pub fn main(experiment: impl Experiment) -> ExitCode {
    let exit = run_program(&experiment, env::args_os(), &mut io::stdout());
    ExitCode::from(exit as u8)
}

/// The program with these arguments, the first of which is its name.
pub(super) fn run_program(
    experiment: &dyn Experiment,
    arguments: impl IntoIterator<Item = OsString>,
    out: &mut dyn Write,
) -> Exit {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // A closed pipe is no reason for another exit code.
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Reproduced,
                _ => Exit::Usage,
            };
        }
    };
    let _guard = match telemetry::init() {
        Ok(guard) => guard,
        Err(error) => {
            complain(&error);
            return Exit::Usage;
        }
    };
    let run = || run(experiment, arguments, out);
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => {
            complain(&error);
            Exit::Crash
        }
        // The panic has been reported where it arose.
        Err(_) => Exit::Crash,
    }
}

/// Says on standard error what went wrong.
fn complain(problem: &dyn std::fmt::Display) {
    telemetry::above_bars(|| {
        // There is nowhere else to complain.
        let _ = writeln!(io::stderr(), "error: {problem}");
    });
}

fn run(
    experiment: &dyn Experiment,
    arguments: Arguments,
    out: &mut dyn Write,
) -> Result<Exit, ExperimentError> {
    let start = Instant::now();
    let paper = experiment.paper();
    let profile = arguments.profile;
    let folder = arguments.out.join(paper.id).join(profile.name());
    let in_folder = |error| {
        let error = ExperimentError::from(error);
        error.while_doing(format!("writing to {}", folder.display()))
    };
    let Some(_lock) = Lock::take(&folder).map_err(in_folder)? else {
        complain(&format!("another run is writing to {}", folder.display()));
        return Ok(Exit::Usage);
    };
    if arguments.fresh {
        remove_if_there(&folder.join("cells")).map_err(in_folder)?;
    }
    let mut provenance = Provenance::collect();
    let lookup = Lookup::new(arguments.data);
    header::write(
        out,
        experiment,
        profile,
        arguments.seed,
        &lookup,
        &provenance,
    )?;

    let seed = arguments.seed;
    let mut cx = Context::new(
        paper,
        profile,
        seed,
        arguments.claims,
        lookup,
        folder.clone(),
    )?;
    experiment.run(&mut cx)?;
    if let [fault, ..] = cx.faults() {
        return Err(ExperimentError::new(fault.clone()));
    }
    if let [claim, ..] = cx.unknown_claims().as_slice() {
        complain(&format!("no claim of this experiment is named {claim}"));
        return Ok(Exit::Usage);
    }

    provenance.load_after = provenance::load();
    let report = Report {
        schema: SCHEMA.to_owned(),
        paper: PaperRecord {
            id: paper.id.to_owned(),
            title: paper.title.to_owned(),
            authors: paper.authors.to_owned(),
            venue: paper.venue.to_owned(),
            year: paper.year,
            url: paper.url.to_owned(),
        },
        profile: profile.name().to_owned(),
        claims: cx.results.claims,
        cells: cx.results.cells,
        tables: cx.results.tables,
        figures: cx.results.figures,
        warnings: cx.results.warnings,
        provenance,
        data: cx.results.data,
        seeds: Seeds {
            master: seed,
            derivation: "ChaCha8 keyed by SHA-256 of the path from the master seed".to_owned(),
        },
        wall_s: start.elapsed().as_secs_f64(),
        cpu_s: provenance::processor_seconds(),
        peak_rss_bytes: provenance::peak_memory_bytes(),
    };
    report.write(&folder)?;
    conclude(out, &report, &folder)?;
    let absent_data_is_an_error = profile != Profile::Quick;
    let exit = Exit::of(&report, absent_data_is_an_error);
    if exit == Exit::Data {
        for record in report
            .data
            .iter()
            .filter(|record| record.state != DataState::Verified)
        {
            let mend = record.how_to_get.as_deref().unwrap_or_default();
            complain(&format!(
                "the data set {} is not usable; to mend it: {mend}",
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

fn remove_if_there(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// How wide the table of claims may be: as wide as the terminal, within reason.
fn table_width() -> u16 {
    #[cfg(unix)]
    if let Ok(size) = rustix::termios::tcgetwinsize(io::stdout()) {
        return size.ws_col.clamp(80, 160);
    }
    100
}

/// Writes the claims, where the files are, and the last line, which scripts read.
fn conclude(out: &mut dyn Write, report: &Report, folder: &Path) -> io::Result<()> {
    report::write_claims(out, &report.claims, table_width())?;
    for warning in &report.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    writeln!(out)?;
    for file in ["report.html", "report.json", "figures"] {
        let path = folder.join(file);
        if path.exists() {
            writeln!(out, "{}", path.display())?;
        }
    }
    let counts =
        Verdict::ALL.map(|verdict| format!("{} {}", report.count(verdict), verdict.name()));
    writeln!(
        out,
        "reproduce {} {}: {} ({:.1} s)",
        report.paper.id,
        report.profile,
        counts.join(", "),
        report.wall_s
    )
}
