//! Decodes a learned sketch.

#![no_main]

use septet_sketch::CountMin;
use septet_sketch::codec::native::Options;
use septet_sketch::learned::{Learned, Slot8};
use septet_sketch_fuzz::{MEMORY, Parity, sealed};

type Sketch = Learned<u64, CountMin<u32>, Parity, Slot8>;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Ok(mut sketch) = Sketch::from_bytes_with_limit(&sealed(input), Parity, MEMORY) else {
        return;
    };
    let bytes = sketch
        .to_bytes(&Options::default())
        .expect("no compression");
    let again = Sketch::from_bytes_with_limit(&bytes, Parity, 2 * MEMORY).expect("what was written");
    assert_eq!(
        again.to_bytes(&Options::default()).expect("no compression"),
        bytes
    );
    // It goes on without a panic.
    sketch.update_batch(&[1, 2, 3, 4, 4, 4]);
    let _ = sketch.estimate(&4);
});
