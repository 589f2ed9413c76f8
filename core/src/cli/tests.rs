use std::ffi::OsString;
use std::fmt;

use clap::Parser;

use super::message::chain;
use super::{Exit, Failure, class_of, run_from};

#[derive(Parser)]
struct Arguments {
    #[arg(long)]
    json: bool,
    count: Option<u32>,
}

fn exit_of<T: Into<Exit>>(
    arguments: &[&str],
    program: impl FnOnce(Arguments) -> anyhow::Result<T>,
) -> Exit {
    let arguments = ["program"].iter().chain(arguments).map(OsString::from);
    let class = |cause: &(dyn std::error::Error + 'static)| {
        cause.is::<fmt::Error>().then_some(Exit::Internal)
    };
    run_from(arguments, class, program)
}

fn fails_with(error: impl Into<anyhow::Error>) -> Exit {
    exit_of(&[], |_| Err::<(), _>(error.into()))
}

#[test]
fn arguments_are_parsed() {
    let program = |arguments: Arguments| {
        assert!(!arguments.json);
        assert_eq!(arguments.count, Some(3));
        Ok(Exit::Inconclusive)
    };
    assert_eq!(exit_of(&["3"], program), Exit::Inconclusive);
    assert_eq!(exit_of(&[], |_| Ok(())), Exit::Success);
    let unreached = |_| -> anyhow::Result<()> { unreachable!("the arguments are wrong") };
    assert_eq!(exit_of(&["x"], unreached), Exit::Usage);
    assert_eq!(exit_of(&["--json", "x"], unreached), Exit::Usage);
    assert_eq!(exit_of(&["--help"], unreached), Exit::Success);
}

#[test]
fn the_outermost_class_counts() {
    assert_eq!(fails_with(anyhow::anyhow!("no class")), Exit::Data);
    assert_eq!(fails_with(fmt::Error), Exit::Internal);
    let error = anyhow::Error::from(fmt::Error).context("formatting");
    assert_eq!(fails_with(error), Exit::Internal);
    let error = anyhow::Error::from(Failure::usage(fmt::Error)).context("formatting");
    assert_eq!(fails_with(error), Exit::Usage);
    let any_class = |_: &(dyn std::error::Error + 'static)| Some(Exit::Internal);
    let error = anyhow::Error::from(Failure::usage("which")).context("choosing");
    assert_eq!(class_of(&error, any_class), Exit::Usage);
    assert_eq!(fails_with(Failure::data(fmt::Error)), Exit::Data);
}

#[test]
fn a_panic_is_an_internal_error() {
    let exit = exit_of(&[], |_| -> anyhow::Result<()> {
        panic!("expected in this test")
    });
    assert_eq!(exit, Exit::Internal);
}

#[test]
fn a_broken_pipe_is_no_success_while_standard_output_is_open() {
    let broken = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
    assert_eq!(fails_with(broken), Exit::Data);
}

#[test]
fn each_cause_is_printed_once() {
    /// As errors of other crates are that repeat their cause.
    #[derive(Debug)]
    struct Repeats(std::io::Error);

    impl fmt::Display for Repeats {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "cannot read a.txt: {}", self.0)
        }
    }

    impl std::error::Error for Repeats {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    let error = Repeats(std::io::Error::other("no such disk"));
    let error = anyhow::Error::from(error).context("while summing");
    assert_eq!(
        chain(error.as_ref()),
        ["while summing", "cannot read a.txt: no such disk"]
    );
}
