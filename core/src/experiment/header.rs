//! The header that a run prints before it starts.

use super::{Paper, Profile};
use crate::data::{DataError, Lookup};
use crate::report::Provenance;
use std::io::{self, Write};

/// Writes the header: the paper, the setting, the data, and a warning when the machine is busy.
pub(super) fn write(
    out: &mut dyn Write,
    paper: &Paper,
    profile: Profile,
    seed: u64,
    lookup: &Lookup,
    provenance: &Provenance,
) -> io::Result<()> {
    writeln!(out, "{}", paper.title)?;
    writeln!(
        out,
        "{}. {} {}. {}",
        paper.authors, paper.venue, paper.year, paper.url
    )?;
    // What the manifest expects of this profile, beside the settings of this run.
    let run = profile.of(paper);
    let time = show_seconds(run.seconds);
    let threads = provenance.threads;
    writeln!(
        out,
        "profile {} (about {time}), seed {seed}, threads {threads}",
        profile.name()
    )?;
    // Each file with its place and the beginning of its hash, which tells versions apart.
    for name in &run.data {
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
            Err(DataError::Absent { how_to_get, .. }) => {
                writeln!(out, "data {name}: not here; to get it: {how_to_get}")?;
            }
            Err(error) => writeln!(out, "data {name}: {error}")?,
        }
    }
    // Last, just above the progress of the run, where it is not overlooked.
    if let Some(warning) = provenance.load_warning() {
        writeln!(out, "warning: {warning}")?;
    }
    writeln!(out)
}

/// A time in the unit that suits it.
fn show_seconds(seconds: u32) -> String {
    match seconds {
        0..100 => format!("{seconds} s"),
        _ => format!("{} min", seconds.div_ceil(60)),
    }
}
