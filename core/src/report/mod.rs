//! What an experiment leaves behind: claims with verdicts, figures, tables, and where they come
//! from.
//!
//! A [`Report`] is written as `report.json`, rendered by [`html::render`] as one self-contained
//! page, and printed as a table of its claims. Its JSON form carries the version [`SCHEMA`].

mod claim;
mod estimate;
mod figure;
pub mod html;
pub(crate) mod json_number;
pub(crate) mod provenance;
pub mod svg;
mod table;
#[cfg(test)]
mod tests;
mod text;

pub use claim::{Claim, Expected, Scale, Verdict};
pub use estimate::Estimate;
pub use figure::{Figure, Point, Reference, Series, SeriesKind};
pub use provenance::Provenance;
pub use table::{Alignment, Column, Table, Value};
pub(crate) use text::write_claims;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The version of the JSON form: a reader refuses another.
pub const SCHEMA: &str = "septet-report/1";

/// Everything an experiment found, and what it was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The version of this form: [`SCHEMA`].
    pub schema: String,
    /// The paper.
    pub paper: PaperRecord,
    /// The profile: `quick`, `full` or `gpu`.
    pub profile: String,
    /// The claims, in the order in which they were judged.
    pub claims: Vec<Claim>,
    /// The finished units of work, in the order of their parameters.
    pub cells: Vec<Cell>,
    /// The tables.
    pub tables: Vec<Table>,
    /// The figures.
    pub figures: Vec<Figure>,
    /// What the reader should keep in mind.
    pub warnings: Vec<String>,
    /// The program and the machine that made the report.
    pub provenance: Provenance,
    /// The data sets that were asked for.
    pub data: Vec<DataRecord>,
    /// The randomness.
    pub seeds: Seeds,
    /// Time from start to end, in seconds.
    pub wall_s: f64,
    /// Time on all processors in this run, in seconds, where the system tells; cells taken from an
    /// earlier run are not in it.
    pub cpu_s: Option<f64>,
    /// The most memory the process held at once, in bytes, where the system tells.
    pub peak_rss_bytes: Option<u64>,
}

/// The paper of an experiment, as it stands in a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaperRecord {
    /// The name on the command line.
    pub id: String,
    /// The title.
    pub title: String,
    /// The authors, separated by commas.
    pub authors: String,
    /// Where it appeared.
    pub venue: String,
    /// When it appeared.
    pub year: u16,
    /// Where it can be read.
    pub url: String,
}

/// A finished unit of work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The group it belongs to.
    pub group: String,
    /// Its parameters.
    pub params: serde_json::Value,
    /// The file with its result, relative to the report.
    pub file: String,
    /// How long it took when it was computed, in seconds.
    pub seconds: f64,
}

/// A data set, as it stands in a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataRecord {
    /// The registered name.
    pub set: String,
    /// Whether it was used.
    pub state: DataState,
    /// The licence.
    pub licence: String,
    /// What to cite, and where it was taken from.
    pub citation: String,
    /// The files.
    pub files: Vec<DataFileRecord>,
    /// How to get it, when it was not used.
    pub how_to_get: Option<String>,
}

/// Whether a data set was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataState {
    /// All files are here and have the registered hash.
    Verified,
    /// At least one file is not here.
    Absent,
    /// A file has another hash than the registered one, or cannot be read.
    Damaged,
}

/// A file of a data set, as it stands in a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFileRecord {
    /// The name.
    pub name: String,
    /// The size.
    pub bytes: u64,
    /// The registered SHA-256, in hexadecimal.
    pub sha256: String,
    /// The kind of place where it was found (`--data`, `SEPTET_DATA`, `user cache`,
    /// `system package`).
    pub found_in: Option<String>,
}

/// The randomness of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seeds {
    /// The master seed.
    pub master: u64,
    /// How generators are derived from it.
    pub derivation: String,
}

/// Why a report cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The file cannot be read.
    #[error("{} cannot be read", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is not a report.
    #[error("{} is not a report: {source}", file.display())]
    NotAReport {
        /// The file.
        file: PathBuf,
        /// What is wrong, and in which line.
        source: serde_json::Error,
    },
    /// The report has another version.
    #[error("{} has the form `{found}`, expected `{SCHEMA}`", file.display())]
    OtherSchema {
        /// The file.
        file: PathBuf,
        /// The version it names.
        found: String,
    },
    /// A file cannot be written.
    #[error("{} cannot be written", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A figure cannot be drawn.
    #[error("the figure `{figure}` cannot be drawn: {reason}")]
    Draw {
        /// The figure's name.
        figure: String,
        /// What is wrong.
        reason: String,
    },
}

impl Report {
    /// Reads a `report.json`.
    ///
    /// # Errors
    ///
    /// [`ReportError::Read`], [`ReportError::NotAReport`], [`ReportError::OtherSchema`].
    pub fn load(file: &Path) -> Result<Self, ReportError> {
        #[derive(Deserialize)]
        struct Versioned {
            schema: String,
        }
        let text = fs::read_to_string(file).map_err(|source| ReportError::Read {
            file: file.into(),
            source,
        })?;
        let not_a_report = |source| ReportError::NotAReport {
            file: file.into(),
            source,
        };
        // The version first: a report of another one need not have the fields of this one.
        let Versioned { schema } = serde_json::from_str(&text).map_err(not_a_report)?;
        if schema != SCHEMA {
            return Err(ReportError::OtherSchema {
                file: file.into(),
                found: schema,
            });
        }
        serde_json::from_str(&text).map_err(not_a_report)
    }

    /// The JSON form, indented, with a newline at the end.
    #[must_use]
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string_pretty(self);
        json.expect("a report holds nothing that JSON cannot express") + "\n"
    }

    /// Writes `report.json`, `report.html` and the figures into a folder. Every file appears
    /// whole, the JSON last; figures of an earlier report are removed.
    ///
    /// # Errors
    ///
    /// [`ReportError::Write`], [`ReportError::Draw`].
    pub fn write(&self, folder: &Path) -> Result<(), ReportError> {
        let page = html::render(self);
        let figures = folder.join("figures");
        if figures.exists() {
            fs::remove_dir_all(&figures).map_err(|source| ReportError::Write {
                file: figures.clone(),
                source,
            })?;
        }
        for figure in &self.figures {
            let path = figures.join(format!("{}.svg", figure.id));
            write_whole(&path, &svg::render(figure, svg::Size::Wide)?)?;
            write_whole(&path.with_extension("csv"), &figure.to_csv())?;
        }
        write_whole(&folder.join("report.html"), &page)?;
        write_whole(&folder.join("report.json"), &self.to_json())
    }

    /// The report without what differs from run to run: times, memory, and provenance. Two runs
    /// of one program with one seed agree in it, whatever the number of threads.
    #[must_use]
    pub fn without_timing(&self) -> Self {
        let mut report = self.clone();
        report.wall_s = 0.0;
        report.cpu_s = None;
        report.peak_rss_bytes = None;
        report.provenance = Provenance::default();
        for cell in &mut report.cells {
            cell.seconds = 0.0;
        }
        report
    }

    /// The number of claims with this verdict.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        let with_verdict = self.claims.iter().filter(|claim| claim.verdict == verdict);
        with_verdict.count()
    }
}

/// Writes a file under a temporary name in the same folder, then renames it: it appears whole or
/// not at all. Folders are made as needed.
pub(crate) fn write_whole(file: &Path, text: &str) -> Result<(), ReportError> {
    let write = || {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut temporary = file.as_os_str().to_owned();
        temporary.push(".tmp");
        fs::write(&temporary, text)?;
        fs::rename(&temporary, file)
    };
    write().map_err(|source| ReportError::Write {
        file: file.into(),
        source,
    })
}
