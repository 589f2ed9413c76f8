//! Compares the operators for training with PyTorch: `cargo xtask bench core --peers`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use septet_benches::core_peers::{Plan, run};
use septet_core::cli::{self, named_path};

/// Compares the operators for training with PyTorch: CPU time of one thread
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Parts of the names of rows, separated by commas [default: all rows]
    #[arg(long, value_delimiter = ',')]
    rows: Vec<String>,
    /// Samples of each contender
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..))]
    repetitions: u16,
    /// How long a sample lasts at least, in milliseconds
    #[arg(long, default_value_t = 60)]
    milliseconds: u32,
    /// A Python that has PyTorch; none is installed for it, as PyTorch takes several gigabytes
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// Not used: the operands are generated
    #[arg(long, hide = true)]
    data: Option<PathBuf>,
    /// Where the samples go
    #[arg(long, default_value = "target/septet/bench", value_parser = named_path())]
    out: PathBuf,
}

fn main() -> ExitCode {
    // Called first, while there is one thread; otherwise candle reads the environment.
    let _ = septet_core::nn::one_math_thread();
    // Both sides keep freed memory: otherwise page faults are what is compared.
    let _ = septet_core::nn::keep_freed_memory();
    cli::run(|_| None, compare)
}

fn compare(arguments: Arguments) -> anyhow::Result<()> {
    cli::exit_on_interrupt();
    std::fs::create_dir_all(&arguments.out)
        .with_context(|| format!("cannot make {}", arguments.out.display()))?;
    let plan = Plan {
        rows: arguments.rows,
        repetitions: arguments.repetitions.into(),
        milliseconds: arguments.milliseconds,
        python: arguments.python,
        output: arguments.out,
    };
    print!("{}", run(&plan, &mut |line| eprintln!("{line}"))?);
    Ok(())
}
