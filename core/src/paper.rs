//! The facts of a paper, as the manifest of its experiment states them.
//!
//! They are stated once, in `[package.metadata.septet]` of `septet-<system>-reproduce`. The experiment's
//! program, its report and the runner read them from there. Keys that are not known are refused,
//! so that a misspelled one is found when the program starts.

use serde::{Deserialize, Serialize};

/// A paper whose results an experiment reproduces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paper {
    /// The name on the command line and of the folder of results: the system's folder.
    pub id: String,
    /// Other names that the command line accepts.
    #[serde(default)]
    pub aliases: Vec<String>,
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
    /// What its abstract claims, in one sentence.
    pub claim: String,
    /// What limits the reproduction as a whole: what could not be read, what stands in for what.
    #[serde(default)]
    pub limits: Vec<String>,
    /// The questions that the claims answer, in the order of the report.
    pub questions: Vec<Question>,
    /// What a quick run takes and uses.
    pub quick: Run,
    /// What a full run takes and uses.
    pub full: Run,
}

/// A question that claims answer. A claim belongs to the question that its id begins with: `Q1` is
/// answered by `Q1.optimum` and `Q1.lru`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The name on the command line: letters and digits.
    pub id: String,
    /// The question, in one line.
    pub text: String,
    /// Whether only the profile `full` has claims on it.
    #[serde(default)]
    pub full_only: bool,
}

/// What a profile takes and uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// About how long it takes on two processors, in seconds.
    pub seconds: u32,
    /// The data sets that it uses: `quick` where they are there, `full` always.
    #[serde(default)]
    pub data: Vec<String>,
}

impl Paper {
    /// The question that a claim answers: the one whose id the claim's begins with, up to the first
    /// point.
    #[must_use]
    pub fn question_of(&self, claim: &str) -> Option<&Question> {
        let id = claim.split('.').next()?;
        self.questions.iter().find(|question| question.id == id)
    }
}

#[cfg(all(test, feature = "experiment"))]
mod tests {
    use super::*;

    #[test]
    fn a_claim_belongs_to_the_question_with_its_whole_first_part() {
        let question = |id: &str| Question {
            id: id.into(),
            text: String::new(),
            full_only: false,
        };
        let paper = Paper {
            id: "p".into(),
            aliases: vec![],
            title: String::new(),
            authors: String::new(),
            venue: String::new(),
            year: 2021,
            url: String::new(),
            claim: String::new(),
            limits: vec![],
            questions: vec![question("Q1"), question("Q10")],
            quick: Run {
                seconds: 1,
                data: vec![],
            },
            full: Run {
                seconds: 1,
                data: vec![],
            },
        };
        let id = |claim| {
            paper
                .question_of(claim)
                .map(|question| question.id.as_str())
        };
        assert_eq!(id("Q1.lru"), Some("Q1"));
        assert_eq!(id("Q10.lru"), Some("Q10"));
        assert_eq!(id("Q10"), Some("Q10"));
        assert_eq!(id("Q2.lru"), None);
        assert_eq!(id("Q"), None);
    }
}
