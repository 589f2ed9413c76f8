//! Reproduces the paper: the program behind `cargo xtask reproduce robust-stats`.

use std::process::ExitCode;

fn main() -> ExitCode {
    septet_core::experiment::main(septet_robust_stats::reproduce::RobustStatistics)
}
