"""The store of a call whose decisions presume something of resources, until it is confirmed.

Rule: whatever a service's operation does in a transaction it does after ``Call.confirm``; where that
finds that a resource is not as was presumed, the transaction has ended without a trace, the call is
decided anew with what the resource says, and the transaction runs again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from fogbank.contract.call import Call, Undecided
from fogbank.platform.store.engine import Body, Stamp, Store, StoreLimits, Token

T = TypeVar("T")


class ConfirmedStore:
    """A store whose transactions run again when the call is decided anew.

    Args:
        call: The call.
        store: Where its transactions run.
    """

    __slots__ = ("_call", "_store")

    def __init__(self, call: Call, store: Store) -> None:
        self._call = call
        self._store = store

    @property
    def limits(self) -> StoreLimits:
        """Return the limits that hold for every transaction."""
        return self._store.limits

    async def transact(self, body: Body[T], *, token: Token | None = None) -> T:
        """Run the body and commit what it wrote; see ``Store.transact``."""
        try:
            return await self._store.transact(body, token=token)
        except Undecided as undecided:
            again = undecided
        store = self._store
        return await self._call.decided(lambda: store.transact(body, token=token), again)

    async def read(self, body: Body[T]) -> T:
        """Run the body over one snapshot; see ``Store.read``."""
        try:
            return await self._store.read(body)
        except Undecided as undecided:
            again = undecided
        store = self._store
        return await self._call.decided(lambda: store.read(body), again)

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
