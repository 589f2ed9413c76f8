//! Learned sketches: the same as the direct ones in one partition, and never too little in many.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, AsArray, DictionaryArray, FixedSizeBinaryArray, Int64Array, StringArray,
};
use datafusion::arrow::datatypes::{Float64Type, Int32Type, UInt64Type};
use datafusion::error::DataFusionError;
use datafusion::prelude::{SessionConfig, SessionContext};
use septet_sketch::codec::native::Options;
use septet_sketch::count_min::{CountMin, UpdateRule};
use septet_sketch::learned::{Learned, Slot16, Threshold};
use septet_sketch::oracle::Oracle;
use septet_sketch::{FlowKey, SketchError};
use septet_sketch_datafusion::{Models, register_with};

use crate::tables::{
    PARTITIONS, add_table, number, numbers, query, skewed_keys, u64_column, value,
};

/// Expects small numbers, short strings and low ports to be frequent.
#[derive(Clone)]
struct Small;

impl Oracle<u64> for Small {
    fn score(&self, keys: &[&u64], scores: &mut [f32]) {
        for (key, score) in keys.iter().zip(scores) {
            *score = -(**key as f32);
        }
    }
    fn model_bytes(&self) -> usize {
        8
    }
    fn fingerprint(&self) -> [u8; 16] {
        *b"small numbers  1"
    }
}

impl Oracle<str> for Small {
    fn score(&self, keys: &[&str], scores: &mut [f32]) {
        for (key, score) in keys.iter().zip(scores) {
            *score = -(key.len() as f32);
        }
    }
    fn model_bytes(&self) -> usize {
        8
    }
    fn fingerprint(&self) -> [u8; 16] {
        *b"short strings  1"
    }
}

impl Oracle<FlowKey> for Small {
    fn score(&self, keys: &[&FlowKey], scores: &mut [f32]) {
        for (key, score) in keys.iter().zip(scores) {
            *score = -f32::from(key.destination.port());
        }
    }
    fn model_bytes(&self) -> usize {
        8
    }
    fn fingerprint(&self) -> [u8; 16] {
        *b"low ports      1"
    }
}

const BYTES: usize = 16 << 10;
const CUT: Threshold = Threshold::Fixed(-30.0);

fn session(partitions: usize) -> SessionContext {
    let mut models = Models::new();
    let added = models.add::<u64>("numbers", Arc::new(Small), |builder| {
        builder.bytes(BYTES).threshold(CUT)
    });
    added.expect("a model of numbers");
    let added = models.add::<str>("words", Arc::new(Small), |builder| {
        builder.bytes(BYTES).threshold(Threshold::Fixed(-3.0))
    });
    added.expect("a model of words");
    let added = models.add::<FlowKey>("flows", Arc::new(Small), |builder| {
        builder.bytes(BYTES).threshold(Threshold::Fixed(-500.0))
    });
    added.expect("a model of flows");
    let config = SessionConfig::new()
        .with_target_partitions(partitions)
        .with_batch_size(100);
    let context = SessionContext::new_with_config(config);
    register_with(&context, models).expect("a new session");
    context
}

#[tokio::test]
async fn one_partition_gives_the_direct_sketch() {
    let keys = skewed_keys(5000, 4000);
    let mut direct = Learned::<u64, CountMin<u64>, Small>::builder(Small)
        .slot::<Slot16>()
        .bytes(BYTES)
        .threshold(CUT)
        .build(|bytes| {
            let rows = CountMin::builder().bytes(bytes);
            rows.update_rule(UpdateRule::Plain).build()
        })
        .expect("the parameters are in their ranges");
    for key in &keys {
        direct.update(key);
    }
    let context = session(1);
    add_table(&context, "t", &[("k", u64_column(&keys))]);
    let sql = "SELECT learned_cms_agg(k, 'numbers') FROM t";
    let bytes = value(&context, sql).await.expect(sql);
    let expected = direct
        .to_bytes(&Options::default())
        .expect("no feature is needed");
    assert!(bytes.as_binary::<i32>().value(0) == expected);

    let sql = "SELECT learned_cms_coverage(learned_cms_agg(k, 'numbers'), 'numbers') FROM t";
    let coverage = value(&context, sql).await.expect(sql);
    assert_eq!(
        coverage.as_primitive::<Float64Type>().value(0),
        direct.coverage()
    );
    assert!(direct.coverage() > 0.3);
}

#[tokio::test]
async fn estimates_are_never_too_small_for_any_number_of_partitions() {
    let keys = skewed_keys(5000, 4000);
    let mut counts = vec![0u64; 4001];
    for key in &keys {
        counts[usize::try_from(*key).expect("small")] += 1;
    }
    for partitions in PARTITIONS {
        let context = session(partitions);
        add_table(&context, "t", &[("k", u64_column(&keys))]);
        let asked: Vec<u64> = (0..=4000).collect();
        add_table(&context, "asked", &[("k", u64_column(&asked))]);
        let sql = "SELECT learned_cms_estimate((SELECT learned_cms_agg(k, 'numbers') FROM t), k, \
             'numbers') FROM asked ORDER BY k";
        let subquery = numbers(query(&context, sql).await.expect(sql).column(0));
        let sql = "SELECT learned_cms_estimate(s, k, 'numbers') FROM asked, \
             (SELECT learned_cms_agg(k, 'numbers') AS s FROM t) WHERE k < 500 ORDER BY k";
        let joined = numbers(query(&context, sql).await.expect(sql).column(0));
        assert!(
            subquery
                .iter()
                .zip(&counts)
                .all(|(estimate, count)| estimate >= count)
        );
        assert!(
            joined
                .iter()
                .zip(&counts)
                .all(|(estimate, count)| estimate >= count)
        );
        if partitions == 1 {
            // In the table from their first occurrence on.
            assert_eq!(subquery[..30], counts[..30]);
        }
    }
}

#[tokio::test]
async fn stored_sketches_add_up() {
    let keys = skewed_keys(4000, 1000);
    let days: Vec<u64> = (0..4000).map(|row| row / 1000).collect();
    for partitions in PARTITIONS {
        let context = session(partitions);
        let columns = [("day", u64_column(&days)), ("k", u64_column(&keys))];
        add_table(&context, "t", &columns);
        let sql = "CREATE TABLE stored AS \
             SELECT day, learned_cms_agg(k, 'numbers') AS s FROM t GROUP BY day";
        query(&context, sql).await.expect(sql);
        let sql = "SELECT learned_cms_estimate(learned_cms_merge(s, 'numbers'), 3, 'numbers') \
             FROM stored";
        let count = keys.iter().filter(|key| **key == 3).count() as u64;
        assert!(number(&context, sql).await >= count);
    }
}

#[tokio::test]
async fn models_score_words_and_flows() {
    let words = vec![Some("fox"), Some("elephant"), None, Some("fox"), Some("ox")];
    let dictionary: DictionaryArray<Int32Type> = words.iter().copied().collect();
    let columns: [ArrayRef; 2] = [Arc::new(StringArray::from(words)), Arc::new(dictionary)];
    for column in columns {
        let context = session(1);
        add_table(&context, "t", &[("k", column)]);
        let sql = "SELECT learned_cms_estimate((SELECT learned_cms_agg(k, 'words') FROM t), k, \
             'words') FROM t";
        let estimates = query(&context, sql).await.expect(sql);
        let estimates: Vec<_> = estimates
            .column(0)
            .as_primitive::<UInt64Type>()
            .iter()
            .collect();
        assert_eq!(estimates, [Some(2), Some(1), None, Some(2), Some(1)]);
    }
    let flow = |port: u16| {
        let address = Ipv4Addr::LOCALHOST;
        FlowKey {
            source: SocketAddrV4::new(address, 40_000),
            destination: SocketAddrV4::new(address, port),
            protocol: 6,
        }
        .to_bytes()
    };
    let flows = [flow(80), flow(443), flow(80), flow(50_000)];
    let flows = FixedSizeBinaryArray::try_from_iter(flows.into_iter()).expect("13 bytes each");
    let context = session(2);
    add_table(&context, "t", &[("k", Arc::new(flows) as ArrayRef)]);
    let sql = "SELECT learned_cms_coverage(learned_cms_agg(k, 'flows'), 'flows') FROM t";
    let coverage = value(&context, sql).await.expect(sql);
    assert_eq!(coverage.as_primitive::<Float64Type>().value(0), 0.75);
}

#[tokio::test]
async fn wrong_models_are_named() {
    let context = session(2);
    let columns = [
        ("k", u64_column(&[1, 2])),
        ("i", Arc::new(Int64Array::from(vec![-1, 5])) as ArrayRef),
        ("w", Arc::new(StringArray::from(vec!["a", "b"])) as ArrayRef),
    ];
    add_table(&context, "t", &columns);
    for (call, expected) in [
        (
            "learned_cms_agg(k, 'nothing')",
            "learned_cms_agg: model: expected the name of a model: 'flows', 'numbers', 'words', \
             found 'nothing'",
        ),
        (
            "learned_cms_agg(w, 'numbers')",
            "learned_cms_agg: key: expected integers",
        ),
        (
            "learned_cms_agg(k, 'words')",
            "learned_cms_agg: key: expected strings",
        ),
        (
            "learned_cms_agg(k, w)",
            "learned_cms_agg: model: expected a constant",
        ),
        (
            "learned_cms_agg(k, 7)",
            "learned_cms_agg: model: expected a string, found Int64",
        ),
    ] {
        let frame = context.sql(&format!("SELECT {call} FROM t")).await;
        let error = match frame {
            Ok(frame) => frame.create_physical_plan().await.expect_err(call),
            Err(error) => error,
        };
        assert!(error.to_string().contains(expected), "{call}: {error}");
    }
    let sql = "SELECT learned_cms_merge(learned_cms_agg, 'words') FROM \
         (SELECT learned_cms_agg(i, 'numbers') AS learned_cms_agg FROM t)";
    let error = query(&context, sql).await.expect_err("the oracles differ");
    let DataFusionError::External(source) = error.find_root() else {
        panic!("{error}");
    };
    let source = source.downcast_ref();
    assert!(
        matches!(source, Some(SketchError::Decode { .. })),
        "{error}"
    );
}
