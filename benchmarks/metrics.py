"""What our server says of itself: its figures for Prometheus, and what the kernel knows of it."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from load import TICK_S

from fogbank.testing.server import Server

SETTINGS = "[metrics]\nport = 0\n"
"""Settings under which a server can be scraped."""
SEGMENT_BYTES = 16 << 20
"""Of the redo log: so much is written between one checkpoint and the next."""
CHECKPOINTS = "fogbank_store_checkpoint_duration_seconds"
LOGGED = "fogbank_store_group_bytes_total"
CHECKPOINTER = "fogbank.engines.embedded.checkpoint"


def scraped(server: Server) -> dict[str, float]:
    """Return every figure of ``/metrics`` by its name and labels, as the text has it."""
    with urllib.request.urlopen(_address(server, server.pid)) as answer:
        text = answer.read().decode()
    pairs = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


@cache
def _address(server: Server, _pid: int) -> str:
    """Return where a server that was started as this process can be scraped."""
    where: str = json.loads(server.run("status", "--format", "json").stdout)["metrics"]
    return where


def total(figures: Mapping[str, float], name: str) -> float:
    """Return the sum of a figure over all labels."""
    return sum(value for key, value in figures.items() if key.partition("{")[0] == name)


def buckets(figures: Mapping[str, float], name: str) -> dict[float, float]:
    """Return a histogram, summed over its labels: how many lie at or below each edge."""
    found: dict[float, float] = {}
    for key, value in figures.items():
        family, _, labels = key.partition("{")
        if family == f"{name}_bucket":
            edge = float(labels.partition('le="')[2].partition('"')[0])
            found[edge] = found.get(edge, 0.0) + value
    return found


def quantile_edge(
    before: Mapping[float, float], after: Mapping[float, float], share: float
) -> float | None:
    """Return the lowest edge of a histogram at or below which a share of what came between lies.

    None: nothing came between, or more than the rest lies above the last edge.
    """
    came = {edge: after[edge] - before.get(edge, 0.0) for edge in sorted(after)}
    count = max(came.values(), default=0.0)
    edges = [edge for edge, below in came.items() if count and below >= share * count]
    return min(edges) if edges and edges[0] != float("inf") else None


def settling(server: Server) -> tuple[float, int]:
    """Return the processor seconds of the checkpointers so far, and the bytes that they wrote.

    Bytes are those of their calls (``wchar``). What the kernel counts for the disk
    (``write_bytes``) is by whole folios: a page within one of a megabyte counts as a megabyte.
    """
    cpu, written = 0.0, 0
    for pid, line in server.processes().items():
        if CHECKPOINTER not in line:
            continue
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            io = Path(f"/proc/{pid}/io").read_text()
        except OSError:
            continue
        cpu += sum(int(field) for field in fields[11:15]) * TICK_S
        written += int(io.partition("wchar: ")[2].partition("\n")[0])
    return cpu, written


def device_bytes(folder: Path) -> int | None:
    """Return the bytes that everything on the machine wrote to the disk of a folder so far.

    None: the folder is on no disk that the kernel counts.
    """
    device = folder.stat().st_dev
    for line in Path("/proc/diskstats").read_text().splitlines():
        major, minor, _, *counts = line.split()
        if (int(major), int(minor)) == (os.major(device), os.minor(device)):
            return int(counts[6]) * 512
    return None


def disk_bytes(folder: Path) -> int:
    """Return what the files of a folder take on the disk."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))
