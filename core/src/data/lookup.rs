//! Finding data sets on this machine.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;

use super::registry::{Set, set};
use super::{DataError, sha256_of_file};

/// The kind of place where a file was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// The folder given with `--data`.
    Argument,
    /// The folder named by `SEPTET_DATA`.
    Environment,
    /// The user's cache folder.
    Cache,
    /// Where a system package installs it.
    Package,
}

impl Location {
    /// The name of the place, for reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Argument => "--data",
            Self::Environment => "SEPTET_DATA",
            Self::Cache => "user cache",
            Self::Package => "system package",
        }
    }
}

/// The folders where data sets are looked for, in order. The place of a system package is asked
/// last, and needs no entry here.
#[derive(Clone, Debug, Default)]
pub struct Lookup {
    folders: Vec<(Location, PathBuf)>,
}

/// A data set that is here, every file verified.
#[derive(Clone, Debug)]
pub struct DataSet {
    set: &'static Set,
    files: Vec<LocatedFile>,
}

/// A file of a data set, verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocatedFile {
    /// The name within the set.
    pub name: &'static str,
    /// Where it lies.
    pub path: PathBuf,
    /// The kind of place.
    pub location: Location,
}

impl Lookup {
    /// The usual places, with the folder given with `--data` before all others.
    #[must_use]
    pub fn new(argument: Option<PathBuf>) -> Self {
        let environment = std::env::var_os("SEPTET_DATA").filter(|value| !value.is_empty());
        let folders = [
            argument.map(|folder| (Location::Argument, folder)),
            environment.map(|folder| (Location::Environment, PathBuf::from(folder))),
            cache_folder().map(|folder| (Location::Cache, folder)),
        ];
        Self {
            folders: folders.into_iter().flatten().collect(),
        }
    }

    /// These folders only, whatever the environment says. System packages are still asked.
    #[must_use]
    pub fn in_folders(folders: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            folders: folders
                .into_iter()
                .map(|folder| (Location::Argument, folder))
                .collect(),
        }
    }

    /// Finds a set and verifies all of its files.
    ///
    /// # Errors
    ///
    /// [`DataError::UnknownSet`], [`DataError::Absent`] with how to get it,
    /// [`DataError::WrongHash`] with how to mend it, [`DataError::Read`].
    pub fn find(&self, name: &str) -> Result<DataSet, DataError> {
        let set = set(name).ok_or_else(|| DataError::UnknownSet { name: name.into() })?;
        self.find_set(set)
    }

    fn find_set(&self, set: &'static Set) -> Result<DataSet, DataError> {
        let mut files = Vec::with_capacity(set.files.len());
        let mut missing = Vec::new();
        for file in set.files {
            let places = self.places(set);
            match places
                .map(|(location, folder)| (location, folder.join(file.name)))
                .find(|(_, path)| path.is_file())
            {
                None => missing.push(file.name),
                Some((location, path)) => files.push(LocatedFile {
                    name: file.name,
                    path,
                    location,
                }),
            }
        }
        if !missing.is_empty() {
            let searched: Vec<String> = self
                .places(set)
                .map(|(_, folder)| folder.display().to_string())
                .collect();
            return Err(DataError::Absent {
                set: set.name,
                missing: missing.join(", "),
                searched: searched.join(", "),
                mend: set.how_to_get(),
            });
        }
        for (located, file) in files.iter().zip(set.files) {
            let actual = sha256_of_file(&located.path).map_err(|source| DataError::Read {
                file: located.path.clone(),
                source,
            })?;
            if actual != file.sha256 {
                return Err(DataError::WrongHash {
                    set: set.name,
                    file: located.path.clone(),
                    expected: file.sha256,
                    actual,
                    mend: format!("rm '{}' && {}", located.path.display(), set.how_to_get()),
                });
            }
        }
        Ok(DataSet { set, files })
    }

    /// The folders in which the files of a set may lie.
    fn places(&self, set: &'static Set) -> impl Iterator<Item = (Location, PathBuf)> {
        self.folders
            .iter()
            .map(|(location, folder)| (*location, folder.join(set.folder)))
            .chain(
                set.package
                    .as_ref()
                    .map(|package| (Location::Package, PathBuf::from(package.folder))),
            )
    }
}

impl DataSet {
    /// What is registered about the set.
    #[must_use]
    pub fn set(&self) -> &'static Set {
        self.set
    }

    /// Its files, in the order of the registry.
    #[must_use]
    pub fn files(&self) -> &[LocatedFile] {
        &self.files
    }

    /// Where a file of the set lies.
    ///
    /// # Errors
    ///
    /// [`DataError::UnknownFile`] when the set has no file of this name.
    pub fn path(&self, file: &str) -> Result<PathBuf, DataError> {
        let found = self.files.iter().find(|located| located.name == file);
        found
            .map(|located| located.path.clone())
            .ok_or_else(|| DataError::UnknownFile {
                set: self.set.name,
                file: file.into(),
                known: self.set.file_names(),
            })
    }
}

/// The user's cache folder for data sets (on Linux `~/.cache/septet`, or below `XDG_CACHE_HOME`);
/// `None` when the user has no home.
#[must_use]
pub fn cache_folder() -> Option<PathBuf> {
    let base = etcetera::choose_base_strategy().ok()?;
    Some(base.cache_dir().join(Path::new("septet")))
}
