"""Metrics as customers see them, on their way to the store: added up in memory, board by board.

Rule: noting a value costs a look-up and a few additions, and takes bounded memory; nothing waits. A
board holds what was noted in one minute of one thing, and names every series that it belongs to: a
version's invocations are its function's and its account's too, which is worked out only when the
board is written (``points``). What is noted lies in the process that owns the domain; until it is
written, a few seconds later, a crash loses it.

Theory: what a percentile is read from is a count for each power of 1.1, so that any quantile is told
within a twentieth of its value and distributions of several minutes add up.

Source: Amazon CloudWatch User Guide, "Metrics concepts" (namespaces, dimensions, statistic sets, and
how long points of a minute, of five and of an hour are kept); the CloudWatch agent's ``seh1``
distribution, whose steps these are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from fogbank.base.clock import Clock
from fogbank.platform.store.engine import Domain

MINUTE_MS: Final = 60_000
BOARDS_MAX: Final = 20_000
"""Boards that wait to be written; what more is noted is lost, and counted."""
STEP: Final = 1.1
_LOG_STEP: Final = math.log(STEP)
ZERO: Final = -32_768
"""The step of values that are not above zero."""


class Series(NamedTuple):
    """What one graph shows, but for the metric's name."""

    namespace: str
    """Such as ``AWS/Lambda``."""
    dimensions: tuple[tuple[str, str], ...] = ()
    """Names and values, in the order of the names."""


class Statistics:
    """What the values of one metric in one minute come to."""

    __slots__ = ("count", "least", "most", "steps", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.least = math.inf
        self.most = -math.inf
        self.steps: dict[int, int] = {}
        """How many values lie in each power of ``STEP``; empty: nobody asks for percentiles."""

    def add(self, value: float) -> None:
        """Add a value."""
        self.count += 1
        self.total += value
        self.least = min(self.least, value)
        self.most = max(self.most, value)

    def distribute(self, value: float) -> None:
        """Add a value of which percentiles may be asked."""
        self.add(value)
        step = step_of(value)
        self.steps[step] = self.steps.get(step, 0) + 1

    def merge(self, other: Statistics) -> None:
        """Add what another has."""
        self.count += other.count
        self.total += other.total
        self.least = min(self.least, other.least)
        self.most = max(self.most, other.most)
        for step, count in other.steps.items():
            self.steps[step] = self.steps.get(step, 0) + count


def step_of(value: float) -> int:
    """Return the step that a value lies in."""
    return math.floor(math.log(value) / _LOG_STEP) if value > 0 else ZERO


class Board:
    """What was noted of one thing in one minute."""

    __slots__ = ("domain", "minute", "series", "values")

    def __init__(self, domain: Domain, series: tuple[Series, ...], minute: int) -> None:
        self.domain = domain
        self.series = series
        """All that the values count in."""
        self.minute = minute
        """Since the epoch."""
        self.values: dict[str, Statistics] = {}

    def note(self, name: str, value: float = 1.0) -> None:
        """Note a value of a metric."""
        found = self.values.get(name)
        if found is None:
            found = self.values[name] = Statistics()
        found.add(value)

    def distribute(self, name: str, value: float) -> None:
        """Note a value of a metric of which percentiles may be asked."""
        found = self.values.get(name)
        if found is None:
            found = self.values[name] = Statistics()
        found.distribute(value)

    def merge(self, other: Board) -> None:
        """Take what another board of the same thing and minute has."""
        for name, statistics in other.values.items():
            mine = self.values.get(name)
            if mine is None:
                self.values[name] = statistics
            else:
                mine.merge(statistics)


class Metrics:
    """The boards of this process.

    Args:
        clock: Tells which minute it is.
    """

    __slots__ = ("_boards", "_clock", "begun", "lost")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._boards: dict[tuple[Domain, tuple[Series, ...], int], Board] = {}
        self.begun: Callable[[], None] = _nobody
        """Called when there is something to be written, after there was nothing."""
        self.lost = 0
        """Boards that were not kept, since too many waited."""

    def board(self, domain: Domain, *series: Series, at_ms: int = 0) -> Board:
        """Return where to note what happens now; to be used at once.

        Args:
            domain: Where it will be kept: the resource's.
            series: What the values count in.
            at_ms: When it has happened; 0: now.
        """
        key = (domain, series, (at_ms or self._clock.now_ms()) // MINUTE_MS)
        found = self._boards.get(key)
        if found is None:
            found = Board(*key)
            if not self._boards:
                self.begun()
            if len(self._boards) < BOARDS_MAX:
                self._boards[key] = found
            else:
                self.lost += 1
        return found

    def __len__(self) -> int:
        """Return how many boards wait to be written."""
        return len(self._boards)

    def take(self) -> list[Board]:
        """Return all boards, which are the taker's from now on."""
        boards = list(self._boards.values())
        self._boards.clear()
        return boards

    def put_back(self, boards: Iterable[Board]) -> None:
        """Take boards back that could not be written, into those that were begun meanwhile."""
        for board in boards:
            key = (board.domain, board.series, board.minute)
            found = self._boards.get(key)
            if found is not None:
                found.merge(board)
            elif len(self._boards) < BOARDS_MAX:
                self._boards[key] = board
            else:
                self.lost += 1


def _nobody() -> None:
    """Wake nobody."""


def by_series(boards: Iterable[Board]) -> Iterator[tuple[Domain, Series, int, Board]]:
    """Yield domain, series, minute and all that boards say of it, each once."""
    found: dict[tuple[Domain, Series, int], Board] = {}
    for board in boards:
        for series in board.series:
            key = (board.domain, series, board.minute)
            into = found.get(key)
            if into is None:
                into = found[key] = Board(board.domain, (series,), board.minute)
            for name, statistics in board.values.items():
                into.values.setdefault(name, Statistics()).merge(statistics)
    for (domain, series, minute), board in found.items():
        yield domain, series, minute, board
