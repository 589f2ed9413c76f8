"""The servers that are tested: real processes on free ports of the loopback."""

import queue
import subprocess
import threading
from pathlib import Path

MODEL = "strokes"

# The timeout in seconds for a process to train, to get ready and to end.
TIMEOUT = 60

CONFIGURATION = """
[listen]
http = "127.0.0.1:0"
grpc = "127.0.0.1:0"
metrics = "127.0.0.1:0"

[[model]]
name = "{model}"
code = {{ kind = "coded-invnet", group = 2, encoder = "exact" }}
# Direct answers wherever there are some: they are exact.
engine = {{ reconstruct = "10s" }}

[[model.worker]]
file = "{network}"
count = 3
"""


class Fleet:
    """Workers, gateways and a configured server, all ended with this context."""

    def __init__(self, binary, folder):
        self._binary = binary
        self._folder = Path(folder)
        self._processes = []
        self.network = self._folder / f"{MODEL}.safetensors"
        self.servers = {}

    def __enter__(self):
        try:
            self._start_all()
        except BaseException:
            self._stop_all()
            raise
        return self

    def __exit__(self, *_):
        self._stop_all()

    def _start_all(self):
        train = ["train", "--steps", "60", "--out", self.network, "inn", "--hidden", "32"]
        silent = subprocess.DEVNULL
        subprocess.run([self._binary, *train], check=True, timeout=TIMEOUT, stdout=silent)
        workers = [self._worker() for _ in range(3)]
        slow = self._worker("--service-time", "500ms")
        over_http = [f"http://{worker['http']}" for worker in workers]
        over_grpc = [f"grpc://{worker['grpc']}" for worker in workers]
        configuration = self._folder / "serve.toml"
        configuration.write_text(
            CONFIGURATION.format(model=MODEL, network=self.network.name), encoding="utf-8"
        )
        coded = ["--code", "coded-invnet", "--encoder", "mixed", "--group", "2"]
        self.servers = {
            "worker": workers[0],
            "replication": self._gateway(over_grpc, "--code", "replication"),
            "coded": self._gateway(over_http, *coded, "--reconstruct", "10s"),
            "configured": self._start("serve", "--config", configuration),
            "slow": slow,
            # One worker of three is late, so that some answers are reconstructed.
            "delayed": self._gateway([*over_http[:2], f"http://{slow['http']}"], *coded),
        }

    def _worker(self, *more):
        return self._start("worker", self.network, "--name", MODEL, *self._ports(), *more)

    def _gateway(self, workers, *more):
        named = [word for url in workers for word in ("--worker", url)]
        return self._start("gateway", "--name", MODEL, *named, *self._ports(), *more)

    @staticmethod
    def _ports():
        return ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]

    def _start(self, *arguments):
        """Starts a process; its addresses, once it says `ready http=ADDRESS grpc=ADDRESS`."""
        command = [str(word) for word in (self._binary, *arguments)]
        log = self._folder / f"process-{len(self._processes)}.log"
        with log.open("w", encoding="utf-8") as errors:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._processes.append(process)
        line = _first_line(process)
        if not line.startswith("ready "):
            said = line + log.read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"`{' '.join(command)}` did not get ready:\n{said}")
        return dict(word.split("=", 1) for word in line.split()[1:])

    def _stop_all(self):
        """Gateways first, so that none loses its workers. A process that does not end is killed."""
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(timeout=TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
        self._processes.clear()


def _first_line(process):
    """The first line of a process; empty when it ends or takes too long before."""
    lines = queue.Queue()
    threading.Thread(target=lambda: lines.put(process.stdout.readline()), daemon=True).start()
    try:
        return lines.get(timeout=TIMEOUT)
    except queue.Empty:
        return ""
