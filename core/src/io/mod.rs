//! Reading and writing files: what every program and library of the workspace does alike.
//!
//! - [`WholeFile`] and [`write_whole`] replace a file atomically: under its name it is complete or
//!   absent.
//! - [`Compression`], [`Decoder`] and [`Encoder`] read and write gzip, zstd and xz (feature
//!   `compression`).
//! - [`PositionedReader`] reads lines and records from a stream and knows where it is;
//!   [`Unexpected`] is the error for what it finds there.
//! - [`ByteSize`] parses and prints sizes such as `64MiB`; [`hex`] encodes bytes in hexadecimal.
//!
//! ```
//! use std::io::Write as _;
//!
//! use septet_core::io::{self, PositionedReader};
//!
//! # let folder = tempfile::tempdir()?;
//! let path = folder.path().join("ids.txt");
//! io::write_whole(&path, |file| file.write_all(b"17\n4\n"))?;
//!
//! let mut reader = PositionedReader::new(io::open(&path)?);
//! while let Some(line) = reader.read_line()? {
//!     if line.len() > 3 {
//!         return Err(reader.unexpected_line("at most three digits").into());
//!     }
//! }
//! assert_eq!(reader.line_number(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod byte_size;
mod compression;
mod descriptor;
pub mod hex;
mod position;
mod reader;
mod whole_file;

pub use byte_size::{ByteSize, ByteSizeError};
pub use compression::{Compression, Decoder, Encoder, open};
pub use position::{Position, ReadError, Unexpected, quote};
pub use reader::{DEFAULT_MAX_LINE_LEN, PositionedReader};
pub use whole_file::{WholeFile, is_stdio, remove_unfinished, write_whole};
