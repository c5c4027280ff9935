"""Long bodies of requests, decoded off the loop, and long replies, encoded in steps or packed.

Whoever else is served does not wait for them.

Rule: up to ``LOOP_BYTES_MAX`` a body is decoded where it is, in far less than a step may take; beyond,
and where it may become longer because it is compressed, in one of ``THREADS_MAX`` threads. What comes
of it is the same, errors too. What waits for a thread is bounded by the memory of whole bodies.

Theory: threads share the interpreter, so that a decoder of ours gives way every few milliseconds.
The parser of JSON, in C, does not; it takes a millisecond for each half of a megabyte.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Final, TypeVar, cast

from fogbank.base.types import Wire
from fogbank.wire.compile import ServiceCodec
from fogbank.wire.compression import accepted_coding, pack
from fogbank.wire.http import BODY_WHOLE_BYTES_MAX, HttpReply, HttpRequest

T = TypeVar("T")

LOOP_BYTES_MAX: Final = BODY_WHOLE_BYTES_MAX
PACKED_LOOP_BYTES_MAX: Final = 32 << 10
"""Bodies up to this are compressed where they are, in about a millisecond."""
THREADS_MAX: Final = 2


def is_long(codec: ServiceCodec, operation: str, request: HttpRequest) -> bool:
    """Return whether a body is too long to be decoded on the loop, or may become so."""
    if len(request.body) > LOOP_BYTES_MAX:
        return True
    return "content-encoding" in request.headers and codec.inflates(operation)


class Decoding:
    """Decodes long bodies, and packs replies.

    Args:
        executor: Where; threads of its own unless given.
    """

    def __init__(self, executor: Executor | None = None) -> None:
        self._executor = executor or ThreadPoolExecutor(THREADS_MAX, "fogbank-decode")

    async def decode(
        self, codec: ServiceCodec, operation: str, request: HttpRequest, params: Mapping[str, str]
    ) -> Wire:
        """Return a request by wire names; see ``ServiceCodec.decode``."""
        codec.prepare(operation)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, codec.decode, operation, request, params)

    async def packed(
        self, codec: ServiceCodec, request: HttpRequest, reply: HttpReply
    ) -> HttpReply:
        """Return a reply, compressed if its service does that and its client takes it so."""
        if not codec.model.settings.packed_replies or not isinstance(reply.body, bytes):
            return reply
        coding = accepted_coding(request.headers.get("accept-encoding", ""))
        if not coding:
            return reply
        if len(reply.body) <= PACKED_LOOP_BYTES_MAX:
            return pack(reply, coding)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, pack, reply, coding)


async def in_steps(work: Generator[None, None, T]) -> T:
    """Return what some work comes to; between two of its steps others are served."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return cast("T", end.value)
        await asyncio.sleep(0)  # noqa: TID251 (no time passes; the loop turns)
