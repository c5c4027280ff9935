"""How tests look at a real server from outside: its commands, its ``/metrics``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from fogbank.testing.server import Server

WAIT_S = 60


def fogbank(server: Server, *arguments: str, status: int | tuple[int, ...] = 0) -> str:
    """Run a command on a server's directory; it has to end with the status, or one of some."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("FOGBANK_")}
    done = subprocess.run(
        [sys.executable, "-m", "fogbank", *arguments, "--data", str(server.data_dir)],
        capture_output=True,
        text=True,
        check=False,
        env=clean,
    )
    wanted = (status,) if isinstance(status, int) else status
    assert done.returncode in wanted, (done.stdout, done.stderr)
    return done.stdout


def status_of(server: Server, status: int | tuple[int, ...] = 0) -> dict[str, Any]:
    return json.loads(fogbank(server, "status", "--format", "json", status=status))


def scrape(address: str) -> dict[Any, float]:
    """Return every sample by name and labels."""
    assert address.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(address) as reply:
        assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        text = reply.read().decode()
    found = [
        ((sample.name, *sorted(sample.labels.items())), sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]
    samples = dict(found)
    assert len(samples) == len(found), "no sample comes twice"
    return samples


def until(what: str, look: Callable[[], Any]) -> Any:
    """Return what is seen once it is something."""
    deadline = time.monotonic() + WAIT_S
    while not (found := look()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return found
