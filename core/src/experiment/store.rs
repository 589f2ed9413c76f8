//! Finished cells on disk, and the scratch folders of those that are not finished.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::ExperimentError;
use crate::data::sha256_of_file;
use crate::io::{WholeFile, hex};

/// The folder of finished cells.
#[derive(Debug)]
pub(super) struct Store {
    /// The folder that holds `cells/`.
    folder: PathBuf,
    /// The hash of the running program.
    program: String,
    /// Whether what earlier runs left is passed over.
    fresh: bool,
}

/// What a cell's result depends on. Equal keys stand for equal results.
#[derive(Debug, Serialize)]
pub(super) struct Key<'a> {
    pub(super) paper: &'a str,
    pub(super) group: &'a str,
    pub(super) version: u32,
    pub(super) params: &'a Value,
    pub(super) master_seed: u64,
    pub(super) seed_index: Option<u64>,
    /// The names of the data sets that the group reads, each with the hashes of its files; without
    /// any for a set that is not there.
    pub(super) data: &'a [(String, Vec<&'static str>)],
}

/// A finished cell as it is stored on disk.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stored {
    key: String,
    group: String,
    params: Value,
    /// The hash of the program that computed it.
    program: String,
    pub(super) seconds: f64,
    pub(super) load: Option<f64>,
    pub(super) result: Value,
}

/// Where a cell is stored.
#[derive(Debug)]
pub(super) struct Place {
    key: String,
    /// Relative to the folder that holds `cells/`, without the extension.
    stem: String,
}

impl Store {
    pub(super) fn open(folder: PathBuf, fresh: bool) -> io::Result<Self> {
        let program = sha256_of_file(&std::env::current_exe()?)?;
        // A child process may work elsewhere.
        let folder = std::path::absolute(folder)?;
        Ok(Self {
            folder,
            program,
            fresh,
        })
    }

    pub(super) fn place(&self, key: &Key<'_>) -> Result<Place, ExperimentError> {
        // The name has 80 bits of the hash; the whole hash is in the file and compared when it is
        // read.
        let hash = hex::encode(&Sha256::digest(serde_json::to_string(key)?));
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let group = key.group.replace(|c| !is_plain(c), "_");
        let stem = format!("cells/{group}-{}", &hash[..20]);
        Ok(Place { key: hash, stem })
    }

    /// A finished cell; `None` when there is none, its file is damaged, or the run is fresh. A fresh
    /// run drops the scratch folder of the cell, too.
    pub(super) fn load(&self, place: &Place) -> Option<Stored> {
        if self.fresh {
            // What cannot be removed shows when the cell writes to it.
            let _ = remove_if_there(&self.scratch(place));
            return None;
        }
        // What cannot be read is recomputed, and replaced.
        let text = fs::read_to_string(self.folder.join(place.file())).ok()?;
        let stored: Stored = serde_json::from_str(&text).ok()?;
        (stored.key == place.key).then_some(stored)
    }

    /// Whether another build of the program computed the cell.
    pub(super) fn is_of_other_build(&self, stored: &Stored) -> bool {
        stored.program != self.program
    }

    /// Stores a finished cell and removes its scratch folder.
    pub(super) fn save(
        &self,
        place: &Place,
        key: &Key<'_>,
        seconds: f64,
        result: Value,
    ) -> Result<Stored, ExperimentError> {
        let stored = Stored {
            key: place.key.clone(),
            group: key.group.to_owned(),
            params: key.params.clone(),
            program: self.program.clone(),
            seconds,
            load: crate::report::provenance::load(),
            result,
        };
        // There can be thousands of cells, and one that a power failure damages is recomputed.
        let path = self.folder.join(place.file());
        fs::create_dir_all(path.parent().unwrap_or(&self.folder))?;
        let mut file = WholeFile::create(&path)?.without_sync();
        serde_json::to_writer(&mut file, &stored)?;
        file.finish()?;
        remove_if_there(&self.scratch(place))?;
        Ok(stored)
    }

    /// The folder that a cell may write to while it is not finished.
    pub(super) fn scratch(&self, place: &Place) -> PathBuf {
        self.folder.join(format!("{}.scratch", place.stem))
    }
}

impl Place {
    /// The file of the finished cell, relative to the folder that holds `cells/`.
    pub(super) fn file(&self) -> String {
        format!("{}.json", self.stem)
    }
}

pub(super) fn remove_if_there(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_part_of_a_key_makes_another_cell() {
        let store = Store::open(PathBuf::from("nowhere"), false).unwrap();
        let (params, others) = (serde_json::json!({"k": 2}), serde_json::json!({"k": 3}));
        let here = [("mnist".to_owned(), vec!["0123"])];
        let changed = [("mnist".to_owned(), vec!["4567"])];
        let absent = [("mnist".to_owned(), vec![])];
        let key = || Key {
            paper: "probe",
            group: "runs",
            version: 1,
            params: &params,
            master_seed: 1,
            seed_index: None,
            data: &here,
        };
        let keys = [
            key(),
            Key {
                paper: "other",
                ..key()
            },
            Key {
                group: "others",
                ..key()
            },
            Key {
                version: 2,
                ..key()
            },
            Key {
                params: &others,
                ..key()
            },
            Key {
                master_seed: 2,
                ..key()
            },
            Key {
                seed_index: Some(0),
                ..key()
            },
            Key {
                seed_index: Some(1),
                ..key()
            },
            Key {
                data: &changed,
                ..key()
            },
            Key {
                data: &absent,
                ..key()
            },
            Key { data: &[], ..key() },
        ];
        let places: HashSet<String> = keys
            .iter()
            .map(|key| store.place(key).unwrap().key)
            .collect();
        assert_eq!(places.len(), keys.len());
        assert_eq!(
            store.place(&key()).unwrap().key,
            store.place(&key()).unwrap().key
        );
    }
}
