//! Paths of open files, such as `/dev/stdout`.

use std::fs::File;
use std::io;
use std::path::Path;

#[cfg(unix)]
use super::whole_file::folder_of;

/// The open file that a path such as `/dev/stdout` or `/dev/fd/3` names, for appending.
///
/// What stands behind may be a regular file, to which a shell has redirected the output. Renaming
/// another over it would separate it from whoever has it open.
#[cfg(unix)]
pub(super) fn open_descriptor(path: &Path) -> io::Result<Option<File>> {
    use std::fs;
    use std::io::Write as _;
    use std::os::fd::AsFd as _;

    // More links than a system follows.
    const MAX_LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        // The links in the folder of open files are no paths: `/proc/self/fd` on Linux.
        let folder = fs::canonicalize(folder_of(&path)).unwrap_or_default();
        let is_descriptors = folder == Path::new("/dev/fd")
            || (folder.starts_with("/proc") && folder.ends_with("fd"));
        if is_descriptors {
            let name = path.file_name().and_then(|name| name.to_str());
            // Duplicates share their position with whatever else is printed there; another file is
            // opened once more, and written at its end.
            return match name {
                Some("1") => {
                    io::stdout().flush()?;
                    let file = io::stdout().as_fd().try_clone_to_owned()?;
                    Ok(Some(file.into()))
                }
                Some("2") => Ok(Some(io::stderr().as_fd().try_clone_to_owned()?.into())),
                _ => File::options().append(true).open(&path).map(Some),
            };
        }
        let Ok(target) = fs::read_link(&path) else {
            return Ok(None);
        };
        path = folder_of(&path).join(target);
    }
    Ok(None)
}

/// Only Unix has paths of open files.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "it can fail on Unix")]
pub(super) fn open_descriptor(_: &Path) -> io::Result<Option<File>> {
    Ok(None)
}
