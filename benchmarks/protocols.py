"""Count botocore's protocol cases that hold for us: ``make conformance`` writes the figures.

The cases themselves are tests (``tests/conformance/test_cases.py``); this says how many there are of
each protocol, how many hold, and which are excused for a reason of AWS's.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import record
from tests.conformance.cases import cases, verdict
from tests.conformance.test_cases import excused


def main() -> int:
    """Judge every case; the exit status is 1 if one fails that is not excused."""
    figures: Counter[str] = Counter()
    failures: list[str] = []
    for case in cases():
        protocol = case.protocol.replace("-", "_")
        old = case.name.startswith("legacy/")
        held = not verdict(case)
        figures["cases_old" if old else "cases_new"] += 1
        figures[f"{protocol}_cases"] += 1
        figures[f"{protocol}_held"] += held
        figures["held"] += held
        if case.name in excused():
            figures["excused"] += 1
        elif not held:
            failures.append(case.name)
    promises = {"cases_new": ">= 732", "excused": "<= 7"}
    path = record.write(
        "protocols", "make conformance", dict(figures), failures=failures, promises=promises
    )
    print(path.read_text())
    kept = all(record.holds(promise, figures[name]) for name, promise in promises.items())
    return 0 if kept and not failures else 1


if __name__ == "__main__":
    sys.exit(main())
