//! `robust-stats`: private reports, their counts, and robust estimates and tests.

mod aggregate;
mod attack;
mod audit;
mod audit_design;
mod decode;
mod encode;
mod files;
mod keygen;
mod plan;
mod protocol;
mod test;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use septet_core::cli::{self, Exit};
use septet_robust_stats::RobustStatsError;

/// Estimates and tests distributions from private or compressed reports, with bounds on the effect of
/// corrupted clients.
///
/// Exit codes: 0 success, 1 certified manipulation (decode) or an insufficient design
/// (audit-design), 3 usage, 4 missing or damaged data,
/// 5 internal error, 130 interrupted.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Print results and errors as JSON objects
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

// A negative number is a value out of range, not an unknown option.
#[derive(Subcommand)]
enum Command {
    /// Write a protocol file for clients and server
    #[command(allow_negative_numbers = true)]
    Protocol(protocol::Arguments),
    /// Write a random assignment key for the server
    Keygen(keygen::Arguments),
    /// Prove what a hash design keeps of distances, with the bound that follows
    AuditDesign(audit_design::Arguments),
    /// Encode `client,symbol` lines from standard input into reports
    Encode(encode::Arguments),
    /// Count reports; invalid ones are rejected and counted by reason
    Aggregate(aggregate::Arguments),
    /// Add counts of the same protocol
    Merge(aggregate::MergeArguments),
    /// Estimate the distribution; exit code 1 if manipulation is certified
    #[command(allow_negative_numbers = true)]
    Decode(decode::Arguments),
    /// Test hypotheses, with p-values that are valid under manipulation
    #[command(allow_negative_numbers = true)]
    Test(test::Arguments),
    /// Compute the number of clients for a target error
    #[command(allow_negative_numbers = true)]
    Plan(plan::Arguments),
    /// Simulate an attack on counts
    #[command(allow_negative_numbers = true)]
    Attack(attack::Arguments),
    /// Audit the exact message probabilities of every mechanism against e^epsilon
    #[command(allow_negative_numbers = true)]
    AuditPrivacy(audit::Arguments),
}

/// Returns early with an error of the arguments.
macro_rules! usage {
    ($($message:tt)*) => {
        return Err(septet_core::cli::Failure::usage(format!($($message)*)).into())
    };
}
pub(crate) use usage;

fn main() -> ExitCode {
    cli::run(class, run)
}

fn run(arguments: Arguments) -> anyhow::Result<Exit> {
    cli::exit_on_interrupt();
    let json = arguments.json;
    match arguments.command {
        Command::Protocol(arguments) => protocol::run(&arguments, json),
        Command::Keygen(arguments) => keygen::run(&arguments, json),
        Command::AuditDesign(arguments) => audit_design::run(&arguments, json),
        Command::Encode(arguments) => encode::run(&arguments, json),
        Command::Aggregate(arguments) => aggregate::run(&arguments, json),
        Command::Merge(arguments) => aggregate::merge(&arguments, json),
        Command::Decode(arguments) => decode::run(&arguments, json),
        Command::Test(arguments) => test::run(&arguments, json),
        Command::Plan(arguments) => plan::run(&arguments, json),
        Command::Attack(arguments) => attack::run(&arguments, json),
        Command::AuditPrivacy(arguments) => audit::run(&arguments, json),
    }
}

/// The exit code of a library error. Most parameters come from the arguments; errors of parsed files are
/// marked by [`files::damaged`].
fn class(cause: &(dyn Error + 'static)) -> Option<Exit> {
    match cause.downcast_ref()? {
        RobustStatsError::Parameter {
            argument: "counts" | "reports" | "samples" | "weights",
            ..
        } => Some(Exit::Data),
        RobustStatsError::Parameter { .. } => Some(Exit::Usage),
        _ => Some(Exit::Data),
    }
}
