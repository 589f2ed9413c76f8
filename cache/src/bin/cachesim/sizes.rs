//! Cache sizes in libCacheSim's notation.

use anyhow::{Result, bail};
use septet_cache::trace::Trace;

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
    let unit_start = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    // The `e` of an exponent is not a unit.
    let unit_start = if text.parse::<f64>().is_ok() {
        text.len()
    } else {
        unit_start
    };
    let (number, unit) = text.split_at(unit_start);
    // Decimal units are powers of 1000, binary ones powers of 1024.
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => bail!("the cache size {text:?} has an unknown unit; known: KB, KiB, MB, MiB, .."),
    };
    let Ok(number) = number.trim().parse::<f64>() else {
        bail!("the cache size {text:?} is not a number");
    };
    if number <= 0.0 {
        bail!("the cache size {text:?} is not above 0");
    }
    if unit.is_empty() && number >= 1.0 && number.fract() != 0.0 {
        bail!("the cache size {text:?} is neither whole nor a fraction of the working set");
    }
    // Below 1 and without unit: a fraction of the working set.
    let size = if number > 0.0 && number < 1.0 && unit.is_empty() {
        number * working_set(trace) as f64
    } else {
        number * factor as f64
    };
    if !(0.0..9e18).contains(&size) {
        bail!("the cache size {text:?} is out of range");
    }
    Ok((size as u64).max(1))
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
