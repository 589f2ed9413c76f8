//! Download of data sets over HTTP.
//!
//! A download is written to `<file>.part` and renamed when its size and its SHA-256 are the
//! registered ones: a file that is there is whole and right. A download that was cut is continued
//! by the next one.

#[cfg(test)]
mod tests;

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::http::{Response, header};
use ureq::{Agent, Body};

use super::registry::{self, Set};
use super::verify::hash_contents;

/// How many redirects are followed.
const MAX_REDIRECTS: u32 = 8;

/// How long a server may be silent.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A file to be downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Download<'a> {
    /// Its address.
    pub url: &'a str,
    /// Its size; no more than this is ever received.
    pub bytes: u64,
    /// Its SHA-256 in lower-case hexadecimal.
    pub sha256: &'a str,
    /// Where it is put; folders are made as needed.
    pub to: &'a Path,
}

/// Why a download failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// A file of the set has no address.
    #[error("the data set `{set}` cannot be downloaded whole ({files}); to get it: {how_to_get}")]
    NoAddress {
        /// The set.
        set: &'static str,
        /// Its files without an address, separated by commas.
        files: String,
        /// How to get it.
        how_to_get: String,
    },
    /// The server could not be reached, or does not speak HTTP.
    #[error("{url} cannot be reached")]
    Unreachable {
        /// The address.
        url: String,
        /// What went wrong.
        source: Box<ureq::Error>,
    },
    /// The server answers with an error status.
    #[error("{url} answers with status {status}")]
    Status {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The server redirects, again and again.
    #[error("{url} redirects more than {MAX_REDIRECTS} times")]
    TooManyRedirects {
        /// The address.
        url: String,
    },
    /// The server has a file of another size.
    #[error("{url} has {actual} bytes, expected {expected}")]
    WrongSize {
        /// The address.
        url: String,
        /// The registered size.
        expected: u64,
        /// The size that the server announces, or a lower bound of it.
        actual: u64,
    },
    /// The connection broke. What was received is kept, and the next download continues it.
    #[error("{url} broke off after {received} of {expected} bytes; run it again to continue")]
    Incomplete {
        /// The address.
        url: String,
        /// The bytes that are here.
        received: u64,
        /// The size of the file.
        expected: u64,
        /// What went wrong, if more than an early end.
        source: Option<io::Error>,
    },
    /// The file has the right size and other bytes.
    #[error("{url} has the sha256 {actual}, expected {expected}")]
    WrongHash {
        /// The address.
        url: String,
        /// The registered SHA-256.
        expected: String,
        /// That of the file.
        actual: String,
    },
    /// Another download of the same file is under way.
    #[error("{} is being downloaded by another process", file.display())]
    Busy {
        /// The partial file.
        file: PathBuf,
    },
    /// A file cannot be written.
    #[error("{} cannot be written", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
}

/// Downloads the files of a set into a data folder, such as
/// [`cache_folder`](super::cache_folder). Files that are there and right are left alone; several
/// addresses of a file are tried in turn.
///
/// `progress` is called with a file and the number of its bytes that are here.
///
/// # Errors
///
/// The last error of the first file that none of its addresses gives; [`FetchError::NoAddress`]
/// when the files with an address are here and others have none.
pub fn fetch_set(
    set: &Set,
    data_folder: &Path,
    mut progress: impl FnMut(&registry::File, u64),
) -> Result<(), FetchError> {
    let mut without_address = Vec::new();
    for file in set.files {
        let path = data_folder.join(set.folder).join(file.name);
        // A file that is there is trusted only by its hash.
        if hash_contents(&path).is_ok_and(|hash| hash == file.sha256) {
            progress(file, file.bytes);
            continue;
        }
        // Addresses in turn, until one gives the registered bytes.
        let mut outcome = None;
        for url in file.urls {
            let target = Download {
                url,
                bytes: file.bytes,
                sha256: file.sha256,
                to: &path,
            };
            let attempt = download(&target, |bytes| progress(file, bytes));
            let is_done = attempt.is_ok();
            outcome = Some(attempt);
            if is_done {
                break;
            }
        }
        match outcome {
            None => without_address.push(file.name),
            Some(outcome) => outcome?,
        }
    }
    // Reported last, when everything that has an address is here.
    if without_address.is_empty() {
        return Ok(());
    }
    Err(FetchError::NoAddress {
        set: set.name,
        files: without_address.join(", "),
        how_to_get: set.how_to_get(),
    })
}

/// Downloads a file, and calls `progress` with the number of bytes that are here.
///
/// # Errors
///
/// Any [`FetchError`] but `NoAddress`. After [`FetchError::Incomplete`] another call continues.
pub fn download(target: &Download<'_>, progress: impl FnMut(u64)) -> Result<(), FetchError> {
    let agent = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(MAX_REDIRECTS)
        .user_agent(concat!("septet/", env!("CARGO_PKG_VERSION")))
        // The hash is that of the bytes as the server stores them.
        .accept_encoding("identity")
        .timeout_connect(Some(TIMEOUT))
        .timeout_recv_response(Some(TIMEOUT))
        .timeout_per_read(Some(TIMEOUT))
        .build()
        .new_agent();
    download_through(&agent, target, progress)
}

fn download_through(
    agent: &Agent,
    target: &Download<'_>,
    mut progress: impl FnMut(u64),
) -> Result<(), FetchError> {
    let mut part = Part::open(target)?;
    let continued = part.received > 0;
    let outcome = part.complete(agent, &mut progress);
    match outcome {
        // The beginning may stem from another version of the file: again, from the start.
        Err(FetchError::WrongHash { .. }) if continued => {
            part.start_over()?;
            part.complete(agent, &mut progress)?;
        }
        other => other?,
    }
    // The partial file keeps its name from run to run, to be continued: its lock, not a unique name,
    // keeps other processes away.
    let finished = part.file.sync_all();
    let finished = finished.and_then(|()| fs::rename(&part.path, target.to));
    finished.map_err(|source| FetchError::Write {
        file: target.to.into(),
        source,
    })
}

/// The partial file of a download, which no other process writes to.
struct Part<'a> {
    target: &'a Download<'a>,
    path: PathBuf,
    file: File,
    received: u64,
}

impl<'a> Part<'a> {
    fn open(target: &'a Download<'a>) -> Result<Self, FetchError> {
        let mut path = target.to.as_os_str().to_owned();
        path.push(".part");
        let path = PathBuf::from(path);
        let failed = |source| FetchError::Write {
            file: path.clone(),
            source,
        };
        // Opened again when another download has taken the file away meanwhile.
        let (file, received) = loop {
            let file = open_appending(&path).map_err(failed)?;
            match locked_length(&file, &path) {
                Ok(Some(received)) => break (file, received),
                Ok(None) => {}
                Err(TryLockError::WouldBlock) => return Err(FetchError::Busy { file: path }),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        };
        let mut part = Self {
            target,
            path,
            file,
            received,
        };
        // Larger than the whole: the beginning of another file.
        if received > target.bytes {
            part.start_over()?;
        }
        Ok(part)
    }

    fn start_over(&mut self) -> Result<(), FetchError> {
        self.received = 0;
        let emptied = self
            .file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)));
        emptied.map(drop).map_err(|source| self.not_written(source))
    }

    /// Receives what is missing, and verifies the whole.
    fn complete(
        &mut self,
        agent: &Agent,
        progress: &mut impl FnMut(u64),
    ) -> Result<(), FetchError> {
        if self.received < self.target.bytes {
            let answer = self.request(agent)?;
            self.receive(answer, progress)?;
        }
        let actual = hash_contents(&self.path).map_err(|source| self.not_written(source))?;
        if actual != self.target.sha256 {
            self.start_over()?;
            return Err(FetchError::WrongHash {
                url: self.target.url.to_owned(),
                expected: self.target.sha256.to_owned(),
                actual,
            });
        }
        Ok(())
    }

    /// Requests what is missing, and when the server cannot give just that, everything.
    fn request(&mut self, agent: &Agent) -> Result<Response<Body>, FetchError> {
        if self.received > 0 {
            let answer = self.get(agent, Some(self.received))?;
            match answer.status().as_u16() {
                206 if continues_at(&answer) == Some(self.received) => return Ok(answer),
                // Not this range, or no ranges at all: from the start.
                200 => {
                    self.start_over()?;
                    return Ok(answer);
                }
                206 | 416 => self.start_over()?,
                status => return Err(self.status(status)),
            }
        }
        let answer = self.get(agent, None)?;
        match answer.status().as_u16() {
            200 => Ok(answer),
            status => Err(self.status(status)),
        }
    }

    fn get(&self, agent: &Agent, from: Option<u64>) -> Result<Response<Body>, FetchError> {
        let mut request = agent.get(self.target.url);
        if let Some(from) = from {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        request.call().map_err(|error| match error {
            ureq::Error::TooManyRedirects => FetchError::TooManyRedirects {
                url: self.target.url.to_owned(),
            },
            other => FetchError::Unreachable {
                url: self.target.url.to_owned(),
                source: Box::new(other),
            },
        })
    }

    /// Appends the body of an answer.
    fn receive(
        &mut self,
        answer: Response<Body>,
        progress: &mut impl FnMut(u64),
    ) -> Result<(), FetchError> {
        let expected = self.target.bytes;
        let mut body = answer.into_body();
        // A wrong size is an error before anything is received.
        if let Some(length) = body.content_length() {
            let announced = self.received.saturating_add(length);
            if announced != expected {
                return self.refuse_size(announced);
            }
        }
        let mut reader = body.as_reader();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let length = match reader.read(&mut buffer) {
                Ok(0) if self.received == expected => return Ok(()),
                Ok(0) => return Err(self.incomplete(None)),
                Ok(length) => length,
                Err(source) => return Err(self.incomplete(Some(source))),
            };
            let received = self.received + length as u64;
            // A server that sends more than it announced cannot fill the disk.
            if received > expected {
                return self.refuse_size(received);
            }
            let written = self.file.write_all(&buffer[..length]);
            written.map_err(|source| self.not_written(source))?;
            self.received = received;
            progress(received);
        }
    }

    /// The server has another file: nothing of it is kept.
    fn refuse_size(&mut self, actual: u64) -> Result<(), FetchError> {
        self.start_over()?;
        Err(FetchError::WrongSize {
            url: self.target.url.to_owned(),
            expected: self.target.bytes,
            actual,
        })
    }

    fn incomplete(&self, source: Option<io::Error>) -> FetchError {
        FetchError::Incomplete {
            url: self.target.url.to_owned(),
            received: self.received,
            expected: self.target.bytes,
            source,
        }
    }

    fn status(&self, status: u16) -> FetchError {
        FetchError::Status {
            url: self.target.url.to_owned(),
            status,
        }
    }

    fn not_written(&self, source: io::Error) -> FetchError {
        FetchError::Write {
            file: self.path.clone(),
            source,
        }
    }
}

/// The partial file of a failed download stays only if there is something to continue.
impl Drop for Part<'_> {
    fn drop(&mut self) {
        // Removed while it is locked: later it may be that of another process.
        if self.received == 0 {
            // A file that cannot be removed is found empty by the next download.
            let _ = fs::remove_file(&self.path);
        }
        // Closing the file would not do while a process that was just started shares it.
        let _ = self.file.unlock();
    }
}

/// Opens a partial file, which keeps the bytes that it has.
fn open_appending(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).open(path)
}

/// Locks a partial file, and gives its length from then on; `None` when another download has renamed
/// or removed it since it was opened.
fn locked_length(file: &File, path: &Path) -> Result<Option<u64>, TryLockError> {
    // The lock belongs to the open file: it ends with the process, however that ends.
    file.try_lock()?;
    let of_file = file.metadata().map_err(TryLockError::Error)?;
    let is_named = match fs::metadata(path) {
        Ok(named) => is_same(&of_file, &named),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(TryLockError::Error(error)),
    };
    Ok(is_named.then_some(of_file.len()))
}

/// Whether two files are one.
#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Elsewhere an open file keeps its name.
#[cfg(not(unix))]
fn is_same(_: &Metadata, _: &Metadata) -> bool {
    true
}

/// Where the range of an answer begins: `Content-Range: bytes 100-199/200`.
fn continues_at(answer: &Response<Body>) -> Option<u64> {
    let range = answer.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (start, _) = range.strip_prefix("bytes ")?.split_once('-')?;
    start.trim().parse().ok()
}
