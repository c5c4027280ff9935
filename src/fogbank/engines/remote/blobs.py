"""The blobs of another process's store: read over the link, frame by frame, as their owner does.

Only reading crosses stores: a copy between domains is a copy of bytes, and who writes or deletes a
blob is the process whose store refers to it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from fogbank.platform.blobs.port import BlobReader, BlobRef
from fogbank.platform.link.port import Answer, Asked, Handlers, Peer, close_stream

READ: Final = "blobs.read"
"""(incarnation, number, begin, end, lock) -> the bytes, as a stream"""


class RemoteBlobs:
    """Reads the blobs of another process's store."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    async def read(
        self, ref: BlobRef, begin: int = 0, end: int | None = None, *, lock: bytes | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the bytes of the half-open range; each frame was verified by its owner.

        Raises:
            Corrupt: A frame is not what was written.
            Unavailable: The owner cannot be reached, or ended meanwhile.
        """
        answer = await self._peer.call(READ, (ref.incarnation, ref.number, begin, end, lock))
        assert answer.stream is not None, "a blob is answered as a stream"
        try:
            async for piece in answer.stream:
                yield piece
        finally:
            await close_stream(answer.stream)


class BlobOwner:
    """Answers for the blobs of this process."""

    def __init__(self, blobs: BlobReader) -> None:
        self._blobs = blobs

    def handlers(self) -> Handlers:
        """Return what can be asked."""
        return {READ: self.read}

    async def read(self, asked: Asked) -> Answer:
        """Answer the bytes of a blob."""
        incarnation, number, begin, end, lock = asked.value
        return Answer(None, self._blobs.read(BlobRef(incarnation, number), begin, end, lock=lock))
