//! The program `sketch`, as a user meets it.

#![cfg(feature = "cli")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use septet_sketch::FlowKey;
use septet_sketch::codec::datasketches::CountMin;
use septet_sketch::oracle::{Features, HashedLinear, TextFeatures};
use serde_json::Value;

mod errors;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "../samples/mod.rs"]
mod samples;
#[cfg(feature = "train")]
mod training;

use samples::{ETHERNET, Packet, npy, npz, pcap, pcapng};

fn sketch(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sketch"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the program starts")
}

/// What the program prints when it succeeds.
#[track_caller]
fn prints(folder: &Path, arguments: &[&str]) -> String {
    let output = sketch(folder, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("the output is text")
}

#[track_caller]
fn json(folder: &Path, arguments: &[&str]) -> Value {
    let text = prints(folder, &[arguments, &["--json"]].concat());
    serde_json::from_str(&text).expect("the output is JSON")
}

/// What the program says when it fails with this exit code.
#[track_caller]
fn fails(folder: &Path, code: i32, arguments: &[&str]) -> String {
    let output = sketch(folder, arguments);
    let message = String::from_utf8(output.stderr).expect("the message is text");
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    message
}

const FLOW: &str = "10.1.2.3:4567 > 192.168.0.1:443 6";

#[test]
fn a_stream_is_counted_and_asked() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("words.txt"), "the\nfox\nthe\ndog\nthe\n").unwrap();
    for algorithm in ["cm", "cu", "cs", "ss", "mg", "datasketches"] {
        let build = [
            "build",
            "words.txt",
            "-o",
            "w.sk",
            "--bytes",
            "64KiB",
            "-a",
            algorithm,
        ];
        let built = json(folder, &build);
        assert_eq!(
            (&built["records"], &built["keys"]),
            (&5.into(), &"bytes".into())
        );
        let answers = json(folder, &["query", "w.sk", "the", "dog", "cat"]);
        let estimates = [0, 1, 2].map(|at| answers[at]["estimate"].as_f64().unwrap());
        assert_eq!(estimates, [3.0, 1.0, 0.0], "{algorithm}");
        let info = json(folder, &["info", "w.sk"]);
        assert_eq!(info["kind"], built["kind"]);
        let errors = json(folder, &["eval", "w.sk", "--truth", "words.txt"]);
        assert_eq!(
            errors["average_absolute_frequency_error"], 0.0,
            "{algorithm}"
        );
        assert_eq!(errors["exact"], 3);
        let table = prints(folder, &["query", "w.sk", "the"]);
        let last = table.lines().last().unwrap();
        assert!(
            table.starts_with("estimate") && last.ends_with("  the"),
            "{table}"
        );
    }
    // Two halves are as good as the whole.
    fs::write(folder.join("more.txt"), "fox\nbear\n").unwrap();
    for (file, streams) in [
        ("a", &["words.txt"][..]),
        ("b", &["more.txt"]),
        ("ab", &["words.txt", "more.txt"]),
    ] {
        prints(
            folder,
            &[
                &["build", "-o", file, "-a", "cm", "--bytes", "8KiB"],
                streams,
            ]
            .concat(),
        );
    }
    prints(folder, &["merge", "a", "b", "-o", "merged"]);
    assert_eq!(
        fs::read(folder.join("merged")).unwrap(),
        fs::read(folder.join("ab")).unwrap()
    );
    for encoding in ["raw", "zstd"] {
        prints(
            folder,
            &[
                "convert",
                "ab",
                "--to",
                "native",
                "--encoding",
                encoding,
                "-o",
                "c",
            ],
        );
        assert_eq!(json(folder, &["query", "c", "fox"])[0]["estimate"], 2.0);
    }
    // Nothing but the named files is left.
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "a",
            "ab",
            "b",
            "c",
            "merged",
            "more.txt",
            "w.sk",
            "words.txt"
        ]
    );
}

#[test]
fn the_most_frequent_keys_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("s.csv"), "key,n\na,5\nb,1\na,2\nc,4\n").unwrap();
    for options in [&["--top", "2"][..], &["-a", "ss"], &["-a", "mg"]] {
        let build = [
            "build",
            "s.csv",
            "-f",
            "csv:key:n",
            "-o",
            "s.sk",
            "--bytes",
            "32KiB",
        ];
        prints(folder, &[&build, options].concat());
        let top = prints(folder, &["topk", "s.sk", "-k", "2"]);
        assert_eq!(
            top,
            "rank  estimate  key\n   1         7  a\n   2         4  c\n"
        );
    }
    prints(folder, &["build", "s.csv", "-f", "csv:key:n", "-o", "s.sk"]);
    let message = fails(folder, 3, &["topk", "s.sk"]);
    assert!(
        message.contains("does not store keys: build it with --top"),
        "{message}"
    );
    let top = json(
        folder,
        &[
            "topk",
            "s.sk",
            "-k",
            "1",
            "--candidates",
            "s.csv",
            "-f",
            "csv:key",
        ],
    );
    assert_eq!(
        (&top[0]["key"], &top[0]["estimate"]),
        (&"a".into(), &7.0.into())
    );
}

#[test]
fn every_format_of_flows_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let packets = [
        Packet::tcp().bytes(),
        Packet::tcp().vlan(3).bytes(),
        vec![0; 20],
    ];
    fs::write(folder.join("a.pcap"), pcap(ETHERNET, &packets, false)).unwrap();
    fs::write(folder.join("b.pcapng"), pcapng(ETHERNET, &packets)).unwrap();
    let flow: FlowKey = FLOW.parse().unwrap();
    fs::write(folder.join("c.tuples13"), [flow.to_bytes(); 2].concat()).unwrap();
    let row = [10, 1, 2, 3, 192, 168, 0, 1, 6, 4567, 443_u16]
        .map(u16::to_le_bytes)
        .concat();
    let x = npy("<u2", "(1, 11)", &row);
    fs::write(
        folder.join("d.npz"),
        npz(&[("x", &x), ("y", &npy("|u1", "(1,)", &[2]))], true),
    )
    .unwrap();
    for (stream, format, skipped) in [
        ("a.pcap", None, 1),
        ("b.pcapng", None, 1),
        ("c.tuples13", None, 0),
        ("d.npz", Some("npz:x:y"), 0),
    ] {
        let format = format.map_or(vec![], |format| vec!["--format", format]);
        let build = ["build", stream, "-o", "f.sk", "--bytes", "4KiB"];
        let built = json(folder, &[&build, &format[..]].concat());
        assert_eq!(built["skipped"].as_u64().unwrap_or(0), skipped);
        assert_eq!(
            json(folder, &["query", "f.sk", FLOW])[0]["estimate"],
            2.0,
            "{stream}"
        );
    }
}

#[test]
fn standard_input_and_output_are_files_too() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str], input: &[u8]| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sketch"))
            .args(arguments)
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        output.stdout
    };
    #[cfg(feature = "compression")]
    {
        // Standard input is decompressed as a file is.
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"7\n8\n7\n").unwrap();
        let gzip = gzip.finish().unwrap();
        let file = run(&["build", "-", "-f", "integers", "-o", "-"], &gzip);
        assert_eq!(
            file,
            run(&["build", "-", "-f", "integers", "-o", "-"], b"7\n8\n7\n")
        );
    }
    let file = run(&["build", "-", "-f", "integers", "-o", "-"], b"7\n8\n7\n");
    assert!(file.starts_with(b"LSK1"));
    let answer = run(&["query", "-", "7", "--json"], &file);
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer[0]["estimate"], 2.0);
    let stream = prints(
        folder.path(),
        &["gen", "zipf", "--count", "100", "--keys", "9", "-o", "-"],
    );
    assert_eq!(stream.lines().count(), 100);
    assert!(stream.lines().all(|key| key.parse::<u64>().unwrap() < 9));
}

#[test]
fn sketches_of_datasketches_are_read_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut python = CountMin::<f64>::new(3, 512, 9001).unwrap();
    python.update("apple", 3.0);
    python.update("pear", 1.0);
    let bytes = python.to_bytes();
    fs::write(folder.join("p.bin"), &bytes).unwrap();
    let info = json(folder, &["info", "p.bin"]);
    assert_eq!(
        (&info["kind"], &info["format"]),
        (
            &"DataSketches count-min of f64".into(),
            &"DataSketches".into()
        )
    );
    let query = ["query", "p.bin", "apple", "--key-type", "text"];
    assert_eq!(json(folder, &query)[0]["estimate"], 3.0);
    let message = fails(folder, 3, &["query", "p.bin", "apple"]);
    assert!(message.contains("--key-type integers"), "{message}");
    // To C++ and back, through a file of this program.
    prints(
        folder,
        &["convert", "p.bin", "--to", "native", "-o", "n.sk"],
    );
    prints(
        folder,
        &["convert", "n.sk", "--to", "datasketches-cpp", "-o", "c.bin"],
    );
    assert_eq!(
        json(folder, &["info", "c.bin"])["kind"],
        "DataSketches count-min of u64"
    );
    let cells =
        CountMin::<u64>::from_bytes(&fs::read(folder.join("c.bin")).unwrap(), 9001).unwrap();
    assert_eq!(cells.estimate("apple"), 3);
    prints(
        folder,
        &[
            "convert",
            "c.bin",
            "--to",
            "datasketches-python",
            "-o",
            "p2.bin",
        ],
    );
    assert_eq!(fs::read(folder.join("p2.bin")).unwrap(), bytes);
    python.update("half", 0.5);
    fs::write(folder.join("h.bin"), python.to_bytes()).unwrap();
    let message = fails(
        folder,
        3,
        &["convert", "h.bin", "--to", "datasketches-cpp", "-o", "x"],
    );
    assert!(
        message.contains("weight: expected one that u64 holds, found"),
        "{message}"
    );
    // A sketch with another hash is no such sketch.
    fs::write(folder.join("w.txt"), "a\n").unwrap();
    prints(folder, &["build", "w.txt", "-o", "w.sk", "--bytes", "4KiB"]);
    let message = fails(
        folder,
        3,
        &["convert", "w.sk", "--to", "datasketches-cpp", "-o", "x"],
    );
    assert!(
        message.contains("build --algorithm datasketches"),
        "{message}"
    );
    assert!(!folder.join("x").exists());
}

#[test]
fn a_budget_is_divided() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prints(
        folder,
        &[
            "gen",
            "heteroflows",
            "--flows",
            "3000",
            "-o",
            "day.tuples13",
        ],
    );
    let plan = json(folder, &["plan", "day.tuples13", "--bytes", "8KiB"]);
    assert_eq!(plan["keys"], 3000);
    let number = |name: &str| plan[name].as_f64().unwrap();
    let spent = 8.0 * number("explicit_slots") + 4.0 * number("depth") * number("width");
    assert!((8000.0..=8192.0).contains(&spent), "{plan}");
    assert!(
        number("coverage") > 0.5 && number("predicted_error") > 0.0,
        "{plan}"
    );
    fs::write(folder.join("text.txt"), "One fox, two foxes. One fox!").unwrap();
    prints(
        folder,
        &[
            "gen",
            "ngrams",
            "text.txt",
            "--tokens-per-day",
            "3",
            "-o",
            "n.txt",
        ],
    );
    assert_eq!(
        fs::read_to_string(folder.join("n.txt"))
            .unwrap()
            .lines()
            .count(),
        3
    );
    let message = fails(
        folder,
        3,
        &["gen", "ngrams", "text.txt", "--day", "9", "-o", "x"],
    );
    assert!(message.contains("there is no day 9"), "{message}");
}

#[test]
fn full_learned_sketches_are_merged() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let features = TextFeatures::default();
    let weights = vec![0.0; 2 * Features::<str>::count(&features)];
    let model = HashedLinear::new::<str>(features, weights, 1.0).unwrap();
    model.save::<str>(folder.join("m.safetensors")).unwrap();
    let words = |from: u32| -> String {
        (from..from + 400)
            .map(|word| format!("word{word}\n").repeat(2))
            .collect()
    };
    fs::write(folder.join("a.txt"), words(0)).unwrap();
    fs::write(folder.join("b.txt"), words(300)).unwrap();
    fs::write(folder.join("both.txt"), words(0) + &words(300)).unwrap();
    let model = ["--model", "m.safetensors"];
    let build = |stream: &str, file: &str, options: &[&str]| {
        let build = ["build", stream, "-o", file, "--algorithm", "lcm"];
        let size = [
            "--bytes",
            "16KiB",
            "--exclude-model",
            "--expected-keys",
            "400",
        ];
        let built = json(folder, &[&build[..], &size, &model, options].concat());
        assert_eq!(built["saturated"], false, "{built}");
        built
    };
    let built = build("a.txt", "a.sk", &[]);
    assert!(built["used_slots"].as_u64() > Some(200), "{built}");
    build("b.txt", "b.sk", &[]);
    let merge = ["merge", "a.sk", "b.sk", "-o", "ab.sk"];
    let merged = json(folder, &[&merge[..], &model].concat());
    assert_eq!(merged["total"], 1600, "{merged}");
    let eval = ["eval", "ab.sk", "--truth", "both.txt"];
    let errors = json(folder, &[&eval[..], &model].concat());
    assert_eq!(errors["too_small"], 0, "{errors}");

    // With slots of 8 bytes the hashes that could be moved are not stored.
    build("a.txt", "a.sk", &["--slot", "8"]);
    build("b.txt", "b.sk", &["--slot", "8"]);
    let message = fails(folder, 4, &[&merge[..], &model].concat());
    assert!(message.contains("bucket"), "{message}");
}
