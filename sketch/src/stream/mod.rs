//! Streams of keys: generators, and readers of files.
