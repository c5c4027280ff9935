"""Reads the objects of a bucket and has their items written a piece at a time: for imports and bulk puts.

Rule: what was read is kept in the transaction that writes it, so that an attempt which a crash cuts
short is made again from there: no item is lost and none is counted twice. Objects are read in the name
of who asked, in windows: nobody holds one open, and a permission that is withdrawn is missed at the
next window.

Theory: a file is bytes, inflated, cut into records, each of which becomes an item or a refusal.
Whatever a file holds, there is in memory a window of it, one inflated piece and one record.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final, NamedTuple, Protocol

import msgspec

from fogbank.base.errors import TransactionTooLarge
from fogbank.base.types import Wire
from fogbank.services.dynamodb import quotas
from fogbank.services.dynamodb.rules.admitting import Outcome, Reader, Refusal, Source
from fogbank.services.dynamodb.rules.exchange import packing
from fogbank.services.dynamodb.rules.exchange.faults import Malformed
from fogbank.services.dynamodb.rules.exchange.records import Cut, Cutter
from fogbank.services.dynamodb.schema.imports import ImportCounts, ImportPlace
from fogbank.services.dynamodb.state.asking import Asker

WINDOW_BYTES: Final = 1 << 20
"""What is read of an object at once."""
ITEMS_PER_PIECE: Final = 50
PIECE_BYTES: Final = 256 << 10
"""What the records of one transaction together may have; a larger one is alone."""
KEYS_PAGE: Final = 1_000


class Later(Exception):
    """An attempt has lasted long enough, or waits for something; the next one goes on.

    Args:
        until_ms: When; 0: at once.
    """

    def __init__(self, until_ms: int = 0) -> None:
        super().__init__(until_ms)
        self.until_ms = until_ms


class Unfit(Exception):
    """What is to be read cannot be.

    Args:
        message: Why.
        code: The same in a word.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Bounds(NamedTuple):
    """What the objects may be."""

    objects_max: int
    bytes_max: int
    """Of all together."""
    object_bytes_max: int
    code: str
    """The code with which more is refused."""


class Sink(Protocol):
    """Whoever has objects read: it keeps how far that has come, and writes what comes of it."""

    @property
    def place(self) -> ImportPlace:
        """Return how far it has come, as it was last kept."""
        ...

    @property
    def counts(self) -> ImportCounts:
        """Return what was done so far, likewise."""
        ...

    def reader_of(self, place: ImportPlace) -> Reader:
        """Return what reads the records of an object."""
        ...

    async def keep(
        self, *, place: ImportPlace | None = None, counts: ImportCounts | None = None
    ) -> None:
        """Keep how far it has come.

        Raises:
            Later: It has lasted long enough.
        """
        ...

    async def write(self, outcomes: Sequence[Outcome], read_bytes: int) -> None:
        """Write what records are and the place behind them, in one transaction or several.

        Args:
            outcomes: One or more.
            read_bytes: What was read of the object for them so far, as it lies in its bucket.

        Raises:
            Later: It has lasted long enough.
            TransactionTooLarge: One does not hold what is left of them.
        """
        ...

    async def give_up(self, refusal: Refusal) -> None:
        """Count the error for which the rest of an object is not read, and go behind it.

        Raises:
            Later: It has lasted long enough.
        """
        ...


class Reading:
    """Reads the objects of a bucket, for as long as an attempt lasts.

    Args:
        asker: Asks for them.
        source: Where they lie.
        sink: What they are read for.
    """

    def __init__(self, asker: Asker, source: Source, sink: Sink) -> None:
        self._asker = asker
        self._source = source
        self._sink = sink
        self._read_bytes = 0
        """Of the object that is being read, as it lies in its bucket."""

    async def list_objects(self, bounds: Bounds) -> None:
        """Find all objects once, before any is read: there may be too many.

        Raises:
            Later: It takes longer than an attempt may last.
            Refused: Something needed is refused.
            Unfit: There are no objects, or too many.
        """
        while not self._sink.counts.is_listed:
            counts = self._sink.counts
            found = await self._page(counts.last_key, KEYS_PAGE)
            counts = msgspec.structs.replace(
                counts,
                objects=counts.objects + len(found),
                object_bytes=counts.object_bytes + sum(each["Size"] for each in found),
                last_key=found[-1]["Key"] if found else counts.last_key,
                is_listed=len(found) < KEYS_PAGE,
            )
            _require_within(counts, found, bounds)
            await self._sink.keep(counts=counts)

    async def read(self) -> None:
        """Read whatever is left to read.

        Raises:
            Later: It takes longer than an attempt may last.
            Refused: Something needed is refused.
        """
        while await self._find_object():
            await self._read_object()

    # Objects.

    async def _page(self, after: str, limit: int) -> list[Wire]:
        """Return the next objects behind a key, in order."""
        asked: Wire = {
            "Bucket": self._source.bucket,
            "Prefix": self._source.prefix,
            "ExpectedBucketOwner": self._source.owner,
            "MaxKeys": limit,
        }
        if after:
            asked["StartAfter"] = after
        reply = await self._asker.ask("s3", "ListObjectsV2", asked)
        return reply.get("Contents", [])

    async def _find_object(self) -> bool:
        """Turn to the next object unless one is half read; return whether there is one."""
        place = self._sink.place
        if place.etag:
            return True
        while not place.etag:
            # What was put there since the objects were counted is not read.
            found = [
                each
                for each in await self._page(place.key, 1)
                if each["Key"] <= self._sink.counts.last_key
            ]
            if not found:
                return False
            key, size = found[0]["Key"], found[0]["Size"]
            # An object without bytes has no item, and no range of it can be asked for.
            place = ImportPlace(key=key, etag=found[0]["ETag"] if size else "", size=size)
        await self._sink.keep(place=place)
        return True

    async def _read_object(self) -> None:
        """Write the items of the object that has been turned to."""
        place = self._sink.place
        reader = self._sink.reader_of(place)
        cutter = Cutter(place.offset, reader.record_bytes_max, quoted=reader.is_quoted)
        try:
            async with aclosing(self._pieces(place, cutter)) as pieces:
                async for piece in pieces:
                    await self._write_records(reader, piece)
        except Malformed as error:
            await self._sink.give_up(Refusal(self._sink.place.index, error.message))
        else:
            await self._sink.keep(place=ImportPlace(key=place.key))

    async def _pieces(self, place: ImportPlace, cutter: Cutter) -> AsyncGenerator[list[Cut]]:
        """Yield the records behind a place in an object, so many as one transaction writes.

        Raises:
            Malformed: From some place on the object is not what it was said to be.
        """
        gathered: list[Cut] = []
        size, begin = 0, place.offset
        async with aclosing(self._cuts(place, cutter)) as batches:
            async for cuts in batches:
                for cut in cuts:
                    length, begin = cut.end - begin, cut.end
                    if gathered and size + length > PIECE_BYTES:
                        yield gathered
                        gathered, size = [], 0
                    gathered.append(cut)
                    size += length
                    if len(gathered) == ITEMS_PER_PIECE:
                        yield gathered
                        gathered, size = [], 0
                if gathered:
                    yield gathered
                    gathered, size = [], 0

    async def _cuts(self, place: ImportPlace, cutter: Cutter) -> AsyncGenerator[list[Cut]]:
        """Yield the records behind a place in an object, as they are read."""
        is_plain = self._source.compression == "NONE"
        at = place.offset if is_plain else 0
        skip = 0 if is_plain else place.offset
        inflater = packing.inflater(self._source.compression)
        while at < place.size:
            window = await self._window(place, at)
            at += len(window)
            self._read_bytes = at
            for piece in inflater.inflate(window):
                yield cutter.cut(piece[skip:])
                skip = max(0, skip - len(piece))
                await asyncio.sleep(0)  # noqa: TID251 (lets requests go first; no time passes)
        inflater.finish()
        yield cutter.finish()

    async def _window(self, place: ImportPlace, at: int) -> bytes:
        """Return the next bytes of an object, which is still what it was when it was begun."""
        end = min(at + WINDOW_BYTES, place.size)
        return await self._asker.body(
            {
                "Bucket": self._source.bucket,
                "Key": place.key,
                "Range": f"bytes={at}-{end - 1}",
                "IfMatch": place.etag,
                "ExpectedBucketOwner": self._source.owner,
            }
        )

    # Records.

    async def _write_records(self, reader: Reader, cuts: list[Cut]) -> None:
        """Write what some records are."""
        if reader.needs_header:
            reader.name_columns(cuts[0], quotas.CSV_HEADER_BYTES_MAX)
            place = msgspec.structs.replace(
                self._sink.place, header=reader.header, offset=cuts[0].end
            )
            await self._sink.keep(place=place)
            cuts = cuts[1:]
        place = self._sink.place
        length = cuts[-1].end - place.offset if cuts else 0
        if length > quotas.STEP_BYTES:
            outcomes = await asyncio.to_thread(reader.outcomes, cuts, place.index)
        else:
            outcomes = reader.outcomes(cuts, place.index)
        if outcomes:
            await self._write_outcomes(outcomes)

    async def _write_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Write what some records are, in one transaction or in halves."""
        try:
            await self._sink.write(outcomes, self._read_bytes)
        except TransactionTooLarge:
            left = [each for each in outcomes if each.end > self._sink.place.offset]
            if len(left) == 1:
                raise
            half = len(left) // 2
            await self._write_outcomes(left[:half])
            await self._write_outcomes(left[half:])


def behind(place: ImportPlace, outcomes: Sequence[Outcome]) -> ImportPlace:
    """Return the place behind some records that follow a place."""
    last = outcomes[-1]
    return msgspec.structs.replace(place, offset=last.end, index=last.number + 1)


def _require_within(counts: ImportCounts, found: list[Wire], bounds: Bounds) -> None:
    """Refuse objects that are none, too many or too large."""
    if counts.objects > bounds.objects_max:
        raise Unfit(f"There are more than {bounds.objects_max} objects to import", bounds.code)
    if counts.object_bytes > bounds.bytes_max:
        raise Unfit(f"The objects to import have more than {bounds.bytes_max} bytes", bounds.code)
    if any(each["Size"] > bounds.object_bytes_max for each in found):
        raise Unfit(f"An object has more than {bounds.object_bytes_max} bytes", bounds.code)
    if counts.is_listed and not counts.objects:
        raise Unfit("There is no object to import", "S3NoSuchKey")
