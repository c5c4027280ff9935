"""Writes files into a bucket in somebody's name, for exports and bulk puts.

Rule: a file is written under a name that follows from its number and is counted afterwards, so that an
attempt which a crash cuts short writes it again; files are told of by the manifests, which come last.
"""

from __future__ import annotations

import zlib
from typing import Final

from fogbank.base.types import Wire
from fogbank.services.dynamodb.rules import outputs as rules
from fogbank.services.dynamodb.state.asking import Asker

_GZIP: Final = 16 + zlib.MAX_WBITS
"""Its header has no time, so that the same lines are the same bytes."""


class Outputs:
    """A bucket, and in whose name it is written.

    Args:
        asker: Asks for it.
        members: What every object is written with (``rules/outputs.put_members``).
    """

    def __init__(self, asker: Asker, members: Wire) -> None:
        self._asker = asker
        self._members = members

    async def put(self, key: str, content: bytes) -> str:
        """Write an object; return its ETag without quotes.

        Raises:
            Refused: The bucket does not take it.
        """
        reply = await self._asker.ask(
            "s3", "PutObject", {**self._members, "Key": key, "Body": content}
        )
        etag: str = reply["ETag"]
        return etag.strip('"')

    async def put_manifest(self, folder: str, name: str, content: bytes) -> None:
        """Write a manifest, and beside it its checksum.

        Raises:
            Refused: The bucket does not take it.
        """
        await self.put(f"{folder}{name}.json", content)
        await self.put(f"{folder}{name}.md5", rules.md5_of(content).encode())


class PackedFile:
    """A file that is compressed in memory."""

    def __init__(self) -> None:
        self._packer = zlib.compressobj(wbits=_GZIP)
        self._parts: list[bytes] = []
        self.lines = 0
        self.lines_bytes = 0
        """What its lines have before they are compressed."""

    def add(self, line: bytes) -> None:
        """Write a line."""
        self.lines += 1
        self.lines_bytes += len(line)
        self._parts.append(self._packer.compress(line))

    def finish(self) -> bytes:
        """Return the file."""
        return b"".join((*self._parts, self._packer.flush()))
