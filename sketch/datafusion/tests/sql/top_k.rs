//! `approx_top_k`: exact with enough counters, and its guarantee with fewer.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, DictionaryArray, Int16Array, LargeStringArray,
    StringArray, StringViewArray,
};
use datafusion::arrow::datatypes::{DataType, Int16Type, Int32Type, UInt64Type};
use datafusion::prelude::SessionContext;

use crate::tables::{PARTITIONS, add_table, query, session, skewed_keys, u64_column, value};

/// Item, count and error of each structure of a list of unsigned integers.
async fn entries(context: &SessionContext, sql: &str) -> Vec<[u64; 3]> {
    let list = value(context, sql)
        .await
        .expect(sql)
        .as_list::<i32>()
        .value(0);
    let list = list.as_struct();
    let column = |name| {
        list.column_by_name(name)
            .expect(name)
            .as_primitive::<UInt64Type>()
            .clone()
    };
    let (items, counts, errors) = (column("item"), column("count"), column("error"));
    (0..list.len())
        .map(|row| [items.value(row), counts.value(row), errors.value(row)])
        .collect()
}

/// The exact counts, the largest first, and of one count the least key first.
fn exact(keys: &[u64]) -> Vec<[u64; 3]> {
    let mut counts: HashMap<u64, u64> = HashMap::new();
    for key in keys {
        *counts.entry(*key).or_default() += 1;
    }
    let mut counts: Vec<[u64; 3]> = counts
        .iter()
        .map(|(key, count)| [*key, *count, 0])
        .collect();
    counts.sort_by_key(|[key, count, _]| (std::cmp::Reverse(*count), *key));
    counts
}

#[tokio::test]
async fn counts_are_exact_while_every_key_has_a_counter() {
    let keys = skewed_keys(5000, 600);
    let exact = exact(&keys);
    assert!(exact.len() <= 600);
    for partitions in PARTITIONS {
        let context = session(partitions);
        add_table(&context, "t", &[("k", u64_column(&keys))]);
        let found = entries(&context, "SELECT approx_top_k(k, 20) FROM t").await;
        assert_eq!(found, exact[..20]);
        let found = entries(&context, "SELECT approx_top_k(k, 600) FROM t").await;
        assert_eq!(found, exact);
    }
}

#[tokio::test]
async fn with_few_counters_the_guarantee_holds_for_any_number_of_partitions() {
    let keys = skewed_keys(20_000, 5000);
    let exact = exact(&keys);
    let counters = 100;
    for partitions in PARTITIONS {
        let context = session(partitions);
        add_table(&context, "t", &[("k", u64_column(&keys))]);
        let sql = format!("SELECT approx_top_k(k, {counters}, {counters}) FROM t");
        let found = entries(&context, &sql).await;
        let bound = keys.len() as u64 / counters;
        for [key, count, error] in &found {
            let true_count = keys.iter().filter(|other| *other == key).count() as u64;
            assert!(*error <= bound, "{error} > {bound}");
            assert!(*count >= true_count && count - error <= true_count);
        }
        // Whatever occurs more often than N / counters is there.
        for [key, _, _] in exact.iter().take_while(|[_, count, _]| *count > bound) {
            assert!(found.iter().any(|[found, _, _]| found == key), "{key}");
        }
        // Where the counts are further apart than the error, the order is right as well.
        assert_eq!(found[0][0], exact[0][0]);
    }
}

#[tokio::test]
async fn items_have_the_type_of_their_column() {
    let texts = vec![
        Some("b"),
        Some("a"),
        None,
        Some("b"),
        Some("\u{e9}"),
        Some("a"),
        Some("b"),
    ];
    let bytes: Vec<Option<&[u8]>> = texts.iter().map(|text| text.map(str::as_bytes)).collect();
    let dictionary: DictionaryArray<Int32Type> = texts.iter().copied().collect();
    let columns: Vec<(ArrayRef, DataType)> = vec![
        (Arc::new(StringArray::from(texts.clone())), DataType::Utf8),
        (
            Arc::new(LargeStringArray::from(texts.clone())),
            DataType::LargeUtf8,
        ),
        (Arc::new(StringViewArray::from(texts)), DataType::Utf8View),
        (Arc::new(BinaryArray::from(bytes)), DataType::Binary),
        (Arc::new(dictionary), DataType::Utf8),
    ];
    for (column, item) in columns {
        for partitions in PARTITIONS {
            let context = session(partitions);
            add_table(&context, "t", &[("k", Arc::clone(&column))]);
            let sql = "SELECT approx_top_k(k, 2) AS top FROM t";
            let list = value(&context, sql)
                .await
                .expect(sql)
                .as_list::<i32>()
                .value(0);
            let list = list.as_struct();
            assert_eq!(*list.column(0).data_type(), item);
            assert_eq!(
                list.column(1).as_primitive::<UInt64Type>().values(),
                &[3, 2]
            );
        }
    }
    let context = session(2);
    let column = Int16Array::from(vec![Some(-7), Some(3), None, Some(-7)]);
    add_table(&context, "t", &[("k", Arc::new(column) as ArrayRef)]);
    let sql = "SELECT approx_top_k(k, 5)[1]['item'] FROM t";
    let item = value(&context, sql).await.expect(sql);
    assert_eq!(item.as_primitive::<Int16Type>().value(0), -7);
}

#[tokio::test]
async fn groups_weights_and_no_rows() {
    let keys = [1, 1, 2, 3, 3, 3, 4];
    let groups = [0, 0, 0, 0, 1, 1, 1];
    let weights = [1, 1, 10, 2, 0, 5, 1];
    for partitions in PARTITIONS {
        let context = session(partitions);
        let columns = [
            ("k", u64_column(&keys)),
            ("g", u64_column(&groups)),
            ("w", u64_column(&weights)),
        ];
        add_table(&context, "t", &columns);
        let sql = "SELECT approx_top_k_weighted(k, w, 2) FROM t";
        assert_eq!(entries(&context, sql).await, [[2, 10, 0], [3, 7, 0]]);
        let sql = "SELECT approx_top_k(k, 3) FROM t WHERE k > 9";
        assert_eq!(entries(&context, sql).await, [[0; 3]; 0]);
        let sql = "SELECT item['item'], item['count'] FROM \
             (SELECT g, unnest(approx_top_k(k, 1)) AS item FROM t GROUP BY g) ORDER BY g";
        let rows = query(&context, sql).await.expect(sql);
        let column = |index| {
            rows.column(index)
                .as_primitive::<UInt64Type>()
                .values()
                .to_vec()
        };
        assert_eq!((column(0), column(1)), (vec![1, 3], vec![2, 2]));
    }
}
