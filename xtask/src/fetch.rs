//! `cargo xtask data fetch`: downloads data sets, with a bar on a terminal and quiet lines
//! elsewhere.

use std::path::Path;

use septet_core::cli::Exit;
use septet_core::data::Set;
use septet_core::data::fetch::{FetchError, fetch_set};
use septet_core::io::ByteSize;
use septet_core::telemetry::Progress;

use crate::terminal::indented;

/// Downloads these sets one after another; a failure does not stop the others.
pub(crate) fn fetch(sets: &[&Set], folder: &Path) -> anyhow::Result<Exit> {
    let mut outcome = Exit::Success;
    for set in sets {
        match fetch_one(set, folder) {
            Ok(()) => println!(
                "ok       {} ({}) in {}",
                set.name,
                ByteSize(set.bytes()),
                folder.join(set.folder).display()
            ),
            Err(error) => {
                let why = anyhow::Error::from(error);
                println!("FAILED   {}\n         {why:#}", set.name);
                // Remedies for a failed download; a set without an address has another problem.
                if set.is_downloadable() {
                    let place = folder.join(set.folder);
                    let otherwise = format!(
                        "without a connection: put the files of `cargo xtask data list` into {}; \
                         behind a proxy: set HTTPS_PROXY",
                        place.display()
                    );
                    println!("{}", indented(&otherwise, "         ", "         "));
                }
                outcome = Exit::Data;
            }
        }
    }
    Ok(outcome)
}

fn fetch_one(set: &Set, folder: &Path) -> Result<(), FetchError> {
    let mut shown: Option<(&str, Progress)> = None;
    fetch_set(set, folder, |file, bytes| {
        // Each file has a bar of its own.
        if shown.as_ref().is_none_or(|(name, _)| *name != file.name) {
            shown = Some((file.name, Progress::bytes(file.name, Some(file.bytes))));
        }
        if let Some((_, bar)) = &shown {
            bar.set_position(bytes);
        }
    })
}
