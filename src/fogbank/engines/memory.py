"""The memory engine: the model that the others are tested against, and the store of tests.

Rule: it keeps everything the port promises but durability, and is stricter than the others: it
refuses keys outside the transaction's domain, oversize keys, values and transactions, and bodies
that suspend. With ``replay=True`` every body runs three times: on an older snapshot with its writes
discarded, as may happen on a cluster, and twice on the rows as they are, where both runs must do the
same (``engines/replay``), so that a body with effects of its own is found.

Theory: one sorted dictionary. A transaction is an overlay of its own writes; a replay's first run
has below it one more overlay, the values that recent commits replaced.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import AsyncIterator, Generator, Iterable, Iterator
from itertools import islice
from typing import Final, Generic, NamedTuple, Protocol, TypeVar, cast

from sortedcontainers import SortedDict

from fogbank.base.clock import Clock
from fogbank.base.errors import Corrupt, TransactionTooLarge
from fogbank.engines import bodies, replay
from fogbank.engines.bodies import LIMITS, RANGE_ROWS_MAX, PendingEntry
from fogbank.engines.cuts import Cuts, OpenCut
from fogbank.engines.watch import Watchers
from fogbank.platform.blobs.port import FRAME_BYTES, BlobRef, Chunk
from fogbank.platform.crypto.secret import KeyRefused
from fogbank.platform.store import tokens
from fogbank.platform.store.engine import (
    STAMP_BYTES,
    SYSTEM,
    SYSTEM_PREFIX,
    Body,
    Cut,
    Domain,
    OwnStore,
    RowsVerified,
    Stamp,
    Store,
    Token,
)
from fogbank.platform.store.tuples import after_prefix

T = TypeVar("T")
Row = tuple[bytes, bytes]
Overlay = dict[bytes, bytes | None]
"""Values by key; None hides the key of the layer below."""

_INCARNATION: Final = 1
_HISTORY_COMMITS_MAX: Final = 4
_SYSTEM_END: Final = after_prefix(SYSTEM_PREFIX)


class _Rows(Protocol):
    """What is used of a ``SortedDict``, typed."""

    def __setitem__(self, key: bytes, value: bytes) -> None: ...

    def get(self, key: bytes) -> bytes | None: ...

    def pop(self, key: bytes, default: bytes | None) -> bytes | None: ...

    def copy(self) -> _Rows: ...

    def irange(
        self, minimum: bytes, maximum: bytes, inclusive: tuple[bool, bool], *, reverse: bool
    ) -> Iterator[bytes]: ...


class _Tick:
    """Lets the loop run once, as the wait for a disk would."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        yield


_TICK: Final = _Tick()


def _standing_still() -> int:
    """Return the time of an engine that was given no clock."""
    return 0


class CopiedRows:
    """The rows of a cut: a copy of the sorted map."""

    def __init__(self, rows: _Rows) -> None:
        self._rows = rows.copy()

    async def page(self, begin: bytes, end: bytes, limit: int) -> list[Row]:
        """Return the first rows of a range."""
        await _TICK
        keys = self._rows.irange(begin, end, (True, False), reverse=False)
        return [
            (key, value)
            for key in islice(keys, limit)
            if (value := self._rows.get(key)) is not None
        ]

    async def close(self) -> None:
        """Forget the rows."""
        self._rows = cast("_Rows", SortedDict())


class MemoryTransaction:
    """One run of one body over the rows, its own writes and, in a replay, an older past."""

    __slots__ = (
        "_check",
        "_end",
        "_now_ms",
        "_open",
        "_past",
        "_rows",
        "_writable",
        "domain",
        "pendings",
        "writes",
    )

    def __init__(
        self, engine: MemoryEngine, domain: Domain, past: Overlay, *, writable: bool
    ) -> None:
        self.domain = domain
        self.writes: Overlay = {}
        self.pendings: list[PendingEntry] = []
        self._rows = engine.rows
        self._now_ms = engine.now_ms
        self._open = True
        self._check = engine.check
        self._past = past
        self._end = after_prefix(domain.prefix)
        self._writable = writable

    def close(self) -> None:
        """End the transaction: whoever kept it can do nothing with it."""
        self._open = False
        self._writable = False

    def _check_key(self, key: bytes) -> None:
        """Refuse keys that no engine would have to keep."""
        assert type(key) is bytes, f"a key is bytes, not {type(key).__name__}"
        assert self._open, "the transaction is over"
        if not self._check:
            return
        assert key.startswith((self.domain.prefix, SYSTEM_PREFIX)), (
            f"the key {key!r} is outside {self.domain!r} and the system subspaces"
        )

    def _check_write(self, key: bytes, value: bytes) -> None:
        """Refuse rows that no engine would have to keep."""
        assert self._writable, "this transaction only reads, or is over"
        self._check_key(key)
        if self._check and len(key) > LIMITS.key_bytes_max:
            raise TransactionTooLarge(f"a key has {len(key)} bytes of {LIMITS.key_bytes_max}")
        assert type(value) is bytes, f"a value is bytes, not {type(value).__name__}"
        if self._check and len(value) > LIMITS.value_bytes_max:
            raise TransactionTooLarge(f"a value has {len(value)} bytes of {LIMITS.value_bytes_max}")

    def _find(self, key: bytes) -> bytes | None:
        """Return the value in the topmost layer that has the key."""
        if key in self.writes:
            return self.writes[key]
        if key in self._past:
            return self._past[key]
        return self._rows.get(key)

    async def now_ms(self) -> int:
        """Return the engine's time."""
        return self._now_ms()

    async def get(self, key: bytes) -> bytes | None:
        """Return the value at the key, or None."""
        self._check_key(key)
        return self._find(key)

    async def get_many(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the values of the keys that exist."""
        out: dict[bytes, bytes] = {}
        for key in keys:
            self._check_key(key)
            if (value := self._find(key)) is not None:
                out[key] = value
        return out

    async def range(
        self, begin: bytes, end: bytes, *, limit: int, reverse: bool = False
    ) -> list[Row]:
        """Return up to ``limit`` rows of the half-open range in key order."""
        assert self._open, "the transaction is over"
        assert 0 <= limit <= RANGE_ROWS_MAX, f"a range has a limit of 0 to {RANGE_ROWS_MAX}"
        if begin >= end or limit == 0:
            return []
        if self._check:
            own = self.domain.prefix <= begin and end <= self._end
            assert own or (begin >= SYSTEM_PREFIX and end <= _SYSTEM_END), (
                f"the range {begin!r} to {end!r} leaves {self.domain!r} and the system subspaces"
            )
        out: list[Row] = []
        for key in self._keys(begin, end, reverse=reverse):
            if (value := self._find(key)) is not None:
                out.append((key, value))
                if len(out) == limit:
                    break
        return out

    def _keys(self, begin: bytes, end: bytes, *, reverse: bool) -> Iterator[bytes]:
        """Yield the keys of all layers in order, each once."""
        base = self._rows.irange(begin, end, (True, False), reverse=reverse)
        laid = {key for layer in (self.writes, self._past) for key in layer if begin <= key < end}
        if not laid:
            yield from base
            return
        last = None
        for key in heapq.merge(base, sorted(laid, reverse=reverse), reverse=reverse):
            if key != last:
                yield key
                last = key

    def put(self, key: bytes, value: bytes) -> None:
        """Set the value at the key."""
        self._check_write(key, value)
        self.writes[key] = value

    def delete(self, key: bytes) -> None:
        """Remove the key if it is there."""
        self._check_write(key, b"")
        self.writes[key] = None

    def append(self, prefix: bytes, value: bytes) -> PendingEntry:
        """Add an entry at ``prefix`` + the commit's stamp; invisible to this body itself."""
        self._check_write(prefix + bytes(STAMP_BYTES), value)
        entry = PendingEntry(prefix, value)
        self.pendings.append(entry)
        return entry


class _Attempt(NamedTuple, Generic[T]):
    """One run of a body: what it wrote lies in its transaction, which is over."""

    tr: MemoryTransaction
    answered: T | None
    raised: Exception | None

    def outcome(self) -> replay.Outcome:
        """Return what it made, in values that no later run changes."""
        return replay.outcome_of(self.tr.writes, self.tr.pendings, self.answered, self.raised)


def _name_of(body: object) -> str:
    """Return a body as an error calls it."""
    return getattr(body, "__qualname__", repr(body))


class MemoryStore(bodies.BodyStore):
    """The keys of one domain in a memory engine."""

    __slots__ = ("_domain", "_engine")

    def __init__(self, engine: MemoryEngine, domain: Domain) -> None:
        self._engine = engine
        self._domain = domain

    async def transact(self, body: Body[T], *, token: Token | None = None) -> T:
        """Run the body and commit what it wrote."""
        if token is not None:
            body = tokens.once(body, token)
        try:
            return self._engine.run(self._domain, body, writable=True)
        finally:
            await _TICK

    async def read(self, body: Body[T]) -> T:
        """Run the body over one snapshot; writing raises."""
        try:
            return self._engine.run(self._domain, body, writable=False)
        finally:
            await _TICK

    async def checkpoint(self, name: str) -> Cut:
        """Take a consistent cut: a copy of the rows."""
        engine = self._engine
        entry = engine.cuts.begin(name, engine.next_stamp())
        entry.taken(engine.next_stamp(), CopiedRows(engine.rows))
        await _TICK
        return OpenCut(engine.cuts, entry, self._domain)

    async def verify_rows(self, after: bytes, limit: int) -> RowsVerified:
        """Return that there are no stored bytes to verify."""
        assert limit > 0, f"no rows are asked for behind {after!r}"
        return RowsVerified(b"", 0, [])

    def oldest_cut(self) -> Stamp | None:
        """Return the first stamp that is not in the oldest live cut, or None."""
        return self._engine.cuts.oldest()

    def watch(self, prefix: bytes) -> AsyncIterator[None]:
        """Yield after commits under the prefix; hints are coalesced."""
        return self._engine.watchers.add(prefix)


class MemoryEngine:
    """One store and one blob store for every domain, in memory.

    Args:
        check: Refuse keys outside the domain and whatever passes the limits.
        replay: Run every body on a snapshot a few commits old, then twice on the rows, and raise
            ``BodyImpureError`` where those two runs differ.
        seed: Varies how old that snapshot is.
        clock: The engine's time; without one it stands still.
    """

    def __init__(
        self,
        *,
        check: bool = True,
        replay: bool = False,
        seed: int = 0,
        clock: Clock | None = None,
    ) -> None:
        self.check = check
        self.now_ms = _standing_still if clock is None else clock.now_ms
        self.rows = cast("_Rows", SortedDict())
        self.watchers = Watchers()
        self.cuts = Cuts(self.now_ms)
        self.blobs = MemoryBlobs()
        self._replay = replay
        self._seed = seed
        self._version = 0
        self._replaced: deque[Overlay] = deque(maxlen=_HISTORY_COMMITS_MAX)

    def next_stamp(self) -> Stamp:
        """Return the stamp of the next commit's first entry."""
        return Stamp(_INCARNATION, self._version + 1, 0)

    def store_of(self, domain: Domain) -> Store:
        """Return the store of a domain."""
        return MemoryStore(self, domain)

    def is_ours(self, domain: Domain) -> bool:
        """Return that every domain lives here."""
        del domain
        return True

    def blobs_of(self, domain: Domain) -> MemoryBlobs:
        """Return the one blob store."""
        del domain
        return self.blobs

    def system_stores(self) -> tuple[OwnStore, ...]:
        """Return the one store, seen through its system subspaces."""
        return (MemoryStore(self, SYSTEM),)

    def run(self, domain: Domain, body: Body[T], *, writable: bool) -> T:
        """Run a body, in a replay several times, and commit what the last run wrote."""
        made = self._rehearse(domain, body, writable=writable) if self._replay else None
        attempt = self._attempt(domain, body, {}, writable=writable)
        if made is not None:
            replay.require_same(_name_of(body), made, attempt.outcome())
        if attempt.raised is not None:
            raise attempt.raised
        if attempt.tr.writes or attempt.tr.pendings:
            self._commit(attempt.tr)
        return cast("T", attempt.answered)

    def _attempt(
        self, domain: Domain, body: Body[T], past: Overlay, *, writable: bool
    ) -> _Attempt[T]:
        """Run a body once, on the rows under a past; nothing is committed."""
        tr = MemoryTransaction(self, domain, past, writable=writable)
        try:
            return _Attempt(tr, bodies.drive(body(tr)), None)
        except bodies.BodySuspendedError:
            raise
        except Exception as error:  # noqa: BLE001 (the caller raises it, or the next run decides)
            return _Attempt(tr, None, error)
        finally:
            tr.close()

    def _rehearse(self, domain: Domain, body: Body[T], *, writable: bool) -> replay.Outcome:
        """Run a body on an older snapshot and forget it, then on the rows; return what it made."""
        past: Overlay = {}
        depth = 1 + (self._seed + self._version) % _HISTORY_COMMITS_MAX
        # Newest first, so that the oldest value of a key stays on top.
        for replaced in list(self._replaced)[::-1][:depth]:
            past.update(replaced)
        self._attempt(domain, body, past, writable=writable)
        return self._attempt(domain, body, {}, writable=writable).outcome()

    def _commit(self, tr: MemoryTransaction) -> None:
        """Give appended entries their stamps and lay the writes over the rows."""
        writes = tr.writes
        stamp = self.next_stamp()
        bodies.lay_entries(writes, tr.pendings, stamp)
        if self.check:
            bodies.check_size(writes)
        self._version += 1
        bodies.resolve_entries(tr.pendings, stamp)
        self.noted({key: self.rows.get(key) for key in writes}, self._version)
        for key, value in writes.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value
        self.hint(writes)

    def noted(self, replaced: Overlay, version: int) -> None:
        """Keep what a commit is about to replace: the past of the next replays."""
        del version
        self._replaced.append(replaced)

    def hint(self, keys: Overlay) -> None:
        """Hint those who watch the keys of a commit."""
        self.watchers.committed(keys)

    def forget_past(self) -> None:
        """Forget what recent commits replaced: it is no past of what stands now."""
        self._replaced.clear()


class MemoryBlobs:
    """A blob store in memory; frames as a real one yields them, nothing survives the process."""

    def __init__(self) -> None:
        self._blobs: dict[BlobRef, bytes] = {}
        self._locks: dict[BlobRef, bytes] = {}
        self._last = 0
        self._low_water = 0
        self._begun: set[BlobRef] = set()

    async def name(self) -> BlobRef:
        """Return a name that no blob has had before."""
        self._last += 1
        return BlobRef(_INCARNATION, self._last)

    @property
    def seals(self) -> bool:
        """Return True: nothing of it is on a disk."""
        return True

    async def write(
        self, ref: BlobRef, chunks: AsyncIterator[Chunk], *, lock: bytes | None = None
    ) -> int:
        """Store the chunks under a fresh name; return the size in bytes."""
        assert ref not in self._blobs, "a blob is written once"
        self._begun.add(ref)
        try:
            body = b"".join([bytes(chunk) async for chunk in chunks])
        finally:
            self._begun.discard(ref)
        self._blobs[ref] = body
        if lock is not None:
            self._locks[ref] = lock
        return len(body)

    async def concat(self, ref: BlobRef, parts: list[BlobRef]) -> int:
        """Store under a fresh name the bytes of other blobs in order."""
        assert ref not in self._blobs, "a blob is written once"
        body = b"".join([self._require(part, None) for part in parts])
        self._blobs[ref] = body
        return len(body)

    def _require(self, ref: BlobRef, lock: bytes | None) -> bytes:
        """Return the bytes of a blob; raise ``Corrupt`` if there is none, or the key is another."""
        body = self._blobs.get(ref)
        if body is None:
            raise Corrupt(f"the blob {ref.incarnation}-{ref.number} is missing")
        kept = self._locks.get(ref)
        if lock is None and kept is not None:
            raise KeyRefused(
                f"the blob {ref.incarnation}-{ref.number} is locked, and there is no key"
            )
        if kept != lock:
            raise Corrupt(f"the blob {ref.incarnation}-{ref.number} is not what was written")
        return body

    async def read(
        self, ref: BlobRef, begin: int = 0, end: int | None = None, *, lock: bytes | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the bytes of the half-open range, cut at frames; what is past the end is not."""
        body = self._require(ref, lock)
        end = len(body) if end is None else min(end, len(body))
        assert begin >= 0, "a range begins inside the blob"
        while begin < end:
            cut = min(end, begin - begin % FRAME_BYTES + FRAME_BYTES)
            yield body[begin:cut]
            begin = cut

    async def delete(self, ref: BlobRef) -> None:
        """Remove the blob; it is no error if it is gone."""
        self.forget(ref)

    def forget(self, ref: BlobRef) -> None:
        """Lose a blob."""
        self._blobs.pop(ref, None)
        self._locks.pop(ref, None)

    async def list(self, after: BlobRef | None, limit: int) -> list[tuple[BlobRef, int]]:
        """Return names and sizes in order of name."""
        refs = sorted(ref for ref in self._blobs if after is None or ref > after)
        return [(ref, len(self._blobs[ref])) for ref in refs[:limit]]

    def low_water(self) -> BlobRef:
        """Return the name up to which every blob is settled."""
        return BlobRef(_INCARNATION, self._low_water)

    def before_start(self) -> BlobRef:
        """Return the last name that may have been given before this start: none was."""
        return BlobRef(_INCARNATION, 0)

    def newest(self) -> BlobRef:
        """Return the last name that was given."""
        return BlobRef(_INCARNATION, self._last)

    def oldest_begun(self) -> BlobRef | None:
        """Return the first name whose blob is being written now, or None if none is."""
        return min(self._begun, default=None)

    async def raise_low_water(self, ref: BlobRef) -> None:
        """Note that every blob up to this name is settled."""
        assert ref.number <= self._last, "a number is settled after it was given"
        self._low_water = max(self._low_water, ref.number)

    async def verify(self, ref: BlobRef, first: int = 0, frames: int | None = None) -> int:
        """Return the size; raise ``Corrupt`` if the blob is missing."""
        assert first >= 0, "a range of frames begins inside the blob"
        assert frames is None or frames > 0, "some frames are asked for"
        return len(self._require(ref, self._locks.get(ref)))
