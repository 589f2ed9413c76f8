//! Files that are replaced atomically.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::TempPath;

use super::descriptor::open_descriptor;

/// Bytes gathered before they go to the operating system.
const BUFFER: usize = 128 * 1024;

/// The temporary files of this process that have no name of their own yet.
static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Writes a file that appears under its name when it is complete, and not at all otherwise.
///
/// Bytes go to a temporary file with a unique name in the same folder. [`finish`](Self::finish)
/// writes it to the disk and renames it, so a reader sees the old content or the new one, even after
/// a power failure. A writer that is dropped before that leaves nothing behind, and an existing file
/// as it was. Any number of processes may write the same path at once: the last to finish wins.
///
/// An existing file keeps its permissions, and a symbolic link still points where it did. What is not
/// a regular file is written directly: a named pipe, `/dev/null`, and an open file that a path such as
/// `/dev/stdout` or `/dev/fd/3` names, to which the bytes are appended.
///
/// Writes are buffered. Errors are those of the operating system and name no file, as std's do: the
/// caller adds the path that it gave.
///
/// ```
/// use std::io::Write as _;
///
/// use septet_core::io::WholeFile;
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("report.txt");
/// let mut file = WholeFile::create(&path)?;
/// writeln!(file, "12 requests")?;
/// assert!(!path.exists());
/// file.finish()?;
/// assert_eq!(std::fs::read_to_string(&path)?, "12 requests\n");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "the file appears only when it is finished"]
pub struct WholeFile(Target);

#[derive(Debug)]
enum Target {
    Temporary(Box<Replacement>),
    Direct(BufWriter<File>),
    Stdout(BufWriter<io::Stdout>),
}

/// A temporary file and what it replaces.
#[derive(Debug)]
struct Replacement {
    file: BufWriter<File>,
    /// Removed when it is dropped.
    temporary: TempPath,
    path: PathBuf,
    /// Whether the disk has to have it when it is finished.
    sync: bool,
    _unfinished: Unfinished,
}

impl WholeFile {
    /// Starts writing a file.
    ///
    /// # Errors
    ///
    /// The operating system's error when the folder does not exist or is not writable; of kind
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) when the file exists and is not writable.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        if let Some(file) = open_descriptor(path)? {
            return Ok(Self(Target::Direct(BufWriter::with_capacity(BUFFER, file))));
        }
        let existing = match fs::metadata(path) {
            Ok(existing) => Some(existing),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // A link to a file that does not exist yet: the file is made, and the link stays. A link
                // to itself is another error.
                if let Ok(target) = fs::read_link(path) {
                    return Self::create(folder_of(path).join(target));
                }
                None
            }
            Err(error) => return Err(error),
        };
        if existing
            .as_ref()
            .is_some_and(|existing| !existing.is_file())
        {
            // Renaming would replace the pipe or device itself; a folder is an error here.
            let file = File::options().write(true).open(path)?;
            return Ok(Self(Target::Direct(BufWriter::with_capacity(BUFFER, file))));
        }
        Replacement::create(path, existing).map(|file| Self(Target::Temporary(Box::new(file))))
    }

    /// Starts writing a file, or writes to standard output when the path is `-`.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub fn create_or_stdout(path: impl AsRef<Path>) -> io::Result<Self> {
        if is_stdio(path.as_ref()) {
            let stdout = BufWriter::with_capacity(BUFFER, io::stdout());
            return Ok(Self(Target::Stdout(stdout)));
        }
        Self::create(path)
    }

    /// Does not wait for the disk when the file is finished, which takes milliseconds. After a power
    /// failure the file may be empty or cut short. For many small files that are checked when they are
    /// read and can be made again.
    pub fn without_sync(mut self) -> Self {
        if let Target::Temporary(replacement) = &mut self.0 {
            replacement.sync = false;
        }
        self
    }

    /// Writes what is buffered, waits until the disk has it, and gives the file its name.
    ///
    /// # Errors
    ///
    /// The operating system's error. Then the temporary file is gone and an existing file is as it
    /// was.
    pub fn finish(self) -> io::Result<()> {
        match self.0 {
            Target::Temporary(replacement) => replacement.finish(),
            Target::Direct(mut file) => file.flush(),
            Target::Stdout(mut stdout) => stdout.flush(),
        }
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Target::Temporary(replacement) => replacement.file.write(bytes),
            Target::Direct(file) => file.write(bytes),
            Target::Stdout(stdout) => stdout.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Target::Temporary(replacement) => replacement.file.flush(),
            Target::Direct(file) => file.flush(),
            Target::Stdout(stdout) => stdout.flush(),
        }
    }
}

impl Replacement {
    fn create(path: &Path, existing: Option<Metadata>) -> io::Result<Self> {
        // The file behind a link is replaced, not the link.
        let path = match existing {
            Some(_) => fs::canonicalize(path)?,
            None => path.to_owned(),
        };
        if let Some(existing) = &existing {
            require_writable(&path, existing)?;
        }
        let Some(name) = path.file_name() else {
            let message = "expected the path of a file, found one without a file name";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        };
        // A long name would exceed the limit of the file system together with the random part.
        let name: String = name.to_string_lossy().chars().take(64).collect();
        let prefix = format!(".{name}.");
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).suffix(".tmp");
        // A new file gets the permissions of any new file, not those of a private temporary one.
        let create = |path: &Path| File::options().write(true).create_new(true).open(path);
        // Locked until it is registered: whoever removes all unfinished files misses none.
        let mut unfinished = unfinished();
        let (file, temporary) = builder.make_in(folder_of(&path), create)?.into_parts();
        unfinished.insert(temporary.to_path_buf());
        drop(unfinished);
        let replacement = Self {
            _unfinished: Unfinished(temporary.to_path_buf()),
            file: BufWriter::with_capacity(BUFFER, file),
            temporary,
            path,
            sync: true,
        };
        if let Some(existing) = existing {
            let file = replacement.file.get_ref();
            file.set_permissions(existing.permissions())?;
        }
        Ok(replacement)
    }

    fn finish(self) -> io::Result<()> {
        // The content is on the disk before the name changes, and then the name: a crash at any
        // point leaves the old file or the new one.
        let file = self.file.into_inner()?;
        if self.sync {
            file.sync_all()?;
        }
        self.temporary
            .persist(&self.path)
            .map_err(|error| error.error)?;
        if self.sync && cfg!(unix) {
            // The file is in place: a file system that cannot sync a folder makes that no failure.
            let _ = File::open(folder_of(&self.path)).and_then(|folder| folder.sync_all());
        }
        Ok(())
    }
}

/// Renaming over a file asks only for the permissions of its folder: whoever protects a file expects
/// its own to count.
fn require_writable(path: &Path, existing: &Metadata) -> io::Result<()> {
    // The superuser may open any file; its mode still says that it is not to be changed.
    if existing.permissions().readonly() {
        let message = "the file exists and is read-only";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    File::options().write(true).open(path).map(drop)
}

/// The entry of a temporary file in [`UNFINISHED`].
#[derive(Debug)]
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        unfinished().remove(&self.0);
    }
}

fn unfinished() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    // A set of paths is valid after a panic elsewhere.
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes the temporary files of all [`WholeFile`]s that are being written. For a process that is
/// about to exit without dropping them, as on an interrupt: from now on, threads that start or finish
/// such a file wait for its end.
pub fn remove_unfinished() {
    let unfinished = unfinished();
    for path in unfinished.iter() {
        // The process ends anyway.
        let _ = fs::remove_file(path);
    }
    // Never unlocked: a file that is started now would be left behind.
    std::mem::forget(unfinished);
}

/// The folder of a file, `.` for a bare name.
pub(super) fn folder_of(path: &Path) -> &Path {
    let parent = path.parent();
    parent
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Writes a whole file through a closure; see [`WholeFile`]. When the closure fails, nothing is left
/// behind.
///
/// ```
/// use std::io::Write as _;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("config.json");
/// septet_core::io::write_whole(&path, |file| file.write_all(b"{}"))?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// The error of the closure, and the operating system's error, converted to that type.
pub fn write_whole<E: From<io::Error>>(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut WholeFile) -> Result<(), E>,
) -> Result<(), E> {
    let mut file = WholeFile::create(path)?;
    write(&mut file)?;
    Ok(file.finish()?)
}

/// Whether a path given to a program means standard input or output: `-`.
#[must_use]
pub fn is_stdio(path: &Path) -> bool {
    path.as_os_str() == "-"
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names in a folder.
    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_when_it_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "old").unwrap();
        let mut file = WholeFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        file.flush().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        file.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn what_fails_or_is_dropped_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let failed = write_whole(&path, |file| {
            file.write_all(b"half")?;
            Err(io::Error::other("no more"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "no more");
        drop(WholeFile::create(&path).unwrap());
        assert_eq!(names(folder.path()), [""; 0]);
        let absent = WholeFile::create(folder.path().join("no/such/folder"));
        assert_eq!(absent.unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(WholeFile::create(folder.path()).is_err());
        assert!(WholeFile::create("").is_err());
    }

    #[test]
    fn writers_of_one_path_do_not_collide() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut files = [1_u8, 2].map(|_| WholeFile::create(&path).unwrap());
        for (file, byte) in files.iter_mut().zip([b'1', b'2']) {
            file.write_all(&[byte; 3]).unwrap();
        }
        let [first, second] = files;
        second.finish().unwrap();
        first.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"111");
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn long_names_have_room_for_the_temporary_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n".repeat(255));
        write_whole(&path, |file| file.write_all(b"x")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"x");
    }

    #[cfg(unix)]
    #[test]
    fn permissions_links_and_devices_stay() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};

        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("a"), folder.path().join("link"));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let write = |path: &Path| write_whole(path, |file| file.write_all(b"x")).unwrap();
        // A new file has the permissions that `File::create` gives.
        fs::write(folder.path().join("plain"), "").unwrap();
        write(&path);
        assert_eq!(mode(&path), mode(&folder.path().join("plain")));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("a", &link).unwrap();
        write_whole(&link, |file| file.write_all(b"through")).unwrap();
        assert_eq!(mode(&path), 0o640);
        assert_eq!(fs::read(&path).unwrap(), b"through");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        let dangling = folder.path().join("dangling");
        symlink("new", &dangling).unwrap();
        write(&dangling);
        assert!(fs::symlink_metadata(&dangling).unwrap().is_symlink());
        assert_eq!(fs::read(folder.path().join("new")).unwrap(), b"x");
        symlink("itself", folder.path().join("itself")).unwrap();
        assert!(WholeFile::create(folder.path().join("itself")).is_err());
        write(Path::new("/dev/null"));
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn a_read_only_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "kept").unwrap();
        let mut permissions = fs::metadata(&path).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&path, permissions).unwrap();
        let error = WholeFile::create(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(names(folder.path()), ["a"]);
        assert_eq!(fs::read(&path).unwrap(), b"kept");
    }

    #[test]
    fn errors_name_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = WholeFile::create(folder.path().join("absent/a")).unwrap_err();
        assert!(!error.to_string().contains(".tmp"), "{error}");
        let path = folder.path().join("a");
        let file = WholeFile::create(&path).unwrap();
        // A folder took the place of the file.
        fs::create_dir(&path).unwrap();
        let error = file.finish().unwrap_err();
        assert!(!error.to_string().contains(".tmp"), "{error}");
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[cfg(unix)]
    #[test]
    fn an_open_file_is_appended_to() {
        use std::os::fd::AsRawFd as _;
        use std::os::unix::fs::{MetadataExt as _, symlink};

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "before ").unwrap();
        let open = File::options().append(true).open(&path).unwrap();
        let link = folder.path().join("link");
        symlink(format!("/dev/fd/{}", open.as_raw_fd()), &link).unwrap();
        write_whole(&link, |file| file.write_all(b"after")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"before after");
        // Whoever has it open still has the file of that name.
        assert_eq!(
            open.metadata().unwrap().ino(),
            fs::metadata(&path).unwrap().ino()
        );
    }

    #[test]
    fn unfinished_files_are_known_until_they_are_finished() {
        let folder = tempfile::tempdir().unwrap();
        let here = fs::canonicalize(folder.path()).unwrap();
        let count = || {
            let unfinished = unfinished();
            unfinished
                .iter()
                .filter(|path| path.starts_with(&here))
                .count()
        };
        let file = WholeFile::create(here.join("a")).unwrap().without_sync();
        let other = WholeFile::create(here.join("b")).unwrap();
        assert_eq!(count(), 2);
        drop(other);
        assert_eq!(count(), 1);
        file.finish().unwrap();
        assert_eq!(count(), 0);
    }
}
