//! `robust-stats`: private reports, their counts, and what can be known when some clients are corrupted.

mod aggregate;
mod attack;
mod audit;
mod decode;
mod encode;
mod files;
mod output;
mod plan;
mod protocol;
mod test;

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Estimates and tests distributions from private or compressed reports, with a bound on what lying
/// clients can do.
///
/// Exit codes: 0 done, 1 an error, 2 wrong arguments, 3 done, and a certificate says that reports were
/// manipulated (decode only).
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Print one JSON object, and errors as one too, on standard error
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write a protocol, which clients and server share
    Protocol(protocol::Arguments),
    /// Encode `client,symbol` lines from standard input into reports
    Encode(encode::Arguments),
    /// Count reports; wrong ones are rejected with a reason and counted too
    Aggregate(aggregate::Arguments),
    /// Add counts of the same protocol
    Merge(aggregate::MergeArguments),
    /// Estimate the distribution; exit code 3 when manipulation is certain
    Decode(decode::Arguments),
    /// Test hypotheses, with p-values that hold whatever the assumed fraction of clients does
    Test(test::Arguments),
    /// Say how many clients an error needs, or that no number is enough
    Plan(plan::Arguments),
    /// Manipulate counts as an adversary would, to try a pipeline
    Attack(attack::Arguments),
    /// Compare every mechanism's exact message probabilities with e^epsilon
    AuditPrivacy(audit::Arguments),
}

/// How a command ended.
enum Ending {
    Done,
    Manipulated,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // Nobody has read the arguments, so that their text says how to answer.
        Err(error) if error.use_stderr() && std::env::args().any(|word| word == "--json") => {
            let text = error.to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            output::say(true, "error", text.trim_end());
            return ExitCode::from(2);
        }
        Err(error) => error.exit(),
    };
    let json = arguments.json;
    let mut out = output::Output::new(json);
    let result = match arguments.command {
        Command::Protocol(arguments) => protocol::run(&arguments, &mut out),
        Command::Encode(arguments) => encode::run(&arguments, &mut out),
        Command::Aggregate(arguments) => aggregate::run(&arguments, &mut out),
        Command::Merge(arguments) => aggregate::merge(&arguments, &mut out),
        Command::Decode(arguments) => decode::run(&arguments, &mut out),
        Command::Test(arguments) => test::run(&arguments, &mut out),
        Command::Plan(arguments) => plan::run(&arguments, &mut out),
        Command::Attack(arguments) => attack::run(&arguments, &mut out),
        Command::AuditPrivacy(arguments) => audit::run(&arguments, &mut out),
    };
    match result {
        Ok(Ending::Done) => ExitCode::SUCCESS,
        Ok(Ending::Manipulated) => ExitCode::from(3),
        // Who reads the output has seen enough: `robust-stats .. | head`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::say(json, "error", &format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
