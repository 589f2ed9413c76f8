//! Servers of the Open Inference Protocol around engines.
//!
//! A [`Host`] holds models with their engines; [`serve`] answers for it over HTTP and gRPC until it is
//! told to stop, and then drains: it stops being ready at once, goes on answering for a while, so that
//! load balancers see it, finishes what it has, and closes.
//!
//! The workers may be in this process or be servers of the same protocol: see
//! [`backend`](crate::backend).
//!
//! # What clients may ask, and are told
//!
//! | parameter of a request | |
//! | --- | --- |
//! | `timeout` | how many microseconds the client waits; over gRPC also its own deadline |
//! | `approximate` | `deny`: no reconstructed answers; `allow` (default) |
//!
//! | parameter of a response | |
//! | --- | --- |
//! | `reconstructed` | whether any row was reconstructed |
//! | `code`, `group_fill` | by which code, from a group of how many queries |
//! | `margin` | by how much the largest output exceeds the second (the least of all reconstructed rows) |
//! | `reconstructed_rows` | which rows, of a request with several |
//!
//! | status | gRPC | |
//! | --- | --- | --- |
//! | 400, 413 | `INVALID_ARGUMENT` | the request cannot be read or does not fit the model |
//! | 408 | | the body did not come within half a minute |
//! | 404 | `NOT_FOUND` | no such model or version |
//! | 429 | `RESOURCE_EXHAUSTED` | too many queries wait; `Retry-After` |
//! | 502 | `UNAVAILABLE` | too many workers failed, or gave what cannot be told |
//! | 503 | `UNAVAILABLE` | shutting down; `Retry-After` |
//! | 504 | `DEADLINE_EXCEEDED` | the client's patience ran out |

pub(crate) mod codec;
pub(crate) mod grpc;
mod host;
pub mod http;
mod metrics;
mod refusal;

use std::future::Future;
use std::io;
use std::time::Duration;

use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::CompressionEncoding;
use tracing::{info, warn};

pub use grpc::request_from_bytes;
pub use host::{Host, HostError, ServedModel};
pub use refusal::Refusal;

use crate::engine::Backend;

use grpc::open_inference::grpc_inference_service_server::GrpcInferenceServiceServer;

/// Where a server listens.
#[derive(Debug)]
pub struct Listeners {
    /// For HTTP, with `/metrics`.
    pub http: TcpListener,
    /// For gRPC.
    pub grpc: Option<TcpListener>,
    /// For `/metrics` alone.
    pub metrics: Option<TcpListener>,
}

/// How a server stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// How long it goes on answering after it said that it is not ready any more.
    pub linger: Duration,
    /// How long requests that were begun may take after that.
    pub grace: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            linger: Duration::ZERO,
            grace: Duration::from_secs(10),
        }
    }
}

/// Serves until `stop` is over, then drains. How many clients still waited at the end.
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
        // An error means that the sender is gone, which closes as well.
        let _ = closed.wait_for(|closed| *closed).await;
    };
    let listener = listeners.http.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            warn!(%error, "answers may be delayed");
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
    let (health, health_service) = tonic_health::server::health_reporter();
    health
        .set_serving::<GrpcInferenceServiceServer<grpc::Service<B>>>()
        .await;
    if let Some(listener) = listeners.grpc {
        let service = GrpcInferenceServiceServer::new(grpc::Service(host.clone()))
            .max_decoding_message_size(grpc::MOST_BYTES)
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
                // Clients that are gone without a word.
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
    tokio::select! {
        () = stop => {}
        Some(ended) = running.join_next() => {
            ended.map_err(io::Error::other)??;
        }
    }
    host.stop_being_ready();
    health
        .set_service_status("", tonic_health::ServingStatus::NotServing)
        .await;
    health
        .set_not_serving::<GrpcInferenceServiceServer<grpc::Service<B>>>()
        .await;
    info!(linger = ?drain.linger, "no longer ready, draining");
    tokio::time::sleep(drain.linger).await;
    // No new connections and requests; those that were begun are answered.
    closing.send_replace(true);
    host.flush();
    let finish = async {
        while let Some(ended) = running.join_next().await {
            ended.map_err(io::Error::other)??;
        }
        io::Result::Ok(())
    };
    let begin = tokio::time::Instant::now();
    match tokio::time::timeout(drain.grace, finish).await {
        Ok(finished) => finished?,
        Err(_) => warn!("requests were cut off after {:?}", drain.grace),
    }
    let left = drain.grace.saturating_sub(begin.elapsed());
    let waiting = host.drain(left).await;
    info!(waiting, "drained");
    Ok(waiting)
}
