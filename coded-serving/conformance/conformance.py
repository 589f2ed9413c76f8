"""Tests the servers of coded-serving with widely used Python clients.

    python conformance.py target/debug/coded-serving

starts workers, gateways and a configured server of that program, and checks them with the clients
of Triton and KServe, pinned in requirements.txt. Each set of clients runs in a
process of its own: both register messages of the same names, which protobuf refuses within one.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from fleet import Fleet

CLIENTS = ["triton_clients.py", "kserve_clients.py"]


def main():
    """The exit code: 0 when all checks pass, 1 when one fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary", type=Path, help="the program coded-serving")
    parser.add_argument("--verbose", action="store_true", help="name every check")
    arguments = parser.parse_args()
    here = Path(__file__).resolve().parent
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        with Fleet(arguments.binary.resolve(), folder) as fleet:
            parameters = {"servers": fleet.servers, "network": str(fleet.network)}
            environment = os.environ | {"CODED_SERVING_FLEET": json.dumps(parameters)}
            for clients in CLIENTS:
                print(f"{clients}:", flush=True)
                command = [sys.executable, here / clients]
                command += ["--verbose"] if arguments.verbose else []
                if subprocess.run(command, env=environment, check=False).returncode != 0:
                    failed.append(clients)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
