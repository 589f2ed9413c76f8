//! Oracles that learn from earlier windows, and their scores for the keys of later ones.

use std::collections::{BTreeMap, HashMap, btree_map};

use septet_sketch::oracle::{Features, HashedLinear, Oracle, QuantizedLinear};
use septet_sketch::{Key, SketchError};

use super::entry::{OracleKind, WindowScores};

/// Sweeps of a fit.
const SWEEPS: usize = 12;

/// The scores of the oracles after fitting to keys with their counts.
pub(super) fn advise<K: Key, F: Features<K> + Clone>(
    oracle_kinds: &[OracleKind],
    features: &F,
    (keys, counts): (&[K], &[u64]),
    validation: &[K],
    test: &[K],
) -> Result<Vec<WindowScores>, SketchError> {
    // Models that differ only in the bits of a weight share a fit.
    let mut fitted: BTreeMap<usize, HashedLinear<F>> = BTreeMap::new();
    let mut window_scores = Vec::new();
    for &oracle_kind in oracle_kinds {
        let (model_bytes, [validation, test]) = match oracle_kind {
            // Equal scores above the threshold: every key is admitted while slots are free.
            OracleKind::FirstCome => (0, [validation, test].map(|keys| vec![0.0; keys.len()])),
            // Negated ranks as scores: a threshold is a number of slots, which are charged as a table.
            OracleKind::Lookup => {
                let ranks = ranks(keys, counts);
                let score = |key: &K| {
                    let rank = ranks.get(&key.hash64(0));
                    rank.map_or(f32::NEG_INFINITY, |&rank| -(rank as f32))
                };
                let score_all = |keys: &[K]| keys.iter().map(score).collect();
                (0, [validation, test].map(score_all))
            }
            OracleKind::Linear {
                rows,
                bytes_a_weight,
            } => {
                let model = match fitted.entry(rows) {
                    btree_map::Entry::Occupied(fitted) => fitted.into_mut(),
                    btree_map::Entry::Vacant(place) => place.insert(HashedLinear::fit(
                        features.clone(),
                        rows,
                        keys,
                        counts,
                        SWEEPS,
                    )?),
                };
                let quantized = QuantizedLinear::new(model);
                let oracle: &dyn Oracle<K> = if bytes_a_weight == 1 {
                    &quantized
                } else {
                    model
                };
                // Keys are scored once here, not again at each setting that is tried.
                let score_all = |keys: &[K]| {
                    let mut scores = vec![0.0; keys.len()];
                    oracle.score(&keys.iter().collect::<Vec<_>>(), &mut scores);
                    scores
                };
                (oracle.model_bytes(), [validation, test].map(score_all))
            }
        };
        window_scores.push(WindowScores {
            oracle_kind,
            model_bytes,
            validation,
            test,
        });
    }
    Ok(window_scores)
}

/// The rank of each key, by its hash, in descending order of its total count; ties by hash.
fn ranks<K: Key>(keys: &[K], counts: &[u64]) -> HashMap<u64, usize> {
    let mut sums: HashMap<u64, u64> = HashMap::new();
    for (key, count) in keys.iter().zip(counts) {
        *sums.entry(key.hash64(0)).or_default() += count;
    }
    let mut order: Vec<(u64, u64)> = sums.into_iter().collect();
    order.sort_unstable_by_key(|&(hash, count)| (std::cmp::Reverse(count), hash));
    let hashes = order.into_iter().map(|(hash, _)| hash);
    hashes
        .enumerate()
        .map(|(rank, hash)| (hash, rank))
        .collect()
}
