"""From what was measured to what is said: medians over rounds, ratios, promises kept or not.

Everything in one round was measured within minutes on the same machine, so a ratio is taken within a
round, and of the rounds the median. Nothing here measures.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import record


class Taken(NamedTuple):
    """What one server did with one workload in one round."""

    per_second: float
    cpu_us: float | None
    """Processor time of the server for a request; None: it runs where that is not seen."""
    p50_ms: float
    p99_ms: float


class Line(NamedTuple):
    """What one server did with one workload, over all rounds."""

    rounds: Mapping[int, Taken]
    """By the number of the round; those that failed are not there."""
    failure: str = ""
    """How an answer was wrong, where one was: then no figure of it counts."""

    @property
    def counts(self) -> bool:
        """Whether its figures may be compared."""
        return bool(self.rounds) and not self.failure

    def median(self) -> Taken:
        """Return the median of every figure by itself."""
        taken = list(self.rounds.values())
        costs = [each.cpu_us for each in taken if each.cpu_us is not None]
        return Taken(
            statistics.median(each.per_second for each in taken),
            statistics.median(costs) if costs else None,
            statistics.median(each.p50_ms for each in taken),
            statistics.median(each.p99_ms for each in taken),
        )


def rate_ratio(ours: Line, theirs: Line) -> float | None:
    """Return how many times their requests a second are ours; None where one of both failed."""
    return median_ratio(
        {number: each.per_second for number, each in ours.rounds.items()} if ours.counts else {},
        {number: each.per_second for number, each in theirs.rounds.items()}
        if theirs.counts
        else {},
    )


def cpu_ratio(ours: Line, theirs: Line) -> float | None:
    """Return how many times their requests per second of processor time are ours."""
    if not (ours.counts and theirs.counts):
        return None
    return median_ratio(
        {number: 1 / each.cpu_us for number, each in ours.rounds.items() if each.cpu_us},
        {number: 1 / each.cpu_us for number, each in theirs.rounds.items() if each.cpu_us},
    )


def median_ratio(ours: Mapping[int, float], theirs: Mapping[int, float]) -> float | None:
    """Return the median of the ratios within each round that both have; None if there is none."""
    ratios = [ours[each] / theirs[each] for each in ours if theirs.get(each)]
    return statistics.median(ratios) if ratios else None


class Verdict(NamedTuple):
    """One figure beside its promise."""

    figure: str
    value: float
    promise: str
    """Such as ``<= 60``; empty: nothing is promised of it."""

    @property
    def kept(self) -> bool:
        """Whether the promise holds; true where there is none."""
        return not self.promise or record.holds(self.promise, self.value)

    def text(self) -> str:
        """Return a line of the table."""
        said = "" if not self.promise else ("kept" if self.kept else "NOT KEPT")
        return f"{self.figure:<48}{self.value:>14,.4g}  {self.promise:<10}{said}".rstrip()


def verdicts(figures: Mapping[str, float], promises: Mapping[str, str]) -> list[Verdict]:
    """Return every figure beside its promise."""
    return [Verdict(name, value, promises.get(name, "")) for name, value in figures.items()]


def not_kept(judged: Iterable[Verdict], promises: Iterable[str]) -> list[str]:
    """Return the promises that are not kept; one without a figure is none that is kept."""
    found = list(judged)
    missing = set(promises) - {each.figure for each in found}
    return sorted([each.figure for each in found if not each.kept] + list(missing))


def table_of(
    names: Sequence[str], rows: Mapping[str, Mapping[str, Line]], first: str
) -> tuple[list[str], list[list[str]]]:
    """Return a table: a row for each workload, four columns for ours, three for each other.

    Args:
        names: The servers in order, ours first.
        rows: By workload and server.
        first: The column of the workloads.
    """
    ours, *others = names
    columns = [first, f"{ours}/s", "CPU us", "p50 ms", "p99 ms"]
    for name in others:
        columns += [f"{name}/s", "CPU us", "ours/theirs"]
    return columns, [
        [workload, *_cells(lines.get(ours)), *_others(lines, ours, others)]
        for workload, lines in rows.items()
    ]


def _cells(line: Line | None) -> list[str]:
    """Return the four cells of our own figures."""
    if line is None or not line.counts:
        return ["failed" if line and line.failure else "", "", "", ""]
    taken = line.median()
    return [rounded(taken.per_second), _cost(taken), rounded(taken.p50_ms), rounded(taken.p99_ms)]


def _others(lines: Mapping[str, Line], ours: str, others: Sequence[str]) -> list[str]:
    """Return the three cells of each other server."""
    cells = []
    for name in others:
        line = lines.get(name)
        if line is None or not line.counts:
            cells += ["failed" if line and line.failure else "", "", ""]
            continue
        taken = line.median()
        ratio = rate_ratio(lines[ours], line) if ours in lines else None
        cells += [rounded(taken.per_second), _cost(taken), rounded(ratio)]
    return cells


def _cost(taken: Taken) -> str:
    """Return the processor time as text."""
    return rounded(taken.cpu_us)


def rounded(value: float | None) -> str:
    """Return three figures of a number, in plain digits; nothing of None."""
    if value is None:
        return ""
    if abs(value) >= 100:  # noqa: PLR2004 (whole numbers from here on)
        return f"{value:,.0f}"
    return f"{value:.3g}"


def aligned(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table for a terminal."""
    widths = [max(len(row[at]) for row in [columns, *rows]) for at in range(len(columns))]
    lines = []
    for row in [columns, *rows]:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
