//! An HTTP request survives a round trip of reading, writing and reading. The first byte selects whether
//! the header with the length of the JSON is present, the next two are that length.

#![no_main]

use libfuzzer_sys::fuzz_target;
use septet_coded_serving::protocol::http::{read_request, write_request};

fuzz_target!(|bytes: &[u8]| {
    let [has_length, low, high, body @ ..] = bytes else {
        return;
    };
    let length = usize::from(u16::from_le_bytes([*low, *high]));
    let length = (has_length % 2 == 1).then_some(length);
    let Ok((request, _)) = read_request(body, length) else {
        return;
    };
    let finite = request.inputs.iter().all(|one| one.tensor.is_finite());
    for binary in [false, true] {
        if !(finite || binary) {
            continue;
        }
        let written = write_request(&request, binary).expect("what was read can be written");
        let (again, _) = read_request(&written.bytes, written.json_length).expect("it is valid");
        if finite {
            assert_eq!(again, request);
        }
    }
});
