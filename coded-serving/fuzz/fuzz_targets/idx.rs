//! Every image that is read from IDX files is complete.

#![no_main]

use libfuzzer_sys::fuzz_target;
use septet_coded_serving::images::from_idx;

fuzz_target!(|files: (Vec<u8>, Vec<u8>)| {
    if let Ok(images) = from_idx(&files.0, &files.1) {
        for index in 0..images.len() {
            assert_eq!(images.image(index).len(), images.width());
        }
    }
});
