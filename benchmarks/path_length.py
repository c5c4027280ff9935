"""How long the way of a request is: calls of Python functions and bytecodes, counted.

Counts are the same on a loud machine and on a quiet one, so this is the figure to compare two
versions by; what they take is for the other benchmarks. The request passes through the whole of a
store process but its sockets (``inprocess``).
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import record
from anatomy import requests_of
from inprocess import InProcess, run

KINDS = ("get_item", "put_item")
REQUESTS = 512
CONNECTIONS = 16
"""Several, as they share the groups of the log; few, as making one is counted too."""
WARM_UP = 256
SHOWN = 40
OWN = str(Path(__file__).parent)
"""What this benchmark runs itself is not counted."""
PROMISES = {"get_item_calls": "<= 180", "put_item_calls": "<= 255"}
"""A little above what they are: who makes the way longer says so by a higher number here."""


class Length(NamedTuple):
    """What one kind of request runs, all requests together."""

    calls: Counter[CodeType]
    bytecodes: Counter[CodeType]

    def each(self, counted: Counter[CodeType]) -> float:
        """Return how much one request runs of something."""
        return counted.total() / REQUESTS


class _Counting:
    """Counts what this thread runs while it is entered."""

    def __init__(self) -> None:
        self.length = Length(Counter(), Counter())

    def _called(self, frame: FrameType, event: str, arg: object) -> Any:
        del event, arg
        if frame.f_code.co_filename.startswith(OWN):
            return None
        self.length.calls[frame.f_code] += 1
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._stepped

    def _stepped(self, frame: FrameType, event: str, arg: object) -> Any:
        del arg
        if event == "opcode":
            self.length.bytecodes[frame.f_code] += 1
        return self._stepped

    def __enter__(self) -> Length:
        self._was = sys.gettrace()
        sys.settrace(self._called)
        return self.length

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._was)


async def measure(cloud: InProcess) -> dict[str, Length]:
    """Return how long the way of each kind of request is."""
    await cloud.create_table()
    requests = requests_of(cloud)
    found: dict[str, Length] = {}
    for kind in KINDS:
        await cloud.ask(requests[kind][:WARM_UP])
        with _Counting() as found[kind]:
            await cloud.ask(requests[kind][:REQUESTS], CONNECTIONS)
    return found


def figures_of(found: dict[str, Length]) -> dict[str, float]:
    """Return the figures by their names."""
    return {
        f"{kind}_{name}": round(length.each(counted), 1)
        for kind, length in found.items()
        for name, counted in length._asdict().items()
    }


def name_of(code: CodeType) -> str:
    """Return where a function stands."""
    for root in ("src/fogbank/", "site-packages/", "lib/"):
        _, found, below = code.co_filename.partition(root)
        if found:
            return f"{below}:{code.co_firstlineno} {code.co_qualname}"
    return f"{code.co_filename} {code.co_qualname}"


def rows_of(length: Length) -> list[list[str]]:
    """Return what runs most, with how often and how much a request runs of it."""
    return [
        [
            name_of(code),
            f"{length.calls[code] / REQUESTS:.2f}",
            f"{count / REQUESTS:.1f}",
        ]
        for code, count in length.bytecodes.most_common(SHOWN)
    ]


def main() -> int:
    """Count, print, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dry", action="store_true", help="write no figures")
    arguments = parser.parse_args()
    found = run(measure)
    figures = figures_of(found)
    tables = [
        record.Table(
            f"What a {kind} runs most", ["function", "calls", "bytecodes"], rows_of(length)
        )
        for kind, length in found.items()
    ]
    for table in tables:
        print(table.title)
        for name, calls, bytecodes in table.rows:
            print(f"  {bytecodes:>8} {calls:>6}  {name}")
    for name, figure in figures.items():
        print(f"{name:<24}{figure:>10}  {PROMISES.get(name, '')}")
    failures = [
        f"{name}: {figures[name]} is not {promise}"
        for name, promise in PROMISES.items()
        if not record.holds(promise, figures[name])
    ]
    if not arguments.dry:
        command = "python benchmarks/path_length.py"
        record.write(
            "path_length", command, figures, failures=failures, promises=PROMISES, tables=tables
        )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
