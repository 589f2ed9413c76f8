//! `cms_agg`, `cms_estimate`, `cms_merge`: the same results as the sketches give directly.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, DictionaryArray, Int8Array, Int32Array, Int64Array,
    LargeStringArray, StringArray, StringViewArray, UInt16Array,
};
use datafusion::arrow::datatypes::{DataType, Int32Type, Int64Type, UInt64Type};
use datafusion::common::ScalarValue;
use septet_sketch::FrequencySketch;

use crate::tables::{
    PARTITIONS, add_table, bytes_of, direct, number, numbers, query, session, skewed_keys,
    u64_column, value,
};

/// The bytes of a sketch, as a query gives them.
fn bytes(column: &ArrayRef, row: usize) -> &[u8] {
    assert_eq!(*column.data_type(), DataType::Binary);
    column.as_binary::<i32>().value(row)
}

#[tokio::test]
async fn a_sketch_equals_the_direct_one_for_any_number_of_partitions() {
    let keys = skewed_keys(5000, 700);
    let expected = bytes_of(&direct(&keys));
    for partitions in PARTITIONS {
        let context = session(partitions);
        add_table(&context, "t", &[("k", u64_column(&keys))]);
        let sql = "SELECT cms_agg(k, 0.001, 0.99) FROM t";
        let sketch = value(&context, sql).await.expect(sql);
        assert!(bytes(&sketch, 0) == expected, "{partitions} partitions");

        let plan = query(&context, &format!("EXPLAIN {sql}")).await.expect(sql);
        let plan = plan.column(1).as_string::<i32>().value(1);
        let phases = plan.contains("mode=Partial") && plan.contains("mode=Final");
        assert_eq!(phases, partitions > 1, "{plan}");
    }
}

#[tokio::test]
async fn estimates_equal_the_direct_ones() {
    let keys = skewed_keys(5000, 700);
    let sketch = direct(&keys);
    let asked: Vec<u64> = (0..1000).collect();
    let mut expected = vec![0; asked.len()];
    sketch.estimate_batch(&asked, &mut expected);
    for partitions in PARTITIONS {
        let context = session(partitions);
        add_table(&context, "t", &[("k", u64_column(&keys))]);
        add_table(&context, "asked", &[("k", u64_column(&asked))]);
        // The sketch is the value of a subquery: read once a batch.
        let rows = query(
            &context,
            "SELECT cms_estimate((SELECT cms_agg(k, 0.001, 0.99) FROM t), k) FROM asked ORDER BY k",
        );
        assert_eq!(numbers(rows.await.expect("valid").column(0)), expected);
        // The sketch is a column that a join repeats.
        let rows = query(
            &context,
            "SELECT cms_estimate(s, k) FROM asked, (SELECT cms_agg(k, 0.001, 0.99) AS s FROM t) \
             ORDER BY k",
        );
        assert_eq!(numbers(rows.await.expect("valid").column(0)), expected);
        let sql = "SELECT cms_estimate(cms_agg(k, 0.001, 0.99), 3) FROM t";
        assert_eq!(number(&context, sql).await, expected[3]);
        let sql = "SELECT cms_total(cms_agg(k, 0.001, 0.99)) FROM t";
        assert_eq!(number(&context, sql).await, 5000);
    }
}

#[tokio::test]
async fn groups_are_counted_apart() {
    let keys = skewed_keys(6000, 300);
    let groups: Vec<u64> = (0..6000).map(|row| row * row % 7).collect();
    let distinct = [0, 1, 2, 4];
    for partitions in PARTITIONS {
        let context = session(partitions);
        let columns = [("g", u64_column(&groups)), ("k", u64_column(&keys))];
        add_table(&context, "t", &columns);
        let sql = "SELECT g, cms_agg(k, 0.001, 0.99) FROM t GROUP BY g ORDER BY g";
        let rows = query(&context, sql).await.expect(sql);
        assert_eq!(numbers(rows.column(0)), distinct);
        for (row, group) in distinct.iter().enumerate() {
            let of_group = keys.iter().zip(&groups).filter(|(_, of)| *of == group);
            let of_group: Vec<u64> = of_group.map(|(key, _)| *key).collect();
            assert!(bytes(rows.column(1), row) == bytes_of(&direct(&of_group)));
        }
    }
}

#[tokio::test]
async fn many_groups_are_counted_apart() {
    // More groups than rows in a batch, and more than one phase wants to keep.
    let keys = skewed_keys(4000, 50);
    let groups: Vec<u64> = (0..4000).map(|row| row % 900).collect();
    for partitions in PARTITIONS {
        let context = session(partitions);
        let columns = [("g", u64_column(&groups)), ("k", u64_column(&keys))];
        add_table(&context, "t", &columns);
        let wrong = "SELECT count(*) FROM \
             (SELECT g, cms_agg(k, 0.05, 0.9) AS s, count(*) AS n FROM t GROUP BY g) \
             WHERE cms_total(s) <> n";
        let wrong = value(&context, wrong).await.expect(wrong);
        assert_eq!(wrong.as_primitive::<Int64Type>().value(0), 0);
    }
}

#[tokio::test]
async fn null_keys_are_not_counted() {
    let keys = Int32Array::from(vec![Some(1), None, Some(2), Some(1), None, Some(-5)]);
    for partitions in PARTITIONS {
        let context = session(partitions);
        add_table(&context, "t", &[("k", Arc::new(keys.clone()) as ArrayRef)]);
        let sql = "SELECT cms_agg(k, 0.001, 0.99) FROM t";
        let sketch = value(&context, sql).await.expect(sql);
        assert!(bytes(&sketch, 0) == bytes_of(&direct(&[1i32, 2, 1, -5])));

        let sql = "SELECT cms_estimate((SELECT cms_agg(k, 0.001, 0.99) FROM t), k) FROM t";
        let estimates = query(&context, sql).await.expect(sql);
        let estimates = estimates.column(0).as_primitive::<UInt64Type>();
        assert_eq!(estimates.null_count(), 2);
        assert_eq!(estimates.iter().flatten().sum::<u64>(), 2 + 1 + 2 + 1);
    }
    let context = session(2);
    let sql = "SELECT cms_estimate(cms_agg(NULL, 0.1, 0.9), NULL)";
    assert!(value(&context, sql).await.expect(sql).is_null(0));
    let sql = "SELECT cms_estimate(NULL, 5)";
    assert!(value(&context, sql).await.expect(sql).is_null(0));
}

#[tokio::test]
async fn nothing_gives_an_empty_sketch() {
    for partitions in PARTITIONS {
        let context = session(partitions);
        add_table(&context, "t", &[("k", u64_column(&[1, 2]))]);
        let sql = "SELECT cms_agg(k, 0.001, 0.99) FROM t WHERE k > 5";
        let sketch = value(&context, sql).await.expect(sql);
        assert!(bytes(&sketch, 0) == bytes_of(&direct::<u64>(&[])));
        let sql = "SELECT k, cms_agg(k, 0.001, 0.99) FROM t WHERE k > 5 GROUP BY k";
        assert_eq!(query(&context, sql).await.expect(sql).num_rows(), 0);
        // Without a sketch there are no dimensions.
        let sql = "SELECT cms_merge(arrow_cast('', 'Binary')) FROM t WHERE k > 5";
        assert!(value(&context, sql).await.expect(sql).is_null(0));
    }
}

#[tokio::test]
async fn the_type_of_a_column_does_not_matter() {
    let texts = vec![
        Some("a"),
        Some("b"),
        None,
        Some(""),
        Some("a"),
        Some("a longer key than 12"),
    ];
    let known: Vec<&str> = texts.iter().flatten().copied().collect();
    let in_bytes: Vec<Option<&[u8]>> = texts.iter().map(|text| text.map(str::as_bytes)).collect();
    let dictionary: DictionaryArray<Int32Type> = texts.iter().copied().collect();
    let of_texts: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(texts.clone())),
        Arc::new(LargeStringArray::from(texts.clone())),
        Arc::new(StringViewArray::from(texts)),
        Arc::new(BinaryArray::from(in_bytes)),
        Arc::new(dictionary),
    ];
    let of_integers: Vec<ArrayRef> = vec![
        Arc::new(Int8Array::from(vec![Some(3), None, Some(0), Some(3)])),
        Arc::new(UInt16Array::from(vec![Some(3), None, Some(0), Some(3)])),
        Arc::new(Int64Array::from(vec![Some(3), None, Some(0), Some(3)])),
    ];
    let expected_texts = bytes_of(&direct(&known));
    let expected_integers = bytes_of(&direct(&[3u64, 0, 3]));
    for (columns, expected, key, count) in [
        (of_texts, expected_texts, "'a'", 2),
        (of_integers, expected_integers, "CAST(3 AS SMALLINT)", 2),
    ] {
        for column in columns {
            let context = session(2);
            let data_type = column.data_type().clone();
            add_table(&context, "t", &[("k", column)]);
            let sql = "SELECT cms_agg(k, 0.001, 0.99) FROM t";
            let sketch = value(&context, sql).await.expect(sql);
            assert!(bytes(&sketch, 0) == expected, "{data_type}");
            let sql = format!("SELECT cms_estimate(cms_agg(k, 0.001, 0.99), {key}) FROM t");
            assert_eq!(number(&context, &sql).await, count, "{data_type}");
        }
    }
}

#[tokio::test]
async fn weights_count_as_often() {
    let keys = skewed_keys(3000, 200);
    let weights: Vec<Option<i32>> = (0..3000)
        .map(|row| (row % 11 != 0).then_some(row % 5))
        .collect();
    let mut expected = direct::<u64>(&[]);
    for (key, weight) in keys.iter().zip(&weights) {
        if let Some(weight) = weight {
            expected.update_by(key, u64::from(weight.cast_unsigned()));
        }
    }
    for partitions in PARTITIONS {
        let context = session(partitions);
        let weights = Arc::new(Int32Array::from(weights.clone()));
        add_table(&context, "t", &[("k", u64_column(&keys)), ("w", weights)]);
        let sql = "SELECT cms_agg_weighted(k, w, 0.001, 0.99) FROM t";
        let sketch = value(&context, sql).await.expect(sql);
        assert!(bytes(&sketch, 0) == bytes_of(&expected));
        let sql = "SELECT cms_agg_weighted(k, CAST(w AS INT UNSIGNED), 0.001, 0.99) FROM t";
        let sketch = value(&context, sql).await.expect(sql);
        assert!(bytes(&sketch, 0) == bytes_of(&expected));
    }
}

#[tokio::test]
async fn stored_sketches_add_up() {
    let keys = skewed_keys(4000, 300);
    let days: Vec<u64> = (0..4000).map(|row| row / 500).collect();
    for partitions in PARTITIONS {
        let context = session(partitions);
        let columns = [("day", u64_column(&days)), ("k", u64_column(&keys))];
        add_table(&context, "t", &columns);
        let sql = "CREATE TABLE stored AS \
             SELECT day, cms_agg(k, 0.001, 0.99) AS sketch FROM t GROUP BY day \
             UNION ALL SELECT 99, NULL";
        query(&context, sql).await.expect(sql);
        let sql = "SELECT cms_merge(sketch) FROM stored";
        let sum = value(&context, sql).await.expect(sql);
        assert!(bytes(&sum, 0) == bytes_of(&direct(&keys)));
        for layout in ["LargeBinary", "BinaryView"] {
            let sql = format!("SELECT cms_merge(arrow_cast(sketch, '{layout}')) FROM stored");
            let sum = value(&context, &sql).await.expect(&sql);
            assert!(bytes(&sum, 0) == bytes_of(&direct(&keys)));
        }
        let sql = "SELECT day % 2, cms_total(cms_merge(sketch)) FROM stored \
             WHERE day < 99 GROUP BY 1 ORDER BY 1";
        let rows = query(&context, sql).await.expect(sql);
        assert_eq!(numbers(rows.column(1)), [2000, 2000]);
        // A null sketch has no total.
        let sql = "SELECT cms_total(sketch) FROM stored WHERE day = 99";
        assert!(value(&context, sql).await.expect(sql).is_null(0));
    }
}

#[tokio::test]
async fn arguments_can_be_named_expressions_or_parameters() {
    let keys = skewed_keys(500, 40);
    let expected = bytes_of(&direct(&keys));
    let context = session(2);
    add_table(&context, "t", &[("k", u64_column(&keys))]);
    for sql in [
        "SELECT cms_agg(k, confidence => 0.99, epsilon => 0.001) FROM t",
        "SELECT cms_agg(k, 1 / 1000.0, 1 - 0.01) FROM t",
        "SELECT cms_agg(k, 0.001, 0.99, 0) FROM t",
        "SELECT cms_agg(k, CAST('0.001' AS DOUBLE), 0.99) FROM t",
    ] {
        let sketch = value(&context, sql).await.expect(sql);
        assert!(bytes(&sketch, 0) == expected, "{sql}");
    }
    let frame = context.sql("SELECT cms_agg(k, $1, 0.99) FROM t").await;
    let frame = frame.and_then(|frame| frame.with_param_values(vec![ScalarValue::from(0.001)]));
    let batches = frame
        .expect("a statement")
        .collect()
        .await
        .expect("a query");
    assert!(bytes(batches[0].column(0), 0) == expected);

    let seeded = value(
        &context,
        "SELECT cms_agg(k, 0.001, 0.99, 18446744073709551615) FROM t",
    );
    let seeded = seeded.await.expect("a seed");
    assert!(bytes(&seeded, 0) != expected);
}

#[tokio::test]
async fn rows_can_be_filtered() {
    let context = session(2);
    add_table(&context, "t", &[("k", u64_column(&[1, 1, 2, 3, 3, 3]))]);
    let sql = "SELECT cms_total(cms_agg(k, 0.1, 0.9) FILTER (WHERE k > 1)) FROM t";
    assert_eq!(number(&context, sql).await, 4);
}

#[tokio::test]
async fn info_tells_the_parameters() {
    let context = session(1);
    let sql = "SELECT cms_info(cms_agg(1, 0.001, 0.99, 42))";
    let info = value(&context, sql).await.expect(sql);
    let info = info.as_struct();
    let field = |name| numbers(info.column_by_name(name).expect(name))[0];
    let direct = direct(&[1]);
    assert_eq!(field("depth"), direct.depth() as u64);
    assert_eq!(field("width"), direct.width() as u64);
    assert_eq!(field("bytes"), direct.size_bytes() as u64);
    assert_eq!((field("seed"), field("total")), (42, 1));
    let sql = "SELECT cms_info(cms_agg(1, 0.001, 0.99))['total']";
    assert_eq!(number(&context, sql).await, 1);
}
