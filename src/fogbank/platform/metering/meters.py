"""What the process counts of its own work: plain integers, for ``/metrics``.

Rule: counting costs a request well under a microsecond and takes bounded memory: a duration falls
into the bucket of its bit length, and label sets beyond ``SERIES_MAX`` are counted as ``other``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

SERIES_MAX: Final = 2_000
"""Kinds of request by service, operation and outcome."""
BUCKETS: Final = 32
"""Bucket n holds durations below 2**n microseconds; the last all others."""
FINE_EDGES_US: Final = (
    *range(250, 1_000, 250),
    *range(1_000, 5_000, 500),
    *(5_000, 6_000, 7_000, 8_000, 10_000, 12_500, 15_000, 20_000, 30_000, 50_000, 100_000),
    *(250_000, 500_000, 1_000_000, 5_000_000, 60_000_000),
)
"""Where the buckets of a fine histogram end; a last one holds all others."""
OTHER: Final = "other"


class Histogram:
    """Durations, by the power of two that they lie below."""

    __slots__ = ("buckets", "sum_us")

    def __init__(self) -> None:
        self.buckets = [0] * BUCKETS
        self.sum_us = 0

    def add(self, micros: int) -> None:
        """Count one duration."""
        self.sum_us += micros
        self.buckets[min(micros.bit_length(), BUCKETS - 1)] += 1

    @property
    def count(self) -> int:
        """Return how many durations there were."""
        return sum(self.buckets)


class FineHistogram(Histogram):
    """Durations, by steps that are narrow around some milliseconds: a promise can lie on an edge."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()
        self.buckets = [0] * (len(FINE_EDGES_US) + 1)

    def add(self, micros: int) -> None:
        """Count one duration; one that lies on an edge lies below it."""
        self.sum_us += micros
        self.buckets[bisect_left(FINE_EDGES_US, micros)] += 1


class RequestMeter:
    """Requests that have ended, by service, operation and outcome."""

    __slots__ = ("_series",)

    def __init__(self) -> None:
        self._series: dict[tuple[str, str, str], Histogram] = {}

    def ended(self, service: str, operation: str, code: str, micros: int) -> None:
        """Count a request.

        Args:
            service: Whose API was asked.
            operation: What was asked; '' if nobody knows.
            code: The code of its error; '' if it succeeded.
            micros: How long it took.
        """
        found = self._series.get((service, operation, code))
        if found is None:
            found = self._new(service, operation, code)
        # As ``found.add`` does; a call less in every request.
        found.sum_us += micros
        found.buckets[min(micros.bit_length(), BUCKETS - 1)] += 1

    def _new(self, service: str, operation: str, code: str) -> Histogram:
        if len(self._series) >= SERIES_MAX:
            service = operation = code = OTHER
        return self._series.setdefault((service, operation, code), Histogram())

    def __iter__(self) -> Iterator[tuple[tuple[str, str, str], Histogram]]:
        """Yield service, operation and outcome with the durations."""
        return iter(tuple(self._series.items()))
