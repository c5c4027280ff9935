"""Metrics that a service vends to its customers."""

from __future__ import annotations

from typing import NamedTuple


class Metric(NamedTuple):
    """One metric: ``Metric("AWS/Lambda", "Invocations", "Count", ("FunctionName",))``."""

    namespace: str
    name: str
    unit: str
    dimensions: tuple[str, ...]
