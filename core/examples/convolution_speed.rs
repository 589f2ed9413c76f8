//! How long do a convolution and its gradients take, ours against candle's, on one thread?
//!
//! `cargo run --release -p septet-core --features tensor --example convolution_speed`

#![expect(
    clippy::print_stdout,
    reason = "a program that prints what it measures"
)]

use std::time::Instant;

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::Init;
use septet_core::nn::{Convolution, conv2d, initial, one_math_thread};
use septet_core::seed::SeedTree;

fn main() -> Result<()> {
    assert!(one_math_thread(), "main has started no thread");
    println!("32 images of 28 x 28, kernels of 3 x 3, padding 1; medians of 15, in ms");
    for (inputs, outputs, groups) in [(16, 32, 1), (16, 16, 16)] {
        let draw = |name, shape: (usize, usize, usize, usize)| {
            let init = Init::Randn {
                mean: 0.0,
                stdev: 1.0,
            };
            let tensor = initial(
                &SeedTree::new(1),
                name,
                shape,
                init,
                DType::F32,
                &Device::Cpu,
            )?;
            Var::from_tensor(&tensor)
        };
        let x = draw("x", (32, inputs, 28, 28))?;
        let w = draw("w", (outputs, inputs / groups, 3, 3))?;
        let options = Convolution {
            padding: 1,
            groups,
            ..Convolution::default()
        };
        let ours = || conv2d(&x, &w, None, options);
        let theirs = || x.conv2d(&w, 1, 1, 1, groups);
        let (mut forward, mut both) = ([vec![], vec![]], [vec![], vec![]]);
        // Interleaved, so that both meet the same load.
        for _ in 0..15 {
            for (side, run) in [&ours as &dyn Fn() -> Result<Tensor>, &theirs]
                .into_iter()
                .enumerate()
            {
                let start = Instant::now();
                let y = run()?;
                forward[side].push(start.elapsed().as_secs_f64() * 1e3);
                y.backward()?;
                both[side].push(start.elapsed().as_secs_f64() * 1e3);
            }
        }
        let median = |times: &mut Vec<f64>| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        };
        for (name, [ours, theirs]) in [("forward", &mut forward), ("and backward", &mut both)] {
            let (ours, theirs) = (median(ours), median(theirs));
            println!(
                "{inputs} to {outputs} channels, {groups} groups, {name}: ours {ours:.1}, \
                 candle's {theirs:.1}, ratio {:.1}",
                theirs / ours
            );
        }
    }
    Ok(())
}
