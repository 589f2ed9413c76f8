//! Servers of the protocol in this process: what clients are told, and what hostile ones get.

#![expect(clippy::unwrap_used, reason = "what fails in a test is its message")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use septet_coded_serving::Tensor;
use septet_coded_serving::backend::{
    Chaos, GrpcWorker, HttpWorker, LocalWorker, ModelNames, Pool, Worker,
};
use septet_coded_serving::code::{
    Code, Interpolation, InvNet, MixedQueries, Model, Replication, Smoother,
};
use septet_coded_serving::engine::{Backend, Engine};
use septet_coded_serving::load::Delay;
use septet_coded_serving::protocol::http::{
    json_length, read_request, read_response, write_request,
};
use septet_coded_serving::protocol::{
    InferRequest, ModelMetadata, NamedTensor, Parameter, ProtocolError, TensorMetadata,
};
use septet_coded_serving::server::{
    Drain, Host, Listeners, ServedModel, request_from_bytes, serve,
};
use septet_core::seed::SeedTree;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

const WIDTH: usize = 4;

/// A linear model, for which the mean of the queries is an exact parity.
fn model(x: &Tensor) -> Result<Tensor, String> {
    let sum: f32 = x.values().iter().sum();
    Ok(Tensor::vector(vec![sum, -sum, x.values()[0]]))
}

fn metadata() -> ModelMetadata {
    let tensor = |name: &str, width| TensorMetadata {
        name: name.to_owned(),
        datatype: "FP32".to_owned(),
        shape: vec![-1, width],
    };
    ModelMetadata {
        name: "sum".to_owned(),
        versions: vec!["1".to_owned()],
        platform: "test".to_owned(),
        inputs: vec![tensor("input", WIDTH as i64)],
        outputs: vec![tensor("output", 3)],
    }
}

fn local(workers: usize) -> Vec<Worker> {
    (0..workers)
        .map(|_| LocalWorker::new([(Model::Base, model)]).unwrap().into())
        .collect()
}

struct Server {
    http: SocketAddr,
    grpc: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    running: tokio::task::JoinHandle<std::io::Result<usize>>,
}

impl Server {
    async fn start<B: Backend>(engine: Engine<B>) -> Self {
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let grpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (http_at, grpc_at) = (http.local_addr().unwrap(), grpc.local_addr().unwrap());
        let host = Host::new(vec![ServedModel {
            metadata: metadata(),
            engine,
            patience: Duration::from_secs(5),
        }])
        .unwrap();
        let listeners = Listeners {
            http,
            grpc: Some(grpc),
            metrics: None,
        };
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(serve(host, listeners, Drain::default(), async {
            let _ = stopped.await;
        }));
        Self {
            http: http_at,
            grpc: grpc_at,
            stop: Some(stop),
            running,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    async fn stop(mut self) -> usize {
        self.stop.take().unwrap().send(()).unwrap();
        self.running.await.unwrap().unwrap()
    }
}

fn uncoded() -> Arc<dyn Code> {
    Arc::new(Replication::new(1, 0).unwrap())
}

async fn plain() -> Server {
    Server::start(Engine::builder(uncoded(), Pool::new(local(2))).build()).await
}

fn request(rows: &[[f32; WIDTH]]) -> InferRequest {
    let values = rows.iter().flatten().copied().collect();
    InferRequest {
        id: Some("seven".to_owned()),
        inputs: vec![NamedTensor {
            name: "input".to_owned(),
            tensor: Tensor::new(vec![rows.len(), WIDTH], values).unwrap(),
        }],
        ..InferRequest::default()
    }
}

/// The status and the body of a request in any bytes.
async fn raw(server: &Server, head: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(server.http).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    // A server may have answered and closed before all was sent.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer));
    read.await.expect("the server answers").ok();
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.get(9..12).and_then(|s| s.parse().ok()).unwrap_or(0);
    (status, text)
}

async fn post(server: &Server, headers: &str, body: &[u8]) -> (u16, String) {
    let head = format!(
        "POST /v2/models/sum/infer HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    raw(server, &head, body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_those_of_the_model_as_json_and_as_bytes() {
    let server = plain().await;
    let client = reqwest::Client::new();
    for binary in [false, true] {
        let rows = [[1.0, 2.0, 3.0, 4.0], [0.5, 0.0, 0.0, 0.25]];
        let body = write_request(&request(&rows), binary).unwrap();
        let mut post = client
            .post(server.url("/v2/models/sum/versions/1/infer"))
            .body(body.bytes);
        if let Some(length) = body.json_length {
            post = post.header("inference-header-content-length", length);
        }
        let answer = post.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let header = answer
            .headers()
            .get("inference-header-content-length")
            .cloned();
        assert_eq!(header.is_some(), binary);
        let bytes = answer.bytes().await.unwrap();
        let length = json_length(
            header.as_ref().map(reqwest::header::HeaderValue::as_bytes),
            bytes.len(),
        )
        .unwrap();
        let answer = read_response(&bytes, length).unwrap();
        assert_eq!(answer.id.as_deref(), Some("seven"));
        assert_eq!(answer.parameters["reconstructed"], Parameter::Bool(false));
        let output = &answer.outputs[0];
        assert_eq!(output.name, "output");
        assert_eq!(output.tensor.shape(), [2, 3]);
        assert_eq!(output.tensor.values(), [10.0, -10.0, 1.0, 0.75, -0.75, 0.5]);
    }
    // Nothing but the numbers.
    let raw_body: Vec<u8> = [1.0_f32, 2.0, 3.0, 4.0]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    let (status, text) = post(&server, "inference-header-content-length: 0\r\n", &raw_body).await;
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("[10.0,-10.0,1.0]"), "{text}");
    for path in [
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/sum",
        "/v2/models/sum/ready",
        "/v2/models/stats",
        "/v2/models/sum/stats",
        "/metrics",
    ] {
        let answer = client.get(server.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
    let metrics = client
        .get(server.url("/metrics"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        metrics.contains("coded_serving_requests_total{model=\"sum\",outcome=\"direct\"} 3"),
        "{metrics}"
    );
    assert!(
        metrics.contains("coded_serving_answers_direct_total{model=\"sum\"} 5"),
        "{metrics}"
    );
    assert_eq!(server.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_requests_get_4xx_and_the_server_stays_up() {
    let server = plain().await;
    let json = |shape: &str, data: &str| {
        format!(
            r#"{{"inputs":[{{"name":"input","shape":{shape},"datatype":"FP32","data":{data}}}]}}"#
        )
    };
    let binary = |size: &str| {
        format!(
            r#"{{"inputs":[{{"name":"input","shape":[1,4],"datatype":"FP32","parameters":{{"binary_data_size":{size}}}}}]}}"#
        )
    };
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let bodies = [
        String::new(),
        "{".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        "\u{0}".repeat(1000),
        deep.clone(),
        format!(r#"{{"id":{deep}}}"#),
        json("[1,4]", &deep),
        json("[1,4]", "[1,2,3]"),
        json("[1,4]", "[1,2,3,4,5]"),
        json("[1,4]", "[1,2,3,null]"),
        json("[1,4]", "[1,2,3,NaN]"),
        json("[1,4]", "[1,2,3,1e999]"),
        json("[1,4]", "[1,2,3,1e39]"),
        json("[1,4]", "[\"1\",2,3,4]"),
        json("[4]", "[1,2,3,4]"),
        json("[1,4,1]", "[1,2,3,4]"),
        json("[2,2]", "[1,2,3,4]"),
        json("[0,4]", "[]"),
        json("[-1,4]", "[1,2,3,4]"),
        json("[9223372036854775807,9223372036854775807]", "[1]"),
        json("[4294967296,4294967296,4]", "[]"),
        json("[99999999999999999999]", "[1]"),
        json("[1000,4]", &format!("[{}0]", "0,".repeat(3999))),
        json("[1,4]", "[1,2,3,4]").replace("FP32", "FP64"),
        json("[1,4]", "[1,2,3,4]").replace("FP32", "BYTES"),
        json("[1,4]", "[1,2,3,4]").replace("\"input\"", "\"other\""),
        json("[1,4]", "[1,2,3,4]").replace("]}]}", r#"]}],"outputs":[{"name":"other"}]}"#),
        json("[1,4]", "[1,2,3,4]").replace("]}]}", r#"]}],"parameters":{"timeout":-1}}"#),
        json("[1,4]", "[1,2,3,4]").replace("]}]}", r#"]}],"parameters":{"approximate":"maybe"}}"#),
        binary("16"),
        binary("-16"),
        binary("1e9"),
        binary("18446744073709551615"),
        binary("\"16\""),
    ];
    for body in &bodies {
        let (status, text) = post(&server, "", body.as_bytes()).await;
        let shown: String = body.chars().take(150).collect();
        assert!((400..500).contains(&status), "{status} for {shown}: {text}");
        assert!(text.contains("{\"error\":"), "{shown}: {text}");
    }
    // Lengths of the JSON that lie.
    let whole = binary("16");
    for length in ["99999", "-1", "x", "18446744073709551616", "3", ""] {
        let header = format!("inference-header-content-length: {length}\r\n");
        let (status, text) = post(&server, &header, whole.as_bytes()).await;
        assert!(
            (400..500).contains(&status),
            "{status} for {length}: {text}"
        );
    }
    // Bytes that are no numbers, too few and too many.
    for (bytes, right) in [
        (vec![0_u8; 16], true),
        (vec![0xff; 16], false),
        (vec![0; 15], false),
        (vec![0; 20], false),
    ] {
        let mut body = whole.clone().into_bytes();
        body.extend(bytes);
        let header = format!("inference-header-content-length: {}\r\n", whole.len());
        let (status, text) = post(&server, &header, &body).await;
        assert_eq!(status == 200, right, "{text}");
        assert!(status == 200 || (400..500).contains(&status), "{text}");
    }
    // Compression that is none, and of another kind.
    for coding in ["gzip", "deflate", "br"] {
        let header = format!("content-encoding: {coding}\r\n");
        let (status, text) = post(&server, &header, b"not compressed").await;
        assert!((400..500).contains(&status), "{coding}: {text}");
    }
    for (head, expected) in [
        (
            "GET /v2/models/sum/infer HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            405,
        ),
        (
            "GET /v2/models/other HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            404,
        ),
        (
            "GET /v2/models/sum/versions/9 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            404,
        ),
        (
            "GET /v2/models/%ff HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            400,
        ),
        (
            "GET /nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            404,
        ),
        ("GARBAGE\r\n\r\n", 400),
    ] {
        let (status, text) = raw(&server, head, b"").await;
        assert_eq!(status, expected, "{head}: {text}");
    }
    let (status, text) = post(&server, "", json("[1,4]", "[1,2,3,4]").as_bytes()).await;
    assert_eq!(status, 200, "{text}");
    assert_eq!(server.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compressed_bomb_is_refused() {
    use std::io::Write as _;
    let server = plain().await;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..100 {
        packed.write_all(&vec![b'['; 1 << 20]).unwrap();
    }
    let packed = packed.finish().unwrap();
    assert!(packed.len() < 1 << 20);
    let (status, text) = post(&server, "content-encoding: gzip\r\n", &packed).await;
    assert_eq!(status, 413, "{text}");
    assert_eq!(server.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_answers_through_http_and_grpc_although_a_server_is_dead() {
    let mut servers = Vec::new();
    for _ in 0..5 {
        servers.push(plain().await);
    }
    let mut workers: Vec<Worker> = Vec::new();
    for (number, server) in servers.iter().enumerate() {
        let names = ModelNames::base("sum");
        workers.push(if number % 2 == 0 {
            HttpWorker::new(&server.url(""), names).unwrap().into()
        } else {
            GrpcWorker::new(&format!("http://{}", server.grpc), names)
                .unwrap()
                .into()
        });
    }
    // One server is gone, and nobody listens there any more.
    servers.remove(1).stop().await;
    let code = Arc::new(InvNet::new(4, 1, MixedQueries).unwrap());
    let engine = Engine::builder(code, Pool::new(workers))
        .retries(0.0)
        .fill_deadline(Duration::from_millis(50))
        .build();
    let gateway = Server::start(engine.clone()).await;
    let client = HttpWorker::new(&gateway.url(""), ModelNames::base("sum")).unwrap();
    assert_eq!(client.metadata().await.unwrap(), metadata());
    let over_grpc =
        GrpcWorker::new(&format!("http://{}", gateway.grpc), ModelNames::base("sum")).unwrap();
    assert_eq!(over_grpc.metadata().await.unwrap(), metadata());
    let pool = Pool::new(vec![client.into(), over_grpc.into()]);
    let mut running = tokio::task::JoinSet::new();
    for number in 0..40_u16 {
        let pool = pool.clone();
        let input = Tensor::new(vec![1, 4], vec![f32::from(number), 1.0, 2.0, 3.0]).unwrap();
        let trace = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into());
        running.spawn(async move {
            let call = septet_coded_serving::engine::Call {
                model: Model::Base,
                input,
                trace,
            };
            (number, pool.infer(usize::from(number % 2), call).await)
        });
    }
    while let Some(done) = running.join_next().await {
        let (number, answer) = done.unwrap();
        let answer = answer.unwrap();
        let sum = f32::from(number) + 6.0;
        for (found, wanted) in answer.values().iter().zip([sum, -sum, f32::from(number)]) {
            assert!((found - wanted).abs() < 1e-3, "{number}: {answer:?}");
        }
    }
    let counted = engine.statistics();
    assert_eq!(counted.direct + counted.reconstructed, 40, "{counted:?}");
    assert!(counted.failures >= 1, "{counted:?}");
    assert_eq!(gateway.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_can_refuse_reconstruction_and_name_their_patience() {
    // The first worker takes for ever; the others answer at once.
    let code = Arc::new(InvNet::new(3, 1, MixedQueries).unwrap());
    let slow = |x: &Tensor| {
        if x.values()[0] < -9.0 {
            std::thread::sleep(Duration::from_millis(700));
        }
        model(x)
    };
    let workers: Vec<Worker> = (0..6)
        .map(|_| LocalWorker::new([(Model::Base, slow)]).unwrap().into())
        .collect();
    let engine = Engine::builder(code, Pool::new(workers));
    let server = Server::start(engine.fill_deadline(Duration::from_millis(100)).build()).await;
    let ask = |first: f32, parameters: &str| {
        let body = format!(
            r#"{{"inputs":[{{"name":"input","shape":[1,4],"datatype":"FP32","data":[{first},0,0,0]}}],"parameters":{{{parameters}}}}}"#
        );
        let url = server.url("/v2/models/sum/infer");
        async move {
            let answer = reqwest::Client::new()
                .post(url)
                .body(body)
                .send()
                .await
                .unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        }
    };
    let fast = r#""approximate":"allow""#;
    let (allowed, _, _) = tokio::join!(ask(-10.0, fast), ask(1.0, fast), ask(2.0, fast));
    assert_eq!(allowed.0, 200);
    assert!(
        allowed.1.contains(r#""reconstructed":true"#),
        "{}",
        allowed.1
    );
    assert!(
        allowed.1.contains(r#""code":"coded-invnet(3,1)""#),
        "{}",
        allowed.1
    );
    assert!(allowed.1.contains(r#""group_fill":3"#), "{}", allowed.1);
    let (denied, _, _) = tokio::join!(
        ask(-10.0, r#""approximate":"deny""#),
        ask(1.0, fast),
        ask(2.0, fast)
    );
    assert_eq!(denied.0, 200);
    assert!(
        denied.1.contains(r#""reconstructed":false"#),
        "{}",
        denied.1
    );
    let hasty = r#""approximate":"deny","timeout":50000"#;
    let (late, _, _) = tokio::join!(ask(-10.0, hasty), ask(1.0, fast), ask(2.0, fast));
    assert_eq!(late.0, 504, "{}", late.1);
    assert_eq!(server.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_loses_no_request() {
    let pool = Chaos::new(
        Pool::new(local(4)),
        Delay::constant(Duration::from_millis(100)),
        0.0,
        &SeedTree::new(1),
    );
    let code = Arc::new(InvNet::new(10, 1, MixedQueries).unwrap());
    let engine = Engine::builder(code, pool)
        .fill_deadline(Duration::from_secs(30))
        .build();
    let server = Server::start(engine.clone()).await;
    let body = write_request(&request(&[[1.0, 2.0, 3.0, 4.0]]), false)
        .unwrap()
        .bytes;
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let post = reqwest::Client::new()
            .post(server.url("/v2/models/sum/infer"))
            .body(body.clone());
        running.spawn(async move { post.send().await.unwrap().status().as_u16() });
    }
    while engine.statistics().accepted < 12 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let address = server.http;
    assert_eq!(server.stop().await, 0);
    while let Some(status) = running.join_next().await {
        assert_eq!(status.unwrap(), 200);
    }
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overload_is_turned_away_with_a_time_to_come_back() {
    let pool = Chaos::new(
        Pool::new(local(1)),
        Delay::constant(Duration::from_millis(50)),
        0.0,
        &SeedTree::new(1),
    );
    let server = Server::start(Engine::builder(uncoded(), pool).most_waiting(2).build()).await;
    let body = write_request(&request(&[[1.0, 2.0, 3.0, 4.0]]), false)
        .unwrap()
        .bytes;
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let post = reqwest::Client::new()
            .post(server.url("/v2/models/sum/infer"))
            .body(body.clone());
        running.spawn(async move {
            let answer = post.send().await.unwrap();
            (
                answer.status().as_u16(),
                answer.headers().contains_key("retry-after"),
            )
        });
    }
    let mut statuses = Vec::new();
    while let Some(done) = running.join_next().await {
        let (status, retry) = done.unwrap();
        assert_eq!(retry, status == 429);
        statuses.push(status);
    }
    assert!(
        statuses.contains(&200) && statuses.contains(&429),
        "{statuses:?}"
    );
    assert!(
        statuses.iter().all(|s| [200, 429].contains(s)),
        "{statuses:?}"
    );
    assert_eq!(server.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_the_model_cannot_answer_harms_no_worker() {
    let workers = [plain().await, plain().await, plain().await];
    let pool = workers.iter().map(|server| {
        HttpWorker::new(&server.url(""), ModelNames::base("sum"))
            .unwrap()
            .into()
    });
    let engine = Engine::builder(uncoded(), Pool::new(pool.collect())).build();
    let gateway = Server::start(engine.clone()).await;
    let poison = [[3e38, 3e38, 3e38, 3e38]];
    for _ in 0..5 {
        let body = write_request(&request(&poison), false).unwrap().bytes;
        let (status, text) = post(&gateway, "", &body).await;
        assert_eq!(status, 400, "{text}");
        assert!(text.contains("not finite"), "{text}");
        let good = write_request(&request(&[[1.0, 2.0, 3.0, 4.0]]), false)
            .unwrap()
            .bytes;
        let (status, text) = post(&gateway, "", &good).await;
        assert_eq!(status, 200, "{text}");
    }
    assert_eq!(engine.statistics().retries, 0);
    assert_eq!(gateway.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_many_rows_are_let_in_whole_or_not_at_all() {
    let engine = Engine::builder(uncoded(), Pool::new(local(2)))
        .most_waiting(10)
        .build();
    let server = Server::start(engine.clone()).await;
    for (rows, expected) in [(1, 200), (12, 200), (13, 400), (200, 400)] {
        let rows = vec![[1.0, 2.0, 3.0, 4.0]; rows];
        let body = write_request(&request(&rows), false).unwrap().bytes;
        let (status, text) = post(&server, "", &body).await;
        assert_eq!(status, expected, "{} rows: {text}", rows.len());
    }
    assert_eq!(engine.statistics().rejected, 0);
    assert_eq!(server.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_without_end_are_refused() {
    let server = plain().await;
    for list in [
        format!(
            r#"{{"inputs":[{}{{"name":""}}]}}"#,
            r#"{"name":""},"#.repeat(100_000)
        ),
        format!(
            r#"{{"inputs":[],"outputs":[{}{{"name":""}}]}}"#,
            r#"{"name":""},"#.repeat(100_000)
        ),
        format!(
            r#"{{"inputs":[{{"name":"input","shape":[{}1]}}]}}"#,
            "1,".repeat(100_000)
        ),
    ] {
        let (status, text) = post(&server, "", list.as_bytes()).await;
        assert_eq!(status, 400, "{text}");
        assert!(text.contains("at most 32"), "{text}");
    }
    assert_eq!(server.stop().await, 0);
}

fn any_request() -> impl Strategy<Value = InferRequest> {
    let tensor =
        ("[a-z]{1,8}", prop::collection::vec(0_usize..4, 0..4)).prop_flat_map(|(name, shape)| {
            let count = shape.iter().product::<usize>();
            prop::collection::vec(-1e30_f32..1e30, count).prop_map(move |values| NamedTensor {
                name: name.clone(),
                tensor: Tensor::new(shape.clone(), values).unwrap(),
            })
        });
    (prop::option::of(".*"), prop::collection::vec(tensor, 0..4)).prop_map(|(id, inputs)| {
        InferRequest {
            id,
            inputs,
            ..InferRequest::default()
        }
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(request in any_request(), binary: bool) {
        let body = write_request(&request, binary).unwrap();
        let (read, _) = read_request(&body.bytes, body.json_length).unwrap();
        prop_assert_eq!(read, request);
    }

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..300), length in prop::option::of(0_usize..400)) {
        let _ = read_request(&body, length);
        let _ = read_response(&body, length);
        let _ = request_from_bytes(&body);
    }

    #[test]
    fn cut_and_changed_messages_are_errors_or_messages(
        request in any_request(),
        binary: bool,
        at in any::<prop::sample::Index>(),
        byte: u8,
    ) {
        let body = write_request(&request, binary).unwrap();
        let mut changed = body.bytes.clone();
        let place = at.index(changed.len());
        changed[place] = byte;
        let _ = read_request(&changed, body.json_length);
        let cut = read_request(&body.bytes[..place], body.json_length);
        // A cut binary message lacks bytes, a cut JSON its end.
        prop_assert!(cut.is_err());
    }
}

#[test]
fn lengths_that_lie_are_named() {
    assert_eq!(
        json_length(Some(b"10"), 3),
        Err(ProtocolError::HeaderLength {
            length: "10".to_owned(),
            found: 3
        })
    );
    assert_eq!(json_length(Some(b" 3 "), 3), Ok(Some(3)));
    assert_eq!(json_length(None, 3), Ok(None));
}

#[derive(Clone, PartialEq, prost::Message)]
struct ModelReadyRequest {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ModelReadyResponse {
    #[prost(bool, tag = "1")]
    ready: bool,
}

/// A message of the protocol with nothing but a model, and bytes for all that is else in it.
#[derive(Clone, PartialEq, prost::Message)]
struct InferMessage {
    #[prost(string, tag = "1")]
    model_name: String,
    #[prost(bytes = "vec", repeated, tag = "5")]
    inputs: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "7")]
    raw: Vec<Vec<u8>>,
}

async fn call<Q, A>(
    server: &Server,
    method: &str,
    request: tonic::Request<Q>,
) -> Result<A, tonic::Status>
where
    Q: prost::Message + Send + Sync + 'static,
    A: prost::Message + Default + Send + Sync + 'static,
{
    let url = format!("http://{}", server.grpc);
    let channel = tonic::transport::Endpoint::from_shared(url).unwrap();
    let mut client = tonic::client::Grpc::new(channel.connect().await.unwrap());
    client.ready().await.unwrap();
    let path = format!("/inference.GRPCInferenceService/{method}")
        .parse()
        .unwrap();
    let codec = tonic_prost::ProstCodec::<Q, A>::default();
    client
        .unary(request, path, codec)
        .await
        .map(tonic::Response::into_inner)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_grpc_unknown_models_are_not_ready_and_hostile_messages_are_refused() {
    let server = plain().await;
    for (name, expected) in [("sum", true), ("other", false)] {
        let request = ModelReadyRequest {
            name: name.to_owned(),
        };
        let answer: ModelReadyResponse = call(&server, "ModelReady", tonic::Request::new(request))
            .await
            .unwrap();
        assert_eq!(answer.ready, expected, "{name}");
    }
    let hostile = [
        // Inputs that take two bytes each here, and some hundred in memory.
        InferMessage {
            model_name: "sum".to_owned(),
            inputs: vec![Vec::new(); 1_000_000],
            raw: Vec::new(),
        },
        InferMessage {
            model_name: "sum".to_owned(),
            inputs: Vec::new(),
            raw: vec![Vec::new(); 10_000],
        },
        InferMessage {
            model_name: "sum".to_owned(),
            inputs: vec![Vec::new(); 2],
            raw: vec![Vec::new()],
        },
        // No tensor at all, and a length beyond the end.
        InferMessage {
            model_name: "sum".to_owned(),
            inputs: vec![vec![0xff; 5]],
            raw: Vec::new(),
        },
    ];
    for (number, message) in hostile.into_iter().enumerate() {
        let refused: Result<ModelReadyResponse, _> =
            call(&server, "ModelInfer", tonic::Request::new(message)).await;
        let status = refused.unwrap_err();
        let expected = [tonic::Code::InvalidArgument, tonic::Code::Internal];
        assert!(expected.contains(&status.code()), "{status:?}");
        // Refused before it is unpacked.
        assert_eq!(
            status.message().contains("4096 fields"),
            number < 2,
            "{status:?}"
        );
    }
    let again: ModelReadyResponse = call(
        &server,
        "ModelReady",
        tonic::Request::new(ModelReadyRequest {
            name: "sum".to_owned(),
        }),
    )
    .await
    .unwrap();
    assert!(again.ready);
    assert_eq!(server.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_waits_for_no_group_to_fill() {
    let code = Interpolation::new(3, 4, 1, Smoother::Berrut).unwrap();
    let engine = Engine::builder(Arc::new(code), Pool::new(local(4)))
        .fill_deadline(Duration::from_secs(3600))
        .build();
    let server = Server::start(engine.clone()).await;
    let url = server.url("/v2/models/sum/infer");
    let body = write_request(&request(&[[1.0, 2.0, 3.0, 4.0]]), false).unwrap();
    let asked = tokio::spawn(async move {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client
            .post(url)
            .body(body.bytes)
            .send()
            .await
            .unwrap()
            .status()
    });
    while engine.open_groups() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(server.stop().await, 0);
    assert_eq!(asked.await.unwrap().as_u16(), 200);
    assert!(engine.statistics().tasks > 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadlines_of_grpc_are_kept() {
    let slow = |x: &Tensor| {
        std::thread::sleep(Duration::from_millis(500));
        model(x)
    };
    let worker = LocalWorker::new([(Model::Base, slow)]).unwrap().into();
    let engine = Engine::builder(uncoded(), Pool::new(vec![worker])).build();
    let server = Server::start(engine).await;
    let mut asked = tonic::Request::new(InferMessage {
        model_name: "sum".to_owned(),
        // Name, type and shape of the input.
        inputs: vec![b"\x0a\x05input\x12\x04FP32\x1a\x02\x01\x04".to_vec()],
        raw: vec![vec![0; 16]],
    });
    asked.set_timeout(Duration::from_millis(200));
    let late: Result<ModelReadyResponse, _> = call(&server, "ModelInfer", asked).await;
    assert_eq!(late.unwrap_err().code(), tonic::Code::DeadlineExceeded);
    assert_eq!(server.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_wrong_with_a_query_is_blamed_on_it() {
    // A server that says 401 to every query, as a proxy with an expired token does.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).await.unwrap_or(0);
            let said = serde_json::to_string(&metadata()).unwrap();
            let status = if bytes[..read].starts_with(b"POST") {
                "401 No"
            } else {
                "200 OK"
            };
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                said.len()
            );
            let _ = stream.write_all(format!("{head}{said}").as_bytes()).await;
        }
    });
    let mut workers = local(1);
    workers.insert(
        0,
        HttpWorker::new(&url, ModelNames::base("sum"))
            .unwrap()
            .into(),
    );
    let engine = Engine::builder(uncoded(), Pool::new(workers)).build();
    let server = Server::start(engine.clone()).await;
    let (status, text) = post(
        &server,
        "",
        &write_request(&request(&[[1.0; 4]]), false).unwrap().bytes,
    )
    .await;
    // The other worker has answered.
    assert_eq!(status, 200, "{text}");
    assert_eq!(
        (engine.statistics().retries, engine.statistics().failures),
        (1, 1)
    );
    assert_eq!(server.stop().await, 0);
}
