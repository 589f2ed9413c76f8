//! Oracles as a user meets them: scores, files, combinations.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::path::PathBuf;

use proptest::prelude::*;
use septet_sketch::oracle::{
    BlockFeatures, Calibration, Cascade, HashedEmbedMlp, HashedLinear, Hybrid, LookupTable, Oracle,
    Perfect,
};
use septet_sketch::{Key, SketchError};

/// Some finite number for each index.
fn weights(count: usize, seed: u64) -> Vec<f32> {
    let unit = |i: usize| (i as u64).hash64(seed) as f32 / u64::MAX as f32;
    (0..count).map(|i| unit(i) - 0.5).collect()
}

fn linear() -> HashedLinear<BlockFeatures> {
    let features = BlockFeatures::new(&[0, 4, 8]).unwrap();
    HashedLinear::new::<u64>(features, weights(5 * 32, 1), 0.25).unwrap()
}

fn mlp() -> HashedEmbedMlp<BlockFeatures> {
    let features = BlockFeatures::new(&[0, 4, 8]).unwrap();
    let layers = vec![
        (weights(15 * 7, 3), weights(7, 4)),
        (weights(7 * 6, 5), weights(6, 6)),
        (weights(6, 7), weights(1, 8)),
    ];
    HashedEmbedMlp::new::<u64>(features, 3, weights(5 * 16 * 3, 2), layers).unwrap()
}

fn scores(oracle: &impl Oracle<u64>, keys: &[u64]) -> Vec<f32> {
    let references: Vec<&u64> = keys.iter().collect();
    let mut scores = vec![f32::NAN; keys.len()];
    oracle.score(&references, &mut scores);
    scores
}

#[test]
fn a_batch_is_its_keys_one_by_one() {
    let keys: Vec<u64> = (0..65).map(|i| i * 37).collect();
    for size in [0, 1, 15, 16, 17, 63, 64, 65] {
        let keys = &keys[..size];
        let alone = |oracle: &dyn Fn(&[u64]) -> Vec<f32>| -> Vec<f32> {
            keys.iter().flat_map(|&key| oracle(&[key])).collect()
        };
        let (linear, mlp) = (linear(), mlp());
        assert_eq!(scores(&linear, keys), alone(&|keys| scores(&linear, keys)));
        assert_eq!(scores(&mlp, keys), alone(&|keys| scores(&mlp, keys)));
    }
}

fn file() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    (folder, path)
}

fn block() -> BlockFeatures {
    BlockFeatures::new(&[0, 4, 8]).unwrap()
}

#[test]
fn a_saved_model_gives_the_same_scores() {
    let (folder, path) = file();
    let keys: Vec<u64> = (0..100).map(|i| i * i).collect();

    linear().save::<u64>(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let loaded = HashedLinear::load::<u64>(&path, block()).unwrap();
    assert_eq!(scores(&loaded, &keys), scores(&linear(), &keys));
    assert_eq!(
        Oracle::<u64>::fingerprint(&loaded),
        Oracle::<u64>::fingerprint(&linear())
    );
    loaded.save::<u64>(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), bytes);

    mlp().save::<u64>(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let loaded = HashedEmbedMlp::load::<u64>(&path, block()).unwrap();
    assert_eq!(scores(&loaded, &keys), scores(&mlp(), &keys));
    assert_eq!(
        Oracle::<u64>::fingerprint(&loaded),
        Oracle::<u64>::fingerprint(&mlp())
    );
    loaded.save::<u64>(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
}

#[test]
fn another_model_is_refused_by_name() {
    let (_folder, path) = file();
    linear().save::<u64>(&path).unwrap();
    let message = |error: SketchError| {
        let text = error.to_string();
        text.split_once("safetensors, ").unwrap().1.to_owned()
    };
    let error = HashedEmbedMlp::load::<u64>(&path, block()).unwrap_err();
    assert_eq!(
        message(error),
        "the model: expected hashed embeddings; block, shifts [0, 4, 8], \
         found hashed linear; block, shifts [0, 4, 8]"
    );
    let error = HashedLinear::load::<u64>(&path, BlockFeatures::default()).unwrap_err();
    assert!(message(error).starts_with("the model: expected hashed linear; block, shifts [0, 2"));
    let absent = HashedLinear::load::<u64>(path.with_extension("none"), block()).unwrap_err();
    assert!(matches!(absent, SketchError::File { .. }));
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let table = || weights(5 * 16 * 3, 2);
    let refuse = |width, table: Vec<f32>, layers| {
        HashedEmbedMlp::new::<u64>(block(), width, table, layers).unwrap_err()
    };
    let error = refuse(3, table(), vec![(weights(14, 1), weights(1, 1))]);
    assert_eq!(
        error.to_string(),
        "layers: expected 1 x 15 weights, found 14"
    );
    refuse(3, table(), vec![]);
    refuse(3, table(), vec![(weights(30, 1), weights(2, 1))]);
    refuse(0, table(), vec![(weights(15, 1), weights(1, 1))]);
    refuse(7, table(), vec![(weights(35, 1), weights(1, 1))]);
    assert!(HashedLinear::new::<u64>(block(), weights(6, 1), 0.0).is_err());
    assert!(HashedLinear::new::<u64>(block(), Vec::new(), 0.0).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn hostile_files_give_errors(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let (_folder, path) = file();
        mlp().save::<u64>(&path).unwrap();
        let original = std::fs::read(&path).unwrap();
        let mut bytes = original.clone();
        for (place, byte) in changes {
            // The header is where the danger is.
            let place = place.index(600);
            bytes[place] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        std::fs::write(&path, &bytes).unwrap();
        match HashedEmbedMlp::load::<u64>(&path, block()) {
            // A change in a weight, or of nothing.
            Ok(loaded) => { scores(&loaded, &[1, 2, 3]); }
            Err(SketchError::Model { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn a_hybrid_calls_its_model_for_unknown_keys_only() {
    let table = LookupTable::new([(1u64, 100), (2, 50)], 10);
    let examples: Vec<u64> = (1_000..3_000).collect();
    let model_scores = scores(&linear(), &examples);
    // The count is ten times the score, above the least score.
    let least = model_scores.iter().copied().fold(f32::INFINITY, f32::min);
    let counts: Vec<u64> = model_scores
        .iter()
        .map(|score| ((score - least) * 1_000.0) as u64)
        .collect();
    let calibration = Calibration::fit(&model_scores, &counts);
    let hybrid = Hybrid::new(table, linear(), calibration, 0.5);
    let found = scores(&hybrid, &[5_000, 1, 6_000, 2]);
    assert_eq!((found[1], found[3]), (50.0, 25.0));
    let model = scores(&linear(), &[5_000, 6_000]);
    for (found, model) in [(found[0], model[0]), (found[2], model[1])] {
        let expected = (model - least) * 1_000.0;
        assert!((found - expected).abs() < 30.0, "{found} {expected}");
    }
    assert!(Oracle::<u64>::model_bytes(&hybrid) > Oracle::<u64>::model_bytes(&linear()));
}

#[test]
fn a_cascade_keeps_what_fails_its_screen_in_order_and_below() {
    let keys: Vec<u64> = (0..500).collect();
    let screened = scores(&linear(), &keys);
    let cascade = Cascade::new(linear(), 0.0, mlp());
    let found = scores(&cascade, &keys);
    let model = scores(&mlp(), &keys);
    let mut failed: Vec<(f32, f32)> = Vec::new();
    for key in 0..keys.len() {
        if screened[key] > 0.0 {
            assert_eq!(found[key], model[key]);
        } else {
            assert!(found[key] < -1e29);
            failed.push((screened[key], found[key]));
        }
    }
    failed.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert!(failed.len() > 50);
    assert!(failed.windows(2).all(|pair| pair[0].1 <= pair[1].1));
}

#[test]
fn the_perfect_oracle_knows_every_count() {
    let counts: Vec<(u64, u64)> = (0..1_000).map(|key| (key, key * key % 97 + 1)).collect();
    let perfect = Perfect::new(counts.iter().copied());
    let keys: Vec<u64> = (0..1_000).collect();
    let found = scores(&perfect, &keys);
    assert!(
        found
            .iter()
            .zip(counts)
            .all(|(&found, (_, count))| found == count as f32)
    );
}

#[test]
fn fingerprints_tell_oracles_apart() {
    let mut prints = vec![
        Oracle::<u64>::fingerprint(&linear()),
        Oracle::<u64>::fingerprint(&mlp()),
        Oracle::<u64>::fingerprint(&LookupTable::new([(1u64, 2)], 5)),
        Oracle::<u64>::fingerprint(&LookupTable::new([(1u64, 3)], 5)),
        Oracle::<u64>::fingerprint(&Cascade::new(linear(), 0.0, mlp())),
        Oracle::<u64>::fingerprint(&Cascade::new(linear(), 0.1, mlp())),
        Oracle::<u64>::fingerprint(
            &HashedLinear::new::<u64>(block(), weights(5 * 32, 1), 0.5).unwrap(),
        ),
    ];
    let count = prints.len();
    prints.sort_unstable();
    prints.dedup();
    assert_eq!(prints.len(), count);
}
