//! Counts that are read are written as the same bytes, and merge with themselves.

#![no_main]

use libfuzzer_sys::fuzz_target;
use septet_robust_stats::Epsilon;
use septet_robust_stats::mechanism::RandomizedResponse;
use septet_robust_stats::wire::{
    read_counts, read_design_counts, write_counts, write_design_counts,
};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(mut counts) = read_design_counts(bytes) {
        assert_eq!(write_design_counts(&counts), bytes);
        let again = counts.clone();
        let _ = counts.merge(&again);
    }
    let epsilon = Epsilon::new(1.0).expect("positive");
    let mechanism = RandomizedResponse::new(4, epsilon).expect("in range");
    if let Ok(mut counts) = read_counts(mechanism, bytes) {
        assert_eq!(write_counts(&counts), bytes);
        let again = counts.clone();
        let _ = counts.merge(&again);
        let _ = counts.estimates();
    }
});
