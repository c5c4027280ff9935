"""One object of 5 GiB, up in parts and down again: rates beside the disk's and nginx's, and memory.

``make bench-large``: parts of 64 MiB go up on four connections, signed, hashed, encrypted and synced;
the object comes down in one stream, and by ranges on four connections. The same bytes are written
and synced to a raw file, and come down from nginx, which serves them from that file, unsigned and
not encrypted. Everything happens in turn, each round anew; what is compared is of one round.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import record
from awscrt.checksums import crc32c
from generator import Request
from limits import Nginx
from load import ask, cpu_seconds, settled_cpu_seconds, signed_head, unwind_on_sigterm
from verdict import not_kept, verdicts
from watching import Peaks
from workloads import BUCKET, s3

from fogbank.testing.server import Server

GIB = 1 << 30
MIB = 1 << 20
CONNECTIONS = 4
KEY = "large"
FILE = "large"
TOGETHER_MB_MAX = 200
PROMISES = {"together_mb": f"<= {TOGETHER_MB_MAX}"}


class Object(NamedTuple):
    """What goes up and down: the same part again and again."""

    part: bytes
    count: int

    @property
    def size(self) -> int:
        """Return how many bytes it has."""
        return len(self.part) * self.count


def upload(server: Server, thing: Object) -> float:
    """Write an object in parts; return how many seconds that took, until it can be read."""
    client = server.client("s3")
    named = {"Bucket": BUCKET, "Key": KEY}
    named["UploadId"] = client.create_multipart_upload(**named)["UploadId"]
    digest = {"x-amz-content-sha256": hashlib.sha256(thing.part).hexdigest()}
    query = f"/{BUCKET}/{KEY}?uploadId={named['UploadId']}&partNumber="
    requests = [
        Request(
            signed_head(server, "s3", "PUT", f"{query}{number}", digest, thing.part),
            body=thing.part,
        )
        for number in range(1, thing.count + 1)
    ]
    began = time.perf_counter()
    ask(server, requests, connections=CONNECTIONS, seconds=None)
    pages = client.get_paginator("list_parts").paginate(**named)
    parts = [
        {"PartNumber": part["PartNumber"], "ETag": part["ETag"]}
        for page in pages
        for part in page["Parts"]
    ]
    client.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
    return time.perf_counter() - began


def whole(head: bytes, thing: Object) -> list[Request]:
    """Return the one request that reads an object, and sees that it is what was written."""
    check = 0
    for _ in range(thing.count):
        check = crc32c(thing.part, check)
    return [Request(head, length=thing.size, crc=check)]


def ranges(heads: Sequence[bytes], thing: Object) -> list[Request]:
    """Return requests that read an object part by part."""
    check = crc32c(thing.part)
    return [Request(head, status=b"206", length=len(thing.part), crc=check) for head in heads]


def ranges_of(thing: Object) -> list[str]:
    """Return the value of ``Range`` for each part."""
    length = len(thing.part)
    return [f"bytes={number * length}-{(number + 1) * length - 1}" for number in range(thing.count)]


def range_heads(server: Server, thing: Object) -> list[bytes]:
    """Return a signed request for each part of the object."""
    empty = {"x-amz-content-sha256": hashlib.sha256(b"").hexdigest()}
    path = f"/{BUCKET}/{KEY}"
    return [
        signed_head(server, "s3", "GET", path, {**empty, "range": each}, b"")
        for each in ranges_of(thing)
    ]


def written(path: Path, thing: Object) -> float:
    """Write the same bytes into a raw file; return how many seconds it took until they are synced."""
    began = time.perf_counter()
    with path.open("wb", buffering=0) as file:
        for _ in range(thing.count):
            for at in range(0, len(thing.part), MIB):
                file.write(memoryview(thing.part)[at : at + MIB])
        os.fdatasync(file.fileno())
    return time.perf_counter() - began


def read(target: Server | Nginx, requests: list[Request]) -> float:
    """Ask each request once; return how many seconds that took."""
    connections = min(CONNECTIONS, len(requests))
    return ask(target, requests, connections=connections, seconds=None).seconds


def round_of(server: Server, nginx: Nginx, file: Path, thing: Object) -> dict[str, float]:
    """Do everything once; return MB a second, and what the server used for a GiB."""
    mb, gib = thing.size / 1e6, thing.size / GIB
    ask_nginx = nginx.request(FILE)
    figures = {"disk_write_mb_s": mb / written(file, thing)}
    cpu = cpu_seconds(server)
    figures["upload_mb_s"] = mb / upload(server, thing)
    uploaded = settled_cpu_seconds(server)
    figures["upload_cpu_s_a_gib"] = (uploaded - cpu) / gib
    figures["download_mb_s"] = mb / read(
        server, whole(s3(server, "GET", f"/{BUCKET}/{KEY}").data, thing)
    )
    figures["download_cpu_s_a_gib"] = (cpu_seconds(server) - uploaded) / gib
    figures["nginx_download_mb_s"] = mb / read(nginx, whole(ask_nginx, thing))
    figures["ranges_mb_s"] = mb / read(server, ranges(range_heads(server, thing), thing))
    heads = [ask_nginx[:-2] + f"range: {each}\r\n\r\n".encode() for each in ranges_of(thing)]
    figures["nginx_ranges_mb_s"] = mb / read(nginx, ranges(heads, thing))
    return figures | {
        "upload_of_disk": figures["upload_mb_s"] / figures["disk_write_mb_s"],
        "download_of_nginx": figures["download_mb_s"] / figures["nginx_download_mb_s"],
        "ranges_of_nginx": figures["ranges_mb_s"] / figures["nginx_ranges_mb_s"],
    }


def measured(thing: Object, rounds: int, folder: Path) -> dict[str, float]:
    """Measure everything; return medians, and the most memory that the server held meanwhile."""
    file = folder / FILE
    file.touch()
    with Server(folder / "data") as server, Nginx({FILE: file}) as nginx:
        server.client("s3").create_bucket(Bucket=BUCKET)
        watched = Peaks(server)
        with watched:
            taken = [round_of(server, nginx, file, thing) for _ in range(rounds)]
    figures = {name: statistics.median(each[name] for each in taken) for name in taken[0]}
    figures |= {"object_gib": thing.size / GIB, "part_mib": len(thing.part) / MIB}
    figures |= {f"{kind.replace(' ', '_')}_own_mb": own for kind, own in watched.own_mb.items()}
    return figures | {"together_mb": watched.together_mb}


def main() -> int:
    """Measure, print the table, write the figures."""
    unwind_on_sigterm()
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--gib", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    part = random.Random(KEY).randbytes(64 * MIB)
    thing = Object(part, max(1, round(given.gib * GIB / len(part))))
    with tempfile.TemporaryDirectory(prefix="bench-large-", dir=Path.cwd()) as folder:
        Path(folder).chmod(0o755)
        found = measured(thing, given.rounds, Path(folder))
    figures = {name: float(f"{value:.4g}") for name, value in found.items()}
    judged = verdicts(figures, PROMISES)
    print("\n".join(each.text() for each in judged))
    missed = not_kept(judged, PROMISES)
    if given.gib == parser.get_default("gib"):
        path = record.write(
            "large_object", "make bench-large", figures, failures=missed, promises=PROMISES
        )
        print(f"written to {path.name}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
