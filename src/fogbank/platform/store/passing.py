"""A store that passes every call on to another: what stores that do more at some of them begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from fogbank.platform.store.engine import Body, Stamp, Store, StoreLimits, Token

T = TypeVar("T")


class PassingStore:
    """A store in front of another.

    Args:
        store: Where everything is done.
    """

    __slots__ = ("_store",)

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def limits(self) -> StoreLimits:
        """Return the limits that hold for every transaction."""
        return self._store.limits

    async def transact(self, body: Body[T], *, token: Token | None = None) -> T:
        """Run the body and commit what it wrote; see ``Store.transact``."""
        return await self._store.transact(body, token=token)

    async def read(self, body: Body[T]) -> T:
        """Run the body over one snapshot; see ``Store.read``."""
        return await self._store.read(body)

    async def claim(
        self,
        begin: bytes,
        end: bytes,
        limit: int,
        move: Callable[[bytes, bytes], tuple[bytes, bytes]],
    ) -> list[tuple[bytes, bytes]]:
        """Move entries of a work list; see ``Store.claim``."""
        return await self._store.claim(begin, end, limit, move)

    async def tail(
        self, prefix: bytes, after: Stamp | None, limit: int
    ) -> list[tuple[Stamp, bytes]]:
        """Return appended entries; see ``Store.tail``."""
        return await self._store.tail(prefix, after, limit)

    def watch(self, prefix: bytes) -> AsyncIterator[None]:
        """Yield after commits under the prefix; see ``Store.watch``."""
        return self._store.watch(prefix)
