//! Oracles that are wrong, and worlds that change.

use std::collections::HashMap;
use std::sync::Arc;

use septet_core::seed::SeedTree;
use septet_sketch::learned::{Learned, Slot8, Threshold};
use septet_sketch::oracle::Oracle;
use septet_sketch::stream::{FlowScore, FlowWindow, HeteroFlows};
use septet_sketch::{CountMin, FlowKey, FrequencySketch};

const FLOWS: usize = 60_000;
const BYTES: usize = 96 * 1024;
const SHARE: f64 = 0.5;

/// Gives each flow the score that it was told.
#[derive(Clone, Default)]
struct Told {
    scores: Arc<HashMap<FlowKey, f32>>,
    oracle_panics: bool,
}

impl Told {
    fn new(windows: &[&FlowWindow], score: impl Fn(f64) -> f32) -> Self {
        let mut scores = HashMap::new();
        for window in windows {
            let told = window.scores(FlowScore::Mean);
            let told = told.into_iter().map(&score);
            scores.extend(window.keys().iter().copied().zip(told));
        }
        Self {
            scores: Arc::new(scores),
            oracle_panics: false,
        }
    }
}

impl Oracle<FlowKey> for Told {
    fn score(&self, keys: &[&FlowKey], scores: &mut [f32]) {
        assert!(!self.oracle_panics, "this oracle is out of order");
        for (key, score) in keys.iter().zip(scores) {
            *score = self.scores[key];
        }
    }

    fn model_bytes(&self) -> usize {
        0
    }

    fn fingerprint(&self) -> [u8; 16] {
        [u8::from(self.oracle_panics); 16]
    }
}

type Flows = Learned<FlowKey, CountMin<u32>, Told, Slot8>;

fn learned(oracle: &Told, validation: &FlowWindow, threshold: Threshold) -> Flows {
    let mut scores = vec![0.0; validation.keys().len()];
    if !oracle.oracle_panics {
        let keys: Vec<&FlowKey> = validation.keys().iter().collect();
        oracle.score(&keys, &mut scores);
    }
    Learned::<FlowKey, CountMin<u32>, Told>::builder(oracle.clone())
        .bytes(BYTES)
        .explicit_fraction(SHARE)
        .threshold(threshold)
        .validation_scores(scores)
        .build(|bytes| CountMin::builder().bytes(bytes).build())
        .expect("in range")
}

fn packets(window: &FlowWindow) -> Vec<FlowKey> {
    let order = window.packets(&SeedTree::new(3));
    let keys = window.keys();
    order.into_iter().map(|flow| keys[flow as usize]).collect()
}

/// The average absolute frequency error: an average over packets, as in the papers.
fn aafe(window: &FlowWindow, estimate: impl Fn(&FlowKey) -> u64) -> f64 {
    let flows = window.keys().iter().zip(window.counts());
    let sum: f64 = flows
        .map(|(key, &count)| count as f64 * estimate(key).abs_diff(count) as f64)
        .sum();
    sum / window.total() as f64
}

#[test]
fn an_oracle_that_is_wrong_costs_at_most_its_table() {
    let world = HeteroFlows::new(&SeedTree::new(11));
    let (validation, window) = (world.window(0, FLOWS), world.window(1, FLOWS));
    let packets = packets(&window);
    let both = [&validation, &window];

    let mut plain = HashMap::new();
    let mut error = |name: &str, oracle: &Told, threshold: Threshold| {
        let mut flows = learned(oracle, &validation, threshold);
        flows.update_batch(&packets);
        assert_eq!(flows.total(), window.total());
        // The plain sketch of the bytes that the table leaves over.
        let bytes = flows.sketch().size_bytes();
        let plain = *plain.entry(bytes).or_insert_with(|| {
            let mut plain = CountMin::<u32>::builder()
                .bytes(bytes)
                .build()
                .expect("in range");
            plain.update_batch(&packets);
            aafe(&window, |key| plain.estimate(key))
        });
        let ratio = aafe(&window, |key| flows.estimate(key).value) / plain;
        println!(
            "{name}, {threshold:?}: AAFE {ratio:.3} of the plain sketch's, coverage {:.3}, {:?}",
            flows.coverage(),
            flows.stats()
        );
        (ratio, flows.stats())
    };

    for threshold in [
        Threshold::Quantile { keys_per_slot: 1.1 },
        Threshold::Adaptive { keys_per_slot: 1.1 },
    ] {
        let good = Told::new(&both, |score| score as f32);
        assert!(error("good", &good, threshold).0 < 0.8);
        let constant = Told::new(&both, |_| 0.25);
        assert!(error("constant", &constant, threshold).0 < 1.15);
        let inverted = Told::new(&both, |score| -score as f32);
        assert!(error("inverted", &inverted, threshold).0 < 1.15);
        let nan = Told::new(&both, |_| f32::NAN);
        let (ratio, stats) = error("nan", &nan, threshold);
        assert!(ratio < 1.15 && stats.non_finite_scores == stats.oracle_queries);
        let mixed = Told::new(&both, |score| match score as u32 % 4 {
            0 => f32::INFINITY,
            1 => f32::NAN,
            2 => f32::NEG_INFINITY,
            _ => score as f32,
        });
        assert!(error("partly not finite", &mixed, threshold).0 < 1.15);
        let panicking = Told {
            oracle_panics: true,
            ..good
        };
        let (ratio, stats) = error("panicking", &panicking, threshold);
        assert!(ratio < 1.15);
        assert_eq!((stats.oracle_panics, stats.admitted), (1, 0));
    }
}

#[test]
fn an_oracle_that_panics_is_called_again_only_after_clear() {
    let world = HeteroFlows::new(&SeedTree::new(11));
    let window = world.window(0, 100);
    let panicking = Told {
        oracle_panics: true,
        ..Told::default()
    };
    let mut flows = learned(&panicking, &window, Threshold::Fixed(0.0));
    flows.update_by(&window.keys()[0], 2);
    flows.update_by(&window.keys()[1], 2);
    flows.next_window();
    flows.update_by(&window.keys()[0], 2);
    assert_eq!(
        (flows.stats().oracle_panics, flows.stats().oracle_queries),
        (0, 0)
    );
    flows.clear();
    flows.update_batch(window.keys());
    assert_eq!(flows.stats().oracle_panics, 1);
    assert!(flows.stats().oracle_queries > 0);
}

/// A new world in which scores are shifted: what was the threshold of the heavy flows is now far
/// above or far below them. A threshold that is too high leaves the table empty. One that is too low
/// fills it with the first flows that come, which is not bad at all when packets come in random
/// order: the first are frequent ones. The adaptive threshold does about as well as one that was
/// chosen for the new world.
#[test]
fn an_adaptive_threshold_follows_a_new_world_within_a_window() {
    let old = HeteroFlows::new(&SeedTree::new(21));
    let new = HeteroFlows::new(&SeedTree::new(22));
    let validation = old.window(0, FLOWS);
    let windows = [new.window(0, FLOWS), new.window(1, FLOWS)];
    for shift in [-4.0, 4.0] {
        let mut scores = (*Told::new(&[&validation], |score| score as f32).scores).clone();
        let told = Told::new(&[&windows[0], &windows[1]], |score| (score + shift) as f32);
        scores.extend(told.scores.iter());
        let oracle = Told {
            scores: Arc::new(scores),
            oracle_panics: false,
        };
        let chosen = Threshold::Quantile { keys_per_slot: 1.1 };
        let mut stale = learned(&oracle, &validation, chosen);
        let mut adaptive = learned(
            &oracle,
            &validation,
            Threshold::Adaptive { keys_per_slot: 1.1 },
        );
        let mut fresh = learned(&oracle, &windows[0], chosen);
        for (window, at_least) in windows.iter().zip([0.8, 0.95]) {
            let packets = packets(window);
            let coverage = [&mut stale, &mut adaptive, &mut fresh].map(|flows| {
                flows.update_batch(&packets);
                let error = aafe(window, |key| flows.estimate(key).value);
                let coverage = flows.coverage();
                println!("shift {shift}: coverage {coverage:.3}, AAFE {error:.2}");
                flows.next_window();
                coverage
            });
            assert!(coverage[1] > at_least * coverage[2], "{coverage:?}");
            if shift < 0.0 {
                assert!(coverage[0] < 0.01, "{coverage:?}");
            }
        }
    }
}
