"""Uploads in parts, copies, appends and renames through S3 over an embedded store, recorded by ``test_power_cut.py``.

Run as ``python assembling.py ROOT``: three lives of a store below ROOT, all but the last killed. What
is acknowledged goes to the standard output, a line each: ``bucket``, ``object KEY``, ``begun KEY ID``,
``done KEY ID``, ``aborted KEY ID``, ``grown NAME PIECES``, ``renamed NAME PIECES``.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.crash import cutting
from tests.unit.services.s3.world import World

from fogbank.base.clock import SystemClock
from fogbank.base.errors import Throttled
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.services.s3.quotas import PART_BYTES_MIN

LIVES = 3
BUCKETS = ("bucket", "other")
WRITERS = 2
ROUNDS = 4
PIECES = 3
SMALL = 70_000
"""What lies in a file, and not in a row."""


def bytes_of(name: str, size: int) -> bytes:
    return random.Random(name).randbytes(size)


def last_part_of(key: str) -> bytes:
    return bytes_of(f"{key}/2", SMALL)


def first_part_of(key: str) -> bytes:
    """Return the part before the last: only of large uploads."""
    return bytes_of(f"{key}/1", PART_BYTES_MIN) if key.startswith("large/") else b""


def content_of(key: str) -> bytes:
    """Return what an object should hold: of a copy, what its source does."""
    name = key.removeprefix("copy/").removeprefix("source/")
    if key.startswith("source/"):
        return last_part_of(name)
    return first_part_of(name) + last_part_of(name)


def pieces_of(name: str) -> list[bytes]:
    """Return what an object that grows holds after each append."""
    whole = bytes_of(f"grown/{name}", PIECES * SMALL)
    return [whole[: number * SMALL] for number in range(1, PIECES + 1)]


async def asked(world: World, operation: str, **given: Any) -> Any:
    """Call an operation; on a disk that does not keep up, as often as it takes."""
    while True:
        with suppress(Throttled):
            return await world.call(operation, **given)


async def put(world: World, key: str) -> None:
    await asked(world, "put_object", Bucket="bucket", Key=key, Body=content_of(key))
    cutting.say(f"object {key}")


async def begin(world: World, key: str) -> dict[str, str]:
    named = {"Bucket": "bucket", "Key": key}
    upload = (await asked(world, "create_multipart_upload", **named))["UploadId"]
    cutting.say(f"begun {key} {upload}")
    return {**named, "UploadId": upload}


async def assemble(world: World, key: str, source: str) -> None:
    """Send an upload, of which the last part is a copy, and complete it."""
    named = await begin(world, key)
    parts = []
    if first_part_of(key):
        body = first_part_of(key)
        sent = await asked(world, "upload_part", **named, PartNumber=1, Body=body)
        parts.append({"PartNumber": 1, "ETag": sent["ETag"]})
    origin = f"bucket/{source}"
    copied = await asked(world, "upload_part_copy", **named, PartNumber=2, CopySource=origin)
    parts.append({"PartNumber": 2, "ETag": copied["CopyPartResult"]["ETag"]})
    listed = {"Parts": parts}
    await asked(world, "complete_multipart_upload", **named, MultipartUpload=listed)
    cutting.say(f"done {key} {named['UploadId']}")


async def copy(world: World, key: str, bucket: str) -> None:
    given = {"Bucket": bucket, "Key": f"copy/{key}", "CopySource": f"bucket/{key}"}
    await asked(world, "copy_object", **given)
    cutting.say(f"object copy/{key} {bucket}")


async def grow(world: World, name: str) -> None:
    """Let an object grow by pieces, and rename it."""
    before = 0
    for number, body in enumerate(pieces_of(name), start=1):
        more = {"Body": body[before:], "WriteOffsetBytes": before}
        await asked(world, "put_object", Bucket="bucket", Key=f"grown/{name}", **more)
        cutting.say(f"grown {name} {number}")
        before = len(body)
    moved = {"Key": f"renamed/{name}", "RenameSource": f"grown/{name}"}
    await asked(world, "rename_object", Bucket="bucket", **moved)
    cutting.say(f"renamed {name} {PIECES}")


async def give_up(world: World, key: str) -> None:
    named = await begin(world, key)
    await asked(world, "upload_part", **named, PartNumber=1, Body=last_part_of(key))
    await asked(world, "abort_multipart_upload", **named)
    cutting.say(f"aborted {key} {named['UploadId']}")


async def write(world: World, life: int, writer: int) -> None:
    for turn in range(ROUNDS):
        name = f"{life}-{writer}-{turn}"
        key = f"{'large' if (writer, turn) == (0, 1) else 'parts'}/{name}"
        await put(world, f"source/{key}")
        await assemble(world, key, f"source/{key}")
        await copy(world, key, BUCKETS[turn % 2])
        await put(world, f"object/{name}")
        await grow(world, name)
        await give_up(world, f"parts/gone-{name}")


async def open_engine(root: Path) -> EmbeddedEngine:
    return await EmbeddedEngine.open(
        root / "store",
        clock=SystemClock(),
        settings=cutting.Settings(segment_bytes=1 << 16, chunk_keys=20),
        encryption=cutting.SEALED,
    )


async def live(root: Path, life: int) -> None:
    engine = await open_engine(root)
    world = World(engine=engine, seed=life + 1)
    if life == 0:
        for bucket in BUCKETS:
            await asked(world, "create_bucket", Bucket=bucket)
        cutting.say("bucket")
    async with asyncio.TaskGroup() as group:
        for writer in range(WRITERS):
            group.create_task(write(world, life, writer))
    if life < LIVES - 1:
        os.kill(os.getpid(), signal.SIGKILL)
    await engine.close()


if __name__ == "__main__":
    if len(sys.argv) == 3:
        asyncio.run(live(Path(sys.argv[1]), int(sys.argv[2])))
    else:
        for number in range(LIVES):
            ended = subprocess.run([*sys.orig_argv, str(number)], check=False).returncode
            assert ended == (0 if number == LIVES - 1 else -signal.SIGKILL), ended
