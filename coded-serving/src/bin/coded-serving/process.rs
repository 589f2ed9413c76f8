//! Worker processes, started and killed.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A worker in a process of its own, which is killed when this is dropped.
pub(crate) struct WorkerProcess {
    child: Child,
    /// Its address, for the gateway.
    pub(crate) url: String,
}

impl WorkerProcess {
    /// Starts a worker on a free port, and waits until it is ready.
    pub(crate) async fn start(
        model: &Path,
        name: &str,
        more: &[String],
    ) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program cannot be found")?;
        let mut child = Command::new(program)
            .arg("worker")
            .arg(model)
            .args(["--name", name, "--http", "127.0.0.1:0"])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("a worker cannot be started")?;
        let Some(out) = child.stdout.take() else {
            bail!("a worker has no output");
        };
        let mut lines = BufReader::new(out).lines();
        let first = tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await;
        let line = first.context("a worker is not ready within 20 s")??;
        let address = line
            .as_deref()
            .and_then(|line| line.strip_prefix("ready http="))
            .and_then(|rest| rest.split(' ').next());
        let Some(address) = address else {
            bail!("a worker ended before it was ready");
        };
        Ok(Self {
            url: format!("http://{address}"),
            child,
        })
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    /// Kills it with no chance to say goodbye.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("a worker cannot be killed")
    }
}
