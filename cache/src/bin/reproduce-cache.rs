//! Reproduces the paper: the program behind `cargo xtask reproduce cache`.

use std::process::ExitCode;

fn main() -> ExitCode {
    septet_core::experiment::main(septet_cache::reproduce::RobustCaching)
}
