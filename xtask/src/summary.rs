//! What several runs came to, from the files that they left.

use std::error::Error;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use septet_core::cli::Failure;
use serde::Deserialize;

/// The verdicts in the order in which programs count them.
const VERDICTS: [&str; 4] = ["reproduced", "contradicted", "inconclusive", "skipped"];

/// The part of a report that is counted.
#[derive(Deserialize)]
struct Report {
    claims: Vec<Claim>,
}

#[derive(Deserialize)]
struct Claim {
    verdict: String,
    scale: Option<String>,
    known: Option<String>,
}

/// The verdicts of several reports.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    papers: usize,
    /// In the order of [`VERDICTS`].
    of_papers: [usize; 4],
    own: [usize; 4],
    known: usize,
}

/// The lines that a run left to be shown beside those of others.
pub(crate) fn of_run(folder: &Path) -> anyhow::Result<String> {
    let file = folder.join("summary.txt");
    let text = fs::read_to_string(&file);
    text.map_err(|error| failure(error, format!("{} cannot be read", file.display())))
}

/// What is wrong with a file of a run.
fn failure(error: impl Error + Send + Sync + 'static, what: String) -> anyhow::Error {
    Failure::data(anyhow::Error::new(error).context(what)).into()
}

impl Totals {
    /// Adds the claims of a report.
    pub(crate) fn add(&mut self, file: &Path) -> anyhow::Result<()> {
        let opened = File::open(file);
        let opened =
            opened.map_err(|error| failure(error, format!("{} cannot be read", file.display())))?;
        let report: Report = serde_json::from_reader(BufReader::new(opened))
            .map_err(|error| failure(error, format!("{} is not a report", file.display())))?;
        self.papers += 1;
        for claim in report.claims {
            // Claims of this project's own are counted apart from those of the papers.
            let counts = match claim.scale.as_deref() {
                Some("beyond") => &mut self.own,
                _ => &mut self.of_papers,
            };
            for (count, verdict) in counts.iter_mut().zip(VERDICTS) {
                *count += usize::from(claim.verdict == verdict);
            }
            // `known` is the reason that `contradictions.toml` gives.
            let is_known = claim.verdict == "contradicted" && claim.known.is_some();
            self.known += usize::from(is_known);
        }
        Ok(())
    }

    /// One line over all papers.
    pub(crate) fn line(&self) -> String {
        let show = |counts: &[usize; 4]| {
            let counts = counts.iter().zip(VERDICTS);
            let counts: Vec<String> = counts
                .filter(|(count, _)| **count > 0)
                .map(|(count, verdict)| format!("{count} {verdict}"))
                .collect();
            counts.join(", ")
        };
        let papers = match self.papers {
            1 => "1 paper".to_owned(),
            several => format!("{several} papers"),
        };
        let known = match self.known {
            0 => String::new(),
            known => format!(" ({known} contradictions known)"),
        };
        let own = match self.own {
            [0, 0, 0, 0] => String::new(),
            own => format!("; own claims: {}", show(&own)),
        };
        format!("{papers}: {}{known}{own}", show(&self.of_papers))
    }
}

#[cfg(test)]
mod tests {
    use septet_core::cli::Exit;

    use super::*;

    #[test]
    fn claims_of_papers_and_own_ones_are_counted_apart() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("report.json");
        let report = r#"{
            "schema": "septet-report/2",
            "claims": [
                {"id": "Q1", "verdict": "reproduced", "scale": "original"},
                {"id": "Q2", "verdict": "skipped", "scale": null},
                {"id": "Q3", "verdict": "contradicted", "scale": "scaled", "known": "why"},
                {"id": "B1", "verdict": "reproduced", "scale": "beyond"}
            ]
        }"#;
        std::fs::write(&file, report).unwrap();
        let mut totals = Totals::default();
        totals.add(&file).unwrap();
        totals.add(&file).unwrap();
        assert_eq!(
            totals.line(),
            "2 papers: 2 reproduced, 2 contradicted, 2 skipped (2 contradictions known); \
             own claims: 2 reproduced"
        );
        std::fs::write(&file, "{").unwrap();
        let error = totals.add(&file).unwrap_err();
        let text = error.to_string();
        assert!(text.ends_with("report.json is not a report"), "{text}");
        // What a run has left is data: neither is a bug of the runner.
        let absent = totals.add(&folder.path().join("absent.json")).unwrap_err();
        let nothing = of_run(&folder.path().join("absent")).unwrap_err();
        for error in [error, absent, nothing] {
            let exit = error.downcast_ref::<Failure>().map(Failure::exit);
            assert_eq!(exit, Some(Exit::Data), "{error}");
        }
    }
}
