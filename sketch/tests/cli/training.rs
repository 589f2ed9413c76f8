//! Oracles that are trained.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::{fails, json, prints};

#[test]
fn an_oracle_is_trained_and_used() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for window in ["0", "1"] {
        let file = format!("day{window}.tuples13");
        let flows = ["--flows", "4000", "--window", window, "-o", &file];
        prints(folder, &[&["gen", "heteroflows"], &flows[..]].concat());
    }
    let train = [
        "train",
        "day0.tuples13",
        "-o",
        "m.safetensors",
        "--network",
        "linear",
    ];
    let options = [
        "--steps",
        "150",
        "--learning-rate",
        "0.01",
        "--rows",
        "64",
        "--validation",
        "day1.tuples13",
    ];
    let trained = json(folder, &[&train[..], &options].concat());
    assert!(
        trained["coverage_at_12_%"].as_f64().unwrap() > 0.3,
        "{trained}"
    );
    let build = [
        "build",
        "day1.tuples13",
        "-o",
        "l.sk",
        "--algorithm",
        "lcm",
        "--bytes",
        "16KiB",
    ];
    let learned = ["--model", "m.safetensors", "--validation", "day0.tuples13"];
    let built = json(folder, &[&build[..], &learned].concat());
    assert!(built["coverage"].as_f64().unwrap() > 0.1, "{built}");
    assert!(built["bytes"].as_u64().unwrap() <= 16 << 10, "{built}");
    let message = fails(folder, 3, &["info", "l.sk"]);
    assert!(
        message.contains("needs the model of its oracle: --model"),
        "{message}"
    );
    let eval = [
        "eval",
        "l.sk",
        "--truth",
        "day1.tuples13",
        "--model",
        "m.safetensors",
    ];
    let errors = json(folder, &eval);
    assert_eq!(errors["too_small"], 0, "{errors}");
    let planned = [
        "plan",
        "day1.tuples13",
        "--bytes",
        "16KiB",
        "--model",
        "m.safetensors",
    ];
    assert!(json(folder, &planned)["model_bytes"].as_u64().unwrap() > 2000);
    // A stream of other keys.
    fs::write(folder.join("w.txt"), "word\n").unwrap();
    let build = [
        "build",
        "w.txt",
        "-o",
        "x",
        "--algorithm",
        "lcm",
        "--expected-keys",
        "9",
    ];
    let message = fails(
        folder,
        4,
        &[&build[..], &["--model", "m.safetensors"]].concat(),
    );
    assert!(
        message.contains("the model scores flows, and the stream holds bytes"),
        "{message}"
    );
    let message = fails(
        folder,
        3,
        &["train", "day0.tuples13", "-o", "x", "--loss", "batchrank:0"],
    );
    assert!(message.contains("known: batchrank:K (from 1)"), "{message}");
    assert!(!folder.join("x").exists());
}

#[test]
fn a_killed_training_continues_to_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let flows = ["--flows", "3000", "-o", "day.tuples13"];
    prints(folder, &[&["gen", "heteroflows"], &flows[..]].concat());
    let train = ["train", "day.tuples13", "--steps", "400", "-o"];
    prints(folder, &[&train[..], &["through.safetensors"]].concat());

    let checkpoint = ["--checkpoint", "c.safetensors", "--checkpoint-every", "3"];
    let kept = [&train[..], &["resumed.safetensors"], &checkpoint].concat();
    let mut first = Command::new(env!("CARGO_BIN_EXE_sketch"))
        .args(&kept)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    // It is killed inside the training, at the latest after half a minute.
    for _ in 0..3000 {
        if folder.join("c.safetensors").exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(folder.join("c.safetensors").exists());
    assert!(!folder.join("resumed.safetensors").exists());

    prints(folder, &kept);
    let bytes = |name: &str| fs::read(folder.join(name)).unwrap();
    assert_eq!(bytes("resumed.safetensors"), bytes("through.safetensors"));
}

#[test]
fn a_training_that_diverges_leaves_no_model() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let flows = ["--flows", "3000", "-o", "day.tuples13"];
    prints(folder, &[&["gen", "heteroflows"], &flows[..]].concat());
    // Nothing is trained for a file that cannot be written.
    let nowhere = ["train", "day.tuples13", "-o", "no/such/folder/x"];
    let message = fails(
        folder,
        4,
        &[&nowhere[..], &["--steps", "1000000000"]].concat(),
    );
    assert!(message.contains("no/such/folder/x"), "{message}");
    for network in ["linear", "mlp"] {
        let train = ["train", "day.tuples13", "-o", "x", "--network", network];
        let rate = ["--learning-rate", "1e9"];
        let message = fails(folder, 3, &[&train[..], &rate].concat());
        assert!(message.contains("training diverged in step"), "{message}");
        assert!(!folder.join("x").exists());
    }
}
