//! What an experiment leaves behind: claims with verdicts, figures, tables, and where they come
//! from.
//!
//! A [`Report`] is written as `report.json`, rendered by [`html::render`] as one self-contained
//! page, and printed as a table of its claims. Its JSON form carries the version [`SCHEMA`].

mod claim;
mod estimate;
mod figure;
pub mod html;
mod index;
pub(crate) mod json_number;
pub(crate) mod provenance;
pub mod svg;
mod table;
#[cfg(test)]
mod tests;
pub(crate) mod text;

pub use claim::{Claim, Expected, Scale, Verdict};
pub use estimate::{Certainty, Estimate};
pub use figure::{Figure, Point, Reference, Series, SeriesKind};
pub use index::write_index;
pub use provenance::{Build, Provenance};
pub use table::{Alignment, Column, Table, Value};

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::paper::{Paper, Question};

/// The version of the JSON form: a reader refuses another.
pub const SCHEMA: &str = "septet-report/2";

/// Everything an experiment found, and what it was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The version of this form: [`SCHEMA`].
    pub schema: String,
    /// The paper.
    pub paper: Paper,
    /// The profile: `quick` or `full`.
    pub profile: String,
    /// The claims that were selected; empty for all.
    pub only: Vec<String>,
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
    /// The data sets that the experiment opened.
    pub data: Vec<DataRecord>,
    /// The randomness.
    pub seeds: Seeds,
    /// Time from start to end, in seconds.
    pub wall_s: f64,
    /// Time on all processors in this run, in seconds, where the system provides it; cells taken from an
    /// earlier run are not in it.
    pub cpu_s: Option<f64>,
    /// The peak memory of the process, in bytes, where the system provides it.
    pub peak_rss_bytes: Option<u64>,
}

/// A finished unit of work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The group it belongs to.
    pub group: String,
    /// Its parameters.
    pub params: serde_json::Value,
    /// The file with its result, relative to the folder of the profile.
    pub file: String,
    /// The index of its seed, where a group runs its parameters with several.
    pub seed_index: Option<u64>,
    /// How long it took when it was computed, in seconds.
    pub seconds: f64,
    /// Whether it was computed in this run.
    pub is_new: bool,
    /// Whether another build of the program computed it.
    pub other_build: bool,
    /// The load of the machine when it was computed, where the system provides it.
    pub load: Option<f64>,
}

/// A data set, as a report describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataRecord {
    /// The registered name.
    pub set: String,
    /// Whether it was used.
    pub state: DataState,
    /// The license.
    pub license: String,
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

/// A file of a data set, as a report describes it.
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
        /// The operating system's error.
        source: io::Error,
    },
    /// The file is not a report.
    #[error("{} is not a report", file.display())]
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
        /// The operating system's error.
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

    /// Writes `report.json`, `report.html`, `summary.txt` and the figures into a folder. Every file appears
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
        write_whole(&folder.join("summary.txt"), &text::summary(self))?;
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
            cell.is_new = false;
            cell.other_build = false;
            cell.load = None;
        }
        report
    }

    /// The claims with this verdict, of the paper or of this project.
    pub(crate) fn counts(&self, own: bool) -> [(Verdict, usize); 4] {
        Verdict::ALL.map(|verdict| {
            let claims = self.claims.iter();
            let counted = claims.filter(|claim| claim.is_own() == own && claim.verdict == verdict);
            (verdict, counted.count())
        })
    }

    /// The claims that measure what the abstract claims.
    pub(crate) fn headline(&self) -> impl Iterator<Item = &Claim> {
        self.claims.iter().filter(|claim| claim.headline)
    }

    /// The claims that are not reproduced and are not in the headline: what is news first, then
    /// the known contradictions, then what was skipped.
    pub(crate) fn not_reproduced(&self) -> impl Iterator<Item = &Claim> {
        let rank = |claim: &Claim| match (claim.is_news(), claim.verdict) {
            (true, _) => Some(0),
            (false, Verdict::Inconclusive) => Some(1),
            (false, Verdict::Contradicted) => Some(2),
            (false, Verdict::Skipped) => Some(3),
            (false, Verdict::Reproduced) => None,
        };
        (0..4).flat_map(move |current| {
            let claims = self.claims.iter();
            claims.filter(move |claim| !claim.headline && rank(claim) == Some(current))
        })
    }

    /// The claims of the paper or of this project, by the question that they answer.
    pub(crate) fn grouped(&self, own: bool) -> Vec<(&Question, Vec<&Claim>)> {
        let of = |question: &Question| {
            let claims = self.claims.iter().filter(|claim| claim.is_own() == own);
            let answers = |claim: &&Claim| {
                let of = self.paper.question_of(&claim.id);
                of.is_some_and(|of| of.id == question.id)
            };
            claims.filter(answers).collect::<Vec<_>>()
        };
        let questions = self.paper.questions.iter();
        questions
            .map(|question| (question, of(question)))
            .filter(|(_, claims)| !claims.is_empty())
            .collect()
    }

    /// The time of all cells, in seconds, and of it the time of those computed in this run.
    pub(crate) fn cell_seconds(&self) -> (f64, f64) {
        let seconds = |only_new: bool| {
            let cells = self.cells.iter().filter(|cell| !only_new || cell.is_new);
            cells.map(|cell| cell.seconds).sum()
        };
        (seconds(false), seconds(true))
    }

    /// What a reader of the results should keep in mind: the warnings of the experiment, and what
    /// the cells and the machine give rise to.
    pub(crate) fn all_warnings(&self) -> Vec<String> {
        let mut warnings = self.warnings.clone();
        let others = self.cells.iter().filter(|cell| cell.other_build).count();
        if others > 0 {
            warnings.push(format!(
                "{others} of {} cells were computed by another build of this program; `--fresh` \
                 computes all of them again",
                self.cells.len()
            ));
        }
        let processors = self.provenance.processors as f64;
        // Its own threads are part of the load during a run.
        let limit = 0.5 * processors + self.provenance.threads as f64;
        let busy = |cell: &&Cell| cell.load.is_some_and(|load| load > limit);
        let busy = self.cells.iter().filter(busy).count();
        if busy > 0 {
            warnings.push(format!(
                "{busy} of {} cells were computed while other programs kept the processors busy: \
                 their times are too long",
                self.cells.len()
            ));
        }
        warnings
    }

    /// How many of the claims rest on intervals at 95 %, and so how many would miss their true
    /// value by chance.
    pub(crate) fn expected_misses(&self) -> Option<String> {
        let is_interval = |claim: &&Claim| {
            let certainty = claim.measured.as_ref().map(|measured| &measured.certainty);
            matches!(certainty, Some(Certainty::Confidence { .. }))
        };
        let count = self.claims.iter().filter(is_interval).count();
        (count > 0).then(|| {
            format!(
                "{count} claims rest on intervals at 95 %: about {:.1} of these intervals miss the true \
                 value by chance, in one direction or the other. A verdict changes by that only where \
                 the true value is at the bound.",
                0.05 * count as f64
            )
        })
    }

    /// The number of claims with this verdict.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        let with_verdict = self.claims.iter().filter(|claim| claim.verdict == verdict);
        with_verdict.count()
    }
}

/// Writes a file atomically. Folders are made as needed.
pub(crate) fn write_whole(file: &Path, text: &str) -> Result<(), ReportError> {
    let write = || {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        crate::io::write_whole(file, |file| file.write_all(text.as_bytes()))
    };
    write().map_err(|source| ReportError::Write {
        file: file.into(),
        source,
    })
}
