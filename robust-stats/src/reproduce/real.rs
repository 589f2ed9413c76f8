//! x
use septet_core::experiment::{Context, ExperimentError};
pub(super) const DATA_SETS: [&str; 0] = [];
pub(super) fn run(_cx: &mut Context) -> Result<(), ExperimentError> {
    Ok(())
}
