//! A protocol, or its file, that is read is written as the same bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use septet_robust_stats::wire::{Protocol, ProtocolFile};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(protocol) = Protocol::from_bytes(bytes) {
        assert_eq!(protocol.to_bytes(), bytes);
        let _ = protocol.tag();
    }
    if let Ok(file) = ProtocolFile::from_bytes(bytes) {
        // A protocol alone is a file without sections, but written in another form.
        let written = file.to_bytes().expect("read from bytes");
        assert_eq!(ProtocolFile::from_bytes(&written).expect("written"), file);
    }
});
