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

/// The folders where data sets are looked for, in order. The place of a system package comes last,
/// and needs no entry here.
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
    /// Its path.
    pub path: PathBuf,
    /// The kind of place.
    pub location: Location,
}

impl Lookup {
    /// The usual places, with the folder given with `--data` before all others.
    #[must_use]
    pub fn new(argument: Option<PathBuf>) -> Self {
        let environment = std::env::var_os("SEPTET_DATA").filter(|value| !value.is_empty());
        // From the most specific place to the most general one.
        let folders = [
            argument.map(|folder| (Location::Argument, folder)),
            environment.map(|folder| (Location::Environment, PathBuf::from(folder))),
            cache_folder().map(|folder| (Location::Cache, folder)),
        ];
        Self {
            folders: folders.into_iter().flatten().collect(),
        }
    }

    /// These folders only, whatever the environment says. System packages are still searched.
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
    /// [`DataError::WrongHash`] with how to fix it, [`DataError::Read`].
    pub fn find(&self, name: &str) -> Result<DataSet, DataError> {
        let set = set(name).ok_or_else(|| DataError::UnknownSet { name: name.into() })?;
        self.find_set(set)
    }

    fn find_set(&self, set: &'static Set) -> Result<DataSet, DataError> {
        let mut files = Vec::with_capacity(set.files.len());
        let mut missing = Vec::new();
        // The first folder with the file wins; the files of a set may be in different folders.
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
        // All that is absent in one error, before the others are read.
        if !missing.is_empty() {
            let searched: Vec<String> = self
                .places(set)
                .map(|(_, folder)| folder.display().to_string())
                .collect();
            return Err(DataError::Absent {
                set: set.name,
                missing: missing.join(", "),
                searched: searched.join(", "),
                how_to_get: set.how_to_get(),
            });
        }
        // Verified at every run: results never rest on another version of the data.
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
                    how_to_fix: how_to_fix(set, located),
                });
            }
        }
        Ok(DataSet { set, files })
    }

    /// The folders in which the files of a set may be.
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

    /// The path of a file of the set.
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

/// How to get rid of a damaged file and get the right one.
fn how_to_fix(set: &Set, damaged: &LocatedFile) -> String {
    match (&set.package, damaged.location) {
        (Some(package), Location::Package) => {
            format!("sudo apt-get install --reinstall {}", package.name)
        }
        _ => format!("rm '{}'; {}", damaged.path.display(), set.how_to_get()),
    }
}

/// The user's cache folder for data sets (on Linux `~/.cache/septet`, or below `XDG_CACHE_HOME`);
/// `None` when the user has no home.
#[must_use]
pub fn cache_folder() -> Option<PathBuf> {
    let base = etcetera::choose_base_strategy().ok()?;
    Some(base.cache_dir().join(Path::new("septet")))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::registry::{File, Package};
    use super::*;

    /// FIPS 180-4, example "abc".
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    static SET: Set = Set {
        name: "test-set",
        title: "A set for this test",
        folder: "test",
        license: "none",
        citation: "none",
        package: None,
        by_hand: Some("write abc into both files"),
        files: &[file("first"), file("second")],
    };

    const fn file(name: &'static str) -> File {
        File {
            name,
            bytes: 3,
            sha256: ABC,
            urls: &[],
        }
    }

    /// A data folder with these files of the set.
    fn folder_with(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("test")).unwrap();
        for (name, content) in files {
            fs::write(folder.path().join("test").join(name), content).unwrap();
        }
        folder
    }

    fn lookup(folders: &[&tempfile::TempDir]) -> Lookup {
        Lookup::in_folders(folders.iter().map(|folder| folder.path().to_owned()))
    }

    #[test]
    fn a_set_is_found_when_every_file_is_right() {
        let folder = folder_with(&[("first", "abc"), ("second", "abc")]);
        let data = lookup(&[&folder]).find_set(&SET).unwrap();
        assert_eq!(
            data.path("second").unwrap(),
            folder.path().join("test/second")
        );
        assert_eq!(
            data.path("third").unwrap_err().to_string(),
            "the data set `test-set` has no file `third`; it has first, second"
        );
    }

    #[test]
    fn the_first_folder_that_has_a_file_counts() {
        let near = folder_with(&[("first", "abc")]);
        let far = folder_with(&[("first", "other"), ("second", "abc")]);
        let data = lookup(&[&near, &far]).find_set(&SET).unwrap();
        assert_eq!(data.path("first").unwrap(), near.path().join("test/first"));
        assert_eq!(data.path("second").unwrap(), far.path().join("test/second"));
        // A damaged file is not passed over in silence for a good one further on.
        let error = lookup(&[&far, &near]).find_set(&SET).unwrap_err();
        assert!(matches!(error, DataError::WrongHash { .. }), "{error:?}");
    }

    #[test]
    fn what_is_missing_is_named_with_how_to_get_it() {
        let folder = folder_with(&[("first", "abc")]);
        let error = lookup(&[&folder]).find_set(&SET).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, DataError::Absent { .. }), "{error:?}");
        assert!(text.contains("second not found in"), "{text}");
        assert!(
            text.ends_with("to get it: write abc into both files"),
            "{text}"
        );
        let unknown = lookup(&[]).find("no-such-set").unwrap_err();
        assert!(
            matches!(unknown, DataError::UnknownSet { .. }),
            "{unknown:?}"
        );
    }

    #[test]
    fn a_damaged_file_is_named_with_both_hashes() {
        let folder = folder_with(&[("first", "abc"), ("second", "abd")]);
        let error = lookup(&[&folder]).find_set(&SET).unwrap_err();
        let DataError::WrongHash {
            file,
            expected,
            actual,
            how_to_fix,
            ..
        } = error
        else {
            panic!("{error:?}");
        };
        assert_eq!(file, folder.path().join("test/second"));
        assert_eq!(expected, ABC);
        // printf abd | sha256sum
        let abd = "a52d159f262b2c6ddb724a61840befc36eb30c88877a4030b65cbe86298449c9";
        assert_eq!(actual, abd);
        assert_eq!(
            how_to_fix,
            format!("rm '{}'; write abc into both files", file.display())
        );
    }

    #[test]
    fn a_package_is_searched_last_and_fixed_by_its_own_command() {
        let installed = folder_with(&[("first", "abc"), ("second", "abd")]);
        let place = installed.path().join("test").display().to_string();
        let set: &'static Set = Box::leak(Box::new(Set {
            package: Some(Package {
                name: "dataset-test",
                install: "sudo apt-get install dataset-test",
                folder: place.leak(),
            }),
            by_hand: None,
            ..SET
        }));
        let error = lookup(&[]).find_set(set).unwrap_err();
        let DataError::WrongHash { how_to_fix, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(how_to_fix, "sudo apt-get install --reinstall dataset-test");
        let own = folder_with(&[("second", "abc")]);
        let data = lookup(&[&own]).find_set(set).unwrap();
        assert_eq!(data.files()[0].location, Location::Package);
        assert_eq!(data.files()[1].location, Location::Argument);
    }

    #[test]
    fn registered_sets_that_are_here_are_right() {
        let lookup = Lookup::new(None);
        for set in crate::data::sets() {
            match lookup.find(set.name) {
                Ok(data) => {
                    for (located, file) in data.files().iter().zip(set.files) {
                        assert_eq!(fs::metadata(&located.path).unwrap().len(), file.bytes);
                    }
                }
                Err(DataError::Absent { .. }) => println!("skipped, not here: {}", set.name),
                Err(error) => panic!("{error}"),
            }
        }
    }
}
