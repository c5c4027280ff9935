"""What fronts and store processes cost and bring: signed requests over a matrix of them.

Everything runs on one machine in one go, the load generator too, so that only ratios say anything:
requests per second, and processor time of all server processes per request, against one process
that does everything, which is the default. All servers run at once and are loaded in turn. Requests
are spread over several domains (tables in several regions, several buckets), for a domain has one
store process, whatever there are of them.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import record
from generator import Request
from load import Figures, load, unwind_on_sigterm
from peers import Peer
from verdict import not_kept, verdicts
from workloads import get_items, gets, make_items, make_objects, put_items, puts

from fogbank.testing.server import Server

MATRIX = ((0, 1), (1, 1), (2, 1), (0, 2), (2, 2))
"""(fronts, store processes), the default first."""
REGIONS = ("us-east-1", "us-east-2", "us-west-2", "eu-west-1", "eu-central-1", "ap-south-1")
BUCKETS = [f"bench-{region}" for region in REGIONS]
EACH = 64
"""Requests for each domain."""
ROUNDS = 3
SECONDS = 2.0
CONNECTIONS = 64
SERVICES = frozenset({"s3", "dynamodb"})
PROMISES = {
    f"{name}_default_over_best": ">= 0.9"
    for name in ("put_item", "get_item", "s3_put_64k", "s3_get_64k")
}
"""The defaults are chosen by these figures; what is within a tenth is the same on a busy machine."""


class Spread(NamedTuple):
    """A server, and its domains as they are asked."""

    server: Server
    regions: list[Peer]

    def requests(self) -> dict[str, list[Request]]:
        """Return what is asked, signed now, the domains in turn."""
        here = self.regions[0]
        domains: dict[str, list[list[Request]]] = {
            "put_item": [put_items(each) for each in self.regions],
            "get_item": [get_items(each) for each in self.regions],
            "s3_put_64k": [puts("64k", name).prepare(here) for name in BUCKETS],
            "s3_get_64k": [gets("64k", name).prepare(here) for name in BUCKETS],
        }
        return {
            name: [each for some in zip(*lists, strict=True) for each in some][: EACH * len(lists)]
            for name, lists in domains.items()
        }


def spread(server: Server) -> Spread:
    """Make a table in every region, and as many buckets."""
    said = server.environment()
    keys = said["AWS_ACCESS_KEY_ID"], said["AWS_SECRET_ACCESS_KEY"]
    regions = [Peer(each, server.endpoint, SERVICES, keys, region=each) for each in REGIONS]
    for region, bucket in zip(regions, BUCKETS, strict=True):
        make_items(region)
        make_objects(regions[0], ("64k",), bucket)
    return Spread(server, regions)


def measured(rounds: int, seconds: float) -> dict[tuple[str, int, int], list[Figures]]:
    """Return what each workload cost in each round, by workload, fronts and store processes."""
    found: dict[tuple[str, int, int], list[Figures]] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        servers = {}
        for fronts, stores in MATRIX:
            place = Path(folder) / f"{fronts}-{stores}"
            place.mkdir()
            settings = f"[processes]\nstores = {stores}\nfronts = {fronts}\n"
            server = stack.enter_context(Server(place / "data", settings=settings))
            servers[fronts, stores] = spread(server)
        for number in range(rounds):
            asked = {shape: each.requests() for shape, each in servers.items()}
            for name in asked[MATRIX[0]]:
                for shape in MATRIX if number % 2 else MATRIX[::-1]:
                    taken = load(
                        servers[shape].server,
                        asked[shape][name],
                        connections=CONNECTIONS,
                        seconds=seconds,
                    )
                    found.setdefault((name, *shape), []).append(taken)
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
    unwind_on_sigterm()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    given = parser.parse_args()
    figures = figures_of(measured(given.rounds, given.seconds))
    judged = verdicts(figures, PROMISES)
    print("\n".join(each.text() for each in judged))
    missed = not_kept(judged, PROMISES)
    command = "python benchmarks/processes.py"
    record.write("processes", command, figures, failures=missed, promises=PROMISES)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
