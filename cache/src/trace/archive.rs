//! Traces in a zip archive.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use crate::error::CacheError;
use crate::trace::format::TraceFormat;
use crate::trace::options::ReadOptions;
use crate::trace::reader::Reader;

/// A zip archive of traces.
pub struct Archive {
    path: PathBuf,
    archive: zip::ZipArchive<BufReader<File>>,
}

impl Archive {
    /// Opens an archive.
    ///
    /// # Errors
    /// [`CacheError::File`] if it cannot be read or is not a zip archive.
    pub fn open(path: &Path) -> Result<Self, CacheError> {
        let open = || Ok(zip::ZipArchive::new(BufReader::new(File::open(path)?))?);
        Ok(Self {
            archive: open().map_err(|source| CacheError::File {
                path: path.to_owned(),
                source,
            })?,
            path: path.to_owned(),
        })
    }

    /// The names of the files, in archive order.
    ///
    /// # Errors
    /// [`CacheError::File`] if a name cannot be decoded.
    pub fn names(&self) -> Result<Vec<String>, CacheError> {
        self.archive
            .file_names()
            .map(|name| Ok(name?.into_owned()))
            .collect::<zip::result::ZipResult<_>>()
            .map_err(|error| CacheError::File {
                path: self.path.clone(),
                source: error.into(),
            })
    }

    /// A reader of one file of the archive.
    ///
    /// # Errors
    /// [`CacheError::File`] if there is no such file, or its compression method is not deflate.
    pub fn reader(
        &mut self,
        name: &str,
        format: TraceFormat,
        options: &ReadOptions,
    ) -> Result<Reader<'_>, CacheError> {
        let path = self.path.join(name);
        match self.archive.by_name(name) {
            Ok(file) => Ok(Reader::build(Box::new(file), format, options, Some(path))),
            Err(error) => Err(CacheError::File {
                path,
                source: error.into(),
            }),
        }
    }
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
