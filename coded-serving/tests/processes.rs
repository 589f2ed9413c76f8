//! Real processes: workers that are killed, a gateway that receives a signal, trainings that are resumed.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "what fails in a test is its message")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use septet_coded_serving::Tensor;
use septet_coded_serving::network::{Array, Dense, Mlp, Tensors};
use septet_coded_serving::protocol::http::{json_length, read_response, write_request};
use septet_coded_serving::protocol::{InferRequest, NamedTensor, Parameter};
use septet_core::cli::Exit;
use septet_core::cli::testing::{Situation, TestedProgram};
use tokio::task::JoinSet;

const WIDTH: usize = 16;

/// A linear model, for which the mean of the queries is an exact parity.
fn model() -> Mlp {
    let numbers = |shape: Vec<usize>| Array {
        values: (0..shape.iter().product())
            .map(|i: usize| (i as f32 * 0.37).sin())
            .collect(),
        shape,
    };
    let layer = Dense::new("0", &numbers(vec![3, WIDTH]), &numbers(vec![3])).unwrap();
    Mlp::new(vec![layer]).unwrap()
}

/// A process that is killed at the end of the test.
struct Process {
    child: Child,
    http: String,
}

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_coded-serving"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let address = line.strip_prefix("ready http=").unwrap();
        let http = format!("http://{}", address.split_whitespace().next().unwrap());
        Self { child, http }
    }

    fn worker(file: &Path, more: &[&str]) -> Self {
        let file = file.to_str().unwrap();
        let fixed = ["worker", file, "--name", "linear", "--http", "127.0.0.1:0"];
        Self::start(&[&fixed[..], more].concat())
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Fleet {
    workers: Vec<Process>,
    gateway: Process,
    _folder: tempfile::TempDir,
}

fn fleet(workers: usize, of_worker: &[&str], of_gateway: &[&str]) -> Fleet {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("linear.safetensors");
    let mut tensors = Tensors::default();
    model().insert_into(&mut tensors, "");
    tensors.write(&file).unwrap();
    let workers: Vec<Process> = (0..workers)
        .map(|_| Process::worker(&file, of_worker))
        .collect();
    let mut arguments = vec![
        "gateway",
        "--name",
        "linear",
        "--http",
        "127.0.0.1:0",
        "--encoder",
        "mixed",
    ];
    for worker in &workers {
        arguments.extend(["--worker", &worker.http]);
    }
    arguments.extend(of_gateway);
    let gateway = Process::start(&arguments);
    Fleet {
        workers,
        gateway,
        _folder: folder,
    }
}

/// What came of the queries.
#[derive(Default)]
struct Seen {
    direct: AtomicU64,
    reconstructed: AtomicU64,
    statuses: std::sync::Mutex<Vec<u16>>,
}

/// Asks `count` times, one question each `gap`, and checks the answers.
async fn ask_all(url: &str, count: usize, gap: Duration, seen: &Arc<Seen>) {
    let client = reqwest::Client::new();
    let model = Arc::new(model());
    let mut running = JoinSet::new();
    for number in 0..count {
        tokio::time::sleep(gap).await;
        let (client, model, seen) = (client.clone(), Arc::clone(&model), Arc::clone(seen));
        let url = format!("{url}/v2/models/linear/infer");
        running.spawn(async move {
            let values: Vec<f32> = (0..WIDTH)
                .map(|i| ((number * 7 + i) as f32).cos())
                .collect();
            let query = Tensor::new(vec![1, WIDTH], values).unwrap();
            let request = InferRequest {
                id: Some(number.to_string()),
                inputs: vec![NamedTensor {
                    name: "input".to_owned(),
                    tensor: query.clone(),
                }],
                ..InferRequest::default()
            };
            let body = write_request(&request, true).unwrap();
            let post = client.post(url).body(body.bytes);
            let post = post.header("inference-header-content-length", body.json_length.unwrap());
            let Ok(answer) = post.send().await else {
                // Nobody listens any more.
                seen.statuses.lock().unwrap().push(0);
                return;
            };
            seen.statuses.lock().unwrap().push(answer.status().as_u16());
            if answer.status() != 200 {
                return;
            }
            let length = answer
                .headers()
                .get("inference-header-content-length")
                .cloned();
            let bytes = answer.bytes().await.unwrap();
            let length = json_length(
                length.as_ref().map(reqwest::header::HeaderValue::as_bytes),
                bytes.len(),
            )
            .unwrap();
            let answer = read_response(&bytes, length).unwrap();
            assert_eq!(answer.id, Some(number.to_string()));
            let truth = model.answer(&query).unwrap();
            let found = &answer.outputs[0].tensor;
            if answer.parameters["reconstructed"] == Parameter::Bool(true) {
                seen.reconstructed.fetch_add(1, Ordering::Relaxed);
                for (found, truth) in found.values().iter().zip(truth.values()) {
                    assert!((found - truth).abs() < 1e-3, "{found} {truth}");
                }
            } else {
                seen.direct.fetch_add(1, Ordering::Relaxed);
                assert_eq!(found.values(), truth.values());
            }
        });
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_under_load_costs_no_answer() {
    let mut fleet = fleet(
        11,
        &[],
        &["--max-batch-delay", "50ms", "--grpc", "127.0.0.1:0"],
    );
    let seen = Arc::new(Seen::default());
    let url = fleet.gateway.http.clone();
    let load = {
        let seen = Arc::clone(&seen);
        tokio::spawn(async move { ask_all(&url, 400, Duration::from_millis(4), &seen).await })
    };
    tokio::time::sleep(Duration::from_millis(600)).await;
    fleet.workers[4].child.kill().unwrap();
    load.await.unwrap();
    let statuses = seen.statuses.lock().unwrap().clone();
    assert!(statuses.iter().all(|&status| status == 200), "{statuses:?}");
    let direct = seen.direct.load(Ordering::Relaxed);
    let reconstructed = seen.reconstructed.load(Ordering::Relaxed);
    assert_eq!(direct + reconstructed, 400);
    let metrics = reqwest::get(format!("{}/metrics", fleet.gateway.http))
        .await
        .unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(
        !metrics.contains("worker_failures_total{model=\"linear\"} 0"),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_of_a_group_killed_are_an_error_in_time_or_an_answer() {
    // Tasks take long enough to be cut off.
    let mut fleet = fleet(
        11,
        &["--service-time", "200ms"],
        &["--max-batch-delay", "20ms", "--default-timeout", "4s"],
    );
    let seen = Arc::new(Seen::default());
    let url = fleet.gateway.http.clone();
    let load = {
        let seen = Arc::clone(&seen);
        tokio::spawn(async move { ask_all(&url, 10, Duration::ZERO, &seen).await })
    };
    tokio::time::sleep(Duration::from_millis(80)).await;
    for worker in &mut fleet.workers[..2] {
        worker.child.kill().unwrap();
    }
    tokio::time::timeout(Duration::from_secs(30), load)
        .await
        .unwrap()
        .unwrap();
    let statuses = seen.statuses.lock().unwrap().clone();
    assert_eq!(statuses.len(), 10);
    assert!(
        statuses.iter().all(|s| [200, 502].contains(s)),
        "{statuses:?}"
    );
    let answered = statuses.iter().filter(|s| **s == 200).count();
    assert!(answered >= 8, "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_stopped_answers_accepted_queries() {
    let mut fleet = fleet(
        5,
        &["--service-time", "30ms"],
        &[
            "--group",
            "4",
            "--shutdown-delay",
            "300ms",
            "--max-batch-delay",
            "20ms",
        ],
    );
    let seen = Arc::new(Seen::default());
    let url = fleet.gateway.http.clone();
    let load = {
        let seen = Arc::clone(&seen);
        tokio::spawn(async move { ask_all(&url, 80, Duration::from_millis(12), &seen).await })
    };
    tokio::time::sleep(Duration::from_millis(400)).await;
    fleet.gateway.signal(Signal::TERM);
    tokio::time::sleep(Duration::from_millis(100)).await;
    // It says that it is not ready, and answers.
    let ready = reqwest::get(format!("{}/v2/health/ready", fleet.gateway.http)).await;
    assert_eq!(ready.unwrap().status(), 503);
    let live = reqwest::get(format!("{}/v2/health/live", fleet.gateway.http)).await;
    assert_eq!(live.unwrap().status(), 200);
    load.await.unwrap();
    let status = fleet.gateway.child.wait().unwrap();
    assert!(status.success(), "{status}");
    let statuses = seen.statuses.lock().unwrap().clone();
    // An answer, or no connection: never an error for a request that was taken.
    assert!(
        statuses.iter().all(|s| [200, 0].contains(s)),
        "{statuses:?}"
    );
    assert!(
        statuses.iter().filter(|s| **s == 200).count() > 40,
        "{statuses:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overload_sheds_parity_first() {
    let fleet = fleet(
        5,
        &["--service-time", "40ms"],
        &[
            "--group",
            "4",
            "--max-batch-delay",
            "5ms",
            "--max-queue-len",
            "20",
        ],
    );
    let seen = Arc::new(Seen::default());
    ask_all(&fleet.gateway.http, 300, Duration::from_millis(4), &seen).await;
    let statuses = seen.statuses.lock().unwrap().clone();
    assert!(
        statuses.iter().all(|s| [200, 429].contains(s)),
        "{statuses:?}"
    );
    let answered = statuses.iter().filter(|s| **s == 200).count();
    assert!(answered < 300, "too little load");
    let metrics = reqwest::get(format!("{}/metrics", fleet.gateway.http))
        .await
        .unwrap();
    let metrics = metrics.text().await.unwrap();
    let value = |name: &str| -> u64 {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let shed = value("coded_serving_groups_shed_total");
    let sent = value("coded_serving_redundant_tasks_total");
    assert!(
        shed > 4 * sent,
        "{shed} groups without parity, {sent} parities"
    );
    // No query is worth less than a parity: all workers were busy with queries.
    assert!(answered as u64 > 4 * sent);
}

#[test]
fn mistakes_are_named() {
    for (arguments, expected) in [
        (
            &["worker", "nothing.safetensors"][..],
            "nothing.safetensors",
        ),
        (
            &["serve", "--config", "nothing.toml"],
            "nothing.toml cannot be read",
        ),
        (
            &[
                "gateway",
                "--name",
                "x",
                "--worker",
                "ftp://x",
                "--encoder",
                "mixed",
                "--http",
                "127.0.0.1:0",
            ],
            "ftp://x",
        ),
        (
            &[
                "gateway",
                "--name",
                "x",
                "--worker",
                "http://127.0.0.1:1",
                "--http",
                "127.0.0.1:0",
            ],
            "coded-invnet needs an encoder",
        ),
        (
            &[
                "gateway",
                "--name",
                "x",
                "--worker",
                "http://127.0.0.1:1",
                "--reconstruct",
                "soon",
            ],
            "expected `first`",
        ),
        (&["simulate", "--rate", "0"], "rate: expected above 0"),
        (
            &["simulate", "--flows", "1", "--flow-weight", "nan"],
            "weight: expected 0 or more",
        ),
        (
            &["eval", "--base", "nothing.safetensors"],
            "nothing.safetensors",
        ),
    ] {
        let out = Command::new(env!("CARGO_BIN_EXE_coded-serving"))
            .args(arguments)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success(), "{arguments:?}");
        assert!(told.contains(expected), "{arguments:?}: {told}");
        assert!(!told.contains("panicked"), "{told}");
    }
}

/// Servers that `demo` and `bench` start must not outlive them, however those end.
#[test]
fn servers_end_with_the_process_that_has_started_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("linear.safetensors");
    let mut tensors = Tensors::default();
    model().insert_into(&mut tensors, "");
    tensors.write(&file).unwrap();
    let mut worker = Process::worker(&file, &["--exit-with-parent"]);
    assert!(worker.child.try_wait().unwrap().is_none());
    let url = worker.http.clone();
    let mut gateway = Process::start(&[
        "gateway",
        "--name",
        "linear",
        "--http",
        "127.0.0.1:0",
        "--code",
        "none",
        "--worker",
        &url,
        "--exit-with-parent",
    ]);
    for process in [&mut gateway, &mut worker] {
        assert!(process.child.try_wait().unwrap().is_none());
        // What the system does when a process ends, even by SIGKILL.
        drop(process.child.stdin.take());
        let mut ended = None;
        for _ in 0..600 {
            ended = process.child.try_wait().unwrap();
            if ended.is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(ended.unwrap().code(), Some(0));
    }
}

#[test]
fn exit_codes() {
    let program = TestedProgram::new(env!("CARGO_BIN_EXE_coded-serving"));
    program.write("damaged.safetensors", "not a network");
    program.write("damaged.toml", "[[model]]\nname = 3\n");
    program.write("nan.toml", NAN_BUDGET);
    let mut tensors = Tensors::default();
    model().insert_into(&mut tensors, "");
    tensors
        .write(program.folder().join("linear.safetensors"))
        .unwrap();
    let short = ["simulate", "--queries", "50", "--rate", "100"];
    program.check(&[
        (Situation::Usage, &["simulate", "--rate", "0"]),
        (Situation::Usage, &["simulate", "--workers", "0"]),
        (
            Situation::Usage,
            &["plan", "--target", "1s", "--quantile", "2"],
        ),
        (Situation::Usage, &["simulate", "--no-such-option"]),
        (
            Situation::MissingData,
            &["train", "inn", "--out", "no/such/folder/n.safetensors"],
        ),
        (Situation::Usage, &["train", "inn", "--learning-rate=-1"]),
        (Situation::Usage, &["train", "inn", "--out", "-"]),
        (Situation::Usage, &["serve", "--config", "nan.toml"]),
        (
            Situation::Usage,
            &[
                "worker",
                "linear.safetensors",
                "--http",
                "127.0.0.1:0",
                "--failure-probability",
                "nan",
            ],
        ),
        (
            Situation::MissingData,
            &["worker", "absent.safetensors", "--http", "127.0.0.1:0"],
        ),
        (
            Situation::MissingData,
            &["serve", "--config", "absent.toml"],
        ),
        (
            Situation::MissingData,
            &["convert", "absent.safetensors", "a.onnx"],
        ),
        (
            Situation::DamagedData,
            &["worker", "damaged.safetensors", "--http", "127.0.0.1:0"],
        ),
        (
            Situation::DamagedData,
            &["serve", "--config", "damaged.toml"],
        ),
        (Situation::ClosedPipe, &short),
        (
            Situation::Interrupted,
            &["simulate", "--queries", "1000000000"],
        ),
    ]);
}

/// A configuration whose retry budget is not a number.
const NAN_BUDGET: &str = r#"
[listen]
http = "127.0.0.1:0"

[[model]]
name = "linear"
engine = { retry_budget = nan }

[[model.worker]]
file = "linear.safetensors"
"#;

/// The networks that `train` trains, small, and with the base model that [`base_model`] writes.
const TRAINED: [&[&str]; 4] = [
    &["inn", "--hidden", "4", "--blocks", "2"],
    &[
        "encoder",
        "--base",
        "base",
        "--features",
        "4",
        "--hidden",
        "4",
    ],
    &["parity", "--base", "base", "--hidden", "4"],
    &["student", "--base", "base", "--hidden", "4"],
];

fn base_model(program: &TestedProgram) {
    let train = ["train", "inn", "--hidden", "4", "--steps", "1"];
    let written = program.prints(&[&train[..], &["--out", "base"]].concat());
    assert!(written.starts_with("base: trained in"), "{written}");
}

#[test]
fn diverging_training_of_every_network_is_a_usage_error() {
    let program = TestedProgram::new(env!("CARGO_BIN_EXE_coded-serving"));
    base_model(&program);
    for network in TRAINED {
        let rate = ["--steps", "20", "--learning-rate", "1e9", "--out", "model"];
        let arguments = [&["train"], network, &rate].concat();
        let message = program.fails(Exit::Usage, &arguments);
        assert!(message.contains("training diverged in step"), "{message}");
        assert!(!program.folder().join("model").exists(), "{network:?}");
    }
}

/// Two networks, since a process takes a second: the tests of the library resume every training.
#[test]
fn killed_and_resumed_training_writes_the_same_file() {
    let program = TestedProgram::new(env!("CARGO_BIN_EXE_coded-serving"));
    base_model(&program);
    for &network in &TRAINED[..2] {
        let path = |name: &str| format!("{}-{name}", network[0]);
        let short = ["--steps", "60", "--batch-size", "8", "--out"];
        let train = [&["train"], network, &short].concat();
        let (through, resumed, checkpoint) = (path("through"), path("resumed"), path("state"));
        let kept = ["--checkpoint", &checkpoint, "--checkpoint-every", "10"];
        let kept = [&train[..], &[&resumed], &kept].concat();
        let _ = program.prints(&[&train[..], &[&through]].concat());

        // It is killed after the first write of the checkpoint, at the latest after half a minute.
        let mut killed = program.command(&kept);
        let mut killed = killed.stderr(Stdio::null()).spawn().unwrap();
        let state = program.folder().join(&checkpoint);
        for _ in 0..3000 {
            if state.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        killed.kill().unwrap();
        killed.wait().unwrap();
        assert!(state.exists(), "{network:?}");

        let _ = program.prints(&kept);
        let bytes = |name: &str| std::fs::read(program.folder().join(name)).unwrap();
        assert_eq!(bytes(&resumed), bytes(&through), "{network:?}");
    }
}

#[cfg(feature = "onnx")]
#[test]
fn converted_networks_answer_as_before() {
    use septet_coded_serving::backend::{LocalModel, LocalNetwork};
    use septet_coded_serving::network::{Coupling, InvertibleClassifier, checkerboard};

    let numbers = |shape: Vec<usize>| Array {
        values: (0..shape.iter().product())
            .map(|i: usize| (i as f32 * 0.73).sin())
            .collect(),
        shape,
    };
    let layer = |out: usize, into: usize| {
        Dense::new("layer", &numbers(vec![out, into]), &numbers(vec![out])).unwrap()
    };
    let block = || Mlp::new(vec![layer(5, 8), layer(8, 5)]).unwrap();
    let coupling = Coupling::new(checkerboard(4, 4), vec![block(), block(), block()]).unwrap();
    let invertible = InvertibleClassifier::new(coupling, layer(3, 16)).unwrap();
    let mut layers = Tensors::default();
    Mlp::new(vec![layer(7, 16), layer(3, 7)])
        .unwrap()
        .insert_into(&mut layers, "");
    let folder = tempfile::tempdir().unwrap();
    for (name, tensors) in [("invertible", invertible.to_tensors()), ("layers", layers)] {
        let from = folder.path().join(format!("{name}.safetensors"));
        let to = folder.path().join(format!("{name}.onnx"));
        tensors.write(&from).unwrap();
        let converted = Command::new(env!("CARGO_BIN_EXE_coded-serving"))
            .arg("convert")
            .args([&from, &to])
            .output()
            .unwrap();
        assert!(converted.status.success(), "{converted:?}");
        let printed = Command::new(env!("CARGO_BIN_EXE_coded-serving"))
            .arg("convert")
            .arg(&from)
            .arg("-")
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert_eq!(printed.stdout, std::fs::read(&to).unwrap());
        assert!(!folder.path().join("-").exists());
        let (before, after) = (
            LocalNetwork::read(&from).unwrap(),
            LocalNetwork::read(&to).unwrap(),
        );
        assert_eq!(before.metadata(name).inputs, after.metadata(name).inputs);
        for number in 0..5 {
            let query = Tensor::vector((0..16).map(|i| ((number * 16 + i) as f32).cos()).collect());
            let (before, after) = (
                before.answer(&query).unwrap(),
                after.answer(&query).unwrap(),
            );
            assert_eq!(after.shape(), [1, 3]);
            for (before, after) in before.values().iter().zip(after.values()) {
                assert!((before - after).abs() < 1e-3, "{name}: {before} {after}");
            }
        }
    }
}
