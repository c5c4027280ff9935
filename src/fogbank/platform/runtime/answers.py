"""An answer that is read while the function still makes it: from a sandbox to whoever asked.

Rule: never more than ``HELD_BYTES_MAX`` and one piece of an answer lie here. A reader that falls behind
holds its function back, whose time goes on; one that goes away holds nobody back: the function runs
to its end, as on AWS, and what it still says is dropped. An answer that came whole, from a runtime
that makes no pieces, is one piece.

Source: AWS Lambda Developer Guide, "Response streaming for Lambda functions" (200 MB; "streaming
responses are not interrupted or stopped when the invoking client connection is broken").
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import Final

from fogbank.platform.runtime.functions import Run

HELD_BYTES_MAX: Final = 1 << 20


class AnswerStream:
    """The answer of one invocation; its ``write`` is the port's ``Chunks``.

    Args:
        bytes_max: How long a streamed answer may be; what comes beyond that is dropped.
        whole_bytes_max: How long one may be that comes whole.
    """

    def __init__(self, bytes_max: int, whole_bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._whole_bytes_max = whole_bytes_max
        self.passed = 0
        """The bound that the answer has passed; 0: none."""
        self.content_type = ""
        """What the runtime said that the answer is, with its first piece; empty: nothing."""
        self._pieces: deque[bytes] = deque()
        self._held = 0
        self._bytes = 0
        self._left = False
        self._room = asyncio.Event()
        self._ready = asyncio.Event()
        self._done: asyncio.Future[Run] | None = None

    # The sandbox's side.

    async def write(self, piece: bytes, content_type: str) -> None:
        """Take a piece of the answer, as the port's ``Chunks``; return once there is room for another."""
        self.content_type = content_type
        self._bytes += len(piece)
        if self._bytes > self._bytes_max:
            self.passed = self._bytes_max
        if self._left or self.passed or not piece:
            return
        self._pieces.append(piece)
        self._held += len(piece)
        self._ready.set()
        while self._held >= HELD_BYTES_MAX and not self._left:
            self._room.clear()
            await self._room.wait()

    # The reader's side.

    def follow(self, done: asyncio.Future[Run]) -> None:
        """Know when the invocation is over: what it came to, or why it did not run."""
        self._done = done
        done.add_done_callback(self._end)

    def _end(self, done: asyncio.Future[Run]) -> None:
        if not done.cancelled():
            done.exception()  # whoever reads hears of it; nobody may be reading any more
        self._ready.set()

    @property
    def _over(self) -> bool:
        return self._done is not None and self._done.done()

    async def begin(self) -> None:
        """Return once there is something to read, or the invocation is over.

        Whoever does not wait for it reads nothing at all.

        Raises:
            Exception: As the invocation raised it before it answered anything.
        """
        assert self._done is not None, "who waits follows"
        try:
            await self._wait()
            if not self._pieces:
                self._done.result()
        except BaseException:
            self.leave()
            raise

    async def _wait(self) -> None:
        while not self._pieces and not self._over:
            self._ready.clear()
            await self._ready.wait()

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the answer piece by piece; the whole of one that was not streamed at once.

        Raises:
            Exception: As the invocation raised it after its answer had begun.
        """
        try:
            while True:
                await self._wait()
                if not self._pieces:
                    break
                piece = self._pieces.popleft()
                self._held -= len(piece)
                self._room.set()
                yield piece
            run = self.run
            if run.failed or self._bytes:
                return
            if len(run.payload) > self._whole_bytes_max:
                self.passed = self._whole_bytes_max
            elif run.payload:
                yield run.payload
        finally:
            self.leave()

    @property
    def run(self) -> Run:
        """Return how the invocation went, once it is over."""
        assert self._done is not None, "who reads follows"
        return self._done.result()

    def leave(self) -> None:
        """Read no more: whatever the function still says is dropped."""
        self._left = True
        self._pieces.clear()
        self._held = 0
        self._room.set()
