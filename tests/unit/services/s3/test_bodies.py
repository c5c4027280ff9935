"""Bodies on their way in: hashed beside the bytes that come."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

from fogbank.base.lane import Lane
from fogbank.services.s3.state import bodies

FRAME = 256 << 10
FRAMES = 4
PATIENCE_S = 20


class Slow:
    """Hashes a frame only when another one has come, or all have."""

    def __init__(self) -> None:
        self.came = threading.Semaphore(0)
        self.hashed: list[bytes] = []
        self.waited_in_vain = False

    def update(self, data: bytes) -> None:
        self.waited_in_vain |= not self.came.acquire(timeout=PATIENCE_S)
        self.hashed.append(data[:1])


def test_a_frame_is_hashed_while_the_next_one_comes() -> None:
    slow = Slow()
    digests: Any = slow

    async def coming() -> AsyncIterator[bytes]:
        for number in range(FRAMES):
            if number:
                slow.came.release()
            yield bytes([number]) * FRAME
        slow.came.release()

    async def run() -> list[bytes]:
        hashing = Lane(digests.update)
        frames = [bytes(each[:1]) async for each in bodies._hashed(coming(), digests, hashing)]
        await hashing.end()
        return frames

    expected = [bytes([number]) for number in range(FRAMES)]
    assert asyncio.run(run()) == expected
    assert not slow.waited_in_vain
    # The end comes only when all of them are hashed, each behind the one before it.
    assert slow.hashed == expected
