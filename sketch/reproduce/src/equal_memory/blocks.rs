//! Requests to the blocks of a disk.

use std::collections::HashMap;

use septet_core::experiment::{Context, ExperimentError, Profile};
use septet_sketch::AnyKey;
use septet_sketch::oracle::BlockFeatures;
use septet_sketch::stream::{Records, StreamFormat};

use super::results::{claim, run_all, statement};
use super::windows::{Keyed, along};
use super::workload::Workload;
use super::{alone, oracle_kinds, others};
use crate::block_trace;

/// KiB of the claims on block requests.
const CLAIMED_ON_BLOCKS: [usize; 3] = [16, 64, 192];
const BLOCKS: &str = "block requests (OLTP)";

/// Block requests in their true order.
pub(super) fn blocks(cx: &mut Context) -> Result<(), ExperimentError> {
    let Some(data) = cx.data(block_trace::DATA) else {
        for kib in CLAIMED_ON_BLOCKS {
            cx.skip(
                &format!("F5.blocks-{kib}-kib"),
                &statement(kib << 10, BLOCKS),
                "the trace is not here",
                block_trace::HOW_TO_GET,
            );
        }
        return Ok(());
    };
    // Quick keeps to the budgets of the claims.
    let quick = cx.profile() == Profile::Quick;
    let kibibytes: &[usize] = if quick {
        &CLAIMED_ON_BLOCKS
    } else {
        &[16, 32, 64, 128, 192]
    };
    // Block numbers in the order of the requests, which decides who comes first.
    let mut requests = Vec::new();
    for record in Records::open(&data.path("OLTP.lis.zst")?, &StreamFormat::Blocks)? {
        if let AnyKey::Integer(block) = record?.key {
            requests.push(block);
        }
    }
    const WINDOWS: usize = 10;
    let length = requests.len() / WINDOWS;
    let windows = requests.chunks_exact(length.max(1)).take(WINDOWS);
    let windows = windows.map(numbered).collect();
    let oracle_kinds = oracle_kinds(cx.profile());
    let features = BlockFeatures::default();
    // The first test has three windows to learn from; eight are the whole past of the last one.
    let (validation, trials) = along(windows, 4, 8, &features, &oracle_kinds)?;
    let workload = Workload {
        title: format!("block requests (OLTP), windows of {length} in their order"),
        id: "blocks",
        reads: Some(block_trace::DATA),
        of: "windows",
        validation,
        trials,
        budgets: kibibytes.iter().map(|kib| kib << 10).collect(),
        oracle_kinds,
        alone: alone(cx.profile()),
        others: others(cx.profile()),
        rounds: if quick { 1 } else { 2 },
    };
    let results = run_all(cx, &workload)?;
    // One claim for each budget, with test windows as the replicates: there is one trace.
    for kib in CLAIMED_ON_BLOCKS {
        claim(
            cx,
            &results,
            &format!("F5.blocks-{kib}-kib"),
            kib << 10,
            BLOCKS,
        );
    }
    Ok(())
}

/// The keys of a stream in the order of their first occurrence.
fn numbered(stream: &[u64]) -> Keyed<u64> {
    let mut numbers: HashMap<u64, u32> = HashMap::new();
    let mut window = Keyed {
        keys: Vec::new(),
        counts: Vec::new(),
        stream: Vec::with_capacity(stream.len()),
    };
    for &key in stream {
        let number = *numbers.entry(key).or_insert_with(|| {
            window.keys.push(key);
            window.counts.push(0);
            window.keys.len() as u32 - 1
        });
        window.counts[number as usize] += 1;
        window.stream.push(number);
    }
    window
}
