//! Decodes a sketch of DataSketches; what is read is written byte for byte.

#![no_main]

use septet_sketch::codec::datasketches::{Cell, CellType, CountMin};

fn check<C: Cell>(input: &[u8]) {
    if let Ok(sketch) = CountMin::<C>::from_bytes(input, 9001) {
        assert_eq!(sketch.to_bytes(), input);
        let _ = sketch.estimate("key");
        let _ = sketch.convert::<f64>();
        let _ = sketch.convert::<u64>();
    }
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    check::<f64>(input);
    check::<u64>(input);
    check::<i64>(input);
    let _ = CellType::detect(input);
    septet_sketch_fuzz::decode::<CountMin<f64>>(input);
});
