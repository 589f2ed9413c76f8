//! Reproduces the paper: the program behind `cargo xtask reproduce sketch`.

use std::process::ExitCode;

fn main() -> ExitCode {
    septet_core::experiment::main(septet_sketch::reproduce::TrainedForCoverage)
}
