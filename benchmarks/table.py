"""One table, one run: what we do beside the machine's limits and beside peers on the same machine.

``make bench-table``, or ``python benchmarks/table.py [--short] [--only PART ...]``. Parts are
``limits``, ``s3``, ``dynamodb``, ``functions``, ``processes`` and ``idle``. Ours is as it is by
default: signed, authorised, metered, audited, durable, and encrypted at rest; peers are as they are
by default, in memory. Any further server takes part by its address::

    --endpoint NAME=http://127.0.0.1:9000 --access-key KEY --secret-key SECRET

The last three belong together and may be given again. The exit status is 1 if a promise is not kept.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

import contest
import functions
import idle
import processes
import record
from contest import NGINX, OURS, PLAIN, Contest, item_figures, line_of
from limits import Disk, echoes, engine_commits, hash_mb
from load import unwind_on_sigterm
from peers import PEERS, NotInstalled, Peer, started
from verdict import (
    Line,
    aligned,
    median_ratio,
    not_kept,
    rate_ratio,
    table_of,
    verdicts,
)
from workloads import CLIENTS, SIZES, WORKLOADS

from fogbank.testing.server import Server

PARTS = ("limits", "s3", "dynamodb", "functions", "processes", "idle")
S3_LINES = [
    line_of(each.name, clients) for each in WORKLOADS if each.service == "s3" for clients in CLIENTS
]
ITEM_LINES = [
    line_of(each.name, clients)
    for each in WORKLOADS
    if each.service == "dynamodb"
    for clients in CLIENTS
]
PROMISES: dict[str, dict[str, str]] = {
    "s3": {
        **{f"{line}_over_best_peer": ">= 1" for line in S3_LINES},
        "s3_put_1k_c64_cpu_us": "<= 110",
        "s3_get_1k_c64_cpu_us": "<= 60",
        **{f"s3_get_16m_c{clients}_plain_of_nginx": ">= 0.6" for clients in CLIENTS},
        **{f"s3_get_16m_c{clients}_of_nginx": ">= 0.35" for clients in CLIENTS},
        "s3_put_16m_c1_of_limit": ">= 0.7",
        "s3_put_16m_c16_over_c1": ">= 1",
        "s3_put_16m_c64_over_c1": ">= 1",
    },
    "dynamodb": {
        "put_item_c64_cpu_us": "<= 65",
        "put_item_c64_per_second": ">= 12000",
        "get_item_c64_cpu_us": "<= 50",
        **{f"{line}_over_ministack": ">= 3" for line in ITEM_LINES},
        **{f"{line}_per_cpu_over_ministack": ">= 3" for line in ITEM_LINES},
        **{f"put_item_c{clients}_per_cpu_over_dynalite": ">= 0.8" for clients in CLIENTS},
        **{f"get_item_c{clients}_per_cpu_over_dynalite": ">= 0.7" for clients in CLIENTS},
    },
    "functions": {
        "cold_ms_p50": "<= 8",
        "cold_photo_ms_p50": "<= 50",
        "warm_ms_p50": "<= 1",
        "async_accepted_per_second": ">= 5000",
        "photo_small_to_row_ms_p50": "<= 25",
        "photo_small_to_row_ms_p99": "<= 60",
        "photos_of_pillow": ">= 0.7",
    },
    "processes": processes.PROMISES,
    "idle": idle.PROMISES,
}
"""By part. One millisecond of a second is what the kernel's own accounting can just see in ten."""


class Limits:
    """The machine's limits, round by round."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.rounds: dict[str, dict[int, float]] = {}

    def measure(self, number: int, seconds: float) -> None:
        """Measure them all once."""
        disk = Disk(self._folder)
        written, read = disk.sequential()
        commits, batch = engine_commits(self._folder, seconds)
        for name, value in {
            "limit_fdatasync_per_second": disk.syncs(seconds / 2),
            "limit_fdatasync_of_64_pages_per_second": disk.group_syncs(seconds / 2),
            "limit_sequential_write_mb": written,
            "limit_sequential_read_mb": read,
            "limit_md5_mb": hash_mb("md5", seconds / 4),
            "limit_sha256_mb": hash_mb("sha256", seconds / 4),
            "limit_unix_echo_per_second": echoes(self._folder, seconds / 4),
            "limit_engine_commits_per_second": commits,
            "limit_engine_commits_a_sync": batch,
        }.items():
            self.rounds.setdefault(name, {})[number] = value

    def figures(self) -> dict[str, float]:
        """Return the median of each."""
        return {name: statistics.median(found.values()) for name, found in self.rounds.items()}

    def upload_mb(self) -> dict[int, float]:
        """Return what bounds one upload: the smaller of writing and of MD5 of one core."""
        writes, hashes = (self.rounds.get(f"limit_{n}_mb", {}) for n in ("sequential_write", "md5"))
        return {each: min(writes[each], hashes[each]) for each in writes}


def s3_figures(
    rows: Mapping[str, Mapping[str, Line]], peers: list[str], limits: Limits
) -> dict[str, float | None]:
    """Return what is promised of S3."""
    figures: dict[str, float | None] = {}
    for line in S3_LINES:
        lines = rows.get(line, {})
        ours = lines.get(OURS)
        if ours is None or not ours.counts:
            continue
        ratios = [rate_ratio(ours, lines[peer]) for peer in peers if peer in lines]
        known = [each for each in ratios if each is not None]
        figures[f"{line}_over_best_peer"] = min(known) if known else None
        figures[f"{line}_cpu_us"] = ours.median().cpu_us
        if NGINX in lines:
            figures[f"{line}_of_nginx"] = rate_ratio(ours, lines[NGINX])
        if NGINX in lines and PLAIN in lines:
            figures[f"{line}_plain_of_nginx"] = rate_ratio(lines[PLAIN], lines[NGINX])
    return figures | _upload_figures(rows, limits)


def _upload_figures(
    rows: Mapping[str, Mapping[str, Line]], limits: Limits
) -> dict[str, float | None]:
    """Return what one large upload reaches of its limit, and many of one."""
    found = {clients: rows.get(f"s3_put_16m_c{clients}", {}).get(OURS) for clients in CLIENTS}
    alone = found[1]
    if alone is None or not alone.counts:
        return {}
    mb = {number: each.per_second * SIZES["16m"] / 1e6 for number, each in alone.rounds.items()}
    return {"s3_put_16m_c1_of_limit": median_ratio(mb, limits.upload_mb())} | {
        f"s3_put_16m_c{clients}_over_c1": rate_ratio(line, alone)
        for clients, line in found.items()
        if line is not None and clients > 1
    }


def further_peers(given: argparse.Namespace) -> list[Peer]:
    """Return the servers that are named by address.

    Raises:
        NotInstalled: An address cannot be loaded.
    """
    keys = list(zip(given.access_key, given.secret_key, strict=True))
    if keys and len(keys) != len(given.endpoint):
        raise NotInstalled("give --access-key and --secret-key once for each --endpoint, or never")
    found = []
    for number, named in enumerate(given.endpoint):
        name, _, address = named.partition("=")
        services = frozenset({"s3", "dynamodb"})
        key = {"keys": keys[number]} if keys else {}
        found.append(Peer(name, address, services, **key))
    return found


def compared(given: argparse.Namespace, folder: Path) -> tuple[Contest, Limits, list[str]]:
    """Measure servers and limits, round by round; return them and the names of the peers."""
    found, limits = Contest(), Limits(folder)
    services = {each for each in ("s3", "dynamodb") if each in given.only}
    asked = {each.name for each in WORKLOADS if each.service in services}

    def wanted(line: str) -> bool:
        return line.rpartition("_c")[0] in asked

    with ExitStack() as stack:
        everyone = []
        if services:
            began = time.monotonic()
            further = further_peers(given)
            everyone = list(contest.entrants(folder, given.peers, further, stack, found))
            print(f"ready after {time.monotonic() - began:.0f} s: {[e.name for e in everyone]}")
        for number in range(given.rounds):
            if "limits" in given.only or "s3" in given.only:
                limits.measure(number, given.seconds)
            contest.play(everyone, found, number, given.seconds, wanted)
            print(f"round {number + 1} of {given.rounds} is done", flush=True)
    others = [each.name for each in everyone if each.name not in {OURS, PLAIN, NGINX}]
    return found, limits, others


def function_figures(
    given: argparse.Namespace, folder: Path, found: Contest
) -> dict[str, float | None]:
    """Measure functions of ours and of peers that run any."""
    (folder / "functions").mkdir()
    with Server(folder / "functions" / "data") as server:
        figures: dict[str, float | None] = {
            **functions.of_ours(server, given.seconds, given.photos)
        }
    for spec in PEERS:
        if "lambda" in spec.services and spec.name in given.peers:
            try:
                with started(spec) as peer:
                    theirs, failure = functions.of_peer(peer, given.seconds)
            except NotInstalled as error:
                theirs, failure = {}, str(error)
            figures |= {f"{spec.name}_{name}": value for name, value in theirs.items()}
            if failure:
                found.absent[f"{spec.name} lambda"] = failure
    return figures


def idle_figures(given: argparse.Namespace, folder: Path) -> dict[str, float | None]:
    """Measure a server that does nothing."""
    (folder / "idle").mkdir()
    variables = idle.as_installed(folder / "bytecode")
    server = Server(folder / "idle" / "data", variables=variables)
    server.start()
    server.stop()
    try:
        return {**idle.measured(server, variables, 1.0 if given.short else 10.0)}
    finally:
        server.stop()


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each workload in a round")
    parser.add_argument("--photos", type=int, default=1_000)
    parser.add_argument("--short", action="store_true", help="only show that all of it works")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    names = [each.name for each in PEERS]
    parser.add_argument("--peers", nargs="*", choices=names, default=names)
    parser.add_argument("--endpoint", action="append", default=[], metavar="NAME=URL")
    parser.add_argument("--access-key", action="append", default=[])
    parser.add_argument("--secret-key", action="append", default=[])
    given = parser.parse_args()
    if given.short:
        given.rounds, given.seconds, given.photos = 1, 0.2, 20
    return given


def measured(
    given: argparse.Namespace, folder: Path
) -> tuple[dict[str, float | None], Contest, list[str]]:
    """Measure all parts that are wanted; return the figures, what they come from, and the peers."""
    found, limits, peers = compared(given, folder)
    figures: dict[str, float | None] = {**limits.figures()}
    figures |= s3_figures(found.rows, peers, limits) if "s3" in given.only else {}
    figures |= item_figures(ITEM_LINES, found.rows, peers) if "dynamodb" in given.only else {}
    parts: dict[str, Callable[[], dict[str, float | None]]] = {
        "functions": lambda: function_figures(given, folder, found),
        "processes": lambda: {
            **processes.figures_of(processes.measured(given.rounds, given.seconds))
        },
        "idle": lambda: idle_figures(given, folder),
    }
    for part, measure in parts.items():
        if part in given.only:
            figures |= measure()
    return figures, found, peers


def main() -> int:
    """Measure, print the table, write the figures."""
    unwind_on_sigterm()
    given = options()
    with tempfile.TemporaryDirectory(prefix="bench-table-", dir=Path.cwd()) as folder:
        Path(folder).chmod(0o755)
        figures, found, peers = measured(given, Path(folder))
    promises = {k: v for part in given.only for k, v in PROMISES.get(part, {}).items()}
    known = {name: float(f"{v:.4g}") for name, v in figures.items() if v is not None}
    judged = verdicts(known, promises)
    print("\n".join(each.text() for each in judged))
    took_part = {name for lines in found.rows.values() for name in lines}
    names = [name for name in (OURS, *peers, NGINX, PLAIN) if name in took_part] or [OURS]
    columns, cells = table_of(names, found.rows, "workload_clients")
    print(aligned(columns, cells) if cells else "")
    failed = [[who, why] for who, why in {**found.absent, **found.failures}.items()]
    for who, why in failed:
        print(f"{who}: {why}")
    missed = not_kept(judged, promises)
    missed += [each for each in found.failures if each.startswith(f"{OURS} ")]
    print(f"not kept: {', '.join(missed) or 'none'}")
    if set(given.only) == set(PARTS) and not given.short:
        path = record.write(
            "table",
            "make bench-table",
            known,
            failures=missed,
            promises=promises,
            tables=[
                record.Table("Servers side by side", columns, cells),
                record.Table("What failed or could not be had", ["who", "why"], failed),
            ],
        )
        print(f"written to {path.name}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
