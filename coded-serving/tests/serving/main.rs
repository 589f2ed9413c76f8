//! Servers of the protocol in this process: what clients are told, and what hostile ones get.

#![expect(clippy::unwrap_used, reason = "what fails in a test is its message")]

mod answers;
mod gateway;
mod grpc;
mod hostile;

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
            default_timeout: Duration::from_secs(5),
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
    Server::start(
        Engine::builder(uncoded(), Pool::new(local(2)))
            .build()
            .unwrap(),
    )
    .await
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
