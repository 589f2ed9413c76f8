//! Writes small well-formed inputs for each target into `fuzz/corpus/`, from which fuzzing starts:
//! magic numbers and sizes cannot be found at random.

use std::error::Error;
use std::fs;
use std::path::Path;

use septet_sketch::codec::datasketches;
use septet_sketch::codec::native::{Encoding, Native, Options};
use septet_sketch::heavy_hitters::{MisraGries, SpaceSaving, TopK};
use septet_sketch::learned::{Learned, Threshold};
use septet_sketch::stream::{StreamFormat, Writer};
use septet_sketch::{AnyKey, CountMin, CountSketch, FrequencySketch};
use septet_sketch_fuzz::Parity;

#[path = "../../../tests/samples/mod.rs"]
mod samples;
use samples::{ETHERNET, Packet, npy, npz, pcap, pcapng};

const ENCODINGS: [Encoding; 3] = [Encoding::Raw, Encoding::Varint, Encoding::Zstd];

fn save(target: &str, name: &str, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    fs::create_dir_all(&folder)?;
    Ok(fs::write(folder.join(name), bytes)?)
}

fn save_sketch(target: &str, name: &str, sketch: &impl Native) -> Result<(), Box<dyn Error>> {
    for encoding in ENCODINGS {
        let bytes = sketch.to_bytes(&Options::default().encoding(encoding))?;
        save(target, &format!("{name}-{encoding:?}"), &bytes)?;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    streams()?;
    sketches()
}

fn streams() -> Result<(), Box<dyn Error>> {
    save("lines", "seed", b"one\r\ntwo\n\nthree")?;
    save("integers", "seed", b"1\n22\n 333\n\n4444\n")?;
    save(
        "table",
        "names",
        b"\x03n,word\n1,\"a,\"\"b\"\n22,c\n3,\"d\ne\"\n",
    )?;
    save("table", "numbers", b"\x01a,1,x\nb,2,y\n")?;
    save("table", "tabs", b"\x04n\tm\n1\t2\n")?;
    save("flows", "seed", b"abcdefghijklmnopqrstuvwxyz")?;
    save(
        "blocks",
        "seed",
        b"100 3 0 0\n5 1 0 1\n18446744073709551610 6 0 2\n",
    )?;
    let packets = [Packet::tcp().bytes(), Packet::udp().vlan(3).bytes()];
    save("capture", "little", &pcap(ETHERNET, &packets, false))?;
    save("capture", "big", &pcap(ETHERNET, &packets, true))?;
    save("capture", "pcapng", &pcapng(ETHERNET, &packets))?;
    for link in [0, 12, 101, 113, 276] {
        let packet = [&[0; 20][..], &Packet::tcp().ip()].concat();
        save(
            "capture",
            &format!("link-{link}"),
            &pcap(link, &[packet], false),
        )?;
    }
    let numbers: Vec<u8> = (0..22_u32).flat_map(u32::to_le_bytes).collect();
    let keys = npy("<u4", "(22,)", &numbers);
    save("array", "keys", &keys)?;
    save("array", "flows", &npy(">i4", "(2, 11)", &numbers))?;
    save("array", "bytes", &npy("|u1", "(4, 1)", b"abcd"))?;
    for compressed in [false, true] {
        let archive = npz(&[("x", &keys), ("y", &keys)], compressed);
        save("archive", &format!("compressed-{compressed}"), &archive)?;
    }
    for (choice, suffix) in [(0, "gz"), (1, "zst")] {
        let path = std::env::temp_dir().join(format!("septet-sketch-seed.txt.{suffix}"));
        let mut writer = Writer::create(&path, StreamFormat::Lines)?;
        for key in 0..20 {
            writer.write(&AnyKey::Integer(key))?;
        }
        writer.finish()?;
        save(
            "compressed",
            suffix,
            &[&[choice], &fs::read(&path)?[..]].concat(),
        )?;
        fs::remove_file(&path)?;
    }
    for (name, text) in [
        ("table", "csv:key:count"),
        ("archive", "npz:x:y"),
        ("flow", "10.1.2.3:4567 > 192.168.0.1:443 6"),
    ] {
        save("stream_format", name, text.as_bytes())?;
    }
    Ok(())
}

fn sketches() -> Result<(), Box<dyn Error>> {
    let mut count_min = CountMin::<u32>::builder().bytes(256).build()?;
    let mut bytes = CountMin::<u8>::builder().bytes(256).build()?;
    let mut count_sketch = CountSketch::<i32>::builder().bytes(256).build()?;
    let mut gries = MisraGries::<AnyKey>::new(7, 0)?;
    let mut saving = SpaceSaving::<String>::new(7, 0)?;
    let mut top = TopK::<AnyKey, _>::new(4, count_min.clone())?;
    let mut datasketches = datasketches::CountMin::<f64>::new(2, 9, 9001)?;
    save("datasketches", "empty", &datasketches.to_bytes())?;
    for key in 0..40_u64 {
        count_min.update_by(&key, key * 999);
        bytes.update_by(&key, 99);
        count_sketch.update(&key);
        let any = match key % 2 {
            0 => AnyKey::Integer(key),
            _ => AnyKey::Bytes(key.to_string().into()),
        };
        gries.update(&any);
        top.update(&any);
        saving.update(key.to_string().as_str());
        datasketches.update(key, 0.5);
    }
    save_sketch("count_min", "u32", &count_min)?;
    save_sketch("count_min", "u8", &bytes)?;
    save_sketch("count_sketch", "i32", &count_sketch)?;
    save_sketch("misra_gries", "mixed", &gries)?;
    save_sketch("space_saving", "text", &saving)?;
    save_sketch("top_k", "mixed", &top)?;
    save_sketch("datasketches", "native", &datasketches)?;
    save("datasketches", "f64", &datasketches.to_bytes())?;
    save(
        "datasketches",
        "u64",
        &datasketches.convert::<f64>()?.to_bytes(),
    )?;
    for (name, threshold) in [
        ("fixed", Threshold::Fixed(0.5)),
        ("adaptive", Threshold::Adaptive { keys_per_slot: 1.1 }),
    ] {
        let mut learned = Learned::<u64, CountMin<u32>, Parity>::builder(Parity)
            .bytes(3000)
            .threshold(threshold)
            .expected_keys(100)
            .rejection_cache_bits(Some(4))
            .build(|bytes| CountMin::builder().bytes(bytes.min(512)).build())?;
        learned.update_batch(&[1, 2, 3, 4, 4, 4, 8, 6]);
        for encoding in ENCODINGS {
            let bytes = learned.to_bytes(&Options::default().encoding(encoding))?;
            save("learned", &format!("{name}-{encoding:?}"), &bytes)?;
        }
    }
    Ok(())
}
