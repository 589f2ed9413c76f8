//! Randomized response beside OpenDP's: CPU nanoseconds a report, interleaved in one run.
//!
//! `cargo run --release --manifest-path benches/opendp/Cargo.toml`. Both draw cryptographic
//! randomness, and both randomize the same values.

use std::hint::black_box;

use anyhow::anyhow;
use opendp::measurements::make_randomized_response;
use rand_chacha::rand_core::RngCore;
use rustix::time::{ClockId, clock_gettime};
use septet_robust_stats::Epsilon;
use septet_robust_stats::aggregate::Aggregate;
use septet_robust_stats::mechanism::{Mechanism, RandomizedResponse, client_generator};

const VALUES: usize = 100_000;
const REPETITIONS: usize = 9;

fn main() -> anyhow::Result<()> {
    println!("    k   OpenDP ns   ours ns   ratio   ours with counting ns");
    for domain in [2, 128, 1024] {
        let epsilon = Epsilon::new(1.0)?;
        let ours = RandomizedResponse::new(domain, epsilon)?;
        let theirs = make_randomized_response((0..domain as u32).collect(), ours.probabilities().0)
            .map_err(|error| anyhow!("OpenDP: {error:?}"))?;
        let mut rng = client_generator()?;
        let values: Vec<u32> = (0..VALUES).map(|_| rng.next_u32() % domain as u32).collect();
        let (mut opendp, mut encode, mut with_count) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..REPETITIONS {
            let start = cpu_nanoseconds();
            for value in &values {
                black_box(theirs.invoke(value).map_err(|error| anyhow!("OpenDP: {error:?}"))?);
            }
            opendp.push(cpu_nanoseconds() - start);

            let start = cpu_nanoseconds();
            for &value in &values {
                black_box(ours.encode(value as usize, &mut rng)?);
            }
            encode.push(cpu_nanoseconds() - start);

            let mut aggregate = Aggregate::new(ours);
            let start = cpu_nanoseconds();
            for &value in &values {
                aggregate.push(&ours.encode(value as usize, &mut rng)?)?;
            }
            with_count.push(cpu_nanoseconds() - start);
            black_box(aggregate);
        }
        let [opendp, encode, with_count] = [opendp, encode, with_count].map(median);
        println!(
            "{domain:5} {opendp:11.1} {encode:9.1} {:7.1} {with_count:23.1}",
            opendp / encode
        );
    }
    Ok(())
}

/// The median, for one value.
fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2] / VALUES as f64
}

/// CPU time of this process.
fn cpu_nanoseconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}
