//! `cargo xtask data`: the data sets, where they come from and whether they are here.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use septet_core::data::{self, DataError, DataSet, Lookup, Set};

use crate::outcome::{CommandError, Outcome};
use crate::terminal::say;

/// What to do with the data sets.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Shows every data set: what it is, its licence, whether it is here
    List(Place),
    /// Prints the path of each file of a set, once all are verified
    Path {
        #[command(flatten)]
        name: Name,
        #[command(flatten)]
        place: Place,
    },
    /// Compares the files with their registered SHA-256
    Verify {
        /// The sets that must be here [default: whatever is here]
        #[arg(value_name = "SET", value_parser = names(), hide_possible_values = true)]
        sets: Vec<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Downloads sets, verifies them, and puts them where the other commands find them
    Fetch {
        /// The sets, as `data list` names them
        #[arg(value_name = "SET", value_parser = names(), hide_possible_values = true, required_unless_present = "all")]
        sets: Vec<String>,
        /// Every set that has a public address
        #[arg(long, conflicts_with = "sets")]
        all: bool,
        /// Where to put them [default: the user's cache folder]
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
}

/// Where the data sets lie.
#[derive(Args, Debug)]
pub(crate) struct Place {
    /// Where the data sets are [default: `$SEPTET_DATA`, or the user's cache]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Name {
    /// The set, as `data list` names it
    #[arg(value_name = "SET", value_parser = names(), hide_possible_values = true)]
    set: String,
}

pub(crate) fn run(action: &Action) -> Result<Outcome, CommandError> {
    match action {
        Action::List(place) => Ok(list(&place.lookup())),
        Action::Path { name, place } => path(&name.set, &place.lookup()),
        Action::Verify { sets, place } => Ok(verify(sets, &place.lookup())),
        Action::Fetch { sets, all, data } => fetch(sets, *all, data.clone()),
    }
}

impl Place {
    fn lookup(&self) -> Lookup {
        Lookup::new(self.data.clone())
    }
}

/// The width of the right column, so that a line of `data list` fits into 100 columns.
const VALUE_WIDTH: usize = 86;

fn names() -> PossibleValuesParser {
    data::sets()
        .iter()
        .map(|set| set.name)
        .collect::<Vec<_>>()
        .into()
}

fn list(lookup: &Lookup) -> Outcome {
    let mut here = 0;
    for set in data::sets() {
        let found = lookup.find(set.name);
        here += usize::from(found.is_ok());
        say!("{}", entry(set, &found));
    }
    let all = data::sets().len();
    say!("{here} of {all} sets are here, verified by SHA-256");
    Outcome::Success
}

/// What `data list` says about one set.
fn entry(set: &Set, found: &Result<DataSet, DataError>) -> String {
    let files = match set.files.len() {
        1 => "1 file".to_owned(),
        several => format!("{several} files"),
    };
    let mut text = format!("{}  ({}, {files})\n", set.name, size(set.bytes()));
    let mut line = |key: &str, value: &str| {
        let wrapped = textwrap::fill(value, VALUE_WIDTH);
        let _ = writeln!(
            text,
            "    {key:<9}{}",
            wrapped.replace('\n', "\n             ")
        );
    };
    line("what", set.title);
    line("licence", set.licence);
    match found {
        Ok(found) => line("here", &places(found)),
        Err(DataError::Absent { .. }) => line("get it", &set.how_to_get()),
        Err(error) => line("DAMAGED", &explain(error)),
    }
    text
}

/// The folders where the files of a set were found, each once.
fn places(found: &DataSet) -> String {
    let mut places: Vec<String> = found
        .files()
        .iter()
        .filter_map(|file| {
            Some(format!(
                "{} ({})",
                file.path.parent()?.display(),
                file.location.name()
            ))
        })
        .collect();
    places.dedup();
    places.join(", ")
}

fn path(name: &str, lookup: &Lookup) -> Result<Outcome, CommandError> {
    let found = lookup.find(name).map_err(|error| failure(&error))?;
    for file in found.files() {
        say!("{}", file.path.display());
    }
    Ok(Outcome::Success)
}

/// Verifies the named sets, or without names all: then a set that is absent is only mentioned.
fn verify(names: &[String], lookup: &Lookup) -> Outcome {
    let mut outcome = Outcome::Success;
    for set in data::sets() {
        let named = names.iter().any(|name| name == set.name);
        if !named && !names.is_empty() {
            continue;
        }
        match lookup.find(set.name) {
            Ok(_) => say!("ok       {}", set.name),
            Err(DataError::Absent { .. }) if !named => say!("absent   {}", set.name),
            Err(error) => {
                say!("FAILED   {}", set.name);
                say!("{}", indent(&explain(&error)));
                outcome = Outcome::DataMissing;
            }
        }
    }
    outcome
}

/// Leaves the download to the runner that is built with HTTP and TLS.
#[cfg(not(feature = "fetch"))]
fn fetch(_: &[String], _: bool, _: Option<PathBuf>) -> Result<Outcome, CommandError> {
    Ok(crate::cargo::run_again_with("fetch")?)
}

#[cfg(feature = "fetch")]
fn fetch(names: &[String], all: bool, folder: Option<PathBuf>) -> Result<Outcome, CommandError> {
    let folder = folder.or_else(data::cache_folder).ok_or_else(|| {
        CommandError::usage("there is no cache folder without a home; name a folder with `--data`")
    })?;
    let is_wanted = |set: &&Set| {
        if all {
            set.is_downloadable()
        } else {
            names.iter().any(|name| name == set.name)
        }
    };
    let sets: Vec<_> = data::sets().iter().filter(is_wanted).collect();
    crate::fetch::fetch(&sets, &folder)
}

/// The error with the exit code it deserves.
fn failure(error: &DataError) -> CommandError {
    let outcome = match error {
        DataError::UnknownSet { .. } | DataError::UnknownFile { .. } => Outcome::Usage,
        _ => Outcome::DataMissing,
    };
    CommandError::new(outcome, anyhow::Error::msg(explain(error)))
}

/// The error in lines: what is wrong with which file, and what mends it.
fn explain(error: &DataError) -> String {
    match error {
        DataError::Absent {
            set,
            missing,
            searched,
            mend,
        } => format!(
            "the data set `{set}` is not here\n\
             missing:   {missing}\n\
             looked in: {searched}\n\
             get it:    {mend}"
        ),
        DataError::WrongHash {
            set,
            file,
            expected,
            actual,
            mend,
        } => format!(
            "a file of the data set `{set}` is damaged\n\
             file:     {}\n\
             expected: sha256 {expected}\n\
             actual:   sha256 {actual}\n\
             mend it:  {mend}",
            file.display()
        ),
        other => anyhow::Chain::new(other)
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(": "),
    }
}

fn indent(text: &str) -> String {
    text.lines()
        .map(|line| format!("         {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// A number of bytes as a person reads it, in decimal units.
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    UNITS
        .into_iter()
        .find(|(unit, _)| bytes >= *unit)
        .map_or_else(
            || format!("{bytes} B"),
            |(unit, name)| format!("{:.1} {name}", bytes as f64 / unit as f64),
        )
}
