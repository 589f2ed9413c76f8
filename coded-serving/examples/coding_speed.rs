//! How long the linear codes take for a group of ten queries of 784 numbers.
//!
//! `cargo run --release -p septet-coded-serving --example coding_speed`

#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::hint::black_box;
use std::time::Instant;

use septet_coded_serving::code::{
    Code, Interpolation, InvNet, MixedQueries, Slots, Smoother, SumParity,
};
use septet_coded_serving::{CodeError, Tensor};

const ROUNDS: u32 = 20_000;

fn main() -> Result<(), CodeError> {
    let codes: [Box<dyn Code>; 4] = [
        Box::new(SumParity::new(10, 1)?),
        Box::new(InvNet::new(10, 1, MixedQueries)?),
        Box::new(InvNet::new(10, 2, MixedQueries)?),
        Box::new(Interpolation::new(10, 11, 1, Smoother::Berrut)?),
    ];
    let group: Vec<Tensor> = (0..10)
        .map(|i| Tensor::vector((0..784).map(|j| ((i * 784 + j) as f32).sin()).collect()))
        .collect();
    println!("{:<22} {:>9} {:>9}", "code", "encode", "decode 1");
    for code in codes {
        let tasks = code.encode(&group)?;
        let parities = tasks.iter().map(|task| (task.slot, &task.input));
        let own = group.iter().enumerate().filter(|_| code.shape().systematic);
        let lost = Slots::EMPTY.with(3);
        let outputs: Vec<_> = own.chain(parities).filter(|(slot, _)| *slot != 3).collect();
        let encode = fastest(|| code.encode(black_box(&group)).map(|tasks| tasks.len()))?;
        let decode = fastest(|| code.decode(10, black_box(&outputs), lost).map(|d| d.len()))?;
        println!("{:<22} {encode:>6.2} us {decode:>6.2} us", code.name());
    }
    Ok(())
}

/// Microseconds per call in the fastest of ten runs.
fn fastest(mut call: impl FnMut() -> Result<usize, CodeError>) -> Result<f64, CodeError> {
    let mut fastest = f64::INFINITY;
    for _ in 0..10 {
        let start = Instant::now();
        for _ in 0..ROUNDS / 10 {
            black_box(call()?);
        }
        fastest = fastest.min(start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS / 10));
    }
    Ok(fastest)
}
