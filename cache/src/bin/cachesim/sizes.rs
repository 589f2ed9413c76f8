//! Cache sizes in libCacheSim's notation.

use anyhow::Result;
use septet_cache::trace::Trace;
use septet_core::cli::Failure;
use septet_core::io::ByteSize;

/// Parses comma-separated sizes: objects or bytes (`5000`, `1MiB`, `2GB`), or, below 1, fractions of
/// the working set (`0.01`). `auto` is 0.001, 0.003, 0.01, 0.03, 0.1 and 0.3.
pub(crate) fn parse(text: &str, trace: &Trace) -> Result<Vec<u64>> {
    let text = if text == "auto" || text == "0" {
        "0.001,0.003,0.01,0.03,0.1,0.3"
    } else {
        text
    };
    let sizes: Result<Vec<u64>> = text
        .split(',')
        .map(|size| parse_one(size.trim(), trace))
        .collect();
    let mut sizes = sizes?;
    sizes.dedup();
    Ok(sizes)
}

fn parse_one(text: &str, trace: &Trace) -> Result<u64> {
    let Ok(number) = text.parse::<f64>() else {
        let size = text.parse::<ByteSize>();
        return Ok(size.map_err(Failure::usage)?.0);
    };
    let fault = if !(number > 0.0 && number < 9e18) {
        "is out of range"
    } else if number < 1.0 {
        return Ok(((number * working_set(trace) as f64) as u64).max(1));
    } else if number.fract() == 0.0 {
        return Ok(number as u64);
    } else {
        "is neither whole nor a fraction of the working set"
    };
    Err(Failure::usage(format!("the cache size {text:?} {fault}")).into())
}

/// Number of pages, or total size of all objects at their first request.
fn working_set(trace: &Trace) -> u64 {
    let Some(sizes) = trace.sizes() else {
        return trace.page_count() as u64;
    };
    let mut seen = 0;
    let mut sum = 0;
    for (&page, &size) in trace.pages().iter().zip(sizes) {
        // Pages are numbered in order of first requests.
        if page == seen {
            seen += 1;
            sum += u64::from(size);
        }
    }
    sum
}
