//! Writing streams of keys.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use septet_core::io::{Encoder, WholeFile};

use super::compression::compression_of;
use super::format::StreamFormat;
use crate::any_key::AnyKey;
use crate::error::SketchError;

/// Writes the keys of a stream in the formats `lines`, `integers` and `tuples13`.
///
/// Files are replaced atomically by [`finish`](Self::finish). Names that end in `.gz`, `.xz` or `.zst`
/// are compressed (feature `compression`).
pub struct Writer<W = Encoder<WholeFile>> {
    sink: W,
    format: StreamFormat,
    /// The file, if the sink is one.
    path: PathBuf,
}

impl<W> std::fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl Writer {
    /// A writer to a file.
    ///
    /// # Errors
    ///
    /// [`SketchError::File`] when it cannot be created, [`SketchError::Parameter`] for a format that
    /// is read only, [`SketchError::NeedsFeature`] for a compression that is not built in.
    pub fn create(path: &Path, format: StreamFormat) -> Result<Self, SketchError> {
        let compression = compression_of(path)?;
        let sink = WholeFile::create(path)
            .and_then(|file| Encoder::new(file, compression))
            .map_err(SketchError::file(path))?;
        let mut writer = Self::new(sink, format)?;
        writer.path = path.to_owned();
        Ok(writer)
    }

    /// Completes the file and moves it to its path.
    ///
    /// # Errors
    ///
    /// [`SketchError::File`] when it cannot be written.
    pub fn finish(self) -> Result<(), SketchError> {
        let finished = self.sink.finish().and_then(WholeFile::finish);
        finished.map_err(SketchError::file(&self.path))
    }
}

impl<W: Write> Writer<W> {
    /// A writer to any sink, which should be buffered.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] for a format that is read only.
    pub fn new(sink: W, format: StreamFormat) -> Result<Self, SketchError> {
        match format {
            StreamFormat::Lines | StreamFormat::Integers | StreamFormat::Flows => Ok(Self {
                sink,
                format,
                path: PathBuf::new(),
            }),
            other => Err(SketchError::parameter(
                "format",
                "one that can be written: lines, integers, tuples13",
                other,
            )),
        }
    }

    /// Writes one occurrence of a key.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] for a key that the format cannot represent (bytes with a line
    /// feed in `lines`), otherwise the errors of the sink.
    pub fn write(&mut self, key: &AnyKey) -> io::Result<()> {
        // Lines can represent any key without a line feed, the other formats only their own type.
        match (&self.format, key) {
            (StreamFormat::Lines, AnyKey::Bytes(bytes)) if !bytes.contains(&b'\n') => {
                self.sink.write_all(bytes)?;
                self.sink.write_all(b"\n")
            }
            (StreamFormat::Lines, AnyKey::Integer(_) | AnyKey::Flow(_))
            | (StreamFormat::Integers, AnyKey::Integer(_)) => writeln!(self.sink, "{key}"),
            (StreamFormat::Flows, AnyKey::Flow(flow)) => self.sink.write_all(&flow.to_bytes()),
            (format, key) => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{format} cannot represent the key {key}"),
            )),
        }
    }
}
