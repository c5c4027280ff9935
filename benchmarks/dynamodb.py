"""DynamoDB beside the engine's own commits and beside peers, in one run: ``make bench-dynamodb``.

Items of a hundred bytes and of 4 KB are written, changed, read, queried by the hundred and written
four at once, at 1, 16 and 64 clients. Ours is as it is by default: signed, authorised, metered,
audited, durable and encrypted; peers check no signature and keep items in memory, but for dynalite on
LevelDB, which keeps them on disk and syncs nothing. ``--short`` shows that all of it works. What
becomes dearer with ten million items ``make bench-growth ARGS=--table`` measures. The exit status is 1
if a promise is not kept.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import contest
import record
from botocore.exceptions import BotoCoreError, ClientError
from contest import OURS, Contest, Entrant, item_figures, line_of
from generator import BadAnswer
from limits import engine_commits
from load import Target, unwind_on_sigterm
from peers import LEVELDB, PEERS, NotInstalled, started
from verdict import aligned, median_ratio, not_kept, table_of, verdicts
from workloads import (
    CLIENTS,
    ITEM_WORKLOADS,
    LARGE_BYTES,
    SMALL_BYTES,
    make_items,
    make_sorted_items,
)

from fogbank.testing.server import Server

SPECS = [*(each for each in PEERS if "dynamodb" in each.services), LEVELDB]
LINES = [line_of(each.name, clients) for each in ITEM_WORKLOADS for clients in CLIENTS]
COMMITTED = {"put_item": SMALL_BYTES, "put_item_4k": LARGE_BYTES}
"""Workloads that the engine's commits of one row are the limit of, and its bytes."""
PROMISES = {
    "put_item_c64_cpu_us": "<= 65",
    "get_item_c64_cpu_us": "<= 50",
    "query_100_c64_cpu_us": "<= 400",
    "put_item_c64_per_cpu_over_dynalite": ">= 0.8",
    "get_item_c64_per_cpu_over_dynalite": ">= 0.7",
    "put_item_c64_per_cpu_over_dynalite-leveldb": ">= 1",
    "get_item_c64_per_cpu_over_dynalite-leveldb": ">= 1",
}


def set_up(target: Target) -> str:
    """Make the tables and their items; return why that failed, empty if it did not."""
    try:
        make_items(target)
        make_sorted_items(target)
    except (BadAnswer, OSError, BotoCoreError, ClientError) as error:
        return str(error)
    return ""


def entrants(given: argparse.Namespace, folder: Path, stack: ExitStack) -> Iterator[Entrant]:
    """Start everyone who takes part, ours first, and make what they are asked for.

    Raises:
        BadAnswer: Tables could not be made.
        NotInstalled: A peer cannot be had here.
    """
    (folder / OURS).mkdir()
    targets: dict[str, Target] = {OURS: stack.enter_context(Server(folder / OURS / "data"))}
    for spec in SPECS:
        if spec.name in given.peers:
            targets[spec.name] = stack.enter_context(started(spec))
    for name, target in targets.items():
        if why := set_up(target):
            raise BadAnswer(f"{name} cannot be loaded: {why}")
        yield Entrant(name, target, {each.name: each.prepare for each in ITEM_WORKLOADS})


class Commits:
    """What the engine commits alone, of rows as large as items, round by round."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.rounds: dict[str, dict[int, float]] = {}

    def measure(self, number: int, seconds: float) -> None:
        """Measure once, with as many writers as there are clients."""
        for workload, size in COMMITTED.items():
            for clients in CLIENTS:
                value = b"x" * size
                found, _ = engine_commits(self._folder, seconds, writers=clients, value=value)
                self.rounds.setdefault(line_of(workload, clients), {})[number] = found

    def figures(self, found: Contest) -> dict[str, float | None]:
        """Return commits a second, and the share of them that requests come to."""
        figures: dict[str, float | None] = {}
        for line, commits in self.rounds.items():
            taken = found.rows[line][OURS].rounds
            rates = {number: each.per_second for number, each in taken.items()}
            figures[f"{line}_commits_per_second"] = statistics.median(commits.values())
            figures[f"{line}_of_commits"] = median_ratio(rates, commits)
        return figures


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each workload in a round")
    parser.add_argument("--short", action="store_true", help="only show that all of it works")
    names = [each.name for each in SPECS]
    parser.add_argument("--peers", nargs="*", choices=names, default=names)
    given = parser.parse_args()
    if given.short:
        given.rounds, given.seconds = 1, 0.1
    return given


def measured(
    given: argparse.Namespace, folder: Path
) -> tuple[dict[str, float | None], Contest, list[str]]:
    """Measure round by round; return the figures, what they come from, and the peers."""
    found, commits = Contest(), Commits(folder)
    with ExitStack() as stack:
        everyone = list(entrants(given, folder, stack))
        for number in range(given.rounds):
            commits.measure(number, given.seconds)
            contest.play(everyone, found, number, given.seconds, lambda _: True, ITEM_WORKLOADS)
            print(f"round {number + 1} of {given.rounds} is done", flush=True)
    peers = [each.name for each in everyone[1:]]
    return item_figures(LINES, found.rows, peers) | commits.figures(found), found, peers


def main() -> int:
    """Measure, print the table, write the figures."""
    unwind_on_sigterm()
    given = options()
    with tempfile.TemporaryDirectory(prefix="bench-dynamodb-", dir=Path.cwd()) as folder:
        Path(folder).chmod(0o755)
        try:
            figures, found, peers = measured(given, Path(folder))
        except NotInstalled as error:
            print(error)
            return 1
    known = {name: float(f"{value:.4g}") for name, value in figures.items() if value is not None}
    judged = verdicts(known, PROMISES)
    print("\n".join(each.text() for each in judged))
    columns, cells = table_of([OURS, *peers], found.rows, "workload_clients")
    print(aligned(columns, cells))
    failed = [[who, why] for who, why in found.failures.items()]
    for who, why in failed:
        print(f"{who}: {why}")
    missed = not_kept(judged, PROMISES)
    missed += [each for each in found.failures if each.startswith(f"{OURS} ")]
    print(f"not kept: {', '.join(missed) or 'none'}")
    if len(peers) == len(SPECS) and not given.short:
        path = record.write(
            "dynamodb",
            "make bench-dynamodb",
            known,
            failures=missed,
            promises=PROMISES,
            tables=[
                record.Table("Servers side by side", columns, cells),
                record.Table("What failed", ["who", "why"], failed),
            ],
        )
        print(f"written to {path.name}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
