//! Compressed files.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::error::SketchError;

/// A compression that the suffix of a file name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    pub(super) fn from_path(path: &Path) -> Self {
        match path.extension().and_then(OsStr::to_str) {
            Some("gz") => Self::Gzip,
            Some("zst" | "zstd") => Self::Zstd,
            _ => Self::None,
        }
    }

    /// The path without the suffix of a compression.
    pub(super) fn strip(path: &Path) -> PathBuf {
        match Self::from_path(path) {
            Self::None => path.to_owned(),
            Self::Gzip | Self::Zstd => path.with_extension(""),
        }
    }

    /// The uncompressed stream. (zstd refuses windows above 128 MiB by itself.)
    pub(super) fn decoder<'a>(
        self,
        path: &Path,
        source: impl Read + Send + 'a,
    ) -> Result<Box<dyn Read + Send + 'a>, SketchError> {
        match self {
            Self::None => Ok(Box::new(source)),
            #[cfg(feature = "compression")]
            Self::Gzip => Ok(Box::new(flate2::bufread::MultiGzDecoder::new(
                std::io::BufReader::with_capacity(64 * 1024, source),
            ))),
            #[cfg(feature = "compression")]
            Self::Zstd => match zstd::Decoder::new(source) {
                Ok(decoder) => Ok(Box::new(decoder)),
                Err(source) => Err(SketchError::File {
                    path: path.to_owned(),
                    source,
                }),
            },
            #[cfg(not(feature = "compression"))]
            Self::Gzip | Self::Zstd => Err(needs_feature(path)),
        }
    }

    /// A writer of compressed bytes into a file.
    pub(super) fn encoder(self, path: &Path, file: File) -> Result<Encoder, SketchError> {
        let file = std::io::BufWriter::with_capacity(128 * 1024, file);
        match self {
            Self::None => Ok(Encoder::Plain(file)),
            #[cfg(feature = "compression")]
            Self::Gzip => Ok(Encoder::Gzip(flate2::write::GzEncoder::new(
                file,
                flate2::Compression::default(),
            ))),
            #[cfg(feature = "compression")]
            Self::Zstd => {
                let encoder = zstd::Encoder::new(file, zstd::DEFAULT_COMPRESSION_LEVEL);
                let encoder = encoder.map_err(|source| SketchError::File {
                    path: path.to_owned(),
                    source,
                })?;
                Ok(Encoder::Zstd(encoder))
            }
            #[cfg(not(feature = "compression"))]
            Self::Gzip | Self::Zstd => Err(needs_feature(path)),
        }
    }
}

#[cfg(not(feature = "compression"))]
fn needs_feature(path: &Path) -> SketchError {
    SketchError::NeedsFeature {
        what: format!("{}, a compressed file,", path.display()),
        feature: "compression",
    }
}

type Buffered = std::io::BufWriter<File>;

/// Compresses into a file.
pub(super) enum Encoder {
    Plain(Buffered),
    #[cfg(feature = "compression")]
    Gzip(flate2::write::GzEncoder<Buffered>),
    #[cfg(feature = "compression")]
    Zstd(zstd::Encoder<'static, Buffered>),
}

impl Encoder {
    /// Writes what is left, and the end of the compressed stream.
    pub(super) fn finish(self) -> std::io::Result<()> {
        let mut file = match self {
            Self::Plain(file) => file,
            #[cfg(feature = "compression")]
            Self::Gzip(encoder) => encoder.finish()?,
            #[cfg(feature = "compression")]
            Self::Zstd(encoder) => encoder.finish()?,
        };
        file.flush()
    }
}

impl Write for Encoder {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            #[cfg(feature = "compression")]
            Self::Gzip(encoder) => encoder.write(bytes),
            #[cfg(feature = "compression")]
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            #[cfg(feature = "compression")]
            Self::Gzip(encoder) => encoder.flush(),
            #[cfg(feature = "compression")]
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}
