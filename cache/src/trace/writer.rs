//! Writing a trace to a file.

use std::borrow::Cow;
use std::io::Write;
use std::path::Path;

use septet_core::io::{Compression, Encoder, WholeFile};

use crate::error::CacheError;
use crate::trace::columns::Trace;
use crate::trace::format::TraceFormat;
use crate::trace::reader::require_available;

/// Writes a trace to a file. Files with the suffix `.gz`, `.zst` or `.xz` are compressed.
///
/// The write is atomic: to a temporary file in the same folder, which is then synced and renamed. Formats with
/// next accesses annotate the trace if necessary. Fields that the format lacks are dropped: `txt`
/// keeps only the ids; `vscsi`, `time-id-size` and `csv` without a `next` column drop next accesses.
///
/// ```no_run
/// use septet_cache::trace::{self, Trace, TraceFormat};
///
/// let trace = Trace::from_ids([1, 2, 1]);
/// trace::write("small.oracleGeneral.zst".as_ref(), TraceFormat::OracleGeneral, &trace)?;
/// # Ok::<(), septet_cache::CacheError>(())
/// ```
///
/// # Errors
/// [`CacheError::File`] if the file cannot be written; [`CacheError::ValueOutOfRange`] if a value
/// exceeds the range of its field; [`CacheError::UnknownName`] for a format not in
/// [`TraceFormat::WRITABLE`]; [`CacheError::MissingFeature`] for a compressed file without the
/// feature `compression`.
pub fn write(path: &Path, format: TraceFormat, trace: &Trace) -> Result<(), CacheError> {
    let file_error = |source| CacheError::File {
        path: path.to_owned(),
        source,
    };
    let compression = Compression::of_path(path);
    require_available(compression, path)?;
    let file = WholeFile::create(path).map_err(file_error)?;
    let mut encoder = Encoder::new(file, compression).map_err(file_error)?;
    write_to(&mut encoder, format, trace).map_err(|error| match error {
        CacheError::Stream(source) => file_error(source),
        other => other,
    })?;
    let file = encoder.finish().map_err(file_error)?;
    file.finish().map_err(file_error)
}

/// Writes a trace, uncompressed, to a sink, which should be buffered.
///
/// # Errors
/// As [`write()`], with [`CacheError::Stream`] if the sink fails.
pub fn write_to(
    mut sink: impl Write,
    format: TraceFormat,
    trace: &Trace,
) -> Result<(), CacheError> {
    let mut trace = Cow::Borrowed(trace);
    if format.has_next_access() && trace.next().is_none() {
        trace.to_mut().annotate();
    }
    format.encode(&trace, &mut sink)?;
    Ok(sink.flush()?)
}
