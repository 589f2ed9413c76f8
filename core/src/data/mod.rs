//! Named data sets: where they come from, where they are, and whether they are the right bytes.
//!
//! [`sets`] lists what is registered. A [`Lookup`] finds a set in, one after another,
//!
//! 1. the folder given with `--data`,
//! 2. the folder named by the environment variable `SEPTET_DATA`,
//! 3. the user's cache folder ([`cache_folder`]), where `data fetch` puts downloads,
//! 4. the place where a system package installs it,
//!
//! and hands it out as a [`DataSet`] only after every file has the registered SHA-256. Nothing is
//! downloaded here; that is the module `fetch`, behind the feature of the same name.
//!
//! ```
//! use septet_core::data::{DataError, Lookup};
//!
//! match Lookup::new(None).find("fashion-mnist") {
//!     Ok(set) => println!("{}", set.path("train-images-idx3-ubyte.gz")?.display()),
//!     Err(absent @ DataError::Absent { .. }) => println!("{absent}"),
//!     Err(other) => return Err(other),
//! }
//! # Ok::<(), DataError>(())
//! ```

#[cfg(feature = "fetch")]
pub mod fetch;
mod lookup;
mod registry;
mod verify;

pub use lookup::{DataSet, LocatedFile, Location, Lookup, cache_folder};
pub use registry::{File, Package, Set, set, sets};
pub use verify::sha256_of_file;

use std::path::PathBuf;

/// Why a data set cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// No set of this name is registered.
    #[error("no data set is named `{name}`; `cargo xtask data list` names them all")]
    UnknownSet {
        /// The requested name.
        name: String,
    },
    /// The set has no file of this name.
    #[error("the data set `{set}` has no file `{file}`; it has {known}")]
    UnknownFile {
        /// The set.
        set: &'static str,
        /// The requested name.
        file: String,
        /// The names of its files, separated by commas.
        known: String,
    },
    /// At least one file of the set is in none of the places where it was looked for.
    #[error(
        "the data set `{set}` is not here: {missing} not found in {searched}; to get it: {how_to_get}"
    )]
    Absent {
        /// The set.
        set: &'static str,
        /// The files that were not found, separated by commas.
        missing: String,
        /// The folders that were searched, separated by commas.
        searched: String,
        /// How to get it: a command, or where it comes from.
        how_to_get: String,
    },
    /// A file has other bytes than the registered ones.
    #[error(
        "{} is not the registered file of the data set `{set}`: its sha256 is {actual}, expected {expected}; to fix it: {how_to_fix}",
        file.display()
    )]
    WrongHash {
        /// The set.
        set: &'static str,
        /// The file.
        file: PathBuf,
        /// The registered SHA-256, in hexadecimal.
        expected: &'static str,
        /// The SHA-256 of the file, in hexadecimal.
        actual: String,
        /// How to fix it: a command.
        how_to_fix: String,
    },
    /// A file could not be read.
    #[error("{} cannot be read", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
}
