//! Opening compressed streams.

use std::path::Path;

use septet_core::io::Compression;

use crate::error::SketchError;

/// The compression that the name of a file indicates, if this build supports it.
pub(super) fn compression_of(path: &Path) -> Result<Compression, SketchError> {
    let compression = Compression::of_path(path);
    if compression.is_available() {
        return Ok(compression);
    }
    Err(SketchError::NeedsFeature {
        what: format!("{}, a compressed file,", path.display()),
        feature: "compression",
    })
}
