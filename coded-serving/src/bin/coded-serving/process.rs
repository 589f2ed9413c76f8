//! Worker and gateway processes, started, stopped and killed.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Starts this program on a free port and waits until it says where it listens.
async fn start(verb: &str, arguments: &[String]) -> anyhow::Result<(Child, String)> {
    let program = std::env::current_exe().context("this program cannot be found")?;
    let mut child = Command::new(program)
        .arg(verb)
        .args(arguments)
        .args(["--http", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("a {verb} cannot be started"))?;
    let Some(out) = child.stdout.take() else {
        bail!("a {verb} has no output");
    };
    let mut lines = BufReader::new(out).lines();
    let first = tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await;
    let line = first.with_context(|| format!("a {verb} is not ready within 20 s"))??;
    let address = line
        .as_deref()
        .and_then(|line| line.strip_prefix("ready http="))
        .and_then(|rest| rest.split(' ').next());
    let Some(address) = address else {
        bail!("a {verb} ended before it was ready");
    };
    Ok((child, format!("http://{address}")))
}

/// A worker in a process of its own, which is killed when this is dropped.
pub(crate) struct WorkerProcess {
    child: Child,
    /// Its address, for the gateway.
    pub(crate) url: String,
}

impl WorkerProcess {
    /// Starts a worker, and waits until it is ready.
    pub(crate) async fn start(model: &Path, name: &str, more: &[String]) -> anyhow::Result<Self> {
        let file = model
            .to_str()
            .context("the model's file has no readable name")?;
        let fixed = [file, "--name", name].map(str::to_owned);
        let (child, url) = start("worker", &[&fixed, more].concat()).await?;
        Ok(Self { child, url })
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

/// A gateway in a process of its own, which is killed when this is dropped.
pub(crate) struct GatewayProcess {
    child: Child,
    /// Its address, for clients.
    pub(crate) url: String,
}

impl GatewayProcess {
    /// Starts a gateway, and waits until it is ready.
    pub(crate) async fn start(arguments: &[String]) -> anyhow::Result<Self> {
        let (child, url) = start("gateway", arguments).await?;
        Ok(Self { child, url })
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) -> anyhow::Result<()> {
        let id = self.child.id().context("the gateway has ended already")?;
        let kill = std::process::Command::new("kill")
            .args(["-TERM", &id.to_string()])
            .status()
            .context("`kill` cannot be run")?;
        if !kill.success() {
            bail!("the gateway cannot be told to stop");
        }
        Ok(())
    }

    /// Waits until it has ended.
    pub(crate) async fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        let ended = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await;
        Ok(ended.context("the gateway did not end within 30 s")??)
    }
}
