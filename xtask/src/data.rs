//! `cargo xtask data`: the data sets, where they come from and whether they are here.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use septet_core::cli::{Exit, Failure};
use septet_core::data::{self, DataError, DataSet, Lookup, Set};
use septet_core::io::ByteSize;

use crate::terminal::indented;

/// What to do with the data sets.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Shows every data set: what it is, its license, whether it is here
    List {
        #[command(flatten)]
        place: Place,
        /// One line for each set: name, size, whether it is here
        #[arg(long, conflicts_with = "json")]
        short: bool,
        /// The same as JSON, for programs
        #[arg(long)]
        json: bool,
    },
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

/// Where the data sets are stored.
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

pub(crate) fn run(action: &Action) -> anyhow::Result<Exit> {
    match action {
        Action::List { place, short, json } => {
            let lookup = place.lookup();
            match (short, json) {
                (true, _) => list_briefly(&lookup),
                (_, true) => list_as_json(&lookup),
                _ => list(&lookup),
            }
            Ok(Exit::Success)
        }
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

fn names() -> PossibleValuesParser {
    data::sets()
        .iter()
        .map(|set| set.name)
        .collect::<Vec<_>>()
        .into()
}

fn list(lookup: &Lookup) {
    // `find` verifies hashes: what is counted can be used.
    let mut here = 0;
    for set in data::sets() {
        let found = lookup.find(set.name);
        here += usize::from(found.is_ok());
        println!("{}", entry(set, &found));
    }
    let all = data::sets().len();
    println!("{here} of {all} sets are here, verified by SHA-256");
}

fn list_briefly(lookup: &Lookup) {
    for set in data::sets() {
        let state = state(&lookup.find(set.name));
        println!("{:<28} {:>9}  {state}", set.name, ByteSize(set.bytes()));
    }
}

fn list_as_json(lookup: &Lookup) {
    let sets = data::sets().iter().map(|set| {
        let files = set.files.iter().map(|file| {
            serde_json::json!({"name": file.name, "bytes": file.bytes, "sha256": file.sha256})
        });
        serde_json::json!({
            "name": set.name,
            "title": set.title,
            "license": set.license,
            "bytes": set.bytes(),
            "state": state(&lookup.find(set.name)),
            "how_to_get": set.how_to_get(),
            "downloadable": set.is_downloadable(),
            "files": files.collect::<Vec<_>>(),
        })
    });
    println!("{:#}", serde_json::Value::from_iter(sets));
}

fn state(found: &Result<DataSet, DataError>) -> &'static str {
    match found {
        Ok(_) => "here",
        // Any other error concerns bytes that are there.
        Err(DataError::Absent { .. }) => "absent",
        Err(_) => "damaged",
    }
}

/// What `data list` says about one set.
fn entry(set: &Set, found: &Result<DataSet, DataError>) -> String {
    let files = match set.files.len() {
        1 => "1 file".to_owned(),
        several => format!("{several} files"),
    };
    let mut text = format!("{}  ({}, {files})\n", set.name, ByteSize(set.bytes()));
    let mut line = |key: &str, value: &str| {
        let first = format!("    {key:<9}");
        let _ = writeln!(text, "{}", indented(value, &first, "             "));
    };
    line("what", set.title);
    line("license", set.license);
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

fn path(name: &str, lookup: &Lookup) -> anyhow::Result<Exit> {
    let found = lookup.find(name).map_err(|error| failure(&error))?;
    for file in found.files() {
        println!("{}", file.path.display());
    }
    Ok(Exit::Success)
}

/// Verifies the named sets, or without names all: then a set that is absent is only mentioned.
fn verify(names: &[String], lookup: &Lookup) -> Exit {
    let mut outcome = Exit::Success;
    for set in data::sets() {
        let named = names.iter().any(|name| name == set.name);
        if !named && !names.is_empty() {
            continue;
        }
        match lookup.find(set.name) {
            Ok(_) => println!("ok       {}", set.name),
            // Without names nothing is required, and absence is normal.
            Err(DataError::Absent { .. }) if !named => println!("absent   {}", set.name),
            Err(error) => {
                println!("FAILED   {}", set.name);
                println!("{}", indent(&explain(&error)));
                outcome = Exit::Data;
            }
        }
    }
    outcome
}

/// Leaves the download to the runner that is built with HTTP and TLS, when there is something to
/// download.
#[cfg(not(feature = "fetch"))]
fn fetch(names: &[String], all: bool, _: Option<PathBuf>) -> anyhow::Result<Exit> {
    let named = |set: &&Set| names.iter().any(|name| name == set.name);
    let sets: Vec<&Set> = data::sets().iter().filter(named).collect();
    // Sets without an address need no download: how to get them can be said without building HTTP
    // and TLS first.
    if !all && !sets.iter().any(|set| set.is_downloadable()) {
        for set in sets {
            println!("FAILED   {}", set.name);
            println!("         it has no public address; to get it:");
            println!(
                "{}",
                indented(&set.how_to_get(), "           ", "           ")
            );
        }
        return Ok(Exit::Data);
    }
    crate::cargo::run_again_with("fetch")
}

#[cfg(feature = "fetch")]
fn fetch(names: &[String], all: bool, folder: Option<PathBuf>) -> anyhow::Result<Exit> {
    let folder = folder.or_else(data::cache_folder).ok_or_else(|| {
        Failure::usage("there is no cache folder without a home; name a folder with `--data`")
    })?;
    let is_selected = |set: &&Set| {
        if all {
            set.is_downloadable()
        } else {
            names.iter().any(|name| name == set.name)
        }
    };
    let sets: Vec<_> = data::sets().iter().filter(is_selected).collect();
    crate::fetch::fetch(&sets, &folder)
}

/// The error with the exit code it deserves.
fn failure(error: &DataError) -> Failure {
    // A name that is not registered is a wrong argument; all other errors concern the data.
    let outcome = match error {
        DataError::UnknownSet { .. } | DataError::UnknownFile { .. } => Exit::Usage,
        _ => Exit::Data,
    };
    Failure::new(outcome, anyhow::Error::msg(explain(error)))
}

/// The error in lines: what is wrong with which file, and how to fix it.
fn explain(error: &DataError) -> String {
    match error {
        DataError::Absent {
            set,
            missing,
            searched,
            how_to_get,
        } => format!(
            "the data set `{set}` is not here\n\
             missing:   {missing}\n\
             looked in: {searched}\n\
             get it:    {how_to_get}"
        ),
        DataError::WrongHash {
            set,
            file,
            expected,
            actual,
            how_to_fix,
        } => format!(
            "a file of the data set `{set}` is damaged\n\
             file:     {}\n\
             expected: sha256 {expected}\n\
             actual:   sha256 {actual}\n\
             fix it:   {how_to_fix}",
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
