//! The frame of a command-line program: arguments, exit codes, error messages.
//!
//! [`run`] is the whole of a `main`: it parses the arguments with clap, calls the program, prints
//! its error once, and exits with the code that scripts rely on:
//!
//! | code | [`Exit`] | meaning |
//! |---|---|---|
//! | 0 | `Success` | done; also when the reader of the output has closed the pipe |
//! | 1 | `Negative` | done, with a negative verdict |
//! | 2 | `Inconclusive` | done, without a verdict |
//! | 3 | `Usage` | wrong arguments |
//! | 4 | `Data` | a file is missing, damaged or cannot be written |
//! | 5 | `Internal` | a bug |
//! | 130 | `Interrupted` | Ctrl-C |
//! | 128 + signal | | another signal that ends programs: 143 for SIGTERM, 129 for SIGHUP |
//!
//! The class of an error is found in its chain of causes: a [`Failure`] carries it, and for the
//! errors of a library a function of the program gives it.
//!
//! ```no_run
//! use std::error::Error;
//! use std::path::PathBuf;
//! use std::process::ExitCode;
//!
//! use septet_core::cli::{self, Exit, Failure};
//!
//! /// Counts the lines of a file.
//! #[derive(clap::Parser)]
//! struct Arguments {
//!     file: PathBuf,
//!     #[arg(long, default_value_t = 1)]
//!     every: usize,
//! }
//!
//! fn class(cause: &(dyn Error + 'static)) -> Option<Exit> {
//!     // With a library: match cause.downcast_ref::<LibraryError>() { .. }
//!     cause.is::<std::num::ParseIntError>().then_some(Exit::Usage)
//! }
//!
//! fn count(arguments: Arguments) -> anyhow::Result<()> {
//!     if arguments.every == 0 {
//!         return Err(Failure::usage("--every: expected at least 1, found 0").into());
//!     }
//!     let text = std::fs::read_to_string(&arguments.file)?;
//!     println!("{}", text.lines().count() / arguments.every);
//!     Ok(())
//! }
//!
//! fn main() -> ExitCode {
//!     cli::run(class, count)
//! }
//! ```
//!
//! A program with `--json` prints its errors as one object on standard error, too:
//! `{"error":"..","exit_code":4}`.

mod closed_pipe;
mod exit;
mod interrupt;
mod message;
mod named_path;
mod report;
#[cfg(feature = "cli-testing")]
pub mod testing;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

pub use exit::{Exit, Failure};
pub use interrupt::exit_on_interrupt;
pub use message::{chain, warn};
pub use named_path::named_path;
pub use report::{Report, significant};

use message::{Style, print_error};

/// Parses the arguments of this process, runs the program, and reports how it ended.
///
/// The class of an error is that of the outermost [`Failure`] among its causes. Without one, `class`
/// gives it: it is called with each cause, outermost first, until it returns one. An error without a
/// class is [`Exit::Data`], since what a program reads is what most often is wrong. A panic is
/// [`Exit::Internal`].
///
/// A closed standard output ends the program quietly with [`Exit::Success`], whether it comes as an
/// error anywhere in the chain of causes or as the panic of `println!`.
pub fn run<A: clap::Parser, T: Into<Exit>>(
    class: impl Fn(&(dyn Error + 'static)) -> Option<Exit>,
    program: impl FnOnce(A) -> anyhow::Result<T>,
) -> ExitCode {
    closed_pipe::silence_panics();
    run_from(std::env::args_os(), class, program).into()
}

/// [`run`] with these arguments, of which the first is the program's name.
pub(crate) fn run_from<A: clap::Parser, T: Into<Exit>>(
    arguments: impl IntoIterator<Item = OsString>,
    class: impl Fn(&(dyn Error + 'static)) -> Option<Exit>,
    program: impl FnOnce(A) -> anyhow::Result<T>,
) -> Exit {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let style = Style::of(&arguments);
    let parsed = match A::try_parse_from(arguments) {
        Ok(parsed) => parsed,
        Err(message) => return explain(&message, style),
    };
    // What was printed counts as done only when it has left this process.
    let run = || {
        let exit = program(parsed)?.into();
        io::stdout().flush()?;
        anyhow::Ok(exit)
    };
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) if closed_pipe::ended(&error) => Exit::Success,
        Ok(Err(error)) => {
            let exit = class_of(&error, class);
            print_error(style, &error, exit);
            exit
        }
        Err(panic) if closed_pipe::panicked(&*panic) => Exit::Success,
        Err(panic) => {
            // A full disk, for one, is no bug.
            if let Some(text) = closed_pipe::printing_failed(&*panic) {
                print_error(style, &anyhow::Error::msg(text.to_owned()), Exit::Data);
                return Exit::Data;
            }
            // The panic itself was reported where it arose.
            let error = anyhow::anyhow!("internal error: this is a bug, please report it");
            print_error(style, &error, Exit::Internal);
            Exit::Internal
        }
    }
}

/// Prints clap's message: help on standard output, an error on standard error.
fn explain(message: &clap::Error, style: Style) -> Exit {
    if !message.use_stderr() {
        let Err(error) = message.print().and_then(|()| io::stdout().flush()) else {
            return Exit::Success;
        };
        let error = anyhow::Error::from(error);
        // Who closes the pipe before the end of the help has read enough.
        if closed_pipe::ended(&error) {
            return Exit::Success;
        }
        print_error(style, &error, Exit::Data);
        return Exit::Data;
    }
    if style == Style::Json {
        let text = message.to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
        print_error(style, &anyhow::Error::msg(text.to_owned()), Exit::Usage);
    } else {
        // When standard error is closed, the exit code must suffice.
        let _ = message.print();
    }
    Exit::Usage
}

fn class_of(error: &anyhow::Error, class: impl Fn(&(dyn Error + 'static)) -> Option<Exit>) -> Exit {
    // The program's own judgment comes before the general one of its `class`.
    let failure = error.chain().find_map(|cause| cause.downcast_ref());
    failure
        .map(Failure::exit)
        .or_else(|| error.chain().find_map(class))
        .unwrap_or(Exit::Data)
}
