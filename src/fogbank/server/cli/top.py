"""``fogbank top``: the environments of functions, what each does and what it takes, again and again.

``--once`` prints them one time; ``--format json`` prints a look as one JSON object a line. A processor
share needs two looks: in the first one it is that of the whole life of an environment.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from fogbank.server import config, control, datadir

WAIT_S: Final = 10.0
INTERVAL_S: Final = 2.0
INTERVAL_S_MIN: Final = 0.1
_HEAD: Final = (
    *("pid", "state", "cpu %", "memory", "of MB", "age", "idle", "calls", "version"),
    *("region", "account", "function"),
)
_ORDER: Final = ("busy", "starting", "ending", "idle", "frozen")
_MIB: Final = 1 << 20
_CLEAR: Final = "\x1b[H\x1b[2J"
_HEADER_LINES: Final = 2


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--once", action="store_true", help="one look, and no more")
    parser.add_argument(
        "--interval", type=float, default=INTERVAL_S, metavar="SECONDS", help="between two looks"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(given: argparse.Namespace) -> int:
    """Print looks until told to stop; status 1 with the reason if there is nothing to look at."""
    data_dir = config.data_dir_of(given.data)
    if not (data_dir / datadir.CREDENTIALS_FILE).exists():
        return _fail(f"{data_dir} is no data directory: run fogbank serve first")
    if not given.interval >= INTERVAL_S_MIN:
        return _fail(f"--interval is at least {INTERVAL_S_MIN} seconds")
    before: dict[int, tuple[int, int]] = {}
    try:
        while True:
            rows: list[dict[str, Any]] = []
            told = control.ask(data_dir, "lambda.environments", None, rows.append, WAIT_S)
            rows, before = measured(rows, before)
            _show(given, rows, told)
            if given.once:
                return 0
            time.sleep(given.interval)
    except KeyboardInterrupt:
        return 0
    except (control.ControlError, control.NotRunning) as error:
        return _fail(str(error))


def measured(
    rows: Iterable[dict[str, Any]], before: Mapping[int, tuple[int, int]]
) -> tuple[list[dict[str, Any]], dict[int, tuple[int, int]]]:
    """Return rows with the share of a processor that each has had, in order, and what to keep.

    Args:
        rows: What was told.
        before: Age and processor time of each environment at the last look, by process.
    """
    kept = {row["pid"]: (row["age_ms"], row["processor_ms"]) for row in rows if row["pid"] > 0}
    shown: list[dict[str, Any]] = []
    for row in rows:
        age_ms, used_ms = before.get(row["pid"], (0, 0))
        if age_ms >= row["age_ms"] or used_ms > row["processor_ms"]:
            # Another environment, whose process has the number of one that ended.
            age_ms = used_ms = 0
        spent_ms = max(1, row["age_ms"] - age_ms)
        percent = 100 * (row["processor_ms"] - used_ms) / spent_ms
        shown.append({**row, "processor_percent": round(percent, 1)})
    shown.sort(key=lambda row: (_ORDER.index(row["state"]), -row["processor_percent"], row["pid"]))
    return shown, kept


def _show(given: argparse.Namespace, rows: Sequence[dict[str, Any]], told: dict[str, Any]) -> None:
    """Print one look."""
    if given.format == "json":
        print(json.dumps({**told, "shown": rows}), flush=True)
        return
    lines = list(_lines(rows, told))
    if not given.once and sys.stdout.isatty():
        height = shutil.get_terminal_size().lines
        lines = [_CLEAR + lines[0], *lines[1 : max(_HEADER_LINES, height - 1)]]
    print("\n".join(lines), flush=True)


def _lines(rows: Sequence[dict[str, Any]], told: dict[str, Any]) -> Iterator[str]:
    """Yield a look in words: how much there is, then a line for each environment."""
    states = [sum(row["state"] == state for row in rows) for state in _ORDER]
    counted = ", ".join(f"{n} {state}" for n, state in zip(states, _ORDER, strict=True) if n)
    memory = sum(row["memory_bytes"] for row in rows) / _MIB
    left = (
        f", {told['environments'] - len(rows)} not shown"
        if told["environments"] > len(rows)
        else ""
    )
    yield f"{told['environments']} environments ({counted or 'none'}{left}), {memory:.0f} MiB"
    for name in told["silent"]:
        yield f"{name} does not answer"
    cells = [_HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(each[at]) for each in cells) for at in range(len(_HEAD) - 1)]
    for each in cells:
        padded = [text.rjust(width) for text, width in zip(each, widths, strict=False)]
        yield "  ".join([*padded, each[-1]])


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    """Return what is shown of an environment, in the order of ``_HEAD``."""
    return (
        str(row["pid"]) if row["pid"] > 0 else "-",
        row["state"] + ("*" if row["provisioned"] else ""),
        f"{row['processor_percent']:.1f}",
        f"{row['memory_bytes'] / _MIB:.1f}",
        str(row["memory_mb"]),
        _span(row["age_ms"]),
        _span(row["idle_ms"]) if row["idle_ms"] else "-",
        str(row["invocations"]),
        row["version"],
        row["region"],
        row["account"],
        row["function"],
    )


def _span(ms: int) -> str:
    """Return a time in the largest unit that it has at least two of."""
    for unit, unit_ms in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)):
        if ms >= 2 * unit_ms:
            return f"{ms // unit_ms}{unit}"
    return f"{ms}ms"


def _fail(reason: str) -> int:
    """Say why there is nothing to show."""
    print(f"fogbank: {reason}", file=sys.stderr)
    return 1
