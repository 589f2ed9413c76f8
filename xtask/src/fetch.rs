//! `cargo xtask data fetch`: downloads data sets, with a bar on a terminal and quiet lines
//! elsewhere.

use std::path::Path;

use indicatif::{DecimalBytes, ProgressBar, ProgressStyle};
use septet_core::data::Set;
use septet_core::data::fetch::{FetchError, fetch_set};

use crate::outcome::{CommandError, Outcome};
use crate::terminal::{indented, say};

const BAR: &str = "{msg:<32!} [{bar:30}] {decimal_bytes:>9} of {decimal_total_bytes:<9} {eta}";

/// Downloads these sets, one after another. What fails does not keep the others from coming.
pub(crate) fn fetch(sets: &[&Set], folder: &Path) -> Result<Outcome, CommandError> {
    let style = ProgressStyle::with_template(BAR).map_err(anyhow::Error::from)?;
    let mut outcome = Outcome::Success;
    for set in sets {
        if crate::cargo::interrupted() {
            return Ok(Outcome::Interrupted);
        }
        match fetch_one(set, folder, &style) {
            Ok(()) => say!(
                "ok       {} ({}) in {}",
                set.name,
                DecimalBytes(set.bytes()),
                folder.join(set.folder).display()
            ),
            Err(error) => {
                let why = anyhow::Error::from(error);
                say!("FAILED   {}\n         {why:#}", set.name);
                if set.is_downloadable() {
                    let place = folder.join(set.folder);
                    let otherwise = format!(
                        "without a connection: put the files of `cargo xtask data list` into {}; \
                         behind a proxy: set HTTPS_PROXY",
                        place.display()
                    );
                    say!("{}", indented(&otherwise, "         ", "         "));
                }
                outcome = Outcome::DataMissing;
            }
        }
    }
    Ok(outcome)
}

fn fetch_one(set: &Set, folder: &Path, style: &ProgressStyle) -> Result<(), FetchError> {
    let bar = ProgressBar::no_length().with_style(style.clone());
    let result = fetch_set(set, folder, |file, bytes| {
        bar.set_message(file.name);
        bar.set_length(file.bytes);
        bar.set_position(bytes);
    });
    bar.finish_and_clear();
    result
}
