"""``fogbank status``: how the server of a data directory is.

Exit statuses, as monitoring and scripts read them: 0 it runs and all is well, 1 it runs and
something is degraded, 2 the command line is wrong, 3 no server runs, 4 that cannot be told (no
data directory, another user's server, one that does not answer). 3 and 4 are as init scripts say
them (LSB, "Init Script Actions").
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any, Final

from fogbank import __version__
from fogbank.server import asking, config, control, datadir

WELL: Final = 0
DEGRADED: Final = 1
NOT_RUNNING: Final = 3
UNKNOWN: Final = 4
WAIT_S: Final = 10.0
_MIB: Final = 1 << 20


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument(
        "--wait", type=float, default=WAIT_S, metavar="SECONDS", help="how long the server may take"
    )


def run(given: argparse.Namespace) -> int:
    """Print the state; return the status that the module names."""
    data_dir = config.data_dir_of(given.data)
    if not (data_dir / datadir.CREDENTIALS_FILE).exists():
        return _fail(f"{data_dir} is no data directory: run fogbank serve first")
    try:
        status: dict[str, Any] = {
            "running": True,
            **control.ask(data_dir, "status", wait_s=given.wait),
        }
    except control.NotRunning:
        status = {"running": False, "version": __version__, "degraded": []}
    except control.ControlError as error:
        return _fail(str(error))
    status["data_dir"] = str(data_dir)
    print(json.dumps(status, indent=1) if given.format == "json" else "\n".join(_lines(status)))
    if not status["running"]:
        return NOT_RUNNING
    return DEGRADED if status["degraded"] else WELL


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
        memory = each["memory_bytes"] / _MIB
        yield f"process     {each['role']} {each['pid']}, {memory:.0f} MiB"
    streams = f", {status['http2_streams']} HTTP/2 streams" if status["http2_streams"] else ""
    yield (
        f"requests    {status['requests_in_flight']} in work, {status['connections']} connections"
        + streams
    )
    yield f"functions   {status['environments']} environments"
    for store in status["stores"]:
        yield from _store_lines(store)
    for each in status["degraded"]:
        yield f"DEGRADED    {each}"


def _store_lines(store: dict[str, Any]) -> Iterator[str]:
    """Yield what is in one store."""
    size, behind = store["file_bytes"] / _MIB, store["version"] - store["durable"]
    yield (
        f"{store['name']:<12}version {store['version']}, {behind} not durable yet, "
        f"{size:.1f} MiB settled"
    )
    blobs = store["blobs"]
    held = (
        "are being counted"
        if blobs is None
        else f"{blobs['blobs']}, {blobs['size_bytes'] / _MIB:.1f} MiB"
    )
    yield f"  blobs     {held}; {_scrub_words(store['scrub'])}"
    backlogs = ", ".join(f"{name} {depth}" for name, depth in store["backlogs"].items())
    yield f"  backlogs  {backlogs}"
    yield f"  sealed    {asking.anew_words(store['anew'])}"
    ages = [f"{name} {age:.0f} s" for name, age in store["ages_s"].items() if age]
    if store["archive"] is not None:
        ages.append(f"archive {store['archive']['age_s']:.0f} s")
    if ages:
        yield f"  oldest    {', '.join(ages)}"
    for each in store["scrub"]["damage"]:
        yield f"  damaged   {each['message']}"


def _scrub_words(scrub: dict[str, Any]) -> str:
    """Return how the scrub is, in words."""
    if not scrub.get("last_ended_ms"):
        return "not scrubbed yet"
    when = asking.time_of(scrub["last_ended_ms"])
    return f"scrubbed {when}, {scrub['last_frames']} frames, {scrub['damaged']} damaged"


def _fail(reason: str) -> int:
    """Say why there is nothing to print."""
    print(f"fogbank: {reason}", file=sys.stderr)
    return UNKNOWN
