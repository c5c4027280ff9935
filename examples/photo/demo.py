"""``make demo``: start Fogbank in a scratch directory and run the photo example against it.

With ``--keep`` it goes on serving on port 4566 afterwards and says how to use it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

READY_WAIT_S = 30
STOP_WAIT_S = 60
KEEP_PORT = 4566
HOW_TO_USE = """
Fogbank goes on serving. In another shell:

  eval "$({fogbank} env --data {data})"
  aws s3 ls s3://thumbnails --recursive
  aws dynamodb scan --table-name photo-metadata
  aws logs filter-log-events --log-group-name /aws/lambda/photo-thumbnail --output text
  python3 -c 'import boto3; print(boto3.client("s3").list_buckets()["Buckets"])'

Ctrl-C ends it; the data stays in {data}.
"""


def start(fogbank: Path, data: Path, port: int) -> tuple[subprocess.Popen[str], str]:
    """Start the server and return it with its endpoint once it is ready."""
    server = subprocess.Popen(
        [fogbank, "serve", "--data", data, "--port", str(port)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    line = server.stdout.readline()
    if not line.startswith("ready "):
        server.wait(READY_WAIT_S)
        raise SystemExit(f"the server did not start (status {server.returncode})")
    return server, line.split()[1]


def environment(fogbank: Path, data: Path) -> dict[str, str]:
    """Return the variables that point boto3 at the server, and none of the user's own."""
    printed = subprocess.run(
        [fogbank, "env", "--data", data, "--format", "json"],
        check=True,
        capture_output=True,
        text=True,
    )
    clean = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    clean.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)
    return clean | json.loads(printed.stdout)


def main() -> int:
    """Run the demonstration."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="go on serving on port 4566")
    parser.add_argument(
        "--port",
        type=int,
        help=f"where to serve (default: a free port; with --keep: {KEEP_PORT})",
    )
    arguments = parser.parse_args()
    keep = arguments.keep
    port = arguments.port if arguments.port is not None else (KEEP_PORT if keep else 0)
    fogbank = Path(sys.executable).parent / "fogbank"
    folder = Path(tempfile.mkdtemp(prefix="fogbank-demo-"))
    try:
        return demonstrate(fogbank, folder / "data", port, keep=keep)
    finally:
        if not keep:
            shutil.rmtree(folder)


def demonstrate(fogbank: Path, data: Path, port: int, *, keep: bool) -> int:
    """Serve, run the example, and serve on if asked to."""
    server, endpoint = start(fogbank, data, port)
    print(f"Fogbank serves {endpoint}, data in {data}", flush=True)
    status = 0
    try:
        example = Path(__file__).with_name("run.py")
        variables = environment(fogbank, data)
        status = subprocess.run([sys.executable, example], env=variables, check=False).returncode
        if keep and status == 0:
            print(HOW_TO_USE.format(fogbank=fogbank, data=data), flush=True)
            server.wait()
    except KeyboardInterrupt:
        print("ending", flush=True)
    finally:
        server.send_signal(signal.SIGTERM)
        ended = server.wait(STOP_WAIT_S)
    return status or ended


if __name__ == "__main__":
    sys.exit(main())
