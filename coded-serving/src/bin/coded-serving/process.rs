//! Worker and gateway processes.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use septet_core::cli::Exit;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

/// How a server depends on the process that has started it.
#[derive(clap::Args)]
pub(crate) struct Parent {
    /// Exit when standard input ends
    #[arg(long, hide = true)]
    exit_with_parent: bool,
}

impl Parent {
    /// With the option, ends this process when standard input ends: then the process that holds the
    /// other end of the pipe has ended, in whatever way.
    pub(crate) fn watch(&self) {
        if self.exit_with_parent {
            std::thread::spawn(|| {
                let _ = io::copy(&mut io::stdin(), &mut io::sink());
                std::process::exit(Exit::Success.code().into());
            });
        }
    }
}

/// A server that this process has started.
struct Started {
    child: Child,
    /// Its standard input, which ends when this process does.
    _input: ChildStdin,
    url: String,
}

/// Starts this program on a free port, and waits for the line with its address.
async fn start(verb: &str, arguments: &[String]) -> anyhow::Result<Started> {
    let program = std::env::current_exe().context("the path of this program is unknown")?;
    let mut child = Command::new(program)
        .arg(verb)
        .args(arguments)
        .args(["--http", "127.0.0.1:0", "--exit-with-parent"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start a {verb}"))?;
    let (Some(input), Some(out)) = (child.stdin.take(), child.stdout.take()) else {
        bail!("a {verb} has no standard input or output");
    };
    let mut lines = BufReader::new(out).lines();
    // The program prints its address when it is ready.
    let first = tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await;
    let line = first.with_context(|| format!("a {verb} is not ready within 20 s"))??;
    let address = line
        .as_deref()
        .and_then(|line| line.strip_prefix("ready http="))
        .and_then(|rest| rest.split(' ').next());
    let Some(address) = address else {
        bail!("a {verb} ended before it was ready");
    };
    let url = format!("http://{address}");
    Ok(Started {
        child,
        _input: input,
        url,
    })
}

/// A worker process, killed when dropped.
pub(crate) struct WorkerProcess(Started);

impl WorkerProcess {
    /// Starts a worker, and waits until it is ready.
    pub(crate) async fn start(model: &Path, name: &str, more: &[String]) -> anyhow::Result<Self> {
        let file = model
            .to_str()
            .context("the path of the model is not UTF-8")?;
        let fixed = [file, "--name", name].map(str::to_owned);
        Ok(Self(start("worker", &[&fixed, more].concat()).await?))
    }

    /// Its address.
    pub(crate) fn url(&self) -> &str {
        &self.0.url
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.0.child.id().unwrap_or(0)
    }

    /// Kills the process (SIGKILL).
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        self.0.child.kill().await.context("cannot kill a worker")
    }
}

/// A gateway process, killed when dropped.
pub(crate) struct GatewayProcess(Started);

impl GatewayProcess {
    /// Starts a gateway, and waits until it is ready.
    pub(crate) async fn start(arguments: &[String]) -> anyhow::Result<Self> {
        Ok(Self(start("gateway", arguments).await?))
    }

    /// Its address.
    pub(crate) fn url(&self) -> &str {
        &self.0.url
    }

    /// Stops the process gracefully (SIGTERM).
    pub(crate) fn terminate(&self) -> anyhow::Result<()> {
        let id = self.0.child.id().context("the gateway has already ended")?;
        // The standard library sends SIGKILL only.
        let kill = std::process::Command::new("kill")
            .args(["-TERM", &id.to_string()])
            .status()
            .context("cannot run `kill`")?;
        if !kill.success() {
            bail!("cannot stop the gateway");
        }
        Ok(())
    }

    /// Waits until the process has ended.
    pub(crate) async fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        let ended = tokio::time::timeout(Duration::from_secs(30), self.0.child.wait()).await;
        Ok(ended.context("the gateway did not end within 30 s")??)
    }
}
