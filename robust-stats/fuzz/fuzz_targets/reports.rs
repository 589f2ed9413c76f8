//! Streams of reports: each is counted once or rejected.

#![no_main]

use libfuzzer_sys::fuzz_target;
use septet_robust_stats::Epsilon;
use septet_robust_stats::aggregate::{Aggregate, DesignAggregator};
use septet_robust_stats::design::{Assignment, DesignParameters};
use septet_robust_stats::mechanism::*;
use septet_robust_stats::wire::{Envelopes, Protocol, read_design_report, read_report};

fuzz_target!(|bytes: &[u8]| {
    let epsilon = Epsilon::new(1.0).expect("positive");
    let design = DesignParameters::new(20, 4, [0; 32]).expect("in range");
    let assignment = Assignment::new([0; 16], &design);
    let mut aggregator = DesignAggregator::new(design, assignment)
        .expect("small")
        .with_duplicate_detection();
    let mut pushed = 0;
    for (client, report) in Envelopes::new(bytes).flatten() {
        pushed += 1;
        match read_design_report(report) {
            Ok(report) => _ = aggregator.push(client, &report),
            Err(reason) => aggregator.reject(reason),
        }
    }
    let counts = aggregator.counts();
    assert_eq!(counts.matrix.reports() + counts.rejected.total(), pushed);

    macro_rules! push {
        ($mechanism:expr) => {
            let mechanism = $mechanism.expect("in range");
            let tag = Protocol::from(mechanism).tag();
            // The tag is a hash: the fuzzer is given it.
            let report = [&[1, bytes.first().copied().unwrap_or(0)], &tag.0[..], bytes].concat();
            if let Ok(report) = read_report(tag, &report) {
                let _ = Aggregate::new(mechanism).push(&report);
            }
        };
    }
    push!(RandomizedResponse::new(20, epsilon));
    push!(UnaryEncoding::optimized(20, epsilon));
    push!(SubsetSelection::new(20, epsilon));
    push!(LocalHashing::new(20, epsilon));
    push!(HadamardResponse::new(20, epsilon));
    let shape = SketchShape::new(20, 2, 8, 0).expect("in range");
    push!(CountMeanSketch::new(shape, epsilon));
    push!(HadamardCountMeanSketch::new(shape, epsilon));
    push!(Rappor::new(16, 2, 4, [0.25, 0.75, 0.5]));
});
