//! A day of flows: which destinations are frequent, by SQL on sketches.
//!
//! `cargo run --example flows`

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::prelude::SessionContext;
use septet_sketch::learned::Threshold;
use septet_sketch::oracle::Oracle;
use septet_sketch_datafusion::{Models, register_with};

/// Expects servers of low numbers to be frequent, as somebody may know from yesterday.
struct LowNumbers;

impl Oracle<u64> for LowNumbers {
    fn score(&self, keys: &[&u64], scores: &mut [f32]) {
        for (key, score) in keys.iter().zip(scores) {
            *score = -(**key as f32);
        }
    }

    fn model_bytes(&self) -> usize {
        0
    }

    fn fingerprint(&self) -> [u8; 16] {
        *b"low numbers    1"
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut models = Models::new();
    let added = models.add::<u64>("servers", Arc::new(LowNumbers), |builder| {
        builder.bytes(64 << 10).threshold(Threshold::Fixed(-200.0))
    });
    added.map_err(|error| datafusion::error::DataFusionError::External(Box::new(error)))?;
    let context = SessionContext::new();
    register_with(&context, models)?;

    let statements = [
        // Server s takes about one packet in s: 200 000 packets in 24 hours.
        "CREATE TABLE packets AS
         SELECT value * 24 / 200000 AS hour,
                200000 / (1 + (value * 7919) % 200000) AS server,
                40 + value % 1400 AS bytes
         FROM range(200000)",
        // A sketch an hour, as a table that can be kept.
        "CREATE TABLE hours AS
         SELECT hour, cms_agg(server, 0.001, 0.99) AS sketch FROM packets GROUP BY hour",
        "SELECT cms_info(sketch) AS sketch FROM hours WHERE hour = 0",
        // The sum of some of them, asked for some keys.
        "SELECT server, cms_estimate((SELECT cms_merge(sketch) FROM hours WHERE hour < 12), server)
                AS packets_before_noon
         FROM (VALUES (1), (2), (10), (5000)) AS asked (server)",
        // The most frequent servers, by packets and by bytes.
        "SELECT entry['item'] AS server, entry['count'] AS packets, entry['error'] AS error
         FROM (SELECT unnest(approx_top_k(server, 3)) AS entry FROM packets)",
        "SELECT entry['item'] AS server, entry['count'] AS bytes
         FROM (SELECT unnest(approx_top_k_weighted(server, bytes, 3)) AS entry FROM packets)",
        // Exact counts for those that the oracle expects to be frequent.
        "SELECT learned_cms_coverage(s, 'servers') AS coverage,
                learned_cms_estimate(s, 1, 'servers') AS server_1
         FROM (SELECT learned_cms_agg(server, 'servers') AS s FROM packets)",
    ];
    for statement in statements {
        let frame = context.sql(statement).await?;
        if frame.schema().fields().is_empty() {
            frame.collect().await?;
        } else {
            frame.show().await?;
        }
    }
    Ok(())
}
