//! What a comparison leaves: its samples as JSON, and the load of the machine around them.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context;
use septet_core::io::write_whole;
use serde::Serialize;

/// Writes a record as JSON, whole.
pub(crate) fn write(record: &impl Serialize, path: &Path) -> anyhow::Result<()> {
    let json = serde_json::to_vec_pretty(record)?;
    write_whole(path, |file| file.write_all(&json))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The load average: the number of runnable processes over the last minute. `None` where the system
/// does not report it.
pub(crate) fn load_average() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}
