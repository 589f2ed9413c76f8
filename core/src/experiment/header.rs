//! What a run says before it starts.

use std::io::{self, Write};
use std::time::Duration;

use super::{Experiment, Profile};
use crate::data::{DataError, Lookup};
use crate::report::Provenance;

/// Writes the header: the paper, the setting, the data, and what makes times doubtful.
pub(super) fn write(
    out: &mut dyn Write,
    experiment: &dyn Experiment,
    profile: Profile,
    seed: u64,
    lookup: &Lookup,
    provenance: &Provenance,
) -> io::Result<()> {
    let paper = experiment.paper();
    writeln!(out, "{}", paper.title)?;
    writeln!(
        out,
        "{}. {} {}. {}",
        paper.authors, paper.venue, paper.year, paper.url
    )?;
    let time = experiment
        .expected_time(profile)
        .map_or_else(String::new, |time| {
            format!(" (about {})", show_duration(time))
        });
    let threads = provenance.threads;
    writeln!(
        out,
        "profile {}{time}, seed {seed}, threads {threads}",
        profile.name()
    )?;
    for name in experiment.data_sets(profile) {
        match lookup.find(name) {
            Ok(data) => {
                let files = data.files().iter().zip(data.set().files);
                for (located, file) in files {
                    let location = located.location.name();
                    let start = &file.sha256[..12];
                    writeln!(
                        out,
                        "data {name}: {} sha256 {start} from {location}",
                        file.name
                    )?;
                }
            }
            Err(DataError::Absent { mend, .. }) => {
                writeln!(out, "data {name}: not here; to get it: {mend}")?;
            }
            Err(error) => writeln!(out, "data {name}: {error}")?,
        }
    }
    if let Some(warning) = provenance.load_warning() {
        writeln!(out, "warning: {warning}")?;
    }
    writeln!(out)
}

/// A duration in the unit that suits it.
fn show_duration(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..100 => format!("{seconds} s"),
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}
