//! Invalid responses of workers are rejected.

#![no_main]

use libfuzzer_sys::fuzz_target;
use septet_coded_serving::protocol::TraceParent;
use septet_coded_serving::protocol::http::{json_length, read_response};

fuzz_target!(|bytes: &[u8]| {
    let half = bytes.len() / 2;
    let (header, body) = bytes.split_at(half.min(20));
    let _ = read_response(body, None);
    if let Ok(length) = json_length(Some(header), body.len()) {
        let _ = read_response(body, length);
    }
    if let Some(parent) = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<TraceParent>().ok()) {
        assert_eq!(parent.to_string().parse(), Ok(parent));
    }
});
