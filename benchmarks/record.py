"""Figures are written by machines: one JSON file per benchmark, with the source it measured."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
MEASURED = ROOT / "docs" / "measured"


class Table(NamedTuple):
    """A table of text, beside the figures that it explains."""

    title: str
    columns: list[str]
    rows: list[list[str]]


def source_hash(*folders: str) -> str:
    """Return a hash of every source file below some folders of the repository."""
    digest = hashlib.sha256()
    for folder in sorted(folders):
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def pace() -> dict[str, float]:
    """Return how fast this machine is now: shared ones are not the same from one minute to the next.

    Returns:
        A loop of pure Python that stays in the caches, and one that reads all over the memory.
    """
    places = [object() for _ in range(1 << 20)]
    order = random.sample(range(len(places)), 200_000)

    def best(work: Callable[[], object]) -> float:
        times = []
        for _ in range(5):
            begin = time.process_time()
            work()
            times.append(time.process_time() - begin)
        return min(times)

    cached = best(lambda: [str(number) for number in range(200_000)])
    scattered = best(lambda: [places[number] is None for number in order])
    return {
        "cached_ns": round(cached / 200_000 * 1e9, 1),
        "scattered_ns": round(scattered / len(order) * 1e9, 1),
    }


def write(
    name: str,
    command: str,
    figures: dict[str, Any],
    *,
    failures: list[str],
    promises: dict[str, str],
    tables: Sequence[Table] = (),
) -> Path:
    """Write ``docs/measured/<name>.json``.

    Args:
        name: The file's name.
        command: What anyone can run to measure again.
        figures: Names to numbers, units in the names.
        failures: What did not hold.
        promises: For some of the figures, what we promise, as ``>= 10000`` or ``<= 60``.
        tables: What the figures were taken from.
    """
    MEASURED.mkdir(parents=True, exist_ok=True)
    path = MEASURED / f"{name}.json"
    content = {
        "command": command,
        "source": source_hash("src/fogbank"),
        "measured": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "pace": pace(),
        "figures": figures,
        "promises": promises,
        "failures": failures,
        "tables": [each._asdict() for each in tables],
    }
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    return path


def holds(promise: str, value: float) -> bool:
    """Return whether a figure keeps a promise such as ``<= 60``."""
    sign, bound = promise.split()
    return value >= float(bound) if sign == ">=" else value <= float(bound)
