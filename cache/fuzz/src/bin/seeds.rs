//! Writes a small well-formed input for each target into `fuzz/corpus/`, from which fuzzing starts:
//! random bytes do not hit magic numbers and checksums.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::Path;

use septet_cache::SeedTree;
use septet_cache::trace::generate::{LogNormalSizes, Pattern};
use septet_cache::trace::{self, Trace, TraceFormat, write_to};

const REQUESTS: usize = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let save = |target: &str, name: &str, bytes: &[u8]| {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), bytes)
    };
    let trace = sample()?;
    for format in TraceFormat::ALL {
        let target = match format {
            TraceFormat::OracleGeneral => "oracle_general".to_owned(),
            _ => format.name().replace('-', "_"),
        };
        let mut bytes = Vec::new();
        if write_to(&mut bytes, format, &trace).is_err() {
            bytes = by_hand(format).to_vec();
        }
        if format == TraceFormat::Csv {
            save(
                &target,
                "columns",
                &[b"obj-id-col=id,delimiter=,\0", &bytes[..]].concat(),
            )?;
            bytes.insert(0, 0);
        }
        save(&target, "seed", &bytes)?;
    }
    // The self-describing header, and the versions with further fields.
    let mut lcs = Vec::new();
    write_to(&mut lcs, TraceFormat::Lcs, &trace)?;
    for version in 2..=8 {
        lcs[8] = version;
        save("lcs", &format!("version-{version}"), &lcs)?;
    }
    let mut described = lcs[..8].to_vec();
    described.extend(b"<IQIq");
    described.resize(1024, 0);
    described[248..251].copy_from_slice(&[2, 3, 1]);
    described[252] = 4;
    described[1004] = 24;
    described[1016..].copy_from_slice(&lcs[..8]);
    described.extend(&lcs[8192..]);
    save("lcs", "described", &described)?;

    for (choice, suffix) in [(0, "gz"), (1, "zst"), (2, "xz")] {
        let path = std::env::temp_dir().join(format!("septet-cache-seed.txt.{suffix}"));
        trace::write(&path, TraceFormat::Txt, &trace)?;
        let bytes = [&[choice], &fs::read(&path)?[..]].concat();
        fs::remove_file(&path)?;
        save("compressed", suffix, &bytes)?;
    }
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for method in [
        zip::CompressionMethod::Stored,
        zip::CompressionMethod::Deflated,
    ] {
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        archive.start_file(format!("{method:?}.txt"), options)?;
        archive.write_all(b"1\n2\n1\n")?;
    }
    save("archive", "two", archive.finish()?.get_ref())?;
    save(
        "text_arguments",
        "columns",
        b"time-col=1, obj-id-col=name, delimiter=,, has-header=true",
    )?;
    save(
        "text_arguments",
        "pattern",
        b"DriftingZipf(objects=5, alpha=0.5, period=3)",
    )?;
    save(
        "text_arguments",
        "policy",
        b"D(FtP, R(LRU, Marker, epsilon=0.1), gamma=0.01)",
    )?;
    Ok(())
}

fn sample() -> Result<Trace, Box<dyn Error>> {
    let seed = SeedTree::new(0);
    let pattern: Pattern = "mcf-like(lines=64)".parse()?;
    let sizes = LogNormalSizes {
        median: 1000.0,
        sigma: 3.0,
    };
    let requests = sizes.assign(pattern.requests(&seed)?, &seed)?;
    let records = requests.take(REQUESTS).zip(0..).map(|(mut record, time)| {
        record.time = time;
        Ok(record)
    });
    let mut trace = Trace::from_records(records)?;
    trace.annotate();
    Ok(trace)
}

/// A sample of a format that is only read.
fn by_hand(format: TraceFormat) -> &'static [u8] {
    match format {
        TraceFormat::Arc => b"100 3 0 0\n5 1 0 1\n18446744073709551610 6 0 2\n",
        TraceFormat::Lirs => b"5\r\n*\r\n17\n5\n",
        TraceFormat::Address => b"l 0x1fffff60 1\ns 0x20 12\n",
        _ => b"\0\0\0\x05\0\0\0\x07\0\0\0\x05\0\0\0\x08",
    }
}
