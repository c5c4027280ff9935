"""The store of a call whose decisions presume something of resources, until it is confirmed.

Its transactions may meet blobs and keys (``platform/blobs/held``) as well.

Rule: whatever a service's operation does in a transaction it does after ``Call.confirm``; where that
finds that a resource is not as was presumed, the transaction has ended without a trace, the call is
decided anew with what the resource says, and the transaction runs again.
"""

from __future__ import annotations

from typing import TypeVar

from fogbank.contract.call import Call, Undecided
from fogbank.platform.blobs.held import HoldingStore, Unheld
from fogbank.platform.crypto.locked import Unopened
from fogbank.platform.store.engine import Body, Token
from fogbank.platform.store.passing import PassingStore

T = TypeVar("T")


class ConfirmedStore(PassingStore):
    """A store whose transactions run again when the call is decided anew, and with what they lack.

    Args:
        call: The call.
    """

    __slots__ = ("_call",)

    def __init__(self, call: Call) -> None:
        super().__init__(call.bare_store)
        self._call = call

    async def transact(self, body: Body[T], *, token: Token | None = None) -> T:
        """Run the body and commit what it wrote; see ``Store.transact``."""
        try:
            return await self._store.transact(body, token=token)
        except Undecided as undecided:
            again: Undecided | None = undecided
        except (Unheld, Unopened):
            again = None
        store = HoldingStore(self._store, self._call.blobs, self._call.open_key)
        return await self._call.decided(lambda: store.transact(body, token=token), again)

    async def read(self, body: Body[T]) -> T:
        """Run the body over one snapshot; see ``Store.read``."""
        try:
            return await self._store.read(body)
        except Undecided as undecided:
            again: Undecided | None = undecided
        except (Unheld, Unopened):
            again = None
        store = HoldingStore(self._store, self._call.blobs, self._call.open_key)
        return await self._call.decided(lambda: store.read(body), again)
