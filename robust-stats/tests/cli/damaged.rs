//! Files, numbers and streams that are not what they should be: refused in a few readable lines.

use std::fs;
use std::path::Path;

use septet_core::cli::testing::TestedProgram;

use super::{Place, readable};

fn cut(path: &Path) -> impl Iterator<Item = Vec<u8>> {
    let bytes = fs::read(path).expect("there");
    (0..bytes.len()).map(move |length| bytes[..length].to_vec())
}

#[test]
fn numbers_that_no_reports_have_are_refused() {
    let place = Place::new();
    let huge = u64::MAX;
    let line = "a,8000000000000000\n";
    let rows: String = (0..20).map(|row| format!("{row}{line}")).collect();
    place.write("sum", &rows);
    for verb in [
        "identity",
        "identity --reduced",
        "two-sample sum",
        "identity --statistic g",
    ] {
        let error = place.error(&format!("test {verb} sum --draws 9"));
        assert!(error.contains("a sum of at most"), "{error}");
    }
    place.write("many", "a,9000000000000000\n");
    let error = place.error("test identity many --draws 9");
    assert!(error.contains("a count below 9000000000000000"), "{error}");
    place.write("half", "a,0.5\n");
    let error = place.error("test identity half --draws 9");
    assert!(error.contains("an integer count"), "{error}");
    place.write("trillions", "a,4000000000000\nb,4000000000000\n");
    place.error("test two-sample trillions trillions --draws 9");
    place.error("test identity --reduced trillions --draws 9");
    place.write("table", format!("{huge},{huge}\n{huge},1\n"));
    place.error("test independence table");
    for protocol in [
        "--mechanism local-hashing --domain 10 --epsilon 20 --family 4294967295",
        "--mechanism randomized-response --domain 4294967295 --epsilon 1",
        "--mechanism randomized-response --domain 99999999999 --epsilon 1",
        "--mechanism count-mean-sketch --domain 4294967295 --epsilon 1",
        "--mechanism local-hashing --family 9 --domain 4294967295 --epsilon 1",
        "--mechanism randomized-response --domain 10 --epsilon 1e-10",
        "--mechanism randomized-response --domain 10 --epsilon 1000",
        "--mechanism randomized-response --domain 10",
        "--domain 4294967295",
        "--domain 0",
        "--domain 10 --seed 12",
        "--domain 10 --cells 2 --groups 4294967295",
    ] {
        place.error(&format!("protocol {protocol} --out p"));
    }
    assert!(!place.path("p").exists());
    for plan in [
        "--domain 10 --gamma 0.5 --target 0.1",
        "--domain 10 --gamma 0.01 --target 0.1 --epsilon 1000",
        "--domain 10 --gamma 0.01 --target 0.1 --epsilon 0",
    ] {
        place.error(&format!("plan {plan}"));
    }
    // A negative number is no option.
    for (verb, expected) in [
        ("protocol --domain 10 --epsilon -1 --out p", "found -1"),
        ("plan --domain 10 --gamma -0.1 --target 0.1", "found -0.1"),
        ("audit-privacy --epsilon -1", "found -1"),
        ("test identity many --gamma -0.5", "found -0.5"),
        ("attack --gamma -0.5 --out a many", "found -0.5"),
    ] {
        let error = place.error(verb);
        assert!(error.contains(expected), "{verb}: {error}");
    }
    // The same from a file that somebody else has made: epsilon 1 in eight bytes.
    for kind in [1, 2, 3, 4] {
        let epsilon = 1.0_f64.to_le_bytes();
        let domain = [0xff, 0xff, 0xff, 0xff, 0x0f];
        place.write("large", [&[1, 64, kind][..], &domain, &epsilon].concat());
        for verb in [
            "aggregate --protocol large --out o large",
            "encode --protocol large --out o",
        ] {
            let error = place.error(verb);
            assert!(error.contains("at most"), "{error}");
        }
    }
    // A few bytes that speak of a design with 2^30 - 1 symbols: GRR's counts, and a design's.
    let design = [1, 66, 0, 0xff, 0xff, 0xff, 0xff, 0x03, 1, 1, 0];
    let counts = [&design[..], &[0; 8], &[7; 32], &[0; 8], &[5]].concat();
    place.write("wide", counts);
    for verb in ["test identity", "attack --gamma 0.1 --out a"] {
        let error = place.error(&format!("{verb} wide"));
        assert!(error.contains("--protocol"), "{error}");
    }
}

#[test]
fn broken_streams_are_counted_and_no_error() {
    let place = Place::new();
    place.design(20);
    for (length, bytes) in cut(&place.path("r")).enumerate() {
        place.write("cut", bytes);
        let counts = place.json("aggregate --protocol p --key key --out c r cut");
        // Twenty of the whole file, whose clients are then duplicates, and at most one cut report.
        assert_eq!(counts["reports"], 20);
        let rejected = &counts["reasons"];
        let truncated = rejected["truncated"].as_u64().unwrap_or(0);
        let duplicates = rejected["duplicate"].as_u64().unwrap_or(0);
        assert!(truncated <= 1 && duplicates < 20, "{length}: {counts}");
        assert_eq!(counts["rejected"], truncated + duplicates);
    }
    // Another protocol's reports: all are rejected, and a person is told.
    place.json("protocol --domain 20 --cells 4 --groups 40 --epoch 1 --out later");
    let output = place.run("aggregate --protocol later --key key --out c r");
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("warning") && text.contains("epoch"), "{text}");
    let error = place.error("decode --protocol later c");
    assert!(error.contains("no reports"), "{error}");
}

/// Bytes from a fixed linear congruence: no file anybody wrote.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 12_345_u64;
    let step = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    (0..length).map(step).collect()
}

#[test]
fn hostile_files_are_refused() {
    let place = Place::new();
    place.design(50);
    place.json("aggregate --protocol p --key key --out c r");
    place.json("protocol --mechanism randomized-response --domain 5 --epsilon 1 --out grr");
    let output = place.encode("encode --protocol grr --out r5", "a,1\nb,2\n");
    assert_eq!(output.status.code(), Some(0));
    place.json("aggregate --protocol grr --out c5 r5");
    place.write("empty", "");
    place.write("noise", noise(500));
    place.write("ones", [0xff; 300]);
    place.write("version", [1, 0xff, 0xff]);
    place.write("lines", "1\n2\n");
    for file in ["empty", "noise", "ones", "version", "lines", "absent", "."] {
        for verb in [
            "decode --protocol p FILE",
            "decode --protocol FILE c",
            "decode --protocol grr FILE",
            "merge --protocol p --out o c FILE",
            "merge --protocol grr --out o c5 FILE",
            "aggregate --protocol FILE --key key --out o r",
            "aggregate --protocol p --key FILE --out o r",
            "encode --protocol FILE --key key --out o",
            "test identity FILE",
            "test identity --reference FILE c",
            "test two-sample FILE FILE",
            "attack --gamma 0.1 --out o FILE",
            "attack --gamma 0.1 --kind max-coupling --truth FILE --out o c",
        ] {
            place.error(&verb.replace("FILE", file));
        }
        // One column of numbers is a table, and reports that are none are counted.
        for verb in [
            "test independence FILE",
            "aggregate --protocol p --key key --out o FILE",
            "aggregate --protocol grr --out o FILE",
        ] {
            place.survives(&verb.replace("FILE", file));
        }
    }
    // What is no text is told as what it is.
    let error = place.error("test identity p");
    assert!(error.contains("found a protocol"), "{error}");
    let error = place.error("test identity c5");
    assert!(error.contains("found the counts of a mechanism"), "{error}");
    let error = place.error("decode --protocol p --gamma 0.9 c");
    assert!(error.contains("gamma"), "{error}");
    place.error("decode --protocol grr c");
    place.error("decode --protocol p c5");
    place.error("decode --protocol p --projection simplex c");
    place.error("decode --protocol p --decoder linear --blocks 2 c");
    for lines in ["a\n", "a,b\n", "a,-1\n", "a,99\n"] {
        let output = place.encode("encode --protocol grr --out o", lines);
        readable(lines, &output);
    }
}

#[test]
fn files_cut_at_every_length_are_refused() {
    let place = Place::new();
    place.design(10);
    place.json("aggregate --protocol p --key key --out c r");
    for bytes in cut(&place.path("c")) {
        place.write("cut", bytes);
        place.error("test identity cut");
        let output = place.run("decode --protocol p cut");
        readable("decode", &output);
    }
    for bytes in cut(&place.path("p")) {
        place.write("cut", bytes);
        let output = place.run("decode --protocol cut c");
        readable("decode", &output);
    }
}

#[test]
fn lines_of_standard_input_are_of_bounded_length() {
    let program = TestedProgram::new(env!("CARGO_BIN_EXE_robust-stats"));
    let protocol = ["--mechanism", "randomized-response", "--epsilon", "1"];
    let size = ["protocol", "--domain", "20", "--out", "p"];
    let _ = program.prints(&[&size[..], &protocol].concat());
    let lines = program.write("lines", format!("a,1\n{},2\n", "b".repeat(2 << 20)));
    let mut command = program.command(&["encode", "--protocol", "p", "--out", "r"]);
    let output = command
        .stdin(fs::File::open(lines).expect("readable"))
        .output();
    let output = output.expect("the program runs");
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{message}");
    assert!(message.contains("line 2"), "{message}");
    assert!(!program.folder().join("r").exists());
}
