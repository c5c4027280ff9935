"""Transactions that read and write bodies which are blobs.

Rule: a body of a transaction awaits its transaction only, and blobs are read and written outside.

Theory: a body that meets a blob raises ``Unheld`` and has left nothing behind. The blob is read, or
what shall be one is written to a fresh name, and the body runs again with a transaction that has
it. Blobs never change, so what is held stays right however often the body runs, and on whatever it
finds by then. What was written and is not referred to in the end is removed; where the outcome is
not known, and after a crash, it is an orphan, which the sweep finds.

Likewise with a key that KMS has encrypted (``crypto/locked``): a body that meets one raises
``Unopened``, and runs again with the key, or hears why nobody may have it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from hashlib import blake2b
from typing import Final, TypeVar

from fogbank.base.errors import Conflict, Corrupt, ServiceError, TransactionTooLarge
from fogbank.platform.blobs.port import BlobRef, Blobs
from fogbank.platform.crypto.locked import LockedKey, Opener, Unopened
from fogbank.platform.store.engine import Body, Domain, Pending, Store, Token, Transaction
from fogbank.platform.store.passing import PassingStore

T = TypeVar("T")

HELD_BYTES_MAX: Final = 256 << 20
"""Of blobs, for one transaction: what it reads and what it writes."""
ROUNDS_MAX: Final = 256
"""How often a body is run again for a blob more."""
_UNCOMMITTED: Final = (Conflict, TransactionTooLarge)
"""What a store raises when a transaction whose body ended certainly has not committed."""


class Unheld(Exception):
    """A body of a transaction met a blob that it has not at hand.

    Args:
        ref: The blob to read; None: one is to be written.
        body: What is to be written.
    """

    def __init__(self, ref: BlobRef | None, body: bytes = b"") -> None:
        super().__init__("a body needs a blob; its store is none that holds them (HoldingStore)")
        self.ref = ref
        self.body = body


class Held:
    """The blobs and the keys at hand of one call.

    Args:
        blobs: Where blobs lie.
        opener: Has keys opened; None: nobody does.
    """

    __slots__ = (
        "_blobs", "_bodies", "_keys", "_left", "_opener", "_written", "has_failed", "referred"
    )  # fmt: skip

    def __init__(self, blobs: Blobs, opener: Opener | None = None) -> None:
        self._blobs = blobs
        self._opener = opener
        self._keys: dict[LockedKey, bytes | ServiceError] = {}
        self._bodies: dict[BlobRef, bytes] = {}
        self._written: dict[bytes, BlobRef] = {}
        self._left = HELD_BYTES_MAX
        self.has_failed = True
        """Whether the body that ran last raised, or none ran yet: then nothing was committed."""
        self.referred: set[BlobRef] = set()
        """What the body that runs refers to so far of what was written."""

    def body_of(self, ref: BlobRef) -> bytes | None:
        """Return the content of a blob, or None if it was not read."""
        return self._bodies.get(ref)

    def refer(self, body: bytes) -> BlobRef | None:
        """Return the blob that was written of a content, to be referred to; None: none was."""
        ref = self._written.get(_digest(body))
        if ref is not None:
            self.referred.add(ref)
        return ref

    def key_of(self, key: LockedKey) -> bytes:
        """Return a key that was opened.

        Raises:
            Unopened: It was not asked for yet.
            ServiceError: Nobody may have it.
        """
        found = self._keys.get(key)
        if found is None:
            raise Unopened(key)
        if isinstance(found, ServiceError):
            raise found
        return found

    async def open(self, unopened: Unopened) -> None:
        """Have a key opened; that nobody may have it is for the body to hear."""
        if self._opener is None:
            raise unopened
        try:
            self._keys[unopened.key] = await self._opener(unopened.key)
        except ServiceError as error:
            self._keys[unopened.key] = error

    async def get(self, unheld: Unheld) -> None:
        """Read a blob, or write one.

        Raises:
            Corrupt: The blob is missing or damaged.
            Full: There is no space for it.
            TransactionTooLarge: Too much would be held.
        """
        ref = unheld.ref
        if ref is None:
            self._take(len(unheld.body))
            name = await self._blobs.name()
            await self._blobs.write(name, _once(unheld.body))
            self._written[_digest(unheld.body)] = name
            return
        parts: list[bytes] = []
        async for part in self._blobs.read(ref):
            self._take(len(part))
            parts.append(part)
        self._bodies[ref] = b"".join(parts)

    def _take(self, size: int) -> None:
        """Refuse to hold more than one transaction may."""
        self._left -= size
        if self._left < 0:
            raise TransactionTooLarge(f"a transaction holds more than {HELD_BYTES_MAX} bytes")

    async def remove(self, kept: Iterable[BlobRef] = ()) -> None:
        """Remove what was written, but for what is referred to."""
        for ref in set(self._written.values()).difference(kept):
            await self._blobs.delete(ref)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    """Yield a body that is there already."""
    yield body


def _digest(body: bytes) -> bytes:
    """Return what a body is known by while it is held."""
    return blake2b(body, digest_size=32).digest()


class HoldingTransaction:
    """A transaction that has blobs and keys at hand.

    Args:
        tr: Where everything is done.
        held: What it has.
    """

    __slots__ = ("_tr", "held")

    def __init__(self, tr: Transaction, held: Held) -> None:
        self._tr = tr
        self.held = held

    @property
    def domain(self) -> Domain:
        """Return the domain whose keys this transaction may touch."""
        return self._tr.domain

    async def now_ms(self) -> int:
        """Return the store's own time; see ``Transaction.now_ms``."""
        return await self._tr.now_ms()

    async def get(self, key: bytes) -> bytes | None:
        """Return the value at the key, or None."""
        return await self._tr.get(key)

    async def get_many(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the values of the keys that exist."""
        return await self._tr.get_many(keys)

    async def range(
        self, begin: bytes, end: bytes, *, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """Return rows of a range; see ``Transaction.range``."""
        return await self._tr.range(begin, end, limit=limit, reverse=reverse)

    def put(self, key: bytes, value: bytes) -> None:
        """Set the value at the key."""
        self._tr.put(key, value)

    def delete(self, key: bytes) -> None:
        """Remove the key if it is there."""
        self._tr.delete(key)

    def append(self, prefix: bytes, value: bytes) -> Pending:
        """Add an entry; see ``Transaction.append``."""
        return self._tr.append(prefix, value)


def held_of(tr: Transaction) -> Held | None:
    """Return what a transaction has at hand, if it has anything."""
    return tr.held if isinstance(tr, HoldingTransaction) else None


class HoldingStore(PassingStore):
    """A store whose transactions run again with the blobs and the keys that they have met.

    Args:
        store: Where everything is done.
        blobs: Those of its domain.
        opener: Has keys opened; None: nobody does.
    """

    __slots__ = ("_blobs", "_opener")

    def __init__(self, store: Store, blobs: Blobs, opener: Opener | None = None) -> None:
        super().__init__(store)
        self._blobs = blobs
        self._opener = opener

    async def transact(self, body: Body[T], *, token: Token | None = None) -> T:
        """Run the body and commit what it wrote; see ``Store.transact``.

        Raises:
            Corrupt: A blob is missing or damaged.
            Full: There is no space for one.
            TransactionTooLarge: The blobs are too large together.
        """
        try:
            return await self._store.transact(body, token=token)
        except (Unheld, Unopened) as error:
            lacks = error
        held = Held(self._blobs, self._opener)
        try:
            result = await self._rounds(
                lacks, held, lambda: self._store.transact(_holding(body, held), token=token)
            )
        except BaseException as error:
            # Of anything else the outcome is not known: what was written may be referred to.
            if held.has_failed or isinstance(error, _UNCOMMITTED):
                await held.remove()
            raise
        await held.remove(kept=held.referred)
        return result

    async def read(self, body: Body[T]) -> T:
        """Run the body over one snapshot; see ``Store.read``.

        Raises:
            Corrupt: A blob is missing or damaged.
            TransactionTooLarge: The blobs are too large together.
        """
        try:
            return await self._store.read(body)
        except (Unheld, Unopened) as error:
            lacks = error
        held = Held(self._blobs, self._opener)
        return await self._rounds(lacks, held, lambda: self._store.read(_holding(body, held)))

    @staticmethod
    async def _rounds(lacks: Unheld | Unopened, held: Held, run: Callable[[], Awaitable[T]]) -> T:
        """Get what a body asks for and run it again, until it asks for nothing more."""
        missing: BlobRef | None = None
        for _ in range(ROUNDS_MAX):
            if isinstance(lacks, Unopened):
                await held.open(lacks)
            else:
                try:
                    await held.get(lacks)
                except Corrupt:
                    # It may have been replaced, and then the body does not ask for it again.
                    if lacks.ref == missing:
                        raise
                    missing = lacks.ref
            try:
                return await run()
            except (Unheld, Unopened) as error:
                lacks = error
        raise TransactionTooLarge(f"a transaction meets more than {ROUNDS_MAX} blobs and keys")


def _holding(body: Body[T], held: Held) -> Body[T]:
    """Return a body that runs with blobs at hand."""

    async def run(tr: Transaction) -> T:
        held.referred.clear()
        held.has_failed = True
        result = await body(HoldingTransaction(tr, held))
        held.has_failed = False
        return result

    return run
