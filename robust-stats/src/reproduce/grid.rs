//! x
use septet_core::experiment::{Context, ExperimentError};
pub(super) fn run(_cx: &mut Context) -> Result<(), ExperimentError> {
    Ok(())
}
