//! Whole runs of small experiments, in this process.

mod cells;
mod data;
mod folders;
mod verdicts;

use std::ffi::OsString;
use std::path::PathBuf;

use tempfile::TempDir;

use super::program::run_program;
use super::*;
use crate::cli::Exit;

const MANIFEST: &str = r#"
    [package.metadata.septet]
    id = "probe"
    title = "A Probe"
    authors = "N. N."
    venue = "Nowhere"
    year = 2000
    url = "https://example.org"
    claim = "Probes probe."
    quick = { seconds = 1 }
    full = { seconds = 1 }
    questions = [
QUESTIONS
    ]
"#;

/// The package of an experiment with these questions; `F` ones are in the profile full only.
fn package(questions: &[&str], contradictions: &'static str) -> Package {
    let lines = questions.iter().map(|id| {
        let full_only = id.starts_with('F');
        format!("{{ id = \"{id}\", text = \"What about {id}?\", full_only = {full_only} }},\n")
    });
    let manifest = MANIFEST.replace("QUESTIONS", &lines.collect::<String>());
    Package {
        manifest: manifest.leak(),
        contradictions,
        build: crate::report::Build {
            commit: Some("0123abc".into()),
            changed: false,
            compiler: None,
        },
    }
}

/// A folder for the results of runs.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("probe").join("quick")
    }

    /// Runs the experiment; gives how it ended and what it wrote.
    ///
    /// The manifest has the questions that the claims of the experiment answer.
    fn run(
        &self,
        arguments: &[&str],
        experiment: impl Fn(&mut Context) -> Result<(), ExperimentError>,
    ) -> (Exit, String) {
        let all = package(&["Q", "Q0", "Q1", "Q2", "S", "W"], "");
        let probe = |cx: &mut Context| {
            let result = experiment(cx);
            // A question that no claim answers is a fault, which is not what these tests are about.
            let claims = cx.results.claims.iter();
            let answered = claims.map(|claim| claim.id.split('.').next().unwrap().to_owned());
            let answered: Vec<String> = answered.collect();
            cx.keep_questions(&answered);
            result
        };
        self.run_package(&all, arguments, &probe)
    }

    fn run_package(
        &self,
        package: &Package,
        arguments: &[&str],
        experiment: &dyn Fn(&mut Context) -> Result<(), ExperimentError>,
    ) -> (Exit, String) {
        let mut out = Vec::new();
        let all = [
            OsString::from("probe"),
            "--out".into(),
            self.0.path().into(),
        ];
        let all = all.into_iter().chain(arguments.iter().map(OsString::from));
        let exit = run_program(package, experiment, all, &mut out);
        (exit, String::from_utf8(out).unwrap())
    }

    fn report(&self) -> Report {
        self.report_in("quick")
    }

    fn report_in(&self, folder: &str) -> Report {
        Report::load(&self.0.path().join("probe").join(folder).join("report.json")).unwrap()
    }
}

fn claim(cx: &mut Context, id: &str, value: f64) -> Verdict {
    cx.claim(id, "The value is at most one")
        .scale(Scale::Analytic)
        .expect(Expected::AtMost(1.0))
        .measured(Estimate::exact(value, ""))
}
