#![expect(clippy::unwrap_used, reason = "a failure of candle fails the test")]

use candle_core::{Device, Var};

use super::*;
use crate::nn::operation::testing::{assert_close, draw, values};
use crate::nn::{assert_gradient, softmax};

/// The definition, from operations of candle and [`softmax`], with the scores of hidden keys far
/// below all others.
fn reference(q: &Tensor, k: &Tensor, v: &Tensor, options: &Attention<'_>) -> Tensor {
    let (batch, heads, queries, width) = q.dims4().unwrap();
    let keys = k.dim(2).unwrap();
    let scale = options.scale.unwrap_or((width as f64).powf(-0.5));
    let scores = (q.matmul(&k.t().unwrap()).unwrap() * scale).unwrap();
    let mask: Option<Vec<Vec<u8>>> = options.key_mask.map(|mask| mask.to_vec2().unwrap());
    let mut shifts = Vec::new();
    for b in 0..batch {
        for _ in 0..heads {
            for i in 0..queries {
                for j in 0..keys {
                    let there = mask.as_ref().is_none_or(|mask| mask[b][j] != 0);
                    let seen = there && (!options.causal || j <= i);
                    shifts.push(if seen { 0.0 } else { -1e9 });
                }
            }
        }
    }
    let shifts = Tensor::from_vec(shifts, scores.shape(), &Device::Cpu).unwrap();
    let weights = softmax(&(scores + shifts).unwrap()).unwrap();
    weights.matmul(v).unwrap()
}

fn operands(batch: usize, heads: usize, queries: usize, keys: usize, width: usize) -> [Tensor; 3] {
    [
        draw("q", (batch, heads, queries, width)),
        draw("k", (batch, heads, keys, width)),
        draw("v", (batch, heads, keys, width)),
    ]
}

/// The first key of the first sequence and the last two of the second are padding.
fn key_mask(keys: usize) -> Tensor {
    let there = |b, j| if b == 0 { j != 0 } else { j + 2 < keys };
    let mask: Vec<u8> = (0..2)
        .flat_map(|b| (0..keys).map(move |j| u8::from(there(b, j))))
        .collect();
    Tensor::from_vec(mask, (2, keys), &Device::Cpu).unwrap()
}

#[test]
fn it_is_the_definition() {
    // 70 is more than one block and no multiple of it.
    for (queries, keys) in [(1, 1), (5, 5), (3, 7), (70, 70), (66, 3)] {
        let [q, k, v] = operands(2, 3, queries, keys, 4);
        let mask = key_mask(keys);
        for causal in [false, true] {
            for key_mask in [None, Some(&mask)] {
                let options = Attention {
                    causal,
                    key_mask,
                    scale: causal.then_some(0.9),
                    dropout: None,
                };
                // Rows without any key are for another test.
                let empty = key_mask.is_some() && (keys < 4 || causal);
                if (causal && queries != keys) || empty {
                    continue;
                }
                let found = attention(&q, &k, &v, &options).unwrap();
                assert_close(&found, &reference(&q, &k, &v, &options), 1e-12);
            }
        }
    }
}

#[test]
fn gradients_are_right() {
    let mask = key_mask(5);
    let seed = SeedTree::new(3);
    let gradient = |inputs: &[Tensor], options: Attention<'_>| {
        assert_gradient(inputs, 1e-8, |x| {
            attention(&x[0], &x[1], &x[2], &options)?.tanh()
        });
    };
    for causal in [false, true] {
        for key_mask in [None, Some(&mask)] {
            for dropout in [None, Some((0.4, &seed))] {
                let options = Attention {
                    causal,
                    key_mask,
                    dropout,
                    scale: Some(0.7),
                };
                gradient(&operands(2, 2, 5, 5, 3), options);
                if !causal {
                    gradient(&operands(2, 2, 3, 5, 3), options);
                }
            }
        }
    }
    // Several blocks.
    let options = Attention {
        causal: true,
        dropout: Some((0.2, &seed)),
        ..Attention::default()
    };
    gradient(&operands(1, 1, 67, 67, 1), options);
    // Operands that are not contiguous.
    let turned = [
        draw("q", (2, 5, 2, 3)),
        draw("k", (2, 5, 2, 3)),
        draw("v", (2, 5, 2, 3)),
    ];
    assert_gradient(&turned, 1e-8, |x| {
        let [q, k, v] = [0, 1, 2].map(|i| x[i].transpose(1, 2));
        attention(&q?, &k?, &v?, &Attention::default())?.tanh()
    });
}

#[test]
fn padding_may_hold_anything() {
    let [q, k, v] = operands(2, 3, 66, 66, 4);
    let mask = key_mask(66);
    let options = Attention {
        causal: false,
        key_mask: Some(&mask),
        ..Attention::default()
    };
    // NaN in the rows of the hidden keys.
    let there = mask.reshape((2, 1, 66, 1)).unwrap();
    let unknown = (k.zeros_like().unwrap() + f64::NAN).unwrap();
    let spoil = |x: &Tensor| {
        let there = there.broadcast_as(x.shape()).unwrap();
        Var::from_tensor(&there.where_cond(x, &unknown).unwrap()).unwrap()
    };
    let (spoiled_k, spoiled_v) = (spoil(&k), spoil(&v));
    let found = attention(&q, &spoiled_k, &spoiled_v, &options).unwrap();
    let expected = attention(&q, &k, &v, &options).unwrap();
    assert_eq!(values(&found), values(&expected));
    let gradients = found.sqr().unwrap().backward().unwrap();
    for hidden in [&spoiled_k, &spoiled_v] {
        let gradient = values(gradients.get(hidden).unwrap());
        assert!(gradient.iter().all(|g| g.is_finite()));
    }
}

#[test]
fn packed_operands_give_the_same() {
    let (batch, heads, length, width) = (2, 3, 66, 4);
    let qkv = Var::from_tensor(&draw("qkv", (batch, length, 3 * heads * width))).unwrap();
    let (mask, seed) = (key_mask(length), SeedTree::new(5));
    let options = Attention {
        causal: true,
        key_mask: Some(&mask),
        dropout: Some((0.3, &seed)),
        scale: None,
    };
    let packed = self_attention(&qkv, heads, &options).unwrap();
    let parts = qkv.reshape((batch, length, 3, heads, width)).unwrap();
    let [q, k, v] = [0, 1, 2].map(|part| {
        let part = parts.narrow(2, part, 1).unwrap().squeeze(2).unwrap();
        part.transpose(1, 2).unwrap()
    });
    let separate = attention(&q, &k, &v, &options).unwrap();
    let separate = separate
        .transpose(1, 2)
        .unwrap()
        .reshape(packed.shape())
        .unwrap();
    assert_close(&packed, &separate, 0.0);
    let weights = draw("w", packed.shape());
    let gradient = |result: Tensor| {
        let gradients = (result * &weights).unwrap().backward().unwrap();
        gradients.get(&qkv).unwrap().clone()
    };
    assert_close(&gradient(packed), &gradient(separate), 0.0);
}

#[test]
fn a_query_without_keys_gives_zeros() {
    let [q, k, v] = operands(2, 1, 3, 3, 2).map(|x| Var::from_tensor(&x).unwrap());
    // Nothing of the first sequence; of the second, the last key alone.
    let mask = Tensor::new(&[[0u8, 0, 0], [0, 0, 1]], &Device::Cpu).unwrap();
    let options = Attention {
        causal: true,
        key_mask: Some(&mask),
        ..Attention::default()
    };
    let result = attention(&q, &k, &v, &options).unwrap();
    let flat = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    assert_eq!(flat(&result)[..10], [0.0; 10]);
    assert_eq!(flat(&result)[10..], flat(&v)[10..]);
    let gradients = result.sum_all().unwrap().backward().unwrap();
    let expected = [vec![0.0; 10], vec![1.0; 2]].concat();
    assert_eq!(flat(gradients.get(&v).unwrap()), expected);
    for x in [&q, &k] {
        assert_eq!(flat(gradients.get(x).unwrap()), [0.0; 12]);
    }
}

#[test]
fn the_seed_says_what_is_dropped() {
    let (length, probability) = (100, 0.3);
    let [q, k, _] = operands(2, 1, length, length, 4);
    // With the identity for values the results are the weights.
    let identity = Tensor::eye(length, DType::F64, &Device::Cpu).unwrap();
    let [q, k] = [q, k].map(|x| x.pad_with_zeros(3, 0, length - 4).unwrap());
    let v = identity.broadcast_as((2, 1, length, length)).unwrap();
    let weights = |causal, dropout| -> Vec<f64> {
        let options = Attention {
            causal,
            dropout,
            ..Attention::default()
        };
        let weights = attention(&q, &k, &v, &options).unwrap();
        weights.flatten_all().unwrap().to_vec1().unwrap()
    };
    let (seed, other) = (SeedTree::new(3), SeedTree::new(4));
    let (all, dropped) = (
        weights(false, None),
        weights(false, Some((probability, &seed))),
    );
    assert_eq!(dropped, weights(false, Some((probability, &seed))));
    assert_ne!(dropped, weights(false, Some((probability, &other))));
    // The sequences have streams of their own.
    let zeros = |weights: &[f64]| weights.iter().map(|&w| w == 0.0).collect::<Vec<_>>();
    let (first, second) = dropped.split_at(length * length);
    assert_ne!(zeros(first), zeros(second));
    // 20 000 draws: six standard deviations of their share are 0.0195.
    let count = dropped.iter().filter(|&&w| w == 0.0).count() as f64 / dropped.len() as f64;
    assert!((count - probability).abs() < 0.0195, "{count}");
    for (after, before) in dropped.iter().zip(&all) {
        assert!(*after == 0.0 || (after / before * 0.7 - 1.0).abs() < 1e-4);
    }
    // 10 100 draws below the diagonal: six standard deviations are 0.0274.
    let causal = weights(true, Some((probability, &seed)));
    let share = causal.iter().filter(|&&w| w != 0.0).count() as f64 / 10_100.0;
    assert!((share - 0.7).abs() < 0.0274, "{share}");
}

#[test]
fn single_precision_is_near_double_precision() {
    let double = operands(1, 2, 80, 80, 16);
    let options = Attention {
        causal: true,
        ..Attention::default()
    };
    let all = |dtype| {
        let [q, k, v] = double
            .each_ref()
            .map(|x| Var::from_tensor(&x.to_dtype(dtype).unwrap()).unwrap());
        let result = attention(&q, &k, &v, &options).unwrap();
        let gradients = result.sqr().unwrap().backward().unwrap();
        let [q, k, v] = [&q, &k, &v].map(|x| gradients.get(x).unwrap().clone());
        [result, q, k, v]
    };
    // Sums of 80 terms of order 1, each rounded to 24 bits.
    for (single, double) in all(DType::F32).iter().zip(all(DType::F64)) {
        assert_close(single, &double, 1e-5);
    }
}

#[test]
fn extreme_scores_and_empty_axes() {
    let large = Tensor::full(1e18f32, (1, 1, 2, 1), &Device::Cpu).unwrap();
    let options = Attention::default();
    let result = attention(&large, &large, &large, &options).unwrap();
    assert_eq!(
        result.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
        [1e18; 2]
    );
    for (queries, keys, width) in [(0, 3, 2), (3, 0, 2), (3, 3, 0)] {
        let empty = |rows| {
            let zeros = Tensor::zeros((1, 2, rows, width), DType::F64, &Device::Cpu).unwrap();
            Var::from_tensor(&zeros).unwrap()
        };
        let (q, k, v) = (empty(queries), empty(keys), empty(keys));
        let result = attention(&q, &k, &v, &options).unwrap();
        assert_close(&result, &q, 0.0);
        let gradients = result.sum_all().unwrap().backward().unwrap();
        assert_close(gradients.get(&k).unwrap(), &k, 0.0);
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let [q, k, v] = operands(2, 1, 3, 4, 2);
    let seed = SeedTree::new(1);
    let mask = key_mask(3);
    let error = |options: Attention<'_>| attention(&q, &k, &v, &options).unwrap_err().to_string();
    let causal = Attention {
        causal: true,
        ..Attention::default()
    };
    assert!(error(causal).contains("3 queries and 4 keys"));
    let dropout = Attention {
        dropout: Some((1.0, &seed)),
        ..Attention::default()
    };
    assert!(error(dropout).contains("found 1"));
    let masked = Attention {
        key_mask: Some(&mask),
        ..Attention::default()
    };
    assert!(error(masked).contains("U8 [2, 4], found U8 [2, 3]"));
    let error = attention(&q, &k, &q, &Attention::default()).unwrap_err();
    assert!(error.to_string().contains("v [2, 1, 3, 2]"), "{error}");
    let error = self_attention(&draw("x", (1, 2, 8)), 3, &Attention::default()).unwrap_err();
    assert!(error.to_string().contains("[1, 2, 8]"), "{error}");
    assert!(self_attention(&draw("x", (1, 2, 8)), 0, &Attention::default()).is_err());
}
