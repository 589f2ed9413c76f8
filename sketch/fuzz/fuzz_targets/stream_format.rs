//! Reads the names of formats, and keys as people write them.

#![no_main]

use septet_sketch::stream::StreamFormat;
use septet_sketch::{AnyKey, KeyType};

libfuzzer_sys::fuzz_target!(|input: &str| {
    if let Ok(format) = input.parse::<StreamFormat>() {
        let again: StreamFormat = format.to_string().parse().expect("a format's own name");
        assert_eq!(again, format);
    }
    for key_type in [KeyType::Integer, KeyType::Flow] {
        if let Ok(key) = AnyKey::parse(key_type, input) {
            assert_eq!(
                AnyKey::parse(key_type, &key.to_string()).expect("its own text"),
                key
            );
        }
    }
});
