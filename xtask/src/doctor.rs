//! `cargo xtask doctor`: what this machine has, and what is needed for what.

use septet_core::data::{self, Lookup};
use textwrap::WordSplitter;

use crate::outcome::Outcome;
use crate::terminal::say;
use crate::tool::{self, Tool};

const REQUIRED: [Tool; 2] = [tool::RUSTC, tool::C_COMPILER];

const OPTIONAL: [Tool; 6] = [
    tool::GIT,
    tool::RUSTFMT,
    tool::CLIPPY,
    tool::TYPOS,
    tool::CARGO_DENY,
    tool::PYTHON,
];

pub(crate) fn run() -> Outcome {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    say!("machine");
    say!("  {threads} threads; the times that `reproduce --list` gives are for 2");

    say!("\nrequired");
    let missing = REQUIRED.iter().filter(|tool| !report(tool)).count();

    say!("\noptional");
    for tool in &OPTIONAL {
        report(tool);
    }

    say!("\ndata sets");
    report_data();

    if missing == 0 {
        say!("\neverything required is here");
        Outcome::Success
    } else {
        say!("\n{missing} of the required programs missing");
        Outcome::Failure
    }
}

/// Prints which data sets are here. None is required: without them, claims on real data are
/// skipped.
fn report_data() {
    let lookup = Lookup::new(None);
    let (here, missing): (Vec<_>, Vec<_>) = data::sets()
        .iter()
        .map(|set| set.name)
        .partition(|name| lookup.find(name).is_ok());
    for (state, names) in [("ok", here), ("missing", missing)] {
        if !names.is_empty() {
            // A name is typed or copied whole, so it is not broken at its hyphens.
            let layout = textwrap::Options::new(100)
                .word_splitter(WordSplitter::NoHyphenation)
                .initial_indent("  ")
                .subsequent_indent("           ");
            let line = format!("{state:<8} {}", names.join(", "));
            say!("{}", textwrap::fill(&line, layout));
        }
    }
    say!(
        "  They are for claims on real data: needed by --profile full, used by quick if here.\n\
         \u{20} `cargo xtask data list` says what each is and how to get it."
    );
}

/// Prints the line of one tool and says whether it is there.
fn report(tool: &Tool) -> bool {
    let version = tool.version();
    match &version {
        Some(version) => say!("  ok       {:<11} {version}", tool.name),
        None => {
            say!(
                "  missing  {:<11} needed for {}",
                tool.name,
                tool.needed_for
            );
            say!("  {:<20} get it: {}", "", tool.install);
        }
    }
    version.is_some()
}
