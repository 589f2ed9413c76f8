//! Samplers follow their distribution, families have their shape, and loaders name the line at fault.

use std::io::Write;

use proptest::prelude::*;
use septet_core::seed::SeedTree;
use septet_robust_stats::distribution::{
    AliasSampler, MultinomialSampler, read_column, read_counts,
};
use septet_robust_stats::{Pmf, RobustStatsError};

/// Pearson's statistic of counts against masses; symbols without mass must have no count.
fn pearson(counts: &[u64], pmf: &Pmf) -> f64 {
    let draws: u64 = counts.iter().sum();
    let term = |(&count, &mass): (&u64, &f64)| {
        let expected = draws as f64 * mass;
        if mass == 0.0 {
            assert_eq!(count, 0);
            0.0
        } else {
            (count as f64 - expected).powi(2) / expected
        }
    };
    counts.iter().zip(pmf.masses()).map(term).sum()
}

#[test]
fn both_samplers_follow_the_masses() {
    let mut rng = SeedTree::new(1).child("samplers").rng();
    let pmf = Pmf::from_weights(&[0.0, 5.0, 1.0, 0.25, 0.0, 3.0, 0.001, 2.0, 0.0]).unwrap();
    let alias = AliasSampler::new(&pmf);
    let mut one_by_one = vec![0; 9];
    for _ in 0..200_000 {
        one_by_one[alias.sample(&mut rng)] += 1;
    }
    let at_once = MultinomialSampler::new(&pmf).sample(200_000, &mut rng);
    // Five degrees of freedom: 40 is exceeded with probability below 2e-7.
    for counts in [one_by_one, at_once] {
        assert_eq!(counts.iter().sum::<u64>(), 200_000);
        let statistic = pearson(&counts, &pmf);
        assert!(statistic < 40.0, "{statistic} {counts:?}");
    }
}

#[test]
fn families_have_their_shape() {
    let mut rng = SeedTree::new(1).child("families").rng();
    let uniform = Pmf::uniform(100).unwrap();
    let hard = Pmf::paninski(100, 0.3, &mut rng).unwrap();
    assert!((hard.total_variation(&uniform).unwrap() - 0.3).abs() < 1e-12);
    let odd = Pmf::paninski(3, 0.3, &mut rng).unwrap();
    assert!((odd.total_variation(&Pmf::uniform(3).unwrap()).unwrap() - 0.2).abs() < 1e-12);

    let zipf = Pmf::zipf(4, 1.0).unwrap();
    assert!((zipf.masses()[0] / zipf.masses()[3] - 4.0).abs() < 1e-12);
    let geometric = Pmf::geometric(5, 0.5).unwrap();
    assert!((geometric.masses()[0] - 16.0 / 31.0).abs() < 1e-12);
    let steps = Pmf::two_step(10, 2, 0.5).unwrap();
    assert!((steps.masses()[1] - 0.25).abs() < 1e-12);
    assert!((steps.masses()[9] - 0.0625).abs() < 1e-12);

    let cities = Pmf::log_normal(102, 1.3, 0.2, &mut rng).unwrap();
    assert!(
        cities
            .masses()
            .windows(2)
            .all(|pair| pair[0] >= pair[1] * 0.99)
    );
    assert!(cities.masses()[0] <= 0.2 + 1e-12);

    for pmf in [uniform, hard, odd, zipf, geometric, steps, cities] {
        assert!((pmf.masses().iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
    assert!(Pmf::paninski(1, 0.1, &mut rng).is_err());
    assert!(Pmf::paninski(4, 0.6, &mut rng).is_err());
    assert!(Pmf::zipf(0, 1.0).is_err());
    assert!(Pmf::geometric(3, 0.0).is_err());
    assert!(Pmf::two_step(3, 3, 0.5).is_err());
    assert!(Pmf::log_normal(10, 1.0, 0.05, &mut rng).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn distances_agree_with_each_other(
        p in prop::collection::vec(0.01_f64..1.0, 6),
        q in prop::collection::vec(0.01_f64..1.0, 6),
    ) {
        let (p, q) = (Pmf::from_weights(&p).unwrap(), Pmf::from_weights(&q).unwrap());
        let variation = p.total_variation(&q).unwrap();
        let euclidean = p.euclidean(&q).unwrap();
        let maximum = p.maximum_difference(&q).unwrap();
        let divergence = p.kullback_leibler(&q).unwrap();
        prop_assert!(maximum <= euclidean + 1e-12 && euclidean <= 2.0 * variation + 1e-12);
        prop_assert!(2.0 * variation <= 6.0_f64.sqrt() * euclidean + 1e-12);
        // Pinsker.
        prop_assert!(2.0 * variation * variation <= divergence + 1e-12);
        prop_assert_eq!(variation, q.total_variation(&p).unwrap());
    }

    #[test]
    fn multinomial_counts_sum_to_the_draws(
        weights in prop::collection::vec(0.0_f64..1.0, 1..20),
        draws in 0_u64..1_000_000_000_000,
        seed: u64,
    ) {
        prop_assume!(weights.iter().sum::<f64>() > 0.0);
        let pmf = Pmf::from_weights(&weights).unwrap();
        let mut rng = SeedTree::new(seed).rng();
        let counts = MultinomialSampler::new(&pmf).sample(draws, &mut rng);
        prop_assert_eq!(counts.iter().sum::<u64>(), draws);
        for (count, weight) in counts.iter().zip(&weights) {
            prop_assert!(*weight > 0.0 || *count == 0);
        }
    }
}

#[test]
fn loaders_split_at_the_last_comma_and_name_the_line() {
    let file = |text: &str| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    };
    let good = file("browser,version,share\nfirefox,59,0.25\n\r\nchrome,100,0.75\r\n");
    let counts = read_counts(good.path()).unwrap();
    assert_eq!(counts.labels, ["firefox,59", "chrome,100"]);
    assert_eq!(counts.weights, [0.25, 0.75]);
    assert_eq!(counts.with_min_weight(0.5).labels, ["chrome,100"]);
    assert!((counts.pmf().unwrap().masses()[1] - 0.75).abs() < 1e-12);

    for (text, at) in [
        ("a,1\nb\n", 2),
        ("a,1\n\nb,x\n", 3),
        ("a,1\nb,-1\n", 2),
        ("a,1\nb,inf\n", 2),
        ("a,1\nb,2\na,3\n", 3),
    ] {
        match read_counts(file(text).path()) {
            Err(RobustStatsError::Line { line, .. }) => assert_eq!(line, at, "{text:?}"),
            other => panic!("{text:?}: {other:?}"),
        }
    }

    let rows = file("39, State-gov, x\n50, Private, y\n38, Private, z\n");
    let column = read_column(rows.path(), 1).unwrap();
    assert_eq!(column.labels, ["Private", "State-gov"]);
    assert_eq!(column.weights, [2.0, 1.0]);
    assert!(matches!(
        read_column(rows.path(), 3),
        Err(RobustStatsError::Line { line: 1, .. })
    ));
    assert!(matches!(
        read_counts(std::path::Path::new("no such file")),
        Err(RobustStatsError::File { .. })
    ));
}

// The facts of the data folder's list; skipped, visibly, without it.
#[test]
fn real_files_have_the_stated_sizes() {
    let Some(folder) = std::env::var_os("SEPTET_DATA") else {
        println!("skipped: SEPTET_DATA is not set");
        return;
    };
    let folder = std::path::Path::new(&folder).join("robust-stats");
    let browsers = read_counts(&folder.join("browser_versions_global.csv")).unwrap();
    assert_eq!(browsers.labels.len(), 263);
    let emoji = read_counts(&folder.join("emoji_misskey_io.csv")).unwrap();
    assert_eq!(emoji.labels.len(), 25_806);
    assert_eq!(emoji.weights.iter().sum::<f64>(), 2_735_097.0);
    assert_eq!(emoji.with_min_weight(1_000.0).labels.len(), 372);
    let country = read_column(&folder.join("adult.data"), 13).unwrap();
    assert_eq!(country.labels.len(), 42);
    assert_eq!(country.weights.iter().sum::<f64>(), 32_561.0);
}
