//! Compressed files.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::Path;

use crate::error::CacheError;

/// Memory limit of xz decoding in bytes: twice what the highest preset, `xz -9`, needs. Without it a
/// header can request 4 GiB. (zstd itself rejects windows above 128 MiB.)
#[cfg(feature = "compression")]
const XZ_MEMORY: u64 = 128 << 20;

/// A compression format, selected by the suffix of a file name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
    Xz,
}

impl Compression {
    pub(super) fn of(path: &Path) -> Self {
        match path.extension().and_then(OsStr::to_str) {
            Some("gz") => Self::Gzip,
            Some("zst" | "zstd") => Self::Zstd,
            Some("xz") => Self::Xz,
            _ => Self::None,
        }
    }

    /// The path without the suffix of a compression.
    pub(super) fn strip(path: &Path) -> std::path::PathBuf {
        match Self::of(path) {
            Self::None => path.to_owned(),
            _ => path.with_extension(""),
        }
    }

    /// The uncompressed stream.
    #[cfg(feature = "compression")]
    pub(super) fn decoder<'a>(
        self,
        path: &Path,
        source: impl Read + Send + 'a,
    ) -> Result<Box<dyn Read + Send + 'a>, CacheError> {
        let file_error = |source| CacheError::File {
            path: path.to_owned(),
            source,
        };
        Ok(match self {
            Self::None => Box::new(source),
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(
                std::io::BufReader::with_capacity(64 * 1024, source),
            )),
            Self::Zstd => Box::new(zstd::Decoder::new(source).map_err(file_error)?),
            Self::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(
                    XZ_MEMORY,
                    liblzma::stream::CONCATENATED,
                )
                .map_err(|error| file_error(error.into()))?;
                Box::new(liblzma::read::XzDecoder::new_stream(source, stream))
            }
        })
    }

    /// Compresses what `encode` writes, to the end.
    #[cfg(feature = "compression")]
    pub(super) fn encode(
        self,
        _path: &Path,
        mut sink: impl Write,
        encode: impl FnOnce(&mut dyn Write) -> Result<(), CacheError>,
    ) -> Result<(), CacheError> {
        match self {
            Self::None => encode(&mut sink)?,
            Self::Gzip => {
                let mut encoder =
                    flate2::write::GzEncoder::new(&mut sink, flate2::Compression::default());
                encode(&mut encoder)?;
                encoder.finish()?;
            }
            Self::Zstd => {
                let level = zstd::DEFAULT_COMPRESSION_LEVEL;
                let mut encoder = zstd::Encoder::new(&mut sink, level)?;
                encode(&mut encoder)?;
                encoder.finish()?;
            }
            Self::Xz => {
                const LEVEL: u32 = 6;
                let mut encoder = liblzma::write::XzEncoder::new(&mut sink, LEVEL);
                encode(&mut encoder)?;
                encoder.finish()?;
            }
        }
        Ok(sink.flush()?)
    }

    /// Writes what `encode` writes.
    #[cfg(not(feature = "compression"))]
    pub(super) fn encode(
        self,
        path: &Path,
        mut sink: impl Write,
        encode: impl FnOnce(&mut dyn Write) -> Result<(), CacheError>,
    ) -> Result<(), CacheError> {
        match self {
            Self::None => encode(&mut sink),
            _ => Err(Self::needs_feature(path)),
        }
    }

    #[cfg(not(feature = "compression"))]
    fn needs_feature(path: &Path) -> CacheError {
        CacheError::MissingFeature {
            path: path.to_owned(),
            feature: "compression",
        }
    }

    /// The uncompressed stream.
    #[cfg(not(feature = "compression"))]
    pub(super) fn decoder<'a>(
        self,
        path: &Path,
        source: impl Read + Send + 'a,
    ) -> Result<Box<dyn Read + Send + 'a>, CacheError> {
        match self {
            Self::None => Ok(Box::new(source)),
            _ => Err(Self::needs_feature(path)),
        }
    }
}
