//! Compressed files.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::position::quote;

/// The memory that an xz stream may take, in bytes. The highest preset, `xz -9`, needs half of it; a
/// header can demand 4 GiB. (zstd refuses windows above 128 MiB by itself, gzip has none to speak of.)
#[cfg(feature = "compression")]
const XZ_MEMORY: u64 = 128 << 20;

/// Bytes that identify a compression.
const HEADER: usize = 10;

/// The signature of gzip, and its only method: deflate.
const GZIP: &[u8] = &[0x1f, 0x8b, 8];

/// How a file is compressed.
///
/// Without the feature `compression` all are recognized, but only [`None`](Self::None) can be read
/// and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip ([RFC 1952](https://www.rfc-editor.org/rfc/rfc1952)): `.gz`.
    Gzip,
    /// Zstandard ([RFC 8878](https://www.rfc-editor.org/rfc/rfc8878)): `.zst` or `.zstd`.
    Zstd,
    /// xz: `.xz`.
    Xz,
}

impl Compression {
    /// The compression that the suffix of a file's name says.
    #[must_use]
    pub fn of_path(path: &Path) -> Self {
        match path.extension().and_then(OsStr::to_str) {
            Some("gz") => Self::Gzip,
            Some("zst" | "zstd") => Self::Zstd,
            Some("xz") => Self::Xz,
            _ => Self::None,
        }
    }

    /// The compression that the first ten bytes of a stream say. A gzip member is recognized by its
    /// whole header, not just the two bytes of its signature, which a binary format without one could
    /// begin with.
    #[must_use]
    pub fn of_content(bytes: &[u8]) -> Self {
        match *bytes {
            // Deflate; no reserved flag; a known level and operating system (19 is what zlib writes on
            // macOS, beyond the numbers of the RFC).
            [
                0x1f,
                0x8b,
                8,
                0..=31,
                _,
                _,
                _,
                _,
                0 | 2 | 4,
                0..=13 | 19 | 255,
                ..,
            ] => Self::Gzip,
            // A frame, or one that may be skipped, before others.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            _ => Self::None,
        }
    }

    /// The path without the suffix of a compression: `a.csv` of `a.csv.gz`.
    #[must_use]
    pub fn strip_suffix(path: &Path) -> PathBuf {
        match Self::of_path(path) {
            Self::None => path.to_owned(),
            _ => path.with_extension(""),
        }
    }

    /// Whether this build reads and writes it.
    #[must_use]
    pub const fn is_available(self) -> bool {
        cfg!(feature = "compression") || matches!(self, Self::None)
    }

    /// An error of kind [`Unsupported`](io::ErrorKind::Unsupported) when it is not available.
    fn check(self) -> io::Result<()> {
        if self.is_available() {
            return Ok(());
        }
        let message = format!("{self} data needs the feature `compression`");
        Err(io::Error::new(io::ErrorKind::Unsupported, message))
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "uncompressed",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
        })
    }
}

/// Opens a file for reading, decompressed; see [`Decoder::new`].
///
/// # Errors
///
/// The operating system's error, and the errors of [`Decoder::new`].
pub fn open(path: impl AsRef<Path>) -> io::Result<Decoder<'static>> {
    let path = path.as_ref();
    Decoder::new(File::open(path)?, Compression::of_path(path))
}

/// The decompressed bytes of a stream.
///
/// Decoding takes a bounded amount of memory, whatever the stream says: at most 128 MiB. The number
/// of bytes that come out is not bounded, so a caller that keeps them has to limit what it keeps.
pub struct Decoder<'a> {
    compression: Compression,
    source: Box<dyn Read + Send + 'a>,
}

impl<'a> Decoder<'a> {
    /// Recognizes the compression of a stream by its content. `expected` is what its name says
    /// ([`Compression::of_path`]), [`Compression::None`] for a stream without a name.
    ///
    /// # Errors
    ///
    /// Of kind [`InvalidData`](io::ErrorKind::InvalidData) when the name promises a compression and
    /// the content is not compressed, so that a damaged file is not taken for text;
    /// [`Unsupported`](io::ErrorKind::Unsupported) without the feature `compression`; and what the
    /// stream says.
    pub fn new(source: impl Read + Send + 'a, expected: Compression) -> io::Result<Self> {
        let mut source = source;
        // The bytes that identify a compression are read ahead and put back in front of the stream.
        let mut header = Vec::with_capacity(HEADER);
        (&mut source).take(HEADER as u64).read_to_end(&mut header)?;
        let compression = match Compression::of_content(&header) {
            // With the name, the signature is enough: encoders fill the rest of the header as they like.
            Compression::None if expected == Compression::Gzip && header.starts_with(GZIP) => {
                expected
            }
            found => found,
        };
        if compression == Compression::None && expected != Compression::None {
            let found = quote(&header);
            let message = format!("expected {expected} data as the name says, found {found}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        compression.check()?;
        let source = decode(io::Cursor::new(header).chain(source), compression)?;
        Ok(Self {
            compression,
            source,
        })
    }

    /// The compression that was recognized.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.compression
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.source.read(buffer)
    }
}

impl fmt::Debug for Decoder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("compression", &self.compression)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "compression")]
fn decode<'a>(
    source: impl Read + Send + 'a,
    compression: Compression,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    Ok(match compression {
        Compression::None => Box::new(source),
        // Files of several members are common: `cat a.gz b.gz`.
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(
            io::BufReader::with_capacity(64 * 1024, source),
        )),
        Compression::Zstd => Box::new(zstd::Decoder::new(source)?),
        Compression::Xz => {
            let concatenated = liblzma::stream::CONCATENATED;
            let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, concatenated)?;
            Box::new(liblzma::read::XzDecoder::new_stream(source, stream))
        }
    })
}

#[cfg(not(feature = "compression"))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "it fails with the feature `compression`"
)]
fn decode<'a>(
    source: impl Read + Send + 'a,
    _: Compression,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    Ok(Box::new(source))
}

/// Compresses what is written into a sink, which should be buffered, as a
/// [`WholeFile`](super::WholeFile) is.
///
/// ```
/// use std::io::Write as _;
///
/// use septet_core::io::{Compression, Encoder, WholeFile};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("plain.txt");
/// let mut file = Encoder::new(WholeFile::create(&path)?, Compression::of_path(&path))?;
/// file.write_all(b"0 1 2\n")?;
/// file.finish()?.finish()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "the end of the stream is written when it is finished"]
pub struct Encoder<W: Write>(Sink<W>);

enum Sink<W: Write> {
    Plain(W),
    #[cfg(feature = "compression")]
    Gzip(flate2::write::GzEncoder<W>),
    #[cfg(feature = "compression")]
    Zstd(zstd::Encoder<'static, W>),
    #[cfg(feature = "compression")]
    Xz(liblzma::write::XzEncoder<W>),
}

impl<W: Write> Encoder<W> {
    /// Starts a stream, at the default level of the compression.
    ///
    /// # Errors
    ///
    /// Of kind [`Unsupported`](io::ErrorKind::Unsupported) without the feature `compression`.
    pub fn new(sink: W, compression: Compression) -> io::Result<Self> {
        compression.check()?;
        Ok(Self(match compression {
            #[cfg(feature = "compression")]
            Compression::Gzip => {
                let level = flate2::Compression::default();
                Sink::Gzip(flate2::write::GzEncoder::new(sink, level))
            }
            #[cfg(feature = "compression")]
            Compression::Zstd => {
                Sink::Zstd(zstd::Encoder::new(sink, zstd::DEFAULT_COMPRESSION_LEVEL)?)
            }
            #[cfg(feature = "compression")]
            Compression::Xz => {
                const LEVEL: u32 = 6;
                Sink::Xz(liblzma::write::XzEncoder::new(sink, LEVEL))
            }
            _ => Sink::Plain(sink),
        }))
    }

    /// Writes the end of the compressed stream, flushes the sink, and returns it.
    ///
    /// # Errors
    ///
    /// The error of the sink.
    #[cfg_attr(
        not(feature = "compression"),
        expect(
            clippy::infallible_destructuring_match,
            reason = "it is not the only variant with the feature `compression`"
        )
    )]
    pub fn finish(self) -> io::Result<W> {
        let mut sink = match self.0 {
            Sink::Plain(sink) => sink,
            #[cfg(feature = "compression")]
            Sink::Gzip(encoder) => encoder.finish()?,
            #[cfg(feature = "compression")]
            Sink::Zstd(encoder) => encoder.finish()?,
            #[cfg(feature = "compression")]
            Sink::Xz(encoder) => encoder.finish()?,
        };
        sink.flush()?;
        Ok(sink)
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Sink::Plain(sink) => sink.write(bytes),
            #[cfg(feature = "compression")]
            Sink::Gzip(encoder) => encoder.write(bytes),
            #[cfg(feature = "compression")]
            Sink::Zstd(encoder) => encoder.write(bytes),
            #[cfg(feature = "compression")]
            Sink::Xz(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Sink::Plain(sink) => sink.flush(),
            #[cfg(feature = "compression")]
            Sink::Gzip(encoder) => encoder.flush(),
            #[cfg(feature = "compression")]
            Sink::Zstd(encoder) => encoder.flush(),
            #[cfg(feature = "compression")]
            Sink::Xz(encoder) => encoder.flush(),
        }
    }
}

impl<W: Write> fmt::Debug for Encoder<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_name_compressions() {
        for (name, compression, stripped) in [
            ("a.csv.gz", Compression::Gzip, "a.csv"),
            ("a.zst", Compression::Zstd, "a"),
            ("a.b.zstd", Compression::Zstd, "a.b"),
            ("a.xz", Compression::Xz, "a"),
            ("a.gz.csv", Compression::None, "a.gz.csv"),
            ("gz", Compression::None, "gz"),
        ] {
            assert_eq!(Compression::of_path(name.as_ref()), compression, "{name}");
            let path = Compression::strip_suffix(name.as_ref());
            assert_eq!(path, Path::new(stripped));
        }
    }

    #[test]
    fn uncompressed_bytes_pass() {
        for content in [&b""[..], b"x", b"0123456789", b"more than ten bytes\n"] {
            let mut decoder = Decoder::new(content, Compression::None).unwrap();
            let mut read = Vec::new();
            decoder.read_to_end(&mut read).unwrap();
            assert_eq!(read, content);
        }
        // Two bytes of a signature are too few.
        let key = [0x1f, 0x8b, 8, 1, 10, 0, 0, 1, 0x1f, 0x90, 0, 80, 6];
        assert_eq!(Compression::of_content(&key), Compression::None);
    }

    #[test]
    fn a_suffix_is_a_promise() {
        let error = Decoder::new(&b"1\n2\n"[..], Compression::Gzip).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(
            error.to_string(),
            "expected gzip data as the name says, found \"1\\n2\\n\""
        );
        assert!(Decoder::new(&b""[..], Compression::Xz).is_err());
    }

    #[cfg(feature = "compression")]
    mod compressed {
        use super::*;

        const ALL: [Compression; 3] = [Compression::Gzip, Compression::Zstd, Compression::Xz];

        fn encoded(content: &[u8], compression: Compression) -> Vec<u8> {
            let mut encoder = Encoder::new(Vec::new(), compression).unwrap();
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }

        fn decoded(bytes: &[u8], expected: Compression) -> io::Result<Vec<u8>> {
            let mut content = Vec::new();
            Decoder::new(bytes, expected)?.read_to_end(&mut content)?;
            Ok(content)
        }

        #[test]
        fn content_is_recognized_whatever_the_name() {
            let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
            for compression in ALL {
                for content in [&content[..], b""] {
                    let bytes = encoded(content, compression);
                    assert_eq!(Compression::of_content(&bytes), compression);
                    for expected in [Compression::None, Compression::Gzip, compression] {
                        assert_eq!(decoded(&bytes, expected).unwrap(), content);
                    }
                }
                let twice = [
                    &encoded(b"one ", compression)[..],
                    &encoded(b"two", compression),
                ];
                assert_eq!(decoded(&twice.concat(), compression).unwrap(), b"one two");
            }
        }

        #[test]
        fn gzip_headers_of_other_encoders_are_recognized() {
            const LEVEL: usize = 8;
            const SYSTEM: usize = 9;
            let mut bytes = encoded(b"1\n2\n", Compression::Gzip);
            bytes[SYSTEM] = 19;
            assert_eq!(decoded(&bytes, Compression::None).unwrap(), b"1\n2\n");
            (bytes[LEVEL], bytes[SYSTEM]) = (1, 77);
            assert_eq!(decoded(&bytes, Compression::Gzip).unwrap(), b"1\n2\n");
        }

        #[test]
        fn damaged_streams_are_errors() {
            for compression in ALL {
                let whole = encoded(&[7; 1000], compression);
                for len in 0..whole.len() {
                    let result = decoded(&whole[..len], compression);
                    assert!(result.is_err(), "{compression}: {len} of {}", whole.len());
                }
            }
        }

        #[test]
        fn a_header_cannot_ask_for_much_memory() {
            // A dictionary above the limit. The encoder itself takes several times as much memory.
            let mut options = liblzma::stream::LzmaOptions::new_preset(0).unwrap();
            options.dict_size(1 << 28);
            let mut filters = liblzma::stream::Filters::new();
            filters.lzma2(&options);
            let check = liblzma::stream::Check::Crc32;
            let stream = liblzma::stream::Stream::new_stream_encoder(&filters, check);
            let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream.unwrap());
            encoder.write_all(b"small").unwrap();
            let bytes = encoder.finish().unwrap();
            assert!(decoded(&bytes, Compression::Xz).is_err());
        }
    }
}
