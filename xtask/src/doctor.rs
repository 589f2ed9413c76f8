//! `cargo xtask doctor`: what this machine has, and what is needed for what.

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
    if missing == 0 {
        say!("\neverything required is here");
        Outcome::Success
    } else {
        say!("\n{missing} of the required programs missing");
        Outcome::Failure
    }
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
