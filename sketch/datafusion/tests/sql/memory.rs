//! Sketches count against the memory that a session may take.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::tables::query;

/// Counts `rows` rows in `groups` groups within a limit of so many bytes; the least total of a group.
async fn count_within(limit: usize, groups: u32, rows: u32) -> Result<()> {
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(limit)))
        .build_arc()?;
    let config = SessionConfig::new().with_target_partitions(1);
    let context = SessionContext::new_with_config_rt(config, runtime);
    septet_sketch_datafusion::register(&context)?;
    let sql = format!(
        "SELECT value % {groups}, cms_agg(value, 0.001, 0.99) FROM range({rows}) GROUP BY 1"
    );
    let rows = query(&context, &sql).await?;
    assert_eq!(rows.num_rows() as u32, groups);
    Ok(())
}

#[tokio::test]
async fn memory_pools_see_the_sketches() {
    // 40 sketches of 5 x 2719 counters of 8 bytes take 4.4 MB.
    count_within(5_500_000, 40, 400_000)
        .await
        .expect("room enough");
    let error = count_within(4_000_000, 40, 400_000)
        .await
        .expect_err("too little room");
    assert!(error.to_string().contains("Resources exhausted"), "{error}");
}

#[tokio::test]
async fn groups_of_few_rows_take_little_memory() {
    // Two thousand sketches would take 217 MB.
    count_within(2_000_000, 2000, 20_000)
        .await
        .expect("room enough");
}
