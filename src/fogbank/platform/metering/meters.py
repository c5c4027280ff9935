"""What the process counts of its own work: plain integers, for ``/metrics``.

Rule: counting costs a request well under a microsecond and takes bounded memory: a duration falls
into the bucket of its bit length, and label sets beyond ``SERIES_MAX`` are counted as ``other``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

SERIES_MAX: Final = 2_000
"""Kinds of request by service, operation and outcome."""
BUCKETS: Final = 32
"""Bucket n holds durations below 2**n microseconds; the last all others."""
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
        found.add(micros)

    def _new(self, service: str, operation: str, code: str) -> Histogram:
        if len(self._series) >= SERIES_MAX:
            service = operation = code = OTHER
        return self._series.setdefault((service, operation, code), Histogram())

    def __iter__(self) -> Iterator[tuple[tuple[str, str, str], Histogram]]:
        """Yield service, operation and outcome with the durations."""
        return iter(tuple(self._series.items()))
