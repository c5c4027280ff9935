"""What fronts and store processes cost and bring: signed requests over a matrix of them.

Everything runs on one machine in one go, the load generator too, so that only ratios say anything:
requests per second, and processor time of all server processes per request, against one process
that does everything, which is the default. All servers run at once and are loaded in turn.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import record
from load import Figures, load
from workloads import WORKLOADS, make_items, make_objects

from fogbank.testing.server import Server

MATRIX = ((0, 1), (1, 1), (2, 1), (0, 2), (2, 2))
"""(fronts, store processes), the default first."""
ASKED = ("put_item", "get_item", "s3_put_64k", "s3_get_64k")
ROUNDS = 3
SECONDS = 2.0
CONNECTIONS = 64


def measured(rounds: int, seconds: float) -> dict[tuple[str, int, int], list[Figures]]:
    """Return what each workload cost in each round, by workload, fronts and store processes."""
    found: dict[tuple[str, int, int], list[Figures]] = {}
    asked = [each for each in WORKLOADS if each.name in ASKED]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        servers = {}
        for fronts, stores in MATRIX:
            place = Path(folder) / f"{fronts}-{stores}"
            place.mkdir()
            settings = f"[processes]\nstores = {stores}\nfronts = {fronts}\n"
            server = stack.enter_context(Server(place / "data", settings=settings))
            make_items(server)
            make_objects(server, ("64k",))
            servers[fronts, stores] = server
        for number in range(rounds):
            for workload in asked:
                for shape in MATRIX if number % 2 else MATRIX[::-1]:
                    requests = workload.prepare(servers[shape])
                    taken = load(servers[shape], requests, connections=CONNECTIONS, seconds=seconds)
                    found.setdefault((workload.name, *shape), []).append(taken)
    return found


def figures_of(found: dict[tuple[str, int, int], list[Figures]]) -> dict[str, float]:
    """Return rates and costs against the default, and how the default compares with the best."""
    figures: dict[str, float] = {}
    best: dict[str, float] = {}
    for (name, fronts, stores), rounds in sorted(found.items()):
        default = found[name, *MATRIX[0]]
        pairs = list(zip(rounds, default, strict=True))
        label = f"{name}_fronts_{fronts}_stores_{stores}"
        rate = statistics.median(ours.per_second / alone.per_second for ours, alone in pairs)
        cost = statistics.median(ours.cpu_us / alone.cpu_us for ours, alone in pairs)
        figures[f"{label}_rate_ratio"] = round(rate, 2)
        figures[f"{label}_cpu_ratio"] = round(cost, 2)
        figures[f"{label}_cpu_us"] = round(statistics.median(each.cpu_us for each in rounds), 1)
        best[name] = max(best.get(name, 0.0), rate)
    for name, rate in best.items():
        figures[f"{name}_default_over_best"] = round(1 / rate, 2)
    return figures


def main() -> int:
    """Measure, print a table and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    given = parser.parse_args()
    figures = figures_of(measured(given.rounds, given.seconds))
    for name, value in figures.items():
        print(f"{name:<48}{value:>10}")
    record.write("processes", "python benchmarks/processes.py", figures, failures=[], promises={})
    return 0


if __name__ == "__main__":
    sys.exit(main())
