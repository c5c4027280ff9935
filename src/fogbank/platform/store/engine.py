"""The port of the store: what every engine keeps, and services rely on.

A store holds ordered keys. A *body* (``async def body(tr)``) reads and writes inside one
serialisable transaction; it may run more than once, awaits ``tr`` only and uses at most about a
millisecond of CPU. Whatever ``transact``, ``read``, ``claim`` and ``tail`` let out (values and
errors alike) is durable before the caller sees it.

A key begins with the prefix of its domain, or with ``SYSTEM_PREFIX`` for the system subspaces
(outbox, timers, work lists, deletions) that any transaction may touch. Engines in checking mode
refuse every other key. docs/architecture.md, "The store", has the reasons.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

T = TypeVar("T")

SYSTEM_PREFIX = b"\x01"
_DOMAIN_MARK = b"\x02"
_DOMAIN_DIGEST_BYTES = 12


class StoreLimits(NamedTuple):
    """What one transaction may hold, on every engine."""

    key_bytes_max: int = 1_900
    value_bytes_max: int = 524_288
    transaction_bytes_max: int = 10_000_000
    transaction_ms_max: int = 5_000


class Domain:
    """What can move whole to another store, and what no transaction leaves.

    S3: a bucket. DynamoDB, Lambda and Logs: account and region. IAM and STS: an account. The
    directory of global names is one domain.
    """

    __slots__ = ("name", "prefix")

    def __init__(self, *name: str) -> None:
        assert name, "a domain has a name"
        self.name = name
        raw = b"".join(len(part).to_bytes(2) + part.encode() for part in name)
        self.prefix = _DOMAIN_MARK + blake2b(raw, digest_size=_DOMAIN_DIGEST_BYTES).digest()

    def __repr__(self) -> str:
        return f"Domain{self.name!r}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Domain) and other.prefix == self.prefix

    def __hash__(self) -> int:
        return hash(self.prefix)


class SystemDomain(Domain):
    """The system subspaces of one store, for their readers (bus, scheduler, placement)."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("system")
        self.prefix = SYSTEM_PREFIX


SYSTEM = SystemDomain()
DIRECTORY = Domain("directory")
"""Global names (buckets, account aliases, access keys that we did not mint) and who has them."""


class Stamp(NamedTuple):
    """The place of an appended entry in the commit order: 12 bytes, ordered."""

    incarnation: int
    version: int
    index: int  # pyright: ignore[reportIncompatibleMethodOverride] (no one searches a stamp)

    def pack(self) -> bytes:
        """Return the 12 bytes that order as the stamp does."""
        return self.incarnation.to_bytes(2) + self.version.to_bytes(8) + self.index.to_bytes(2)

    @classmethod
    def unpack(cls, raw: bytes) -> Stamp:
        """Return the stamp whose 12 bytes these are."""
        return cls(int.from_bytes(raw[:2]), int.from_bytes(raw[2:10]), int.from_bytes(raw[10:12]))


STAMP_BYTES = 12


class Token(NamedTuple):
    """What makes a repeated request the one that it repeats.

    ``digest`` is that of the request without its token (``tokens.digest_of``); the row of a token
    answers repeats for ``window_ms`` after the first.
    """

    account: str
    service: str
    operation: str
    token: str
    digest: bytes
    window_ms: int


class Pending(Protocol):
    """An entry that a transaction appended; its stamp exists once it has committed."""

    @property
    def stamp(self) -> Stamp:
        """Return the stamp; raise ``RuntimeError`` before the commit."""
        ...


class Transaction(Protocol):
    """One serialisable transaction: byte order, reads see the transaction's own writes."""

    @property
    def domain(self) -> Domain:
        """Return the domain whose keys this transaction may touch."""
        ...

    async def now_ms(self) -> int:
        """Return the store's own time, which alone decides who owns what."""
        ...

    async def get(self, key: bytes) -> bytes | None:
        """Return the value at the key, or None."""
        ...

    async def get_many(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the values of the keys that exist, in one round trip."""
        ...

    async def range(
        self, begin: bytes, end: bytes, *, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """Return up to ``limit`` rows of the half-open range in key order."""
        ...

    def put(self, key: bytes, value: bytes) -> None:
        """Set the value at the key."""
        ...

    def delete(self, key: bytes) -> None:
        """Remove the key if it is there."""
        ...

    def append(self, prefix: bytes, value: bytes) -> Pending:
        """Add an entry at ``prefix`` + the commit's stamp; invisible to this body itself."""
        ...


Body = Callable[[Transaction], Awaitable[T]]


class Cut(Protocol):
    """A consistent cut: everything that was committed up to one stamp, and nothing behind it.

    It is bounded in age and in what it costs, and revoked beyond that: its reader goes on with a
    new one. Whoever takes one releases it.
    """

    @property
    def name(self) -> str:
        """Return the name that it was taken under."""
        ...

    @property
    def stamp(self) -> Stamp:
        """Return the first stamp that is not in it."""
        ...

    @property
    def taken_ms(self) -> int:
        """Return when it was taken, by the store's time."""
        ...

    async def page(self, begin: bytes, end: bytes, *, limit: int) -> list[tuple[bytes, bytes]]:
        """Return some rows from the start of a half-open range; none only if there are none left.

        Raises:
            CutRevoked: The cut is no more.
        """
        ...

    async def release(self) -> None:
        """Let the cut go; harmless to repeat."""
        ...


class Store(Protocol):
    """The keys of one domain (or of ``SYSTEM``) on the engine that owns it."""

    @property
    def limits(self) -> StoreLimits:
        """Return the limits that hold for every transaction."""
        ...

    async def transact(self, body: Body[T], *, token: Token | None = None) -> T:
        """Run the body and commit what it wrote; return only when that is durable.

        Args:
            body: The transaction; it may run more than once.
            token: Stored with the result in the same commit, so that a repeat answers it. The
                result, which is made of plain values, comes as it reads back (tuples as lists).

        Raises:
            TokenReused: The token came before, within its window, with another request.
            Conflict: Retries are used up.
            CommitUnknown: The outcome is not known and there was no token.
            TransactionTooLarge: The writes pass the limits.
        """
        ...

    async def read(self, body: Body[T]) -> T:
        """Run the body over one snapshot; writing raises."""
        ...

    async def claim(
        self,
        begin: bytes,
        end: bytes,
        limit: int,
        move: Callable[[bytes, bytes], tuple[bytes, bytes]],
    ) -> list[tuple[bytes, bytes]]:
        """Move up to ``limit`` of the first entries of a work list, each to one caller.

        ``move`` gives the new key and value of an entry (typically the same under a
        visible-until time); the answer holds the moved entries as ``move`` gave them.
        """
        ...

    async def tail(
        self, prefix: bytes, after: Stamp | None, limit: int
    ) -> list[tuple[Stamp, bytes]]:
        """Return appended entries in commit order; never skips one that commits later."""
        ...

    def watch(self, prefix: bytes) -> AsyncIterator[None]:
        """Yield after commits under the prefix: a hint, it may be late, doubled or lost."""
        ...


class StoredRows(Protocol):
    """Every row of a store that no server uses, as of its last commit; for checks, read only."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value at the key, or None."""
        ...

    def rows(self, begin: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows of a half-open range in order."""
        ...

    def blob(self, incarnation: int, number: int) -> bytes:
        """Return the content of a blob.

        Raises:
            Corrupt: It is missing or damaged.
        """
        ...


Agreement = Callable[[StoredRows], Iterator[str]]
"""Yields what is wrong between rows of a service that must agree, though each is what was written."""


class RowsVerified(NamedTuple):
    """What was found on a page of rows."""

    last: bytes
    """The key of the last row of the page; empty: there is none behind it."""
    read_bytes: int
    damage: list[tuple[bytes, str]]
    """The keys of rows that are not what was written, and what is wrong with them."""


class OwnStore(Store, Protocol):
    """A store that this process owns: only its owner takes cuts of it, and scrubs it."""

    async def verify_rows(self, after: bytes, limit: int) -> RowsVerified:
        """Verify the checks of up to ``limit`` stored rows of every domain behind a key.

        An engine that keeps no bytes of its own has none to verify.
        """
        ...

    async def checkpoint(self, name: str) -> Cut:
        """Take a consistent cut of this domain; of everything, on the store of ``SYSTEM``.

        What was answered before the call is in it; what is asked after the return is not.

        Args:
            name: What it is for; each name is taken once at a time.

        Raises:
            Conflict: A cut of that name is live.
            Throttled: There are too many.
        """
        ...

    def oldest_cut(self) -> Stamp | None:
        """Return the first stamp that is not in the oldest live cut of the store, or None.

        What was removed at or behind it may still be read: a deleter of blobs stops there.
        """
        ...


class Passengers(Protocol):
    """Whoever has rows to append that ride with commits; see ``Carrier``."""

    def rows(self) -> Sequence[tuple[bytes, bytes]]:
        """Return what is to be appended now: prefixes, in system subspaces, and values."""
        ...

    def boarded(self, waiter: Future[Any]) -> None:
        """Hear what is done when the rows that were returned last are durable."""
        ...


@runtime_checkable
class Carrier(Protocol):
    """An engine that makes many commits durable as one, and takes further rows along.

    When it begins to make commits durable it asks once for passengers and appends what it gets, in
    the same step: the rows are durable exactly if the commits are (where these fill more than one
    step of the log, with the last). Whoever needs that for the price of one row, and not of one row
    a commit, is a passenger.
    """

    def carry(self, passengers: Passengers) -> None:
        """Ask for passengers from now on."""
        ...

    def riding(self, store: Store, on_commit: Callable[[], None]) -> Store:
        """Return a store of this engine that tells of every commit, in the step that makes it.

        Passengers that board then ride with that commit.
        """
        ...


class Placement(Protocol):
    """Which store and which blob store a domain lives in."""

    def store_of(self, domain: Domain) -> Store:
        """Return the store of a domain."""
        ...

    def is_ours(self, domain: Domain) -> bool:
        """Return whether the store of a domain is in this process: one transaction with ours."""
        ...

    def system_stores(self) -> tuple[OwnStore, ...]:
        """Return the stores whose system subspaces this process reads, one each."""
        ...
