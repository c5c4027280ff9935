"""What soaks count: their figures add up over runs, whatever source each run was of."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LONGEST = "_max"
"""The end of the names of figures of which the largest is kept."""


def recorder() -> Any:
    """Return what benchmarks write their figures with."""
    path = Path(__file__).parents[1] / "benchmarks" / "record.py"
    spec = importlib.util.spec_from_file_location("record", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def added(before: Mapping[str, int], figures: Mapping[str, int]) -> dict[str, int]:
    """Return the sums of figures, and the larger of those that are largest values."""
    sums = Counter(before)
    sums.update(figures)
    for name in sums:
        if name.endswith(LONGEST):
            sums[name] = max(before.get(name, 0), figures.get(name, 0))
    return dict(sums)


def add_up(
    name: str,
    figures: Mapping[str, int],
    *,
    promises: dict[str, str],
    failures: Sequence[str] = (),
) -> None:
    """Add a run's figures to those of the runs before it in ``docs/measured/<name>.json``."""
    record = recorder()
    path: Path = record.MEASURED / f"{name}.json"
    before = json.loads(path.read_text())["figures"] if path.exists() else {}
    sums = added(before, figures)
    record.write(name, "make soak", sums, failures=list(failures), promises=promises)
