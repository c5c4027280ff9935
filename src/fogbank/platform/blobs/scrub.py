"""The scrub: reads everything that is stored, slowly and for ever, to find damage before users do.

A *round* verifies the check of every settled row and then every frame of every blob that should be
there. It goes on in *slices* of so many bytes, has a durable place, and begins again after a
period. What it finds damaged is a durable report, until a later round finds it whole or gone.
Nothing is mended here, and nothing damaged is ever served: whoever reads it gets ``Corrupt``.

Rule: users go first. A slice is put off while the loop is busy, up to a bound, so that a server
that never rests is scrubbed too, more slowly.

Theory: rows are read as they are settled, in pages, each over a snapshot of its own; so whether a
row is *missing* is not seen here (``check`` sees it, by the digests). A blob can go while it is
read: it counts as damaged only if its entry still stands afterwards and no removal is queued.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import msgspec

from fogbank.base.clock import Clock
from fogbank.base.errors import Corrupt
from fogbank.platform.blobs import rows
from fogbank.platform.blobs.port import FRAME_BYTES, BlobRef, Blobs
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import OwnStore, Stamp, Store, Transaction
from fogbank.platform.store.keyspace import (
    BLOB_DELETIONS,
    BLOB_WATERMARKS,
    PARTITIONS,
    SCRUB,
    system_prefix,
)
from fogbank.platform.store.records import Record, RecordDecoder, encode

ROWS_PAGE: Final = 500
FRAMES_MAX: Final = 16
"""So many frames are verified before the place is looked at again."""
DAMAGE_MAX: Final = 1_000
"""So many reports are kept; more damage than that is one disaster, and only counted."""
SAVE_MS: Final = 30_000
"""A place is saved so often: a restart repeats at most that much."""
BUSY_S: Final = 0.005
"""A turn of the loop that takes longer says that it is busy."""
PUT_OFF_MAX: Final = 20
"""A slice is put off at most so often."""
_QUEUE_PAGE: Final = 500
_QUEUE_MAX: Final = 100_000
_PLACE_KEY: Final = system_prefix(SCRUB, 0) + tuples.pack(0)
_DAMAGE_PREFIX: Final = system_prefix(SCRUB, 0) + tuples.pack(1)
_ENTRIES: Final = system_prefix(BLOB_WATERMARKS, 0)
_ENTRIES_END: Final = tuples.after_prefix(system_prefix(BLOB_WATERMARKS, PARTITIONS - 1))

ROW: Final = "row"
BLOB: Final = "blob"
log = logging.getLogger("fogbank.scrub")


class ScrubPlace(Record, frozen=True, array_like=True, tag="platform.scrub_place/1"):
    """How far the scrub is."""

    began_ms: int
    """When the round began."""
    ended_ms: int = 0
    """When it ended; 0: it is under way."""
    kind: str = ROW
    after: bytes = b""
    """The last row, or the last entry of a blob, that is done."""
    frame: int = 0
    """The next frame of the blob behind ``after``."""
    read_bytes: int = 0
    """What the round has read."""
    damaged: int = 0
    """What the round found damaged."""
    frames: int = 0
    """Frames of blobs that the round has read."""
    last_ended_ms: int = 0
    """When the round before this one ended; 0: there was none."""
    last_frames: int = 0
    """What that one had read."""


class Damage(Record, frozen=True, array_like=True, tag="platform.damage/1"):
    """A stored row or blob that is not what was written."""

    kind: str
    name: str
    """The key of a row in hexadecimal digits; incarnation and number of a blob."""
    message: str
    found_ms: int


decode_place: Final = RecordDecoder(ScrubPlace).decode
decode_damage: Final = RecordDecoder(Damage).decode


class Pace(msgspec.Struct, frozen=True):
    """How fast is scrubbed, and how often."""

    slice_bytes: int
    """Of one step."""
    period_ms: int
    """From the begin of a round to the begin of the next."""


class ScrubReport(msgspec.Struct, frozen=True):
    """What is known of a store's health."""

    place: ScrubPlace | None
    damage: list[Damage]


async def scrub_report(store: Store) -> ScrubReport:
    """Return how far the scrub of a store is and what it found damaged."""

    async def body(tr: Transaction) -> ScrubReport:
        raw = await tr.get(_PLACE_KEY)
        found = await tr.range(
            _DAMAGE_PREFIX, tuples.after_prefix(_DAMAGE_PREFIX), limit=DAMAGE_MAX
        )
        place = None if raw is None else decode_place(raw)
        return ScrubReport(place, [decode_damage(value) for _, value in found])

    return await store.read(body)


def damage_key_is(key: bytes) -> bool:
    """Return whether a key of the store is that of a report of damage."""
    return key.startswith(_DAMAGE_PREFIX)


def _damage_key(kind: str, name: str) -> bytes:
    """Return where a report lies; a long name is cut, and its reports share a row."""
    return _DAMAGE_PREFIX + tuples.pack(kind, name[:1_000])


class _Entry(NamedTuple):
    """A blob that should be there."""

    key: bytes
    ref: BlobRef
    size: int


class Scrubber:
    """Scrubs one store and its blobs, a slice at a time.

    Args:
        store: The store, seen through its system subspaces.
        blobs: Where its blobs lie.
        clock: The time.
        pace: How fast.
        turn: Lets the loop do one turn.
    """

    def __init__(
        self,
        store: OwnStore,
        blobs: Blobs,
        clock: Clock,
        pace: Pace,
        turn: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._clock = clock
        self._pace = pace
        self._turn = turn
        self._place: ScrubPlace | None = None
        self._saved_ms = 0
        self._debt = 0
        self._put_off = 0

    async def step(self) -> bool:
        """Verify a slice, unless the loop is busy; return whether the round goes on."""
        place = await self._current()
        if place is None:
            return False
        if await self._is_busy():
            return True
        self._debt -= self._pace.slice_bytes
        while self._debt < 0 and not place.ended_ms:
            moved = await (self._rows(place) if place.kind == ROW else self._blob(place))
            self._debt += max(moved.read_bytes - place.read_bytes, 1)
            self._place = place = moved
        if place.ended_ms:
            self._debt = 0
            await self._end(place)
            return False
        if self._clock.now_ms() - self._saved_ms >= SAVE_MS:
            await self._save(place)
        return True

    async def _current(self) -> ScrubPlace | None:
        """Return the place of the round under way, begun now if one is due; None if none is."""
        place = self._place
        if place is None:
            place = (await scrub_report(self._store)).place
        now_ms = self._clock.now_ms()
        if place is None or (place.ended_ms and now_ms >= place.began_ms + self._pace.period_ms):
            before = place or ScrubPlace(0)
            place = ScrubPlace(now_ms, last_ended_ms=before.ended_ms, last_frames=before.frames)
        self._place = place
        return None if place.ended_ms else place

    async def _is_busy(self) -> bool:
        """Return whether the slice is put off for the sake of users."""
        began = self._clock.monotonic()
        await self._turn()
        if self._clock.monotonic() - began <= BUSY_S or self._put_off >= PUT_OFF_MAX:
            self._put_off = 0
            return False
        self._put_off += 1
        return True

    async def _save(self, place: ScrubPlace) -> None:
        """Make the place durable."""

        async def body(tr: Transaction) -> None:
            tr.put(_PLACE_KEY, encode(place))

        await self._store.transact(body)
        self._saved_ms = self._clock.now_ms()

    async def _end(self, place: ScrubPlace) -> None:
        """Make the end of a round durable; forget what it did not find damaged any more."""

        async def body(tr: Transaction) -> None:
            end = tuples.after_prefix(_DAMAGE_PREFIX)
            for key, value in await tr.range(_DAMAGE_PREFIX, end, limit=DAMAGE_MAX):
                if decode_damage(value).found_ms < place.began_ms:
                    tr.delete(key)
            tr.put(_PLACE_KEY, encode(place))

        await self._store.transact(body)

    async def _report(self, kind: str, name: str, message: str) -> None:
        """Say that something is damaged, in the log and durably."""
        log.error("damaged: %s", message)
        damage = Damage(kind, name, message, self._clock.now_ms())
        known = len((await scrub_report(self._store)).damage)

        async def body(tr: Transaction) -> None:
            key = _damage_key(kind, name)
            if known < DAMAGE_MAX or await tr.get(key) is not None:
                tr.put(key, encode(damage))

        await self._store.transact(body)

    # Rows.

    async def _rows(self, place: ScrubPlace) -> ScrubPlace:
        """Verify a page of rows."""
        page = await self._store.verify_rows(place.after, ROWS_PAGE)
        for key, message in page.damage:
            await self._report(ROW, key.hex(), message)
        done = msgspec.structs.replace(
            place,
            after=page.last,
            read_bytes=place.read_bytes + page.read_bytes,
            damaged=place.damaged + len(page.damage),
        )
        if page.last:
            return done
        return msgspec.structs.replace(done, kind=BLOB, after=_ENTRIES)

    # Blobs.

    async def _blob(self, place: ScrubPlace) -> ScrubPlace:
        """Verify some frames of the next blob."""
        entry = await self._next_entry(place.after)
        if entry is None:
            ended_ms = max(self._clock.now_ms(), 1)
            return msgspec.structs.replace(place, ended_ms=ended_ms, after=b"", frame=0)
        end = min((place.frame + FRAMES_MAX) * FRAME_BYTES, entry.size)
        read = max(end - place.frame * FRAME_BYTES, 0)
        wrong = await self._wrong_with(entry, place.frame)
        if wrong:
            end = entry.size
            await self._report(BLOB, f"{entry.ref.incarnation}-{entry.ref.number}", wrong)
        place = msgspec.structs.replace(
            place,
            read_bytes=place.read_bytes + read,
            damaged=place.damaged + bool(wrong),
            frames=place.frames - (-read // FRAME_BYTES),
        )
        if end >= entry.size:
            return msgspec.structs.replace(place, after=entry.key, frame=0)
        return msgspec.structs.replace(place, frame=place.frame + FRAMES_MAX)

    async def _wrong_with(self, entry: _Entry, frame: int) -> str:
        """Return what is wrong with some frames of a blob; nothing, if all is well."""
        try:
            size = await self._blobs.verify(entry.ref, frame, FRAMES_MAX)
        except Corrupt as error:
            wrong = str(error)
        else:
            wrong = "" if size == entry.size else f"{size} bytes are stored of {entry.size}"
        return wrong if wrong and await self._should_be_there(entry) else ""

    async def _next_entry(self, after: bytes) -> _Entry | None:
        """Return the blob behind an entry."""

        async def body(tr: Transaction) -> _Entry | None:
            begin = after + b"\0"
            while found := await tr.range(begin, _ENTRIES_END, limit=1):
                ((key, value),) = found
                if rows.file_key_is(key):
                    return _Entry(key, rows.ref_of_file_key(key), rows.decode_file(value).size)
                begin = key + b"\0"
            return None

        return await self._store.read(body)

    async def _should_be_there(self, entry: _Entry) -> bool:
        """Return whether a blob that could not be read is wanted: it may be just going."""

        async def stands(tr: Transaction) -> bool:
            return await tr.get(entry.key) is not None

        partition = entry.key[2]
        after: Stamp | None = None
        for _ in range(_QUEUE_MAX // _QUEUE_PAGE):
            prefix = system_prefix(BLOB_DELETIONS, partition)
            page = await self._store.tail(prefix, after, _QUEUE_PAGE)
            for _stamp, raw in page:
                leaving = rows.decode_deletion(raw)
                if (leaving.incarnation, leaving.number) == entry.ref:
                    return False
            if len(page) < _QUEUE_PAGE:
                break
            after = page[-1][0]
        return await self._store.read(stands)
