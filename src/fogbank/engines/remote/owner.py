"""The owner's side of a remote store: answers reads, and decides in one body.

Rule: a decision reads again what the caller read and compares; if everything still holds it writes
what the caller wrote, in the same body, so that the caller's transaction stands at one point of the
owner's order. What a domain is not ours is refused: a caller that is wrong about owners must not
write to two places.

Theory: optimistic validation at the owner (Kung and Robinson, "On optimistic methods for
concurrency control", 1981); the owner's bodies are serial, so there is no window.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

from fogbank.base.errors import Unavailable
from fogbank.engines.remote import words
from fogbank.engines.remote.words import Row, digest_of, domain_of, rows_digest
from fogbank.platform.link.port import Answer, Asked, Handlers
from fogbank.platform.store.engine import Domain, Placement, Store, Transaction

_HINT: Final = b"."
_NO_STAMP: Final = b""


async def page(
    tr: Transaction, begin: bytes, end: bytes, limit: int, *, reverse: bool
) -> tuple[list[Row], bool]:
    """Return rows up to the bytes of one answer, and whether the limit was not reached for that."""
    rows: list[Row] = []
    size = 0
    at, until = begin, end
    while len(rows) < limit:
        step = min(limit - len(rows), words.GET_KEYS_MAX if size else 256)
        found = await tr.range(at, until, limit=step, reverse=reverse)
        for key, value in found:
            rows.append((key, value))
            size += len(key) + len(value)
            if size >= words.RANGE_BYTES_MAX:
                return rows, len(rows) < limit
        if len(found) < step:
            break
        at, until = (at, found[-1][0]) if reverse else (found[-1][0] + b"\0", until)
    return rows, False


class StoreOwner:
    """Answers for the stores of this process.

    Args:
        placement: This process's stores.
        is_ours: Whether a domain lives here.
    """

    def __init__(self, placement: Placement, is_ours: Callable[[Domain], bool]) -> None:
        self._placement = placement
        self._is_ours = is_ours

    def handlers(self) -> Handlers:
        """Return what can be asked."""
        return {
            words.GET: self.get,
            words.RANGE: self.range,
            words.DECIDE: self.decide,
            words.NOW: self.now,
            words.WATCH: self.watch,
        }

    def _store(self, named: words.Named) -> Store:
        domain = domain_of(named)
        if named is not None and not self._is_ours(domain):
            raise Unavailable(f"{domain!r} lives in another store")
        return self._placement.store_of(domain)

    async def get(self, asked: Asked) -> Answer:
        """Answer the values of some keys."""
        named, keys = asked.value

        async def body(tr: Transaction) -> list[bytes | None]:
            return [await tr.get(key) for key in keys]

        return Answer(await self._store(named).read(body))

    async def range(self, asked: Asked) -> Answer:
        """Answer a page of rows."""
        named, begin, end, limit, reverse = asked.value

        async def body(tr: Transaction) -> tuple[list[Row], bool]:
            return await page(tr, begin, end, limit, reverse=reverse)

        return Answer(await self._store(named).read(body))

    async def decide(self, asked: Asked) -> Answer:
        """Commit what a caller wrote, if what it read still holds."""
        named, gets, ranges, writes, appends = asked.value
        store = self._store(named)
        if not writes and not appends:
            return Answer(_NO_STAMP if await store.read(_holding(gets, ranges)) else None)
        holds = _holding(gets, ranges)

        async def body(tr: Transaction) -> bytes | Callable[[], bytes] | None:
            if not await holds(tr):
                return None
            for key, value in writes:
                if value is None:
                    tr.delete(key)
                else:
                    tr.put(key, value)
            pendings = [tr.append(prefix, value) for prefix, value in appends]
            return (lambda: pendings[0].stamp.pack()) if pendings else _NO_STAMP

        stamp = await store.transact(body)
        return Answer(stamp() if callable(stamp) else stamp)

    async def now(self, asked: Asked) -> Answer:
        """Answer the time of the store."""
        (named,) = asked.value
        return Answer(await self._store(named).read(lambda tr: tr.now_ms()))

    async def watch(self, asked: Asked) -> Answer:
        """Answer a stream of hints."""
        named, prefix = asked.value
        return Answer(None, _hints(self._store(named).watch(prefix)))


def _holding(
    gets: Sequence[tuple[bytes, bytes | None]],
    ranges: Sequence[tuple[bytes, bytes, int, bool, bytes]],
) -> Callable[[Transaction], Awaitable[bool]]:
    """Return a body that tells whether reads would be answered as they were."""

    async def holds(tr: Transaction) -> bool:
        for key, digest in gets:
            if digest_of(await tr.get(key)) != digest:
                return False
        for begin, end, limit, reverse, digest in ranges:
            rows, more = await page(tr, begin, end, limit, reverse=reverse)
            if rows_digest(rows, more=more) != digest:
                return False
        return True

    return holds


async def _hints(watch: AsyncIterator[None]) -> AsyncIterator[bytes]:
    """Yield a byte at every hint."""
    async for _ in watch:
        yield _HINT
