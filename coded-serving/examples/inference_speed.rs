//! How long one query takes on one thread, for networks of the size of the reproduction on MNIST.
//!
//! `cargo run --release -p septet-coded-serving --features network --example inference_speed`

#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::hint::black_box;
use std::time::Instant;

use septet_coded_serving::Tensor;
use septet_coded_serving::code::Encoder as _;
use septet_coded_serving::network::{
    Array, Coupling, Dense, InvertibleClassifier, Mlp, NetworkError, SetEncoder, checkerboard,
};

const WIDTH: usize = 784;

fn dense(inputs: usize, outputs: usize) -> Result<Dense, NetworkError> {
    let array = |shape: Vec<usize>| Array {
        values: (0..shape.iter().product())
            .map(|i: usize| (i as f32 * 0.37).sin() * 0.05)
            .collect(),
        shape,
    };
    Dense::new(
        "layer",
        &array(vec![outputs, inputs]),
        &array(vec![outputs]),
    )
}

fn mlp(widths: &[usize]) -> Result<Mlp, NetworkError> {
    let layers = widths.windows(2).map(|pair| dense(pair[0], pair[1]));
    Mlp::new(layers.collect::<Result<_, _>>()?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let half = WIDTH / 2;
    let blocks = (0..4).map(|_| mlp(&[half, 256, half]));
    let coupling = Coupling::new(checkerboard(28, 28), blocks.collect::<Result<_, _>>()?)?;
    let base = InvertibleClassifier::new(coupling, dense(WIDTH, 10)?)?;
    let group: Vec<Tensor> = (0..10)
        .map(|i| Tensor::vector((0..WIDTH).map(|j| ((i + j) as f32).sin()).collect()))
        .collect();
    let weights = [0.1; 10];
    let parity = mlp(&[WIDTH, 512, 512, 10])?;
    let student = mlp(&[WIDTH, 32, 10])?;
    let large = SetEncoder::new(mlp(&[WIDTH, 256])?, mlp(&[256 + WIDTH, 512, WIDTH])?)?;
    let frugal = SetEncoder::new(mlp(&[WIDTH, 64])?, mlp(&[64 + WIDTH, 256, WIDTH])?)?;

    let query = &group[0];
    report("base model", base.operations(), || {
        base.answer(query).map(drop).is_ok()
    });
    report("parity model", parity.operations(), || {
        parity.answer(query).map(drop).is_ok()
    });
    report("student", student.operations(), || {
        student.answer(query).map(drop).is_ok()
    });
    for (name, encoder) in [
        ("encoder, ten queries", large),
        ("frugal encoder, ten", frugal),
    ] {
        report(name, encoder.operations(10, WIDTH), || {
            encoder.encode(&group, &weights).map(drop).is_ok()
        });
    }
    Ok(())
}

/// Prints the fastest of ten runs.
fn report(name: &str, operations: u64, mut work: impl FnMut() -> bool) {
    let mut fastest = f64::INFINITY;
    for _ in 0..10 {
        let start = Instant::now();
        for _ in 0..50 {
            black_box(work());
        }
        fastest = fastest.min(start.elapsed().as_secs_f64() * 1e6 / 50.0);
    }
    println!("{name:<22} {operations:>9} multiply-adds {fastest:>8.0} us");
}
