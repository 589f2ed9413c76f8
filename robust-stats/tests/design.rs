//! Partitions are balanced, clients and server agree on them, and random designs keep distances.

use rand::seq::SliceRandom;
use septet_core::seed::SeedTree;
use septet_robust_stats::Epsilon;
use septet_robust_stats::design::{
    Assignment, DesignMatrix, DesignParameters, GroupClient, HashDesign,
};
use septet_robust_stats::mechanism::Mechanism;

#[test]
fn partitions_are_balanced_and_clients_know_them() {
    for (domain, cells) in [(64, 4), (65, 4), (10, 2), (7, 3), (1, 1), (2, 2), (5, 9)] {
        let parameters = DesignParameters::new(domain, cells, [3; 32]).unwrap();
        let design = HashDesign::new(parameters).unwrap();
        for group in 0..design.groups() {
            let mut sizes = vec![0; design.cells()];
            for &cell in design.partition(group) {
                sizes[usize::from(cell)] += 1;
            }
            let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
            assert!(most - least <= 1, "{domain} {cells}: {sizes:?}");
            let client = GroupClient::new(&parameters, group).unwrap();
            let mut rng = SeedTree::new(1).rng();
            for symbol in 0..domain {
                let cell = client.encode(symbol, &mut rng).unwrap();
                assert_eq!(cell as usize, design.cell(group, symbol));
            }
            assert!(client.encode(domain, &mut rng).is_err());
        }
        assert!(GroupClient::new(&parameters, design.groups()).is_err());
    }
}

#[test]
fn as_many_cells_as_symbols_are_the_identity() {
    let design = HashDesign::new(DesignParameters::new(5, 9, [0; 32]).unwrap()).unwrap();
    assert_eq!((design.groups(), design.cells()), (1, 5));
    assert_eq!(design.partition(0), [0, 1, 2, 3, 4]);
}

#[test]
fn every_parameter_changes_the_id() {
    let base = DesignParameters::new(100, 4, [0; 32]).unwrap();
    assert_eq!(base.groups(), 100);
    let others = [
        DesignParameters::new(101, 4, [0; 32])
            .unwrap()
            .with_groups(100)
            .unwrap(),
        DesignParameters::new(100, 5, [0; 32])
            .unwrap()
            .with_groups(100)
            .unwrap(),
        DesignParameters::new(100, 4, [1; 32]).unwrap(),
        base.with_groups(99).unwrap(),
        base.with_epoch(1),
        base.with_epsilon(Epsilon::new(1.0).unwrap()).unwrap(),
        base.with_epsilon(Epsilon::new(2.0).unwrap()).unwrap(),
    ];
    let mut ids: Vec<_> = others.iter().map(DesignParameters::id).collect();
    ids.push(base.id());
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 8);
    assert_eq!(base.id(), base.id());
}

#[test]
fn wrong_parameters_are_named() {
    let seed = [0; 32];
    assert!(DesignParameters::new(0, 2, seed).is_err());
    assert!(DesignParameters::new(10, 0, seed).is_err());
    assert!(DesignParameters::new(1 << 20, 1 << 17, seed).is_err());
    let design = DesignParameters::new(10, 2, seed).unwrap();
    assert!(design.with_groups(0).is_err());
    assert!(design.with_epsilon(Epsilon::new(41.0).unwrap()).is_err());
    let large = DesignParameters::new(1 << 22, 2, seed).unwrap();
    assert!(HashDesign::new(large).is_err());
}

#[test]
fn groups_are_even_and_depend_on_key_epoch_and_client() {
    let parameters = DesignParameters::new(40, 8, [0; 32]).unwrap();
    let groups = parameters.groups();
    assert_eq!(groups, 20);
    let first = Assignment::new([1; 16], &parameters);
    let other_key = Assignment::new([2; 16], &parameters);
    let other_epoch = Assignment::new([1; 16], &parameters.with_epoch(1));
    let mut sizes = vec![0_u32; groups];
    let (mut same_key, mut same_epoch) = (0_u32, 0_u32);
    for client in 0_u32..20_000 {
        let name = client.to_le_bytes();
        let group = first.group(&name);
        sizes[group] += 1;
        same_key += u32::from(group == other_key.group(&name));
        same_epoch += u32::from(group == other_epoch.group(&name));
    }
    // Six standard deviations of a binomial of mean 1 000.
    assert!(
        sizes.iter().all(|size| size.abs_diff(1_000) < 185),
        "{sizes:?}"
    );
    assert!(same_key.abs_diff(1_000) < 185 && same_epoch.abs_diff(1_000) < 185);
    // A key never appears in logs.
    assert!(!format!("{first:?}").contains("key"));
}

#[test]
fn message_distributions_match_messages() {
    let parameters = DesignParameters::new(6, 3, [9; 32])
        .unwrap()
        .with_epsilon(Epsilon::new(1.0).unwrap())
        .unwrap();
    let design = HashDesign::new(parameters).unwrap();
    let masses = [0.5, 0.25, 0.125, 0.125, 0.0, 0.0];
    let law = design.message_distribution(2, &masses).unwrap();
    assert!((law.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    let client = GroupClient::new(&parameters, 2).unwrap();
    let mut rng = SeedTree::new(4).rng();
    let mut counts = [0_u32; 3];
    for (symbol, mass) in masses.iter().enumerate() {
        for _ in 0..(mass * 80_000.0) as u32 {
            counts[client.encode(symbol, &mut rng).unwrap() as usize] += 1;
        }
    }
    // The standard deviation of a share is at most 0.0018.
    for (count, probability) in counts.iter().zip(&law) {
        assert!((f64::from(*count) / 80_000.0 - probability).abs() < 0.01);
    }
    assert!(design.message_distribution(2, &[1.0]).is_err());
}

// A random sign vector keeps sqrt(2 (L-1) / (pi k)) of its length; the direction that a design keeps
// least is kept far less.
#[test]
fn random_designs_keep_distances() {
    let mut rng = SeedTree::new(5).rng();
    for cells in [2, 4, 16] {
        let design = HashDesign::new(DesignParameters::new(128, cells, [1; 32]).unwrap()).unwrap();
        let matrix = DesignMatrix::from_design(&design).unwrap();
        let typical = (2.0 * (cells as f64 - 1.0) / (std::f64::consts::PI * 128.0)).sqrt();
        let mut signs: Vec<f64> = (0..128).map(|x| f64::from(1 - x % 2 * 2)).collect();
        let mut image = vec![0.0; matrix.groups() * cells];
        for _ in 0..20 {
            signs.shuffle(&mut rng);
            matrix.cell_masses(&signs, &mut image);
            let norm: f64 = image.iter().map(|value| value.abs()).sum();
            let kept = norm / (matrix.groups() as f64 * 128.0);
            assert!((0.85..1.15).contains(&(kept / typical)), "{kept} {typical}");
        }
        let weakest = matrix.audit().weakest.unwrap().ratio;
        assert!(
            (0.15..0.6).contains(&(weakest / typical)),
            "{weakest} {typical}"
        );
    }
}
