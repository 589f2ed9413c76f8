//! Errors as programs print them: with their causes, each once.

use std::error::Error;
use std::path::Path;

use septet_cache::trace::{self, ReadOptions, TraceFormat};

#[test]
fn the_cause_of_an_error_is_reported_once() {
    let path = Path::new("/nonexistent.csv");
    let error = trace::open(path, TraceFormat::Txt, &ReadOptions::default()).err();
    let mut next: Option<&dyn Error> = error.as_ref().map(|error| error as _);
    let mut chain = String::new();
    while let Some(error) = next {
        chain.push_str(&format!("{error}: "));
        next = error.source();
    }
    assert!(
        chain.starts_with("/nonexistent.csv cannot be read or written: "),
        "{chain}"
    );
    assert_eq!(chain.matches("os error 2").count(), 1, "{chain}");
}
