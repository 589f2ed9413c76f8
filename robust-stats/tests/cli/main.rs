//! The program `robust-stats`, as its users run it: every verb, and files that are not what they
//! should be. A panic would be exit code 101, an abort none at all.

mod damaged;
mod designs;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use septet_core::cli::testing::{Situation, TestedProgram};
use serde_json::Value;
use tempfile::TempDir;

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).expect("written");
        path
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_robust-stats"));
        command.current_dir(self.0.path());
        command.args(arguments.split_whitespace());
        command.env("RUST_BACKTRACE", "0");
        command
    }

    fn run(&self, arguments: &str) -> Output {
        self.command(arguments).output().expect("the program runs")
    }

    /// Runs a command that must end with this exit code, and gives its JSON.
    fn json_with(&self, code: i32, arguments: &str) -> Value {
        let output = self.run(&format!("--json {arguments}"));
        assert_eq!(output.status.code(), Some(code), "{arguments}: {output:?}");
        serde_json::from_slice(&output.stdout).expect("one JSON object")
    }

    fn json(&self, arguments: &str) -> Value {
        self.json_with(0, arguments)
    }

    /// Runs a command that must fail with a few readable lines, and gives them.
    fn error(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        readable(arguments, &output);
        let json = self.run(&format!("--json {arguments}"));
        assert_eq!(json.status.code(), output.status.code(), "{arguments}");
        let object: Value = serde_json::from_slice(&json.stderr).expect("one JSON object");
        assert!(object["error"].is_string(), "{object}");
        assert_eq!(object["exit_code"], Value::from(output.status.code()));
        String::from_utf8(output.stderr).expect("text")
    }

    /// Runs a command whose input is hostile: it may do its work or refuse, and nothing else.
    fn survives(&self, arguments: &str) {
        let output = self.run(arguments);
        if !matches!(output.status.code(), Some(0 | 1)) {
            readable(arguments, &output);
        }
    }

    fn encode(&self, arguments: &str, lines: &str) -> Output {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let mut input = child.stdin.take().expect("piped");
        // A program that has refused its arguments reads nothing.
        let _ = input.write_all(lines.as_bytes());
        drop(input);
        child.wait_with_output().expect("the program ends")
    }

    /// A design of 20 symbols in 4 cells with its key, and the reports of so many clients, of whom
    /// half hold symbol 0.
    fn design(&self, clients: usize) {
        self.write("key", "000102030405060708090a0b0c0d0e0f");
        self.json("protocol --domain 20 --cells 4 --groups 40 --out p");
        let output = self.encode(
            "encode --protocol p --key key --out r",
            &client_lines(0..clients),
        );
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
}

fn client_lines(clients: std::ops::Range<usize>) -> String {
    let line = |client: usize| {
        let symbol = if client.is_multiple_of(2) {
            0
        } else {
            client / 2 % 20
        };
        format!("client {client},{symbol}\n")
    };
    clients.map(line).collect()
}

/// An exit code of errors and one short block on standard error.
fn readable(arguments: &str, output: &Output) {
    let text = String::from_utf8(output.stderr.clone()).expect("text");
    let code = output.status.code();
    assert!(matches!(code, Some(3 | 4)), "{arguments}: {output:?}");
    assert!(text.starts_with("error: "), "{arguments}: {text}");
    assert!(text.lines().count() <= 4, "{arguments}: {text}");
    assert!(!text.contains("panicked"), "{arguments}: {text}");
}

#[test]
fn a_design_from_protocol_to_certificate() {
    let place = Place::new();
    place.design(6_000);
    let lines = client_lines(6_000..12_000);
    let output = place.encode("encode --protocol p --key key --out r2", &lines);
    assert_eq!(output.status.code(), Some(0));
    let first = place.json("aggregate --protocol p --key key --out c1 r");
    assert_eq!(
        (&first["reports"], &first["rejected"]),
        (&6_000.into(), &0.into())
    );
    place.json("aggregate --protocol p --key key --out c2 r2");
    let merged = place.json("merge --protocol p --out c c1 c2");
    assert_eq!(merged["reports"], 12_000);
    let both = place.json("aggregate --protocol p --key key --out both r r2");
    assert_eq!(both, merged);
    assert_eq!(
        fs::read(place.path("both")).unwrap(),
        fs::read(place.path("c")).unwrap()
    );

    let estimate = place.json("decode --protocol p --gamma 0.01 c");
    assert_eq!(estimate["manipulated"], false);
    assert_eq!(estimate["gamma_lower_bound"], 0.0);
    assert!(estimate["manipulation_bound"].as_f64().unwrap() > 0.0);
    assert!(estimate["iterations"].is_u64() && estimate["gap"].is_f64());
    let rows = estimate["estimates"].as_array().unwrap();
    assert_eq!(rows.len(), 20);
    // Half of the clients and a twentieth of the others: 0.525.
    assert!((rows[0]["mass"].as_f64().unwrap() - 0.525).abs() < 0.05);
    for decoder in [
        "least-squares --projection norm-sub",
        "linear --projection simplex",
        "maximum-likelihood",
        "ldp-recover",
        "block-median --blocks 5 --projection clip-and-normalize",
    ] {
        let estimate = place.json(&format!("decode --protocol p --decoder {decoder} c"));
        assert_eq!(
            estimate["estimates"].as_array().unwrap().len(),
            20,
            "{decoder}"
        );
    }

    let text = String::from_utf8(place.run("decode --protocol p c").stdout).unwrap();
    let header = text
        .lines()
        .position(|line| line.trim_start().starts_with("symbol"));
    let header = text.lines().nth(header.unwrap()).unwrap();
    let columns: Vec<&str> = header
        .split("  ")
        .map(str::trim)
        .filter(|c| !c.is_empty())
        .collect();
    assert_eq!(columns, ["symbol", "mass", "standard error"], "{text}");
    assert!(text.find("12000").unwrap() < text.find("symbol").unwrap());

    let test = place.json("test identity --draws 199 c");
    assert!(test["gamma_star"].as_f64().unwrap() > 0.05, "{test}");
    assert_eq!(test["tests"].as_array().unwrap().len(), 4);
    place.json("test identity --draws 99 --protocol p c");

    let attacked = place.json("attack --kind row-takeover --gamma 0.3 --out a c");
    assert_eq!(attacked["budget"], 3_600);
    let estimate = place.json_with(1, "decode --protocol p a");
    assert_eq!(estimate["manipulated"], true);
    assert_eq!(estimate["manipulation_bound"], Value::Null);
    let output = place.run("decode --protocol p --gamma 0.01 a");
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("exceeds --gamma"), "{text}");
    let lower = estimate["gamma_lower_bound"].as_f64().unwrap();
    assert!(lower > 0.0 && lower <= 0.3);
    let output = place.run("decode --protocol p a");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("manipulated: at least "), "{text}");
    assert!(
        text.lines()
            .next()
            .unwrap()
            .ends_with("% of the reports (95 % confidence)")
    );
}

#[test]
fn every_adversary_keeps_its_budget() {
    let place = Place::new();
    place.design(2_000);
    place.json("aggregate --protocol p --key key --out c r");
    for kind in [
        "sign-align",
        "same-message --symbol 3",
        "row-takeover",
        "max-coupling",
        "random-report",
        "random-item --targets 3,4",
        "maximal-gain --targets 3,4",
        "adaptive-poisoning --targets 3,4,5",
        "erasure --symbol 0",
        "replay --symbol 3",
        "wrong-group --symbol 3",
        "hill-climb --steps 5",
    ] {
        let attacked = place.json(&format!("attack --kind {kind} --gamma 0.1 --out a c"));
        assert_eq!(attacked["budget"], 200, "{kind}");
        let changed = attacked["changed"].as_u64().unwrap();
        assert!((1..=200).contains(&changed), "{kind}: {changed}");
        place.survives("decode --protocol p a");
    }
    for wrong in [
        "erasure --symbol 20",
        "random-item --targets 3,20",
        "emd-quantile",
    ] {
        place.error(&format!("attack --kind {wrong} --gamma 0.1 --out a c"));
    }
    place.error("attack --gamma 0.5 --out a c");

    // One group in which every symbol is a cell: counts of symbols.
    place.json("protocol --domain 20 --cells 20 --out central");
    place.encode(
        "encode --protocol central --group 0 --out r",
        &client_lines(0..2_000),
    );
    place.json("aggregate --protocol central --key key --out c r");
    for kind in [
        "emd-quantile",
        "emd-sorted",
        "threshold-walk --aim false-alarm",
    ] {
        let attacked = place.json(&format!("attack --kind {kind} --gamma 0.1 --out a c"));
        assert!(attacked["changed"].as_u64().unwrap() <= 200, "{kind}");
    }
    place.error("attack --kind emd-quantile --alpha 0.6 --gamma 0.1 --out a c");
}

#[test]
fn every_mechanism_from_protocol_to_estimate() {
    let place = Place::new();
    for mechanism in [
        "randomized-response",
        "symmetric-unary-encoding",
        "optimized-unary-encoding",
        "subset-selection",
        "local-hashing",
        "local-hashing --family 100",
        "hadamard-response",
        "count-mean-sketch --rows 4 --width 32",
        "hadamard-count-mean-sketch --rows 4 --width 32",
    ] {
        let protocol = format!("protocol --mechanism {mechanism} --domain 20 --epsilon 4 --out p");
        place.json(&protocol);
        let output = place.encode("encode --protocol p --out r", &client_lines(0..2_000));
        assert_eq!(output.status.code(), Some(0), "{mechanism}: {output:?}");
        place.json("aggregate --protocol p --out c1 r");
        let twice = place.json("aggregate --protocol p --out c2 r r");
        let expected = serde_json::json!({ "duplicate": 2_000 });
        assert_eq!(twice["reports"], 2_000, "{mechanism}: {twice}");
        assert_eq!(twice["reasons"], expected, "{mechanism}: {twice}");
        place.json("merge --protocol p --out c c1 c1");
        let estimate = place.json("decode --protocol p --projection simplex c");
        assert_eq!(estimate["reports"], 4_000);
        let masses = estimate["estimates"].as_array().unwrap();
        let sum: f64 = masses.iter().map(|row| row["mass"].as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{mechanism}: {sum}");
        for useless in [
            "--gamma 0.9",
            "--gamma 0.5",
            "--gamma 0.1",
            "--decoder linear",
        ] {
            place.error(&format!("decode --protocol p {useless} c"));
        }
    }
}

#[test]
fn tests_of_counts_match_labels() {
    let place = Place::new();
    place.write("a", "label,count\nx,300\ny,200\nz,100\n");
    place.write("same", "z,1\nx,3\ny,2\n");
    place.write("more", "z,1\nw,0\nx,3\ny,2\n");
    place.write("other", "x,3\ny,2\nq,1\n");
    for reference in ["same", "more"] {
        let test = place.json(&format!(
            "test identity --reference {reference} --draws 99 a"
        ));
        assert_eq!(test["tests"][0]["p_value"], 1.0, "{test}");
    }
    let error = place.error("test identity --reference other a");
    assert!(error.contains("found none for z"), "{error}");
    let uniform = place.json("test identity --draws 99 a");
    assert_eq!(uniform["tests"][0]["p_value"], 0.01);
    for statistic in [
        "chi-squared",
        "g",
        "collisions",
        "coincidences",
        "total-variation",
        "huber",
    ] {
        let test = place.json(&format!(
            "test identity --statistic {statistic} --draws 99 a"
        ));
        let p = test["p_value"].as_f64().unwrap();
        // Coincidences say nothing once every symbol was seen.
        assert_eq!(
            p,
            if statistic == "coincidences" {
                1.0
            } else {
                0.01
            },
            "{statistic}"
        );
    }
    let reduced = place.json("test identity --reduced --reference same --draws 99 a");
    assert!(reduced["tests"][0]["p_value"].as_f64().unwrap() > 0.01);
    let reduced = place.json("test identity --reduced --draws 99 --gamma 0 a");
    assert_eq!(reduced["tests"][0]["p_value"], 0.01);
    let both = place.json("test two-sample --draws 99 a same");
    assert_eq!(both["tests"][0]["p_value"], 1.0);
    place.write("table", "40,10\n10,40\n");
    let table = place.json("test independence --draws 99 table");
    assert_eq!(table["tests"][0]["p_value"], 0.01);

    let error = place.error("test identity absent");
    assert_eq!(error.matches("absent").count(), 1, "{error}");
    let error = place.error("test two-sample absent a");
    assert_eq!(error.matches("os error").count(), 1, "{error}");
    place.write("typo", "a,1O0\nb,7\n");
    let error = place.error("test identity typo");
    assert!(error.contains("line 1") && error.contains("1O0"), "{error}");
    for wrong in [
        "--gamma 0.5",
        "--level 0",
        "--draws 0",
        "--draws 1000000000000",
    ] {
        place.error(&format!("test identity a {wrong}"));
    }
}

#[test]
fn epsilons_that_hardly_protect_are_warned_of() {
    let place = Place::new();
    for verb in [
        "protocol --domain 10 --epsilon EPSILON --out p",
        "protocol --mechanism randomized-response --domain 10 --epsilon EPSILON --out p",
        "plan --domain 10 --gamma 0.01 --target 0.3 --epsilon EPSILON",
    ] {
        for (epsilon, warned) in [("10", false), ("10.5", true), ("20", true)] {
            let output = place.run(&verb.replace("EPSILON", epsilon));
            assert_eq!(output.status.code(), Some(0), "{verb} {epsilon}");
            let text = String::from_utf8(output.stderr).unwrap();
            let found = text.contains("warning") && text.contains("hardly protect");
            assert_eq!(found, warned, "{verb} {epsilon}: {text}");
        }
    }
}

#[test]
fn hash_functions_of_sketches_can_be_drawn_again() {
    let place = Place::new();
    for mechanism in ["count-mean-sketch", "hadamard-count-mean-sketch"] {
        let protocol = |options: &str| {
            let fixed = "--domain 10 --epsilon 1 --out p";
            place.json(&format!(
                "protocol --mechanism {mechanism} {fixed} {options}"
            ));
            fs::read(place.path("p")).unwrap()
        };
        assert_eq!(protocol("--hash-seed 7"), protocol("--hash-seed 7"));
        assert_ne!(protocol("--hash-seed 7"), protocol("--hash-seed 8"));
        assert_ne!(protocol(""), protocol(""), "drawn from 2^64");
    }
}

#[test]
fn plans_and_audits() {
    let place = Place::new();
    let plan = place.json("plan --domain 100 --gamma 0.01 --target 0.3 --bits 2");
    assert_eq!(plan["feasible"], true);
    let text = String::from_utf8(
        place
            .run("plan --domain 100 --gamma 0.01 --target 0.3 --bits 2")
            .stdout,
    )
    .unwrap();
    assert!(
        text.find("users").unwrap() < text.find("message bits").unwrap(),
        "{text}"
    );
    let plan = place.json("plan --domain 1000 --gamma 0.2 --target 0.01 --bits 1");
    assert_eq!(plan["feasible"], false);
    let audit = place.json("audit-privacy --domain 3 --epsilon 1");
    assert_eq!(audit["failed"], 0);
    place.error("audit-privacy --domain 9");
    for domain in [1, 2] {
        place.json(&format!("protocol --domain {domain} --cells 2 --out p"));
        let output = place.encode("encode --protocol p --group 0 --out r", "a,0\nb,0\n");
        assert_eq!(output.status.code(), Some(0));
        place.write("key", "000102030405060708090A0B0C0D0E0F");
        place.json("aggregate --protocol p --key key --out c r");
        let estimate = place.json("decode --protocol p c");
        assert!((estimate["estimates"][0]["mass"].as_f64().unwrap() - 1.0).abs() < 1e-3);
        place.json("test identity --draws 99 c");
    }
    let output = place.run("--json decode");
    assert_eq!(output.status.code(), Some(3));
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert!(error["error"].is_string());
}

#[test]
fn outputs_can_go_to_standard_output() {
    let program = TestedProgram::new(env!("CARGO_BIN_EXE_robust-stats"));
    let seed = "5a".repeat(32);
    let protocol = [
        "protocol", "--domain", "20", "--cells", "4", "--seed", &seed,
    ];
    let printed = program.output(&[&protocol[..], &["--out", "-"]].concat());
    let _ = program.prints(&[&protocol[..], &["--out", "p"]].concat());
    let written = fs::read(program.folder().join("p")).expect("readable");
    assert_eq!(printed.stdout, written);
    assert!(!program.folder().join("-").exists());
}

#[test]
fn exit_codes() {
    let program = TestedProgram::new(env!("CARGO_BIN_EXE_robust-stats"));
    program.write("a", "x,300\ny,200\n");
    program.write("damaged", "x,1O0\n");
    let _ = program.prints(&["protocol", "--domain", "20", "--cells", "4", "--out", "p"]);
    program.write("wrong", [1, 0xff, 0xff]);
    program.check(&[
        (Situation::Usage, &["decode"]),
        (Situation::Usage, &["--no-such-option"]),
        (
            Situation::Usage,
            &["protocol", "--domain", "0", "--out", "q"],
        ),
        (
            Situation::Usage,
            &[
                "plan", "--domain", "10", "--gamma", "0.5", "--target", "0.1",
            ],
        ),
        (Situation::Usage, &["audit-privacy", "--domain", "9"]),
        (
            Situation::Usage,
            &["test", "identity", "a", "--gamma", "0.5"],
        ),
        (Situation::MissingData, &["test", "identity", "absent"]),
        (
            Situation::MissingData,
            &["decode", "--protocol", "absent", "a"],
        ),
        (Situation::DamagedData, &["test", "identity", "damaged"]),
        (
            Situation::DamagedData,
            &["decode", "--protocol", "wrong", "a"],
        ),
        (
            Situation::ClosedPipe,
            &["test", "identity", "--draws", "9", "a"],
        ),
        #[cfg(unix)]
        (
            Situation::Interrupted,
            &["encode", "--protocol", "p", "--group", "0", "--out", "r"],
        ),
    ]);
}
