//! A protocol that is read is written as the same bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use septet_robust_stats::wire::Protocol;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(protocol) = Protocol::from_bytes(bytes) {
        assert_eq!(protocol.to_bytes(), bytes);
        let _ = protocol.tag();
    }
});
