//! The exact audit of all mechanisms, and that the encoders draw what the audit was told.

use septet_core::seed::SeedTree;
use septet_robust_stats::Epsilon;
use septet_robust_stats::audit::audit;
use septet_robust_stats::design::{DesignParameters, GroupClient};
use septet_robust_stats::mechanism::*;

const EPSILONS: [f64; 6] = [0.1, 0.5, 1.0, 2.0, 4.0, 1.098_612_288_668_109_8];

/// Audits a channel: the bound must hold, and be used up unless all symbols look alike to it.
fn check(name: &str, channel: &impl Channel, domain: usize, epsilon: Epsilon, alike: bool) {
    let report = audit(channel, domain, epsilon).expect("few messages");
    assert!(
        report.holds && report.complete && (report.tight || alike),
        "{name} k={domain} epsilon={}: {report:?}",
        epsilon.get()
    );
}

#[test]
fn every_mechanism_keeps_its_epsilon_exactly() {
    let mut audits = 0;
    for epsilon in EPSILONS {
        let epsilon = Epsilon::new(epsilon).unwrap();
        for k in 1..=8 {
            let one = k == 1;
            let response = RandomizedResponse::new(k, epsilon).unwrap();
            check("GRR", &response, k, epsilon, one);
            let symmetric = UnaryEncoding::symmetric(k, epsilon).unwrap();
            check("SUE", &symmetric, k, epsilon, one);
            let optimized = UnaryEncoding::optimized(k, epsilon).unwrap();
            check("OUE", &optimized, k, epsilon, one);
            let subset = SubsetSelection::new(k, epsilon).unwrap();
            check("SS", &subset, k, epsilon, one);
            let hadamard = HadamardResponse::new(k, epsilon).unwrap();
            check("HR", &hadamard, k, epsilon, one);
            let one_block = HadamardResponse::one_block(k, epsilon).unwrap();
            check("HR, one block", &one_block, k, epsilon, one);
            // Hashing may send all symbols to one cell.
            let hashing = LocalHashing::new(k, epsilon).unwrap();
            let cell = |x| hashing.cell(0, x);
            let alike = (0..k as u32).all(|x| cell(x) == cell(0));
            check("OLH", &hashing, k, epsilon, alike);
            for cells in [2, 4] {
                let design = DesignParameters::new(k, cells, [5; 32]).unwrap();
                let design = design.with_epsilon(epsilon).unwrap();
                for group in 0..design.groups().min(3) {
                    let client = GroupClient::new(&design, group).unwrap();
                    check("hash design", &client, k, epsilon, one);
                }
            }
            let shape = SketchShape::new(k, 2, 4, 11).unwrap();
            let alike = (0..k).all(|x| shape.bucket(0, x) == shape.bucket(0, 0));
            let sketch = CountMeanSketch::new(shape, epsilon).unwrap();
            check("CMS", &sketch, k, epsilon, alike);
            let sketch = HadamardCountMeanSketch::new(shape, epsilon).unwrap();
            check("HCMS", &sketch, k, epsilon, alike);
            audits += 12;
        }
    }
    println!("{audits} audits");
}

// RAPPOR is given p, q and f: its epsilon follows from them, and is reached when two values have
// disjoint filters.
#[test]
fn rappor_keeps_the_epsilon_that_it_states() {
    for (hashes, probabilities) in [
        (1, [0.25, 0.75, 0.0]),
        (2, [0.25, 0.75, 0.5]),
        (1, [0.5, 0.75, 0.25]),
        (2, [0.1, 0.6, 0.125]),
    ] {
        let rappor = Rappor::new(8, hashes, 1, probabilities).unwrap();
        // One step up: the stated number is a rounded logarithm.
        let stated = Epsilon::new(rappor.report_epsilon() * (1.0 + 1e-14)).unwrap();
        let report = audit(&rappor, 8, stated).unwrap();
        assert!(
            report.holds && report.complete,
            "{hashes} {probabilities:?}: {report:?}"
        );
        assert!(
            report.tight || hashes > 1,
            "{hashes} {probabilities:?}: {report:?}"
        );
    }
}

/// The messages of 60 000 clients follow the exact probabilities.
fn follows(name: &str, channel: &impl Channel, symbol: usize, mut draw: impl FnMut() -> u64) {
    let draws = 60_000;
    let mut counts = vec![0_u32; usize::try_from(channel.messages()).expect("few messages")];
    for _ in 0..draws {
        counts[draw() as usize] += 1;
    }
    let (mut statistic, mut cells, mut rare) = (0.0, 0.0, (0.0, 0.0));
    for (message, &count) in (0..).zip(&counts) {
        let exact = channel.probability(symbol, message);
        let quotients = exact.factors.iter().map(|(a, b)| *a as f64 / *b as f64);
        let expected = quotients.product::<f64>() * f64::from(draws);
        let count = f64::from(count);
        if expected == 0.0 {
            assert_eq!(count, 0.0, "{name}: message {message}");
        } else if expected < 10.0 {
            rare = (rare.0 + expected, rare.1 + count);
        } else {
            statistic += (count - expected).powi(2) / expected;
            cells += 1.0;
        }
    }
    if rare.0 > 5.0 {
        statistic += (rare.1 - rare.0).powi(2) / rare.0;
        cells += 1.0;
    }
    // Wilson and Hilferty's cube root, at five standard deviations.
    let degrees = f64::max(cells - 1.0, 1.0);
    let limit =
        degrees * (1.0 - 2.0 / (9.0 * degrees) + 5.0 * (2.0 / (9.0 * degrees)).sqrt()).powi(3);
    assert!(statistic < limit, "{name}: {statistic} against {limit}");
}

#[test]
fn encoders_draw_from_their_channels() {
    let mut rng = SeedTree::new(9).child("encoders").rng();
    for (epsilon, k, symbol) in [
        (1.0, 2, 1),
        (0.5, 5, 0),
        (2.0, 8, 7),
        (4.0, 6, 3),
        (1.0, 1, 0),
    ] {
        let epsilon = Epsilon::new(epsilon).unwrap();
        let m = RandomizedResponse::new(k, epsilon).unwrap();
        follows("GRR", &m, symbol, || {
            m.encode(symbol, &mut rng).unwrap().into()
        });
        let m = UnaryEncoding::symmetric(k, epsilon).unwrap();
        follows("SUE", &m, symbol, || {
            m.encode(symbol, &mut rng).unwrap().words()[0]
        });
        let m = UnaryEncoding::optimized(k, epsilon).unwrap();
        follows("OUE", &m, symbol, || {
            m.encode(symbol, &mut rng).unwrap().words()[0]
        });
        let m = SubsetSelection::new(k, epsilon).unwrap();
        follows("SS", &m, symbol, || {
            m.encode(symbol, &mut rng).unwrap().words()[0]
        });
        let m = HadamardResponse::new(k, epsilon).unwrap();
        follows("HR", &m, symbol, || {
            m.encode(symbol, &mut rng).unwrap().into()
        });
        let m = HadamardResponse::one_block(k, epsilon).unwrap();
        follows("HR, one block", &m, symbol, || {
            m.encode(symbol, &mut rng).unwrap().into()
        });
        let design = DesignParameters::new(k, 2, [5; 32]).unwrap();
        let m = GroupClient::new(&design.with_epsilon(epsilon).unwrap(), 0).unwrap();
        follows("hash design", &m, symbol, || {
            m.encode(symbol, &mut rng).unwrap().into()
        });

        // The channel is that given seed or row 0: draw until it is that.
        let m = LocalHashing::new(k, epsilon)
            .unwrap()
            .with_family(2)
            .unwrap();
        follows("FLH", &m, symbol, || {
            loop {
                let report = m.encode(symbol, &mut rng).unwrap();
                if report.seed == 0 {
                    return report.cell.into();
                }
            }
        });
        let shape = SketchShape::new(k, 2, 4, 11).unwrap();
        let m = CountMeanSketch::new(shape, epsilon).unwrap();
        follows("CMS", &m, symbol, || {
            loop {
                let report = m.encode(symbol, &mut rng).unwrap();
                if report.row == 0 {
                    return report.bits.words()[0];
                }
            }
        });
        let m = HadamardCountMeanSketch::new(shape, epsilon).unwrap();
        follows("HCMS", &m, symbol, || {
            loop {
                let report = m.encode(symbol, &mut rng).unwrap();
                if report.row == 0 {
                    return u64::from(report.column) + 4 * u64::from(report.negative);
                }
            }
        });
    }
}

// A subset large enough for the coarse draw that is then mended.
#[test]
fn subsets_are_uniform_beyond_one_word() {
    let mut rng = SeedTree::new(9).child("subsets").rng();
    for (k, epsilon) in [(150, 1.0), (150, 3.5), (70, 0.01)] {
        let subset = SubsetSelection::new(k, Epsilon::new(epsilon).unwrap()).unwrap();
        let draws = 20_000;
        let mut counts = vec![0_u32; k];
        let mut together = 0;
        for _ in 0..draws {
            let bits = subset.encode(3, &mut rng).unwrap();
            assert_eq!(bits.count_ones(), subset.size());
            (0..k).for_each(|x| counts[x] += u32::from(bits.get(x)));
            together += u32::from(bits.get(10) && bits.get(100 % k));
        }
        let support = subset.support();
        for (x, &count) in counts.iter().enumerate() {
            let probability = if x == 3 { support.own } else { support.other };
            let spread = (f64::from(draws) * probability * (1.0 - probability)).sqrt();
            let deviation = (f64::from(count) - f64::from(draws) * probability) / spread;
            assert!(deviation.abs() < 5.0, "{k} {epsilon} {x}: {deviation}");
        }
        // Two others together: (w-1)(w-2) or w (w-1) out of (k-1)(k-2), by whether the own one is in.
        let (w, others) = (subset.size() as f64, (k - 1) as f64 * (k - 2) as f64);
        let probability = support.own * (w - 1.0) * (w - 2.0) / others
            + (1.0 - support.own) * w * (w - 1.0) / others;
        let spread = (f64::from(draws) * probability * (1.0 - probability)).sqrt();
        let deviation = (f64::from(together) - f64::from(draws) * probability) / spread;
        assert!(deviation.abs() < 5.0, "{k} {epsilon}: {deviation}");
    }
}
