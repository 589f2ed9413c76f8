//! Servers of the Open Inference Protocol around engines.
//!
//! A [`Host`] holds models and their engines; [`serve`] serves it over HTTP and gRPC until a signal, then
//! drains: it reports not ready at once, keeps answering for a while so that load balancers notice,
//! finishes the pending requests and closes.
//!
//! The workers may be in this process or be servers of the same protocol: see
//! [`backend`](crate::backend).
//!
//! # Parameters and status codes
//!
//! | request parameter | |
//! | --- | --- |
//! | `timeout` | the timeout in microseconds; over gRPC also the deadline of the call |
//! | `approximate` | `deny`: no reconstructed answers; `allow` (default) |
//!
//! | response parameter | |
//! | --- | --- |
//! | `reconstructed` | whether any row was reconstructed |
//! | `code`, `group_fill` | the code, and the number of queries in the group |
//! | `margin` | largest minus second-largest output, the minimum over reconstructed rows |
//! | `reconstructed_rows` | the reconstructed rows, for a request with several rows |
//!
//! | status | gRPC | |
//! | --- | --- | --- |
//! | 400, 413 | `INVALID_ARGUMENT` | the request is malformed or does not match the model |
//! | 408 | | the body was not received within 30 s |
//! | 404 | `NOT_FOUND` | no such model or version |
//! | 429 | `RESOURCE_EXHAUSTED` | the queue is full; `Retry-After` |
//! | 502 | `UNAVAILABLE` | too many workers failed, or their outputs are invalid |
//! | 503 | `UNAVAILABLE` | shutting down; `Retry-After` |
//! | 504 | `DEADLINE_EXCEEDED` | the timeout expired |

pub(crate) mod codec;
mod error;
pub(crate) mod grpc;
mod host;
pub mod http;
mod metrics;

use std::future::Future;
use std::io;
use std::time::Duration;

use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::CompressionEncoding;
use tracing::{info, warn};

pub use error::ServerError;
pub use grpc::request_from_bytes;
pub use host::{Host, HostError, ServedModel};

use crate::engine::Backend;

use grpc::open_inference::grpc_inference_service_server::GrpcInferenceServiceServer;

/// The sockets of a server.
#[derive(Debug)]
pub struct Listeners {
    /// For HTTP, with `/metrics`.
    pub http: TcpListener,
    /// For gRPC.
    pub grpc: Option<TcpListener>,
    /// For `/metrics` only.
    pub metrics: Option<TcpListener>,
}

/// How a server shuts down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// How long requests are still accepted while the server reports not ready, so that load balancers
    /// take it out of rotation.
    pub delay: Duration,
    /// How long pending requests may take after that.
    pub grace_period: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            grace_period: Duration::from_secs(10),
        }
    }
}

/// Serves until `stop` resolves, then drains. Returns the number of clients that are still waiting at the end.
///
/// # Errors
///
/// When a listener fails.
pub async fn serve<B: Backend>(
    host: Host<B>,
    listeners: Listeners,
    drain: Drain,
    stop: impl Future<Output = ()> + Send,
) -> io::Result<usize> {
    let (closing, closed) = watch::channel(false);
    let wait = move |mut closed: watch::Receiver<bool>| async move {
        // An error means that the sender was dropped: the server has failed, and everything closes.
        let _ = closed.wait_for(|closed| *closed).await;
    };
    // The HTTP, metrics and gRPC servers run as tasks, and close together.
    let listener = listeners.http.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            warn!(%error, "TCP_NODELAY not set: responses may be delayed");
        }
    });
    let http = axum::serve(listener, http::router(host.clone()))
        .with_graceful_shutdown(wait(closed.clone()));
    let mut running = tokio::task::JoinSet::new();
    running.spawn(async move { http.await });
    if let Some(listener) = listeners.metrics {
        let metrics = axum::serve(listener, http::metrics_router(host.clone()))
            .with_graceful_shutdown(wait(closed.clone()));
        running.spawn(async move { metrics.await });
    }
    // The standard gRPC health service reports ready from now on.
    let (health, health_service) = tonic_health::server::health_reporter();
    health
        .set_serving::<GrpcInferenceServiceServer<grpc::Service<B>>>()
        .await;
    if let Some(listener) = listeners.grpc {
        let service = GrpcInferenceServiceServer::new(grpc::Service(host.clone()))
            .max_decoding_message_size(grpc::MAX_MESSAGE_BYTES)
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Deflate)
            .send_compressed(CompressionEncoding::Gzip)
            .send_compressed(CompressionEncoding::Deflate);
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(grpc::DESCRIPTORS)
            .build_v1()
            .map_err(io::Error::other)?;
        let closed = closed.clone();
        running.spawn(async move {
            tonic::transport::Server::builder()
                .tcp_nodelay(true)
                // Detects clients that are gone without closing the connection.
                .http2_keepalive_interval(Some(Duration::from_secs(30)))
                .add_service(service)
                .add_service(health_service)
                .add_service(reflection)
                .serve_with_incoming_shutdown(TcpListenerStream::new(listener), wait(closed))
                .await
                .map_err(io::Error::other)
        });
    }
    drop(closed);
    // Serve until the signal; a server that ends before has failed.
    tokio::select! {
        () = stop => {}
        Some(ended) = running.join_next() => {
            ended.map_err(io::Error::other)??;
        }
    }
    host.set_not_ready();
    health
        .set_service_status("", tonic_health::ServingStatus::NotServing)
        .await;
    health
        .set_not_serving::<GrpcInferenceServiceServer<grpc::Service<B>>>()
        .await;
    info!(delay = ?drain.delay, "no longer ready, draining");
    tokio::time::sleep(drain.delay).await;
    // Accept no new connections and requests; pending ones are answered.
    closing.send_replace(true);
    host.flush();
    let finish = async {
        while let Some(ended) = running.join_next().await {
            ended.map_err(io::Error::other)??;
        }
        io::Result::Ok(())
    };
    let begin = tokio::time::Instant::now();
    match tokio::time::timeout(drain.grace_period, finish).await {
        Ok(finished) => finished?,
        Err(_) => warn!("pending requests aborted after {:?}", drain.grace_period),
    }
    // The engines get the rest of the grace period for queries without a connection.
    let left = drain.grace_period.saturating_sub(begin.elapsed());
    let waiting = host.drain(left).await;
    info!(waiting, "drained");
    Ok(waiting)
}
