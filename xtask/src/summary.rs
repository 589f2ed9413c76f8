//! The one line that sums a run up, from its `report.json`.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

/// The verdicts in the order in which programs count them.
const VERDICTS: [&str; 4] = ["reproduced", "contradicted", "inconclusive", "skipped"];

/// The part of a report that the line needs.
#[derive(Deserialize)]
struct Report {
    paper: Paper,
    profile: String,
    claims: Vec<Claim>,
    wall_s: f64,
}

#[derive(Deserialize)]
struct Paper {
    id: String,
}

#[derive(Deserialize)]
struct Claim {
    verdict: String,
}

/// The last line of the program that wrote this report.
pub(crate) fn of_report(file: &Path) -> anyhow::Result<String> {
    let open = || format!("{} cannot be read", file.display());
    let reader = BufReader::new(File::open(file).with_context(open)?);
    let report: Report = serde_json::from_reader(reader)
        .with_context(|| format!("{} is not a report", file.display()))?;
    let counts = VERDICTS.map(|verdict| {
        let claims = report
            .claims
            .iter()
            .filter(|claim| claim.verdict == verdict);
        format!("{} {verdict}", claims.count())
    });
    Ok(format!(
        "reproduce {} {}: {} ({:.1} s)",
        report.paper.id,
        report.profile,
        counts.join(", "),
        report.wall_s
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("report.json");
        let report = r#"{
            "schema": "septet-report/1",
            "paper": {"id": "cache", "title": "…"},
            "profile": "quick",
            "claims": [
                {"id": "Q1", "verdict": "reproduced"},
                {"id": "Q2", "verdict": "skipped"},
                {"id": "Q3", "verdict": "reproduced"}
            ],
            "wall_s": 41.23
        }"#;
        std::fs::write(&file, report).unwrap();
        assert_eq!(
            of_report(&file).unwrap(),
            "reproduce cache quick: 2 reproduced, 0 contradicted, 0 inconclusive, 1 skipped (41.2 s)"
        );
        std::fs::write(&file, "{").unwrap();
        let error = of_report(&file).unwrap_err().to_string();
        assert!(error.ends_with("report.json is not a report"), "{error}");
    }
}
