//! Hashes of files.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::io::hex;

/// What identifies the content of a file, as far as the file system knows: path, length and time of
/// change.
type Identity = (PathBuf, u64, Option<SystemTime>);

/// What this process has hashed already: a data set is opened by many cells, and hashed once.
static HASHED: LazyLock<Mutex<HashMap<Identity, String>>> = LazyLock::new(Mutex::default);

/// The SHA-256 of a file, in hexadecimal. A file of the same path, length and time of change is
/// hashed once in a process.
///
/// # Errors
///
/// When the file cannot be read.
pub fn sha256_of_file(path: &Path) -> io::Result<String> {
    let metadata = fs::metadata(path)?;
    let identity = (path.to_owned(), metadata.len(), metadata.modified().ok());
    let hashed = || HASHED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = hashed().get(&identity) {
        return Ok(known.clone());
    }
    // Without the lock: two threads may hash a file at once, and find the same.
    let hash = hash_contents(path)?;
    hashed().insert(identity, hash.clone());
    Ok(hash)
}

/// The SHA-256 of a file as it is now, in hexadecimal.
pub(super) fn hash_contents(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 17];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            length => hasher.update(&buffer[..length]),
        }
    }
    Ok(hex::encode(&hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_known_text() {
        // FIPS 180-4, example "abc".
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        fs::write(&path, "abc").unwrap();
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_of_file(&path).unwrap(), expected);
        assert_eq!(sha256_of_file(&path).unwrap(), expected);
        assert!(sha256_of_file(&folder.path().join("absent")).is_err());
    }
}
