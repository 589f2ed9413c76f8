//! `MLServer` in a Python environment of its own.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::server::NAME;
use crate::python::Environment;

/// The version that is compared with.
pub(super) const VERSION: &str = "1.7.1";

/// Newer ones reject `asyncio.get_event_loop`, which the server's parallel workers call.
const UVLOOP: &str = "uvloop<0.22";

const MODEL: &str = include_str!("mlserver_model/perceptron.py");

/// The timeout for starting, and for stopping.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Makes an environment, or takes the one that is there.
pub(super) fn prepare(folder: &Path, log: &mut dyn FnMut(&str)) -> anyhow::Result<PathBuf> {
    let check = format!(
        "import mlserver, importlib.metadata as m; assert m.version('mlserver') == '{VERSION}'"
    );
    let environment = Environment {
        packages: &[&format!("mlserver=={VERSION}"), UVLOOP],
        check: &check,
    };
    environment.prepare(folder, log)
}

/// A running `MLServer`, ended when this is dropped.
#[derive(Debug)]
pub(super) struct MlServer {
    child: Child,
    pub(super) url: String,
}

impl MlServer {
    /// Serves a network with this number of parallel workers; `None` is the server's default.
    ///
    /// It has one thread for linear algebra, which is fastest for one row.
    pub(super) fn start(
        python: &Path,
        network: &Path,
        folder: &Path,
        parallel_workers: Option<u32>,
    ) -> anyhow::Result<Self> {
        let folder = folder.join(NAME);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let [http, grpc, metrics] = free_ports()?;
        let mut settings = json!({
            // Its access log costs time.
            "debug": false,
            "host": "127.0.0.1",
            "http_port": http,
            "grpc_port": grpc,
            "metrics_port": metrics,
        });
        if let Some(workers) = parallel_workers {
            settings["parallel_workers"] = workers.into();
        }
        // Absolute, because the server runs in its own folder.
        let network = fs::canonicalize(network)
            .with_context(|| format!("cannot find {}", network.display()))?;
        let model = json!({
            "name": NAME,
            "implementation": "perceptron.Perceptron",
            "parameters": {"uri": network},
        });
        for (name, text) in [
            // The folder that MLServer loads: code, settings of the server, settings of the model.
            ("perceptron.py", MODEL.to_owned()),
            ("settings.json", settings.to_string()),
            ("model-settings.json", model.to_string()),
        ] {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        let log = folder.join("log");
        let log_file =
            File::create(&log).with_context(|| format!("cannot make {}", log.display()))?;
        let python = std::path::absolute(python)?;
        let child = Command::new(&python)
            // Through the environment's Python, since its scripts are not on the path.
            .args(["-c", "from mlserver.cli import main; main()", "start", "."])
            .current_dir(&folder)
            .env("OMP_NUM_THREADS", "1")
            .env("OPENBLAS_NUM_THREADS", "1")
            .stdin(Stdio::null())
            .stdout(log_file.try_clone()?)
            .stderr(log_file)
            .spawn()
            .with_context(|| format!("cannot run {}", python.display()))?;
        Ok(Self {
            child,
            url: format!("http://127.0.0.1:{http}"),
        })
    }

    /// Waits until the model is ready.
    pub(super) async fn ready(&mut self) -> anyhow::Result<()> {
        let url = format!("{}/v2/models/{NAME}/ready", self.url);
        let begin = Instant::now();
        loop {
            // Refused connections are normal until the server listens.
            let answer = reqwest::get(&url).await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("MLServer ended: {status}; its file `log` says why");
            }
            if begin.elapsed() > TIMEOUT {
                bail!("MLServer is not ready within {TIMEOUT:?}; its file `log` may say why");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for MlServer {
    fn drop(&mut self) {
        // A signal that it can handle: it has to end its workers.
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(id) = id {
            let _ = kill_process(id, Signal::TERM);
        }
        let begin = Instant::now();
        while begin.elapsed() < TIMEOUT {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Free ports.
fn free_ports() -> anyhow::Result<[u16; 3]> {
    let listen = || TcpListener::bind("127.0.0.1:0").context("no port is free");
    // Bound together, so that the three differ; they are released on return.
    let listeners = [listen()?, listen()?, listen()?];
    let mut ports = [0; 3];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}
