//! Arguments that must name a file or a folder.

use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TypedValueParser};

use crate::io::is_stdio;

/// Parses the path of an output that cannot go to standard output, such as a folder, or a file that is
/// read again: `-` is refused, so that it never becomes a name.
///
/// ```
/// use std::path::PathBuf;
///
/// use clap::Parser;
/// use septet_core::cli::named_path;
///
/// #[derive(Parser)]
/// struct Arguments {
///     #[arg(long, value_parser = named_path())]
///     out: PathBuf,
/// }
/// assert!(Arguments::try_parse_from(["program", "--out", "a"]).is_ok());
/// assert!(Arguments::try_parse_from(["program", "--out", "-"]).is_err());
/// ```
#[must_use]
pub fn named_path() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| match is_stdio(&path) {
        true => Err("standard output is not supported here; name a path (./- for this name)"),
        false => Ok(path),
    })
}
