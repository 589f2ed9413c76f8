//! Downloads from a small server on the loopback that behaves well or badly on purpose.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use sha2::{Digest, Sha256};

use super::*;
use crate::io::hex;

/// What is requested.
struct Request {
    path: String,
    range_start: Option<usize>,
}

/// A server that answers requests, one connection each, until the test ends. It reports to the test
/// which requests it got.
struct Server {
    address: String,
    requests: Receiver<(String, Option<usize>)>,
}

impl Server {
    fn start(answer: impl Fn(&Request, &mut TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (sender, requests) = mpsc::channel();
        thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                let Some(request) = read_request(&connection) else {
                    continue;
                };
                if sender
                    .send((request.path.clone(), request.range_start))
                    .is_err()
                {
                    return;
                }
                answer(&request, &mut connection);
            }
        });
        Self { address, requests }
    }

    fn requests(&self) -> Vec<(String, Option<usize>)> {
        self.requests.try_iter().collect()
    }
}

fn read_request(connection: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(connection).lines().map_while(Result::ok);
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let mut range_start = None;
    for line in lines.take_while(|line| !line.is_empty()) {
        let line = line.to_ascii_lowercase();
        if let Some(range) = line.strip_prefix("range: bytes=") {
            range_start = range.trim_end_matches('-').parse().ok();
        }
    }
    Some(Request { path, range_start })
}

fn respond(connection: &mut TcpStream, status: &str, headers: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n");
    // The client may have hung up already, as it should on a body that is too long.
    let _ = connection
        .write_all(head.as_bytes())
        .and_then(|()| connection.write_all(body));
}

/// Answers as a server should.
fn serve_well(content: &'static [u8]) -> impl Fn(&Request, &mut TcpStream) {
    move |request, connection| match request.range_start {
        None => {
            let length = format!("Content-Length: {}\r\n", content.len());
            respond(connection, "200 OK", &length, content);
        }
        Some(start) => {
            let rest = &content[start..];
            let headers = format!(
                "Content-Length: {}\r\nContent-Range: bytes {start}-{}/{}\r\n",
                rest.len(),
                content.len() - 1,
                content.len()
            );
            respond(connection, "206 Partial Content", &headers, rest);
        }
    }
}

/// 200 000 bytes without a pattern.
fn content() -> &'static [u8] {
    let mut state = 1_u32;
    let bytes: Vec<u8> = (0..200_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect();
    bytes.leak()
}

/// A folder for a download of [`content`].
struct Place {
    folder: tempfile::TempDir,
    file: PathBuf,
    part: PathBuf,
    sha256: String,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            file: folder.path().join("sub").join("data.bin"),
            part: folder.path().join("sub").join("data.bin.part"),
            sha256: hex::encode(&Sha256::digest(content())),
            folder,
        }
    }

    fn with_part(part: &[u8]) -> Self {
        let place = Self::new();
        fs::create_dir(place.folder.path().join("sub")).unwrap();
        fs::write(&place.part, part).unwrap();
        place
    }

    fn download(&self, server: &Server) -> Result<(), FetchError> {
        let url = format!("{}/data.bin", server.address);
        let target = Download {
            url: &url,
            bytes: content().len() as u64,
            sha256: &self.sha256,
            to: &self.file,
        };
        download(&target, |_| {})
    }

    fn assert_whole(&self) {
        assert_eq!(fs::read(&self.file).unwrap(), content());
        assert!(!self.part.exists());
    }

    fn assert_nothing_but(&self, part: Option<&[u8]>) {
        assert!(!self.file.exists());
        assert_eq!(fs::read(&self.part).ok().as_deref(), part);
    }
}

#[test]
fn a_file_arrives_whole_and_the_progress_is_reported() {
    let server = Server::start(serve_well(content()));
    let place = Place::new();
    let url = format!("{}/data.bin", server.address);
    let target = Download {
        url: &url,
        bytes: content().len() as u64,
        sha256: &place.sha256,
        to: &place.file,
    };
    let mut reported = Vec::new();
    download(&target, |bytes| reported.push(bytes)).unwrap();
    place.assert_whole();
    assert!(reported.is_sorted());
    assert_eq!(reported.last(), Some(&target.bytes));
}

#[test]
fn a_download_that_was_cut_is_continued() {
    let whole = content();
    let server = Server::start(move |request, connection| match request.range_start {
        // The server announces everything and hangs up in the middle.
        None => {
            let length = format!("Content-Length: {}\r\n", whole.len());
            respond(connection, "200 OK", &length, &whole[..70_000]);
        }
        Some(_) => serve_well(whole)(request, connection),
    });
    let place = Place::new();
    let cut = place.download(&server).unwrap_err();
    assert!(
        matches!(
            cut,
            FetchError::Incomplete {
                received: 70_000,
                expected: 200_000,
                ..
            }
        ),
        "{cut:?}"
    );
    place.assert_nothing_but(Some(&whole[..70_000]));
    place.download(&server).unwrap();
    place.assert_whole();
    let ranges: Vec<Option<usize>> = server
        .requests()
        .into_iter()
        .map(|(_, start)| start)
        .collect();
    assert_eq!(ranges, [None, Some(70_000)]);
}

#[test]
fn a_part_that_is_complete_is_not_asked_for() {
    let server = Server::start(serve_well(content()));
    let place = Place::with_part(content());
    place.download(&server).unwrap();
    place.assert_whole();
    assert_eq!(server.requests(), []);
}

#[test]
fn a_server_without_ranges_gives_the_file_from_the_start() {
    let whole = content();
    let server = Server::start(move |_, connection| {
        let length = format!("Content-Length: {}\r\n", whole.len());
        respond(connection, "200 OK", &length, whole);
    });
    let place = Place::with_part(&whole[..1_000]);
    place.download(&server).unwrap();
    place.assert_whole();
}

#[test]
fn a_rejected_or_wrong_range_restarts_the_download() {
    for (status, headers) in [
        ("416 Range Not Satisfiable", "Content-Length: 0\r\n"),
        (
            "206 Partial Content",
            "Content-Length: 0\r\nContent-Range: bytes 5-9/10\r\n",
        ),
    ] {
        let whole = content();
        let server = Server::start(move |request, connection| match request.range_start {
            Some(_) => respond(connection, status, headers, b""),
            None => serve_well(whole)(request, connection),
        });
        let place = Place::with_part(&whole[..1_000]);
        place.download(&server).unwrap();
        place.assert_whole();
    }
}

#[test]
fn a_part_of_another_file_is_given_up() {
    let server = Server::start(serve_well(content()));
    let place = Place::with_part(&[7; 1_000]);
    place.download(&server).unwrap();
    place.assert_whole();
    let ranges: Vec<Option<usize>> = server
        .requests()
        .into_iter()
        .map(|(_, start)| start)
        .collect();
    assert_eq!(ranges, [Some(1_000), None]);

    let longer = Place::with_part(&[7; 200_001]);
    longer.download(&server).unwrap();
    longer.assert_whole();
}

#[test]
fn other_bytes_are_refused_and_not_kept() {
    let mut altered = content().to_vec();
    altered[100_000] ^= 1;
    let server = Server::start(serve_well(altered.leak()));
    let place = Place::new();
    let error = place.download(&server).unwrap_err();
    let FetchError::WrongHash {
        expected, actual, ..
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(expected, place.sha256);
    assert_ne!(actual, expected);
    place.assert_nothing_but(None);
}

#[test]
fn an_earlier_file_stays_when_the_download_fails() {
    let server = Server::start(|_, connection| {
        respond(
            connection,
            "500 Internal Server Error",
            "Content-Length: 0\r\n",
            b"",
        );
    });
    let place = Place::with_part(b"");
    fs::write(&place.file, "earlier").unwrap();
    let error = place.download(&server).unwrap_err();
    assert!(
        matches!(error, FetchError::Status { status: 500, .. }),
        "{error:?}"
    );
    assert_eq!(fs::read(&place.file).unwrap(), b"earlier");
}

#[test]
fn a_file_of_another_size_is_refused_before_it_is_received() {
    for (size, announced) in [(200_001, "200001"), (199_999, "199999")] {
        let server = Server::start(move |_, connection| {
            let length = format!("Content-Length: {announced}\r\n");
            respond(connection, "200 OK", &length, &vec![0; size]);
        });
        let place = Place::new();
        let error = place.download(&server).unwrap_err();
        assert!(
            matches!(error, FetchError::WrongSize { expected: 200_000, actual, .. } if actual == size as u64),
            "{error:?}"
        );
        place.assert_nothing_but(None);
    }
}

#[test]
fn a_body_of_unknown_length_is_received_up_to_the_limit() {
    let whole = content();
    let server = Server::start(move |_, connection| {
        let body = [whole, &[0; 1_000_000]].concat();
        respond(connection, "200 OK", "", &body);
    });
    let place = Place::new();
    let error = place.download(&server).unwrap_err();
    assert!(matches!(error, FetchError::WrongSize { .. }), "{error:?}");
    place.assert_nothing_but(None);

    let server = Server::start(move |_, connection| respond(connection, "200 OK", "", whole));
    place.download(&server).unwrap();
    place.assert_whole();
}

#[test]
fn a_body_of_unknown_length_that_ends_early_is_incomplete() {
    let whole = content();
    let server = Server::start(move |_, connection| {
        respond(connection, "200 OK", "", &whole[..5_000]);
    });
    let place = Place::new();
    let error = place.download(&server).unwrap_err();
    assert!(
        matches!(
            error,
            FetchError::Incomplete {
                received: 5_000,
                ..
            }
        ),
        "{error:?}"
    );
    place.assert_nothing_but(Some(&whole[..5_000]));
}

#[test]
fn redirects_are_followed() {
    let whole = content();
    let server = Server::start(move |request, connection| match request.path.as_str() {
        "/data.bin" => respond(
            connection,
            "302 Found",
            "Location: /elsewhere\r\nContent-Length: 0\r\n",
            b"",
        ),
        _ => serve_well(whole)(request, connection),
    });
    let place = Place::with_part(&whole[..10]);
    place.download(&server).unwrap();
    place.assert_whole();
    let last = server.requests().pop().unwrap();
    assert_eq!(last, ("/elsewhere".to_owned(), Some(10)));
}

#[test]
fn a_redirect_to_itself_is_given_up() {
    let server = Server::start(|_, connection| {
        respond(
            connection,
            "301 Moved Permanently",
            "Location: /data.bin\r\nContent-Length: 0\r\n",
            b"",
        );
    });
    let place = Place::new();
    let error = place.download(&server).unwrap_err();
    assert!(
        matches!(error, FetchError::TooManyRedirects { .. }),
        "{error:?}"
    );
    assert_eq!(server.requests().len(), MAX_REDIRECTS as usize + 1);
    place.assert_nothing_but(None);
}

#[test]
fn what_is_not_there_or_not_a_server_is_named() {
    let server = Server::start(|_, connection| {
        respond(
            connection,
            "404 Not Found",
            "Content-Length: 9\r\n",
            b"not found",
        );
    });
    let place = Place::new();
    let error = place.download(&server).unwrap_err();
    assert!(
        matches!(error, FetchError::Status { status: 404, .. }),
        "{error:?}"
    );
    assert!(
        error
            .to_string()
            .contains("/data.bin answers with status 404"),
        "{error}"
    );

    let garbage = Server::start(|_, connection| {
        let _ = connection.write_all(b"good morning\r\n\r\n");
    });
    let error = place.download(&garbage).unwrap_err();
    assert!(matches!(error, FetchError::Unreachable { .. }), "{error:?}");

    let closed = Server {
        address: "http://127.0.0.1:1".to_owned(),
        requests: mpsc::channel().1,
    };
    let error = place.download(&closed).unwrap_err();
    assert!(matches!(error, FetchError::Unreachable { .. }), "{error:?}");
    place.assert_nothing_but(None);
}

#[test]
fn two_downloads_of_one_file_do_not_mix() {
    let server = Server::start(serve_well(content()));
    let place = Place::with_part(b"");
    let other = File::open(&place.part).unwrap();
    other.lock().unwrap();
    let error = place.download(&server).unwrap_err();
    assert!(matches!(error, FetchError::Busy { .. }), "{error:?}");
    drop(other);
    place.download(&server).unwrap();
    place.assert_whole();
}

/// Between opening a partial file and locking it, another download may do anything with it.
#[test]
fn a_partial_file_is_judged_once_it_is_locked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.bin.part");
    let file = open_appending(&path).unwrap();
    // The other download has received more.
    fs::write(&path, "abc").unwrap();
    assert_eq!(locked_length(&file, &path).unwrap(), Some(3));
    let other = open_appending(&path).unwrap();
    let busy = locked_length(&other, &path).unwrap_err();
    assert!(matches!(busy, TryLockError::WouldBlock), "{busy:?}");
    // The other download is complete, or has failed.
    #[cfg(unix)]
    {
        file.unlock().unwrap();
        fs::rename(&path, folder.path().join("data.bin")).unwrap();
        assert_eq!(locked_length(&other, &path).unwrap(), None);
        other.unlock().unwrap();
        drop(open_appending(&path).unwrap());
        assert_eq!(locked_length(&other, &path).unwrap(), None);
    }
}

#[test]
fn a_set_is_fetched_from_the_address_that_works() {
    let good = Server::start(serve_well(content()));
    let bad = Server::start(|_, connection| {
        respond(connection, "404 Not Found", "Content-Length: 0\r\n", b"");
    });
    let leak = |text: String| -> &'static str { text.leak() };
    let sha256 = leak(hex::encode(&Sha256::digest(content())));
    let urls = vec![
        leak(format!("{}/data.bin", bad.address)),
        leak(format!("{}/data.bin", good.address)),
    ];
    let file = |name, urls| registry::File {
        name,
        bytes: content().len() as u64,
        sha256,
        urls,
    };
    let mut set = Set {
        name: "test-set",
        title: "A set for this test",
        folder: "test/set",
        license: "none",
        citation: "none",
        package: None,
        by_hand: Some("make it yourself"),
        files: vec![file("first", urls.leak())].leak(),
    };
    let folder = tempfile::tempdir().unwrap();
    fetch_set(&set, folder.path(), |_, _| {}).unwrap();
    assert_eq!(
        fs::read(folder.path().join("test/set/first")).unwrap(),
        content()
    );

    // What is there is not requested again; what has no address is named.
    good.requests();
    set.files = vec![set.files[0], file("second", &[])].leak();
    let error = fetch_set(&set, folder.path(), |_, _| {}).unwrap_err();
    let expected =
        "the data set `test-set` cannot be downloaded whole (second); to get it: make it yourself";
    assert_eq!(error.to_string(), expected);
    assert_eq!(good.requests(), []);
}
