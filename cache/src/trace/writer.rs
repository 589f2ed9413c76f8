//! Writing a trace to a file.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::CacheError;
use crate::trace::columns::Trace;
use crate::trace::compression::Compression;
use crate::trace::format::TraceFormat;

/// Writes a trace to a file. Files whose names end in `.gz`, `.zst` or `.xz` are compressed.
///
/// The file appears whole or not at all: it is written under a temporary name in the same folder
/// and then renamed. Formats that hold the future get it computed when the trace does not know
/// it. What a format has no field for is lost: `txt` keeps the ids only, `vscsi`, `time-id-size`
/// and `csv` without a `next` column forget the future.
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
/// [`CacheError::File`] when the file cannot be written, [`CacheError::DoesNotFit`] for a value
/// that the format has no room for, [`CacheError::UnknownName`] for a format that is only read
/// ([`TraceFormat::WRITABLE`] are written), [`CacheError::NeedsFeature`] for a compressed file
/// without the feature `compression`.
pub fn write(path: &Path, format: TraceFormat, trace: &Trace) -> Result<(), CacheError> {
    let file_error = |source| CacheError::File {
        path: path.to_owned(),
        source,
    };
    let temporary = Temporary::beside(path);
    let file = File::create(&temporary.path).map_err(file_error)?;
    let encode = |sink: &mut dyn Write| write_to(sink, format, trace);
    Compression::of(path)
        .encode(path, BufWriter::with_capacity(256 * 1024, file), encode)
        .map_err(|error| match error {
            CacheError::Stream(source) => file_error(source),
            other => other,
        })?;
    fs::rename(&temporary.path, path).map_err(file_error)
}

/// Writes a trace, uncompressed, to any sink; it should be buffered.
///
/// # Errors
/// As [`write()`], with [`CacheError::Stream`] when the sink fails.
pub fn write_to(
    mut sink: impl Write,
    format: TraceFormat,
    trace: &Trace,
) -> Result<(), CacheError> {
    let mut trace = Cow::Borrowed(trace);
    if format.holds_future() && trace.next().is_none() {
        trace.to_mut().annotate();
    }
    format.encode(&trace, &mut sink)?;
    Ok(sink.flush()?)
}

/// A file that is removed unless it was renamed.
struct Temporary {
    path: PathBuf,
}

impl Temporary {
    fn beside(path: &Path) -> Self {
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}.tmp", std::process::id()));
        Self {
            path: path.with_file_name(name),
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After the rename there is nothing left to remove.
        let _ = fs::remove_file(&self.path);
    }
}
