"""Room for requests that become many times their bytes, and for replies that are long.

Rule: a request that may take much memory while it is worked on takes room for it first: for what its
body becomes once it is decoded, and for the longest reply that its operation declares. Where there
is none it waits its turn; what waits is its bytes, which others bound (``whole_bodies_bytes_max``,
``requests_max``). Small requests of operations with short replies, nearly all, take none.

Theory: first come, first served, or who wants much would wait for ever. What wants more than all has
the whole room to itself. A request that is answered from memory never waits for anything: hundreds
of them would run one after the other before the loop turns. So after one that took long the next
begins when the loop has turned, and of those who wait one at each turn. An operation that waits for
a function takes no room: the function may need some for its own requests.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Final, NamedTuple

from fogbank.contract.quota import Quotas
from fogbank.gateway.bound import Bound

SMALL_BYTES: Final = 16 << 10
"""Bodies up to this are not weighed: all that can be in work together are a few hundred MB."""
LONG_S: Final = 0.005
"""What a step of the loop may take."""


class Density(NamedTuple):
    """What a body of one format takes at most while it is decoded, its bytes aside."""

    marks: tuple[bytes, ...]
    """What every value has one of."""
    mark_bytes: int
    """What a value takes, and what was read on the way to it."""
    byte_bytes: int
    """What each byte of the body takes besides: texts are copied."""
    heads: bytes = b""
    """Instead of marks: what lists and maps of a binary format begin with; other bytes may do too."""


# Measured with tracemalloc over the densest shapes that we thought of, to which
# tests/unit/gateway/test_density.py holds them. orjson's room for values that may come, twelve times
# a body, is not counted as such: where they do not come, nobody touches it.
_JSON: Final = Density((b",", b"{", b"["), 300, 2)
_XML: Final = Density((b"<", b"="), 180, 2)
_FORM: Final = Density((b"&",), 600, 2)
_CBOR: Final = Density((), 150, 24, bytes(range(0x80, 0xC0)))
DENSITIES: Final[Mapping[str, Density]] = {
    "json": _JSON,
    "rest-json": _JSON,
    "rest-xml": _XML,
    "query": _FORM,
    "ec2": _FORM,
    "smithy-rpc-v2-cbor": _CBOR,
}
"""By the protocol that a request is decoded by, whatever it says of itself."""


def weight_of(body: bytes, protocol: str, reply_bytes: int) -> int:
    """Return the memory that a request may take while it is worked on, if that is much; else 0.

    Args:
        body: Whole.
        protocol: What it is decoded by.
        reply_bytes: How long its reply may be, where that is much.
    """
    # The values of the answer, and the bytes that they are written as.
    reply = 2 * reply_bytes
    if len(body) <= SMALL_BYTES:
        return reply
    marks, mark_bytes, byte_bytes, heads = DENSITIES[protocol]
    values = sum(map(body.count, marks))
    if heads:
        values = len(body) - len(body.translate(None, heads))
    return len(body) * (1 + byte_bytes) + values * mark_bytes + reply


class Room:
    """A bound on the memory of all requests that are worked on.

    Args:
        bytes_max: The bound.
        quotas: How long the replies of operations may be.
    """

    __slots__ = ("_began_s", "_bytes_max", "_quotas", "_turning", "_waiting", "taken")

    def __init__(self, bytes_max: int, quotas: Quotas) -> None:
        self._bytes_max = bytes_max
        self._quotas = quotas
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._turning = False
        """Whether who comes now waits until the loop has turned."""
        self._began_s = 0.0
        """When the last of them began."""
        self.taken = 0

    def weight_of(self, bound: Bound, body: bytes, protocol: str) -> int:
        """Return what a request of an operation may take; 0 of one whose body is not decoded."""
        if bound.raw:
            return 0
        reply = bound.reply
        return weight_of(body, protocol, 0 if reply is None else self._quotas.value(reply))

    async def enter(self, weight: int) -> int:
        """Return how much was taken, at once or when there is room; give it back by ``leave``."""
        weight = min(weight, self._bytes_max)
        loop = asyncio.get_running_loop()
        if not (self._waiting or self._turning) and self.taken + weight <= self._bytes_max:
            self.taken += weight
            self._began_s = loop.time()
            return weight
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append((weight, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave(weight)
            else:
                self._advance()  # who waited behind it may go on
            raise
        self._began_s = loop.time()
        return weight

    def leave(self, weight: int) -> None:
        """Give back what was taken."""
        self.taken -= weight
        loop = asyncio.get_running_loop()
        if not self._turning and loop.time() - self._began_s > LONG_S:
            self._turn(loop)
        self._advance()

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let nobody begin before the loop has turned."""
        self._turning = True
        loop.call_soon(self._turned)

    def _turned(self) -> None:
        self._turning = False
        self._advance()

    def _advance(self) -> None:
        """Let the first go on, if there is room for it; the next when the loop has turned."""
        while self._waiting and not self._turning:
            weight, turn = self._waiting[0]
            if turn.done():
                self._waiting.popleft()
            elif self.taken + weight <= self._bytes_max:
                self._waiting.popleft()
                self.taken += weight
                turn.set_result(None)
                self._turn(asyncio.get_running_loop())
            else:
                return
