"""A long mixed load with restarts: memory, descriptors and files stay as they are, nothing waits.

Clients of every service work round after round (``mixed.py``), and what they stored in S3 is removed
again. A life of the server ends in order or by kill -9, in turn. The last life must look like those of
the first half, but for the first, which fills what is empty.
``make soak`` goes on for half an hour (``MINUTES``) and writes ``docs/measured/long_load.json``.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from tests.crash.ending import end_whole
from tests.crash.mixed import Clients, Work, build, lost
from tests.http.observing import scrape, status_of, until
from tests.measured import recorder

from fogbank.testing.server import Server

pytestmark = [pytest.mark.crash, pytest.mark.slow]

MINUTES_SOAK = 30
LIVES = 3
ROUNDS = 2
"""In a life, of the short run."""
ROUNDS_SOAK = 40
GROWTH_KB_MAX = 40 << 10
"""So much a process may have more than in the first half: a segment of the log that is being brought
into the rows, caches of a bounded size, and the heap's own waste."""
DESCRIPTORS_MAX = 8
"""So many more descriptors a process may have: connections that are kept for the next call."""
FILES_MAX = 64
"""So many more files a data directory may have: segments of the log that wait for a checkpoint, and
files of removed objects that wait a quarter of an hour for their readers."""
LASTING = ("supervisor", "front", "store process", "checkpointer", "sandbox daemon", "zygote")
"""The kinds of which a server has always as many; sandboxes come and go."""
ZYGOTES = 2
"""One forks for the account whose functions run; and its sandbox daemon warms a spare, a second after
its last was taken. That of the other store expects no function."""
QUEUES = ("outbox", "outbox_later", "dead_letters")
"""What must be empty. Timers always wait, and so does, for a while, what was removed: it may be read
by who began before, and goes when the archive has that part of the log."""
SETTINGS = """
[metrics]
port = 0
[archive]
folder = "../set"
interval_ms = 1000
[processes]
stores = 2
fronts = 2
"""


class Seen:
    """A server that has nothing to do, as the kernel sees it."""

    def __init__(self, server: Server) -> None:
        found = server.kinds()
        self.counts = {kind: len(found.get(kind, [])) for kind in LASTING}
        self.memory_kb = {kind: max(map(anonymous_kb, found[kind])) for kind in LASTING}
        self.descriptors = {kind: max(map(descriptors, found[kind])) for kind in LASTING}
        self.files = sum(1 for path in server.data_dir.rglob("*") if path.is_file())


def anonymous_kb(pid: int) -> int:
    """Return the memory of a process that is no file's."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def works_for_a_round(server: Server, clients: Clients, name: str) -> int:
    """Let all clients work once; return how much was acknowledged, all of which must be so."""
    work = Work(server, clients, name)
    threads = [threading.Thread(target=work.run, args=(each,)) for each in work.works()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lost(work.facts) == [], name
    return len(work.facts)


def remove_objects(clients: Clients) -> None:
    """Remove every version of every object, and what uploads left."""
    for bucket in ("objects", "versions"):
        for page in clients.s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for found in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                named = {"Key": found["Key"], "VersionId": found["VersionId"]}
                clients.s3.delete_object(Bucket=bucket, **named)
        for found in clients.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
            named = {"Key": found["Key"], "UploadId": found["UploadId"]}
            clients.s3.abort_multipart_upload(Bucket=bucket, **named)


def settled(server: Server) -> Seen:
    """Return what is seen of a server behind its work: nothing waits to be done."""
    address = status_of(server)["metrics"]

    def is_quiet() -> bool:
        samples = scrape(address)
        return not any(
            value
            for (name, *labels), value in samples.items()
            if name == "fogbank_backlog_entries" and dict(labels)["backlog"] in QUEUES
        )

    until("nothing waits", is_quiet)
    until("all zygotes are there", lambda: len(server.kinds().get("zygote", [])) == ZYGOTES)
    return Seen(server)


class Grown:
    """What the last life has more than the largest of the first half."""

    def __init__(self, seen: list[Seen]) -> None:
        self.last = seen[-1]
        half = seen[1 : len(seen) // 2 + 1]
        self.counts = {kind: max(each.counts[kind] for each in half) for kind in LASTING}
        self.memory_kb = {
            kind: self.last.memory_kb[kind] - max(each.memory_kb[kind] for each in half)
            for kind in LASTING
        }
        self.descriptors = {
            kind: self.last.descriptors[kind] - max(each.descriptors[kind] for each in half)
            for kind in LASTING
        }
        self.files = self.last.files - max(each.files for each in half)

    def too_much(self) -> Iterator[str]:
        """Yield what has grown."""
        if self.counts != self.last.counts:
            yield f"{self.counts} were there, {self.last.counts} are"
        for kind in LASTING:
            if self.memory_kb[kind] > GROWTH_KB_MAX:
                yield f"the {kind} has {self.memory_kb[kind]} KB more"
            if self.descriptors[kind] > DESCRIPTORS_MAX:
                yield f"the {kind} has {self.descriptors[kind]} descriptors more"
        if self.files > FILES_MAX:
            yield f"{self.files} files more are there"


def end(server: Server, *, in_order: bool) -> None:
    if in_order:
        end_whole(server)
    else:
        server.kill()


@pytest.mark.timeout(7_200)
def test_a_long_load_with_restarts_leaves_nothing_behind(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    soak = pytestconfig.getoption("--soak")
    minutes = float(os.environ.get("MINUTES", str(MINUTES_SOAK)))
    began, acknowledged, seen = time.monotonic(), 0, list[Seen]()
    server = Server(tmp_path / "data", settings=SETTINGS)
    server.start()
    build(server)
    clients = Clients(server)
    for life in count():
        for number in range(ROUNDS_SOAK if soak else ROUNDS):
            acknowledged += works_for_a_round(server, clients, f"{life}-{number}")
            remove_objects(clients)
        seen.append(settled(server))
        is_over = time.monotonic() - began > minutes * 60 if soak else life + 1 == LIVES
        end(server, in_order=is_over or life % 2 == 0)
        if is_over:
            break
        server.start()
    grown = Grown(seen)
    if soak:
        write(grown, len(seen), acknowledged, (time.monotonic() - began) / 60)
    assert list(grown.too_much()) == []


def write(grown: Grown, lives: int, acknowledged: int, minutes: float) -> None:
    figures = {
        "minutes": round(minutes, 1),
        "lives": lives,
        "acknowledged": acknowledged,
        "files_more": grown.files,
    }
    for kind in LASTING:
        name = kind.replace(" ", "_")
        figures[f"{name}_memory_mb"] = round(grown.last.memory_kb[kind] / 1_024, 1)
        figures[f"{name}_memory_more_mb"] = round(grown.memory_kb[kind] / 1_024, 1)
        figures[f"{name}_descriptors_more"] = grown.descriptors[kind]
    recorder().write(
        "long_load",
        "make soak",
        figures,
        failures=list(grown.too_much()),
        promises={"minutes": ">= 30"},
    )
