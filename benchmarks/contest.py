"""Servers side by side: every workload of every server in every round, in turn.

A round asks each workload of each server before it goes on to the next, so that a change of the
machine's pace falls on all alike; every other round goes through the servers the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from awscrt.checksums import crc32c
from generator import BadAnswer, Request
from limits import Nginx
from load import Target, load
from peers import PEERS, NotInstalled, Peer, started
from verdict import Line, Taken, cpu_ratio, rate_ratio
from workloads import CLIENTS, SIZES, WORKLOADS, Workload, content, set_up

from fogbank.testing.server import Server

OURS = "fogbank"
PLAIN = "plain"
"""Ours without encryption on disk."""
NGINX = "nginx"
UNENCRYPTED = "[encryption]\nenabled = false\n"
S3_ONLY = frozenset({"s3"})


class Entrant(NamedTuple):
    """A server that takes part."""

    name: str
    target: Target
    workloads: dict[str, Callable[[Target], list[Request]]]
    """What it is asked: how requests are prepared, by the workload's name."""


class Contest:
    """Everything that was measured of servers side by side."""

    def __init__(self) -> None:
        self._taken: dict[str, dict[str, dict[int, Taken]]] = {}
        self._failed: dict[str, dict[str, str]] = {}
        self.absent: dict[str, str] = {}
        """Who does not take part, or not in a service, and why."""
        self.generator_us: dict[str, list[float]] = {}
        """What the generator itself used for a request, by the line of ours."""

    def add(self, line: str, server: str, number: int, taken: Taken) -> None:
        """Write down one round of a line."""
        self._taken.setdefault(line, {}).setdefault(server, {})[number] = taken

    def fail(self, line: str, server: str, why: str) -> None:
        """Write down that an answer was wrong."""
        self._failed.setdefault(line, {}).setdefault(server, why)

    @property
    def rows(self) -> dict[str, dict[str, Line]]:
        """Return what every server did with every workload."""
        rows: dict[str, dict[str, Line]] = {}
        for line in [*self._taken, *(each for each in self._failed if each not in self._taken)]:
            taken, failed = self._taken.get(line, {}), self._failed.get(line, {})
            rows[line] = {
                server: Line(taken.get(server, {}), failed.get(server, ""))
                for server in [*taken, *(each for each in failed if each not in taken)]
            }
        return rows

    @property
    def failures(self) -> dict[str, str]:
        """Return how answers were wrong, by server and line."""
        return {
            f"{server} {line}": why
            for line, servers in self._failed.items()
            for server, why in servers.items()
        }


def item_figures(
    lines: Sequence[str], rows: Mapping[str, Mapping[str, Line]], peers: Sequence[str]
) -> dict[str, float | None]:
    """Return what we took of some lines, and of that each peer took."""
    figures: dict[str, float | None] = {}
    for line in lines:
        ours = rows.get(line, {}).get(OURS)
        if ours is None or not ours.counts:
            continue
        figures[f"{line}_per_second"] = ours.median().per_second
        figures[f"{line}_cpu_us"] = ours.median().cpu_us
        for peer in peers:
            if peer in rows[line]:
                figures[f"{line}_over_{peer}"] = rate_ratio(ours, rows[line][peer])
                figures[f"{line}_per_cpu_over_{peer}"] = cpu_ratio(ours, rows[line][peer])
    return figures


def line_of(workload: str, clients: int) -> str:
    """Return the name of a row: a workload at so many clients."""
    return f"{workload}_c{clients}"


def entrants(
    folder: Path, peers: Sequence[str], further: Sequence[Peer], stack: ExitStack, contest: Contest
) -> Iterator[Entrant]:
    """Start everyone who takes part, ours first, and make what they are asked for.

    Args:
        folder: Where our servers keep their data.
        peers: The names of those that are installed and started.
        further: Servers that somebody else started.
        stack: Ends them.
        contest: Hears who does not take part.
    """
    for name, settings in ((OURS, ""), (PLAIN, UNENCRYPTED)):
        (folder / name).mkdir()
        server = stack.enter_context(Server(folder / name / "data", settings=settings))
        failed = set_up(server, frozenset({"s3", "dynamodb"} if name == OURS else S3_ONLY))
        if failed:
            raise BadAnswer(f"{name} cannot be loaded: {failed}")
        asked = [each for each in WORKLOADS if name == OURS or each.name == "s3_get_16m"]
        yield Entrant(name, server, {each.name: each.prepare for each in asked})
    for spec in PEERS:
        if spec.name in peers:
            try:
                yield _peer(stack.enter_context(started(spec)), contest)
            except NotInstalled as error:
                contest.absent[spec.name] = str(error)
    for peer in further:
        yield _peer(peer, contest)
    try:
        yield _nginx(stack.enter_context(Nginx({size: content(size) for size in SIZES})))
    except NotInstalled as error:
        contest.absent[NGINX] = str(error)


def _peer(peer: Peer, contest: Contest) -> Entrant:
    """Return a peer with what it can be asked."""
    failed = set_up(peer, peer.services)
    contest.absent |= {f"{peer.name} {service}": why for service, why in failed.items()}
    services = peer.services - set(failed)
    asked = {each.name: each.prepare for each in WORKLOADS if each.service in services}
    return Entrant(peer.name, peer, asked)


def _nginx(server: Nginx) -> Entrant:
    """Return nginx with its files."""

    def prepared(size: str) -> Callable[[Target], list[Request]]:
        body = content(size)
        request = Request(server.request(size), length=len(body), crc=crc32c(body))
        return lambda _: [request]

    return Entrant(NGINX, server, {f"s3_get_{size}": prepared(size) for size in SIZES})


def play(
    everyone: Sequence[Entrant],
    contest: Contest,
    number: int,
    seconds: float,
    wanted: Callable[[str], bool],
    workloads: Sequence[Workload] = WORKLOADS,
) -> None:
    """Ask every workload of everyone, once.

    Args:
        everyone: Who takes part.
        contest: Is told what came of it.
        number: Which round it is.
        seconds: How long each workload is asked.
        wanted: Whether a line is asked at all.
        workloads: All that are asked, in their order.
    """
    for workload in workloads:
        for clients in CLIENTS:
            line = line_of(workload.name, clients)
            if wanted(line):
                for entrant in everyone if number % 2 else everyone[::-1]:
                    if workload.name in entrant.workloads:
                        _ask(entrant, workload, line, (clients, seconds, number), contest)


def _ask(
    entrant: Entrant,
    workload: Workload,
    line: str,
    how: tuple[int, float, int],
    contest: Contest,
) -> None:
    """Ask one workload of one server."""
    clients, seconds, number = how
    requests = entrant.workloads[workload.name](entrant.target)
    try:
        found = load(entrant.target, requests, connections=clients, seconds=seconds)
    except (BadAnswer, OSError) as error:
        contest.fail(line, entrant.name, str(error))
        return
    cost = found.cpu_us if found.cpu_seconds else None
    contest.add(
        line, entrant.name, number, Taken(found.per_second, cost, found.p50_ms, found.p99_ms)
    )
    if entrant.name == OURS:
        spent = found.generator_cpu_seconds / found.requests * 1e6
        contest.generator_us.setdefault(line, []).append(spent)
