"""The points of metrics as they are kept: a row for each series and time, in the domain of its thing.

Rule: what is written adds to what is there, so that several writings of a minute come to the same as
one. A minute's point is kept for 15 days, that of five minutes for 63, that of an hour for 455; all
three are written at once, and what is past its time is removed by a sweep. A list of the series, with
the names that were seen of each, lies in the system subspace ``METRICS``, where the sweep and whoever
lists metrics find them.

Source: Amazon CloudWatch User Guide, "Metrics concepts", "Metrics retention".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final, NamedTuple

import msgspec

from fogbank.base.errors import Weather
from fogbank.platform.metering.metrics import (
    MINUTE_MS,
    STEP,
    ZERO,
    Board,
    Metrics,
    Series,
    Statistics,
    by_series,
)
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import Domain, Placement, Store, Transaction
from fogbank.platform.store.keyspace import METRICS, PARTITIONS, partition_of, system_prefix
from fogbank.platform.store.records import Record, RecordDecoder, Table, encode

_DAY_MS: Final = 86_400_000
PERIODS: Final = ((60_000, 15 * _DAY_MS), (300_000, 63 * _DAY_MS), (3_600_000, 455 * _DAY_MS))
"""What a point is of, and for how long it is kept, in milliseconds."""
SERIES_PER_STEP: Final = 8
"""Written in one transaction: each is three rows."""
SWEPT_PER_STEP: Final = 32
"""Series that a step of the sweep looks at."""
ROWS_PER_STEP: Final = 100
"""Points of a period that are removed at once."""
NOTED_AGAIN_MS: Final = 3_600_000
"""How late a series may be said to have been written last."""
_PARTITION_ROWS_MAX: Final = 1_000


class StatisticsValue(msgspec.Struct, frozen=True, array_like=True):
    """``Statistics`` as they are kept."""

    count: int
    total: float
    least: float
    most: float
    steps: dict[int, int]


class PointRecord(Record, frozen=True, array_like=True, tag="platform.metric_point/1"):
    """What was noted of a series in a period."""

    values: dict[str, StatisticsValue]
    """By the names of metrics."""


class SeriesRecord(Record, frozen=True, array_like=True, tag="platform.metric_series/1"):
    """A series that has points."""

    domain: tuple[str, ...]
    namespace: str
    dimensions: tuple[tuple[str, str], ...]
    names: tuple[str, ...]
    """The metrics that were ever noted of it, in order."""
    written_ms: int
    """When it was written last, or up to an hour before."""


POINTS: Final = Table("platform", 0x13, PointRecord)
"""namespace, dimensions, period in milliseconds, time of its beginning"""
decode_series: Final = RecordDecoder(SeriesRecord).decode


def dimensions_text(series: Series) -> str:
    """Return the dimensions of a series as a part of its keys."""
    return msgspec.json.encode(series.dimensions).decode()


def series_key(domain: Domain, series: Series) -> bytes:
    """Return the key of a series in the list of all."""
    prefix = system_prefix(METRICS, partition_of(domain))
    return prefix + tuples.pack(domain.prefix, series.namespace, dimensions_text(series))


class Point(NamedTuple):
    """What is known of a series in a period."""

    at_ms: int
    """When the period begins."""
    values: dict[str, StatisticsValue]


async def write(placement: Placement, metrics: Metrics) -> int:
    """Write what waits; return how many points of series that were.

    Raises:
        Weather: The store takes nothing now; what was not written waits again.
    """
    boards, written = metrics.take(), 0
    by_domain: dict[Domain, list[tuple[Series, Board]]] = {}
    for domain, series, _, board in by_series(boards):
        by_domain.setdefault(domain, []).append((series, board))
    left = {domain: list(found) for domain, found in by_domain.items()}
    try:
        for domain, found in by_domain.items():
            store = placement.store_of(domain)
            for begin in range(0, len(found), SERIES_PER_STEP):
                some = found[begin : begin + SERIES_PER_STEP]
                await store.transact(partial(_add, some))
                del left[domain][: len(some)]
                written += len(some)
    except Weather:
        metrics.put_back(board for found in left.values() for _, board in found)
        raise
    return written


async def add(tr: Transaction, boards: Iterable[Board]) -> None:
    """Add what boards say to the points of their series, in a transaction that does more.

    Args:
        tr: A transaction of the boards' domain.
        boards: A few; each series is three rows.
    """
    await _add([(series, board) for board in boards for series in board.series], tr)


async def _add(found: Sequence[tuple[Series, Board]], tr: Transaction) -> None:
    """Add what was noted of some series of a domain to their points."""
    for series, board in found:
        at_ms = board.minute * MINUTE_MS
        for period_ms, _ in PERIODS:
            key = (series.namespace, dimensions_text(series), period_ms, at_ms - at_ms % period_ms)
            before = await POINTS.find(tr, *key)
            POINTS.put(tr, PointRecord(_sums(before, board)), *key)
        await _list(tr, series, board)


def _sums(before: PointRecord | None, board: Board) -> dict[str, StatisticsValue]:
    """Return what a point says with what a board adds to it."""
    sums = {} if before is None else dict(before.values)
    for name, more in board.values.items():
        sums[name] = _sum(sums.get(name), more)
    return sums


def _sum(before: StatisticsValue | None, more: Statistics) -> StatisticsValue:
    """Return statistics with what comes to them."""
    if before is None:
        return StatisticsValue(more.count, more.total, more.least, more.most, dict(more.steps))
    steps = dict(before.steps)
    for step, count in more.steps.items():
        steps[step] = steps.get(step, 0) + count
    return StatisticsValue(
        before.count + more.count,
        before.total + more.total,
        min(before.least, more.least),
        max(before.most, more.most),
        steps,
    )


async def _list(tr: Transaction, series: Series, board: Board) -> None:
    """Have a series in the list of all, with the names that it has."""
    key, at_ms = series_key(tr.domain, series), board.minute * MINUTE_MS
    raw = await tr.get(key)
    before = None if raw is None else decode_series(raw)
    names = set(board.values) | set(() if before is None else before.names)
    if before is not None and len(names) == len(before.names):
        if at_ms - before.written_ms < NOTED_AGAIN_MS:
            return
    else:
        at_ms = max(at_ms, 0 if before is None else before.written_ms)
    record = SeriesRecord(tr.domain.name, *series, tuple(sorted(names)), at_ms)
    tr.put(key, encode(record))


async def list_points(
    tr: Transaction, series: Series, period_ms: int, from_ms: int, until_ms: int, limit: int
) -> list[Point]:
    """Return the points of a series that begin in a span of time, in order.

    Args:
        tr: A transaction of the series' domain.
        series: The series.
        period_ms: One of ``PERIODS``.
        from_ms: The first.
        until_ms: Where none begins any more.
        limit: How many at most.
    """
    of = (series.namespace, dimensions_text(series), period_ms)
    rows = await POINTS.list(tr, *of, limit=limit, after=(from_ms - 1,))
    found: list[Point] = []
    for (at_ms,), record in rows:
        assert isinstance(at_ms, int)
        if at_ms < until_ms:
            found.append(Point(at_ms, record.values))
    return found


async def list_series(store: Store, namespace: str) -> list[SeriesRecord]:
    """Return the series of a namespace that a store has, of all of its domains."""
    found: list[SeriesRecord] = []
    for partition in range(PARTITIONS):
        after = b""
        while True:
            rows = await store.read(partial(_page, partition, after, _PARTITION_ROWS_MAX))
            records = [decode_series(raw) for _, raw in rows]
            found += [each for each in records if each.namespace == namespace]
            if len(rows) < _PARTITION_ROWS_MAX:
                break
            after = rows[-1][0]
    return found


async def _page(
    partition: int, after: bytes, limit: int, tr: Transaction
) -> list[tuple[bytes, bytes]]:
    """Return the next rows of a partition of the list of series."""
    prefix = system_prefix(METRICS, partition)
    begin = after + b"\0" if after else prefix
    return await tr.range(begin, tuples.after_prefix(prefix), limit=limit)


class Sweep:
    """Removes points that are past their time, some series a step; a round ends with the last.

    Args:
        placement: Where domains live.
        store: Whose list of series it goes through.
    """

    def __init__(self, placement: Placement, store: Store) -> None:
        self._placement = placement
        self._store = store
        self._partition = 0
        self._after = b""

    async def step(self, now_ms: int) -> bool:
        """Look at the next series; return whether the round goes on."""
        rows = await self._store.read(partial(_page, self._partition, self._after, SWEPT_PER_STEP))
        for key, raw in rows:
            record = decode_series(raw)
            domain = Domain(*record.domain)
            if self._placement.is_ours(domain):
                body = partial(_trim, key, record, now_ms)
                while await self._placement.store_of(domain).transact(body):
                    pass
            self._after = key
        if len(rows) < SWEPT_PER_STEP:
            self._partition, self._after = self._partition + 1, b""
        if self._partition < PARTITIONS:
            return True
        self._partition = 0
        return False


async def _trim(key: bytes, record: SeriesRecord, now_ms: int, tr: Transaction) -> bool:
    """Remove points of a series that are past their time; return whether there may be more."""
    text = dimensions_text(Series(record.namespace, record.dimensions))
    goes_on = False
    for period_ms, kept_ms in PERIODS:
        of = (record.namespace, text, period_ms)
        begin = POINTS.prefix(tr.domain, *of)
        rows = await tr.range(
            begin, begin + tuples.pack(max(0, now_ms - kept_ms)), limit=ROWS_PER_STEP
        )
        for point, _ in rows:
            tr.delete(point)
        goes_on = goes_on or len(rows) == ROWS_PER_STEP
    if not goes_on and record.written_ms + NOTED_AGAIN_MS < now_ms - PERIODS[-1][1]:
        raw = await tr.get(key)
        if raw is not None and decode_series(raw) == record:
            tr.delete(key)
    return goes_on


def quantile(found: Iterable[StatisticsValue], part: float) -> float | None:
    """Return the value that a part of all lies below, within a twentieth; None: there is none.

    Args:
        found: Statistics of which percentiles are kept.
        part: Such as 0.99.
    """
    steps: dict[int, int] = {}
    least, most = float("inf"), float("-inf")
    for each in found:
        least, most = min(least, each.least), max(most, each.most)
        for step, count in each.steps.items():
            steps[step] = steps.get(step, 0) + count
    wanted = part * sum(steps.values())
    passed = 0
    for step in sorted(steps):
        passed += steps[step]
        if passed >= wanted:
            middle = 0.0 if step == ZERO else STEP ** (step + 0.5)
            return min(max(middle, least), most)
    return None
