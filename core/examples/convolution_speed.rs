//! How long do convolutions and what surrounds them take, forward and with gradients, on one
//! thread?
//!
//! `cargo run --release -p septet-core --features nn --example convolution_speed`

#![expect(
    clippy::print_stdout,
    reason = "a program that prints what it measures"
)]

use candle_core::{DType, Device, Result, Shape, Tensor, Var};
use candle_nn::Init;
use rustix::time::{ClockId, clock_gettime};
use septet_core::nn::{
    BatchNorm, BatchNormStatistics, Convolution, Pool, avg_pool, conv2d, conv3d, global_mean,
    initial, max_pool, one_math_thread,
};
use septet_core::seed::SeedTree;

fn main() -> Result<()> {
    assert!(one_math_thread(), "main has started no thread");
    println!("medians of {TURNS} turns, in ms of CPU time: forward, forward and backward");
    for (n, channels, size) in [(128, 16, 32), (256, 8, 16), (128, 32, 16), (128, 64, 8)] {
        let x = draw("x", (n, channels, size, size))?;
        let w = draw("w", (channels, channels, 3, 3))?;
        let options = Convolution {
            padding: [1, 1],
            ..Convolution::default()
        };
        report(&format!("conv2d 3x3 {n}x{channels}x{size}x{size}"), || {
            conv2d(&x, &w, None, options)
        })?;
    }
    images()?;
    clips()
}

/// Pools and a depthwise convolution.
fn images() -> Result<()> {
    let x = draw("x", (128, 16, 32, 32))?;
    let overlapping = Pool {
        kernel: [3, 3],
        stride: [2, 2],
        padding: [1, 1],
    };
    let tiles = Pool::tiles([2, 2]);
    report("max pool 3s2p1 128x16x32x32", || max_pool(&x, overlapping))?;
    report("max pool 2s2 128x16x32x32", || max_pool(&x, tiles))?;
    report("avg pool 3s2p1 128x16x32x32", || avg_pool(&x, overlapping))?;
    report("avg pool 2s2 128x16x32x32", || avg_pool(&x, tiles))?;
    report("global mean 128x16x32x32", || global_mean(&x))?;
    let w = draw("w", (16, 1, 3, 3))?;
    let options = Convolution {
        padding: [1, 1],
        groups: 16,
        ..Convolution::default()
    };
    report("depthwise 3x3 128x16x32x32", || {
        conv2d(&x, &w, None, options)
    })
}

/// Convolutions in space and time, normalized.
fn clips() -> Result<()> {
    for (n, channels, frames, size) in [(16, 16, 8, 32), (32, 8, 8, 16)] {
        let x = draw("x", (n, channels, frames, size, size))?;
        for kernel in [[1, 3, 3], [3, 1, 1], [3, 3, 3], [1, 1, 1]] {
            let [kt, kh, kw] = kernel;
            let w = draw("w", (channels, channels, kt, kh, kw))?;
            let options = Convolution {
                padding: kernel.map(|kernel| kernel / 2),
                ..Convolution::default()
            };
            report(
                &format!("conv3d {kt}x{kh}x{kw} {n}x{channels}x{frames}x{size}x{size}"),
                || conv3d(&x, &w, None, options),
            )?;
        }
        let (w, b) = (draw("w", channels)?, draw("b", channels)?);
        let running = BatchNormStatistics::new(channels, DType::F32)?;
        for relu in [false, true] {
            let norm = BatchNorm {
                relu,
                ..BatchNorm::default()
            };
            let name = if relu {
                "batch norm relu"
            } else {
                "batch norm"
            };
            report(
                &format!("{name} {n}x{channels}x{frames}x{size}x{size}"),
                || Ok(norm.train(&x, &w, &b, &running)?.0),
            )?;
        }
    }
    Ok(())
}

const TURNS: usize = 15;

/// A variable with normal values.
fn draw(name: &str, shape: impl Into<Shape>) -> Result<Var> {
    let init = Init::Randn {
        mean: 0.0,
        stdev: 1.0,
    };
    let seeds = SeedTree::new(1);
    Var::from_tensor(&initial(
        &seeds,
        name,
        shape,
        init,
        DType::F32,
        &Device::Cpu,
    )?)
}

/// Measures a function and its backward pass.
fn report(name: &str, run: impl Fn() -> Result<Tensor>) -> Result<()> {
    let (mut forward, mut both) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let start = clock();
        let y = run()?;
        forward.push(clock() - start);
        y.backward()?;
        both.push(clock() - start);
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    println!(
        "{name}: {:.2} {:.2}",
        median(&mut forward),
        median(&mut both)
    );
    Ok(())
}

/// Milliseconds that this thread has computed.
fn clock() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}
