//! Sketches of Parquet files, and in Parquet files.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, StringArray};
use datafusion::dataframe::DataFrameWriteOptions;
use datafusion::prelude::ParquetReadOptions;
use septet_sketch::FrequencySketch;

use crate::tables::{
    PARTITIONS, add_table, bytes_of, direct, number, query, session, skewed_keys, value,
};

#[tokio::test]
async fn parquet_files_are_counted_and_keep_sketches() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let keys: Vec<String> = skewed_keys(6000, 400)
        .iter()
        .map(|key| format!("flow {key}"))
        .collect();
    let sketch = direct(&keys);

    // Three files of one table.
    for (part, keys) in keys.chunks(2000).enumerate() {
        let context = session(1);
        let column = Arc::new(StringArray::from(keys.to_vec())) as ArrayRef;
        add_table(&context, "part", &[("k", column)]);
        let frame = context.table("part").await.expect("a table");
        let file = path(&format!("flows/{part}.parquet"));
        let options = DataFrameWriteOptions::new().with_single_file_output(true);
        frame
            .write_parquet(&file, options, None)
            .await
            .expect("a file");
    }
    for partitions in PARTITIONS {
        let context = session(partitions);
        let options = ParquetReadOptions::default();
        let registered = context
            .register_parquet("flows", path("flows"), options)
            .await;
        registered.expect("three files");
        let sql = "SELECT cms_agg(k, 0.001, 0.99) FROM flows";
        let bytes = value(&context, sql).await.expect(sql);
        assert!(bytes.as_binary::<i32>().value(0) == bytes_of(&sketch));

        // A stored sketch comes back from its own file.
        let stored = path(&format!("stored-{partitions}.parquet"));
        let frame = context
            .sql("SELECT cms_agg(k, 0.001, 0.99) AS s FROM flows")
            .await;
        let options = DataFrameWriteOptions::new().with_single_file_output(true);
        let written = frame
            .expect("a query")
            .write_parquet(&stored, options, None)
            .await;
        written.expect("a file");
        let options = ParquetReadOptions::default();
        let registered = context.register_parquet("stored", stored, options).await;
        registered.expect("a file");
        let sql = "SELECT cms_estimate(s, 'flow 0') FROM stored";
        assert_eq!(number(&context, sql).await, sketch.estimate("flow 0"));
        let sql = "SELECT cms_estimate(cms_merge(s), 'flow 0') FROM stored GROUP BY cms_total(s)";
        assert_eq!(number(&context, sql).await, sketch.estimate("flow 0"));
        let rows = query(&context, "SELECT approx_top_k(k, 1) FROM flows")
            .await
            .expect("valid");
        assert_eq!(rows.num_rows(), 1);
    }
}
