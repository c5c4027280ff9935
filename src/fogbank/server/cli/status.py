"""``fogbank status``: how the server of a data directory is."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any, Final

from fogbank import __version__
from fogbank.server import config, control, datadir

NOT_RUNNING: Final = 3
"""As init scripts say it (LSB, "Init Script Actions")."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(given: argparse.Namespace) -> int:
    """Print the state; status 0 if a server runs and nothing is degraded, 3 if none runs."""
    data_dir = config.data_dir_of(given.data)
    if not (data_dir / datadir.CREDENTIALS_FILE).exists():
        return _fail(f"{data_dir} is no data directory: run fogbank serve first")
    try:
        status: dict[str, Any] = {"running": True, **control.ask(data_dir, "status")}
    except control.NotRunning:
        status = {"running": False, "version": __version__, "degraded": []}
    except control.ControlError as error:
        return _fail(str(error))
    status["data_dir"] = str(data_dir)
    print(json.dumps(status, indent=1) if given.format == "json" else "\n".join(_lines(status)))
    if not status["running"]:
        return NOT_RUNNING
    return 1 if status["degraded"] else 0


def _lines(status: dict[str, Any]) -> Iterator[str]:
    """Yield the state in words."""
    if not status["running"]:
        yield f"not running on {status['data_dir']}"
        return
    yield f"running     {status['endpoint']}, version {status['version']}"
    yield f"data        {status['data_dir']}"
    yield f"uptime      {status['uptime_s']:.0f} s"
    yield f"metrics     {status['metrics'] or 'not served (metrics.port)'}"
    for each in status["processes"]:
        memory = each["memory_bytes"] / (1 << 20)
        yield f"process     {each['role']} {each['pid']}, {memory:.0f} MiB"
    store = status["store"]
    size = store["file_bytes"] / (1 << 20)
    behind = store["version"] - store["durable"]
    yield f"store       version {store['version']}, {behind} not durable yet, {size:.1f} MiB settled"
    yield f"requests    {status['requests_in_flight']} in work, {status['connections']} connections"
    yield f"functions   {status['environments']} environments"
    backlogs = ", ".join(f"{name} {depth}" for name, depth in status["backlogs"].items())
    yield f"backlogs    {backlogs}"
    for each in status["degraded"]:
        yield f"DEGRADED    {each}"


def _fail(reason: str) -> int:
    """Say why there is nothing to print."""
    print(f"fogbank: {reason}", file=sys.stderr)
    return 1
