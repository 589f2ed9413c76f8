//! Reproduces the paper: the program behind `cargo xtask reproduce coded-serving`.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Small models train fastest on one thread each, beside each other. Where this has no effect,
    // they only take longer.
    let _ = septet_core::tensor::one_math_thread();
    septet_core::experiment::main(septet_coded_serving::reproduce::CodedInvNet)
}
