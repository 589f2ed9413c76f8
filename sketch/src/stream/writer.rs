//! Writing streams.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::compression::{Compression, Encoder};
use super::format::StreamFormat;
use crate::any_key::AnyKey;
use crate::error::SketchError;

/// Writes the keys of a stream: `lines`, `integers` and `tuples13`.
///
/// A file appears whole or not at all: it is written under a temporary name in the same folder, and
/// [`finish`](Self::finish) renames it. Names that end in `.gz` or `.zst` are compressed (feature
/// `compression`).
pub struct Writer<W = WholeFile> {
    sink: W,
    format: StreamFormat,
}

impl<W> std::fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl Writer {
    /// A writer into a file.
    ///
    /// # Errors
    ///
    /// [`SketchError::File`] when it cannot be made, [`SketchError::Parameter`] for a format that is
    /// only read, [`SketchError::NeedsFeature`] for a compression that is not built in.
    pub fn create(path: &Path, format: StreamFormat) -> Result<Self, SketchError> {
        Self::new(WholeFile::create(path)?, format)
    }

    /// Ends the file and gives it its name.
    ///
    /// # Errors
    ///
    /// [`SketchError::File`] when it cannot be written.
    pub fn finish(self) -> Result<(), SketchError> {
        self.sink.finish()
    }
}

impl<W: Write> Writer<W> {
    /// A writer into any sink, which should be buffered.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] for a format that is only read.
    pub fn new(sink: W, format: StreamFormat) -> Result<Self, SketchError> {
        match format {
            StreamFormat::Lines | StreamFormat::Integers | StreamFormat::Flows => {
                Ok(Self { sink, format })
            }
            other => Err(SketchError::parameter(
                "format",
                "one that is written: lines, integers, tuples13",
                other,
            )),
        }
    }

    /// Writes one occurrence of a key.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] for a key that the format does not hold (bytes with a line
    /// feed are no line), otherwise what the sink says.
    pub fn write(&mut self, key: &AnyKey) -> io::Result<()> {
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
                format!("{format} cannot hold the key {key}"),
            )),
        }
    }
}

/// A file that appears under its name when it is finished, and not at all otherwise.
pub struct WholeFile {
    /// `None` once it is finished.
    encoder: Option<Encoder>,
    path: PathBuf,
    temporary: PathBuf,
}

impl std::fmt::Debug for WholeFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("WholeFile").field(&self.path).finish()
    }
}

impl WholeFile {
    /// Begins a file. Names that end in `.gz` or `.zst` are compressed.
    ///
    /// # Errors
    ///
    /// [`SketchError::File`] when it cannot be made, [`SketchError::NeedsFeature`] for a compression
    /// that is not built in.
    pub fn create(path: &Path) -> Result<Self, SketchError> {
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}.tmp", std::process::id()));
        let temporary = path.with_file_name(name);
        let file = File::create(&temporary).map_err(|source| SketchError::File {
            path: path.to_owned(),
            source,
        })?;
        let mut whole = Self {
            encoder: None,
            path: path.to_owned(),
            temporary,
        };
        whole.encoder = Some(Compression::from_path(path).encoder(path, file)?);
        Ok(whole)
    }

    /// Writes what is left and gives the file its name.
    ///
    /// # Errors
    ///
    /// [`SketchError::File`] when it cannot be written.
    pub fn finish(mut self) -> Result<(), SketchError> {
        let finished = match self.encoder.take() {
            None => Ok(()),
            Some(encoder) => encoder.finish(),
        };
        finished
            .and_then(|()| fs::rename(&self.temporary, &self.path))
            .map_err(|source| SketchError::File {
                path: self.path.clone(),
                source,
            })
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        // After the rename there is nothing left to remove.
        let _ = fs::remove_file(&self.temporary);
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.encoder {
            None => Ok(0),
            Some(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.encoder {
            None => Ok(()),
            Some(encoder) => encoder.flush(),
        }
    }
}
