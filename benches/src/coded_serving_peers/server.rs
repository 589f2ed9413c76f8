//! Our servers: on threads of this process, or in one of their own.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, anyhow};
use septet_coded_serving::backend::{LocalNetwork, LocalWorker, Pool};
use septet_coded_serving::code::{Model, Replication};
use septet_coded_serving::engine::{Backend, Engine};
use septet_coded_serving::protocol::ModelMetadata;
use septet_coded_serving::server::{Drain, Host, Listeners, ServedModel, serve};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// What a server prints once it accepts queries, before its address.
const READY: &str = "ready ";

/// The name of the model of every server.
pub(super) const NAME: &str = "mlp";

/// A server on a thread of its own, stopped when this is dropped.
#[derive(Debug)]
pub(super) struct ServerThread {
    pub(super) url: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

impl ServerThread {
    /// Serves with this runtime.
    pub(super) fn start<B: Backend>(
        runtime: Runtime,
        engine: Engine<B>,
        metadata: ModelMetadata,
    ) -> anyhow::Result<Self> {
        // Bound before the thread starts: the port is known, and early connections wait in its
        // queue.
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let url = format!("http://{}", listener.local_addr()?);
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().spawn(move || {
            let stopped = async {
                // An error means that the sender is gone, which stops as well.
                let _ = stopped.await;
            };
            runtime.block_on(serve_until(engine, metadata, listener, stopped))
        })?;
        Ok(Self {
            url,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for ServerThread {
    fn drop(&mut self) {
        // The server stops when the sender is gone.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // How it ended no longer matters: all queries have been answered.
            let _ = thread.join();
        }
    }
}

async fn serve_until<B: Backend>(
    engine: Engine<B>,
    metadata: ModelMetadata,
    http: TcpListener,
    stop: impl Future<Output = ()> + Send,
) -> anyhow::Result<()> {
    let host = Host::new(vec![ServedModel {
        metadata,
        engine,
        default_timeout: Duration::from_secs(30),
    }])?;
    let listeners = Listeners {
        http,
        grpc: None,
        metrics: None,
    };
    let drain = Drain {
        grace_period: Duration::from_millis(200),
        ..Drain::default()
    };
    serve(host, listeners, drain, stop).await?;
    Ok(())
}

/// Serves a network from a file with one worker until the process is ended, as `coded-serving worker`
/// does, and says at which address.
///
/// # Errors
///
/// When the file is no network, or no port is free.
pub fn serve_file(file: &Path) -> anyhow::Result<()> {
    let network = LocalNetwork::read(file)?;
    let metadata = network.metadata(NAME);
    let worker = LocalWorker::new([(Model::Base, network)])?;
    // Groups of one without a backup: an engine that only passes queries on.
    let code = Arc::new(Replication::new(1, 0)?);
    let engine = Engine::builder(code, Pool::new(vec![worker.into()]))
        .max_queue_len(1024)
        .build()?;
    all_cores()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut out = std::io::stdout();
        writeln!(out, "{READY}http://{}", listener.local_addr()?)?;
        out.flush()?;
        serve_until(engine, metadata, listener, std::future::pending()).await
    })
}

/// A runtime with a thread for each core.
pub(super) fn all_cores() -> anyhow::Result<Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.context("no threads can be started")
}

/// A runtime on the thread that waits for it.
pub(super) fn one_thread() -> anyhow::Result<Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.context("no runtime can be started")
}

/// This program in a process of its own, as a server; killed when this is dropped.
#[derive(Debug)]
pub(super) struct ServerProcess {
    child: Child,
    pub(super) url: String,
}

impl ServerProcess {
    pub(super) fn start(file: &Path) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program cannot be found")?;
        let mut child = Command::new(program)
            .arg("--serve")
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("our server cannot be started")?;
        let out = child.stdout.take();
        // Complete before anything can fail, so that dropping it ends the child.
        let mut server = Self {
            child,
            url: String::new(),
        };
        // Blocks until the port is open, or until the child has ended.
        let mut line = String::new();
        BufReader::new(out.context("our server has no output")?).read_line(&mut line)?;
        let url = line.trim().strip_prefix(READY);
        let url = url.ok_or_else(|| anyhow!("our server ended before it was ready"))?;
        url.clone_into(&mut server.url);
        Ok(server)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
