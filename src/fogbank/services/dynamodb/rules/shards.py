"""Shards of a stream: where they begin and end, their records' numbers, and iterators.

Theory: a stream is one log in the order of commits, and a place in it is a stamp (``Stamp``, 96
bits), which clients see as a number of thirty digits. A shard is what lies between two places. A
stream has one open shard; where it rolls over, the next begins, its child. So the changes of a key
lie in their order within a shard, and those of a shard before those of its children.

An iterator is a place, and the time when it was given out; it begins with the stream's ARN, as
AWS's do, and what follows is sealed by the gateway (``wire/pages``), so that nobody makes one up.

Source: Amazon DynamoDB API Reference, GetShardIterator, GetRecords, DescribeStream. Messages:
DynamoDB Local, ``LocalAmazonDynamoDBStreams``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from fogbank.base.types import Request
from fogbank.platform.store.engine import STAMP_BYTES
from fogbank.services.dynamodb.errors import (
    ExpiredIteratorException,
    ResourceNotFoundException,
    TrimmedDataAccessException,
    ValidationException,
)
from fogbank.services.dynamodb.quotas import STREAM_ITERATOR_MS
from fogbank.services.dynamodb.schema import StreamRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodbstreams as shapes

ITERATOR_MARK: Final = "|"
_FIRST: Final = 10**29
"""Added to every place: its number has 30 digits then, and texts order as numbers do."""
_DIGITS: Final = 30
_SHARD: Final = "shardId-"
_TIMED: Final = "AT_TIMESTAMP"
_INVALID: Final = "One or more parameter values were invalid: "
_NUMBERED: Final = frozenset({"AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"})


class Shard(NamedTuple):
    """A shard: the places behind ``start``, up to ``end``."""

    start: int
    end: int | None
    """The last place; None: it is open."""
    parent: int | None


class Iterator(NamedTuple):
    """Where in a shard someone reads on."""

    arn: str
    shard: int
    """Where the shard begins."""
    after: int
    """The place behind which to read."""
    issued_ms: int
    since_ms: int = 0
    """What changed before is passed over, up to the first change that did not."""
    horizon: bool = False
    """It began at the oldest record, whichever that is by now."""


def place_of(stamp: bytes) -> int:
    """Return the place of a stamp of 12 bytes."""
    return int.from_bytes(stamp)


def stamp_of(place: int) -> bytes:
    """Return the 12 bytes of a place."""
    return place.to_bytes(STAMP_BYTES)


def sequence_number(place: int) -> str:
    """Return the number by which clients know a place."""
    return str(_FIRST + place)


def place_of_number(number: str) -> int | None:
    """Return the place that a number or the end of a shard's id stands for, or None."""
    if len(number) != _DIGITS or not (number.isascii() and number.isdecimal()):
        return None
    place = int(number) - _FIRST
    return place if 0 <= place < 1 << 8 * STAMP_BYTES else None


def shard_id(start: int) -> str:
    """Return the id of the shard that begins at a place; ids order as shards come."""
    return _SHARD + sequence_number(start)


def find_start(given: str) -> int | None:
    """Return where the shard with an id begins, or None if no shard has such an id."""
    return place_of_number(given.removeprefix(_SHARD)) if given.startswith(_SHARD) else None


def require_start(given: str) -> int:
    """Return where the shard with an id begins.

    Raises:
        ResourceNotFoundException: No shard has such an id.
    """
    start = find_start(given)
    if start is None:
        raise shard_not_found(given)
    return start


def shard_not_found(given: str) -> ResourceNotFoundException:
    """Return the error that a stream has no such shard."""
    return ResourceNotFoundException(f"Requested resource not found: Shard: {given} not found")


def description_of(shard: Shard) -> shapes.Shard:
    """Return a shard as DescribeStream shows it."""
    numbers: shapes.SequenceNumberRange = {"StartingSequenceNumber": sequence_number(shard.start)}
    if shard.end is not None:
        numbers["EndingSequenceNumber"] = sequence_number(shard.end)
    shown: shapes.Shard = {"ShardId": shard_id(shard.start), "SequenceNumberRange": numbers}
    if shard.parent is not None:
        shown["ParentShardId"] = shard_id(shard.parent)
    return shown


def begin_of(request: Request) -> int | None:
    """Return the place from which DescribeStream shows shards, or None if behind all there can be.

    AWS: an id that no shard has is no error (scylladb test/alternator/test_streams.py,
    test_describe_stream_with_nonexistent_last_shard).
    """
    given: str | None = request.get("ExclusiveStartShardId")
    if given is None:
        return 0
    start = find_start(given)
    if start is not None:
        return start + 1
    return 0 if given < _SHARD else None


def parent_of(request: Request) -> int | None:
    """Return where the shard begins whose children DescribeStream is to show, or None: show all.

    Raises:
        ValidationException: The filter is incomplete.
        ResourceNotFoundException: No shard has such an id.
    """
    wanted = request.get("ShardFilter")
    if wanted is None:
        return None
    for member in ("Type", "ShardId"):
        if member not in wanted:
            raise ValidationException(f"{_INVALID}ShardFilter.{member} is required")
    return require_start(wanted["ShardId"])


def require_type(request: Request, now_ms: int) -> int | None:
    """Return the place that a GetShardIterator request names, if its type names one.

    Raises:
        ValidationException: The type does not go with what else is given.
    """
    kind: str = request["ShardIteratorType"]
    number: str | None = request.get("SequenceNumber")
    since_ms: int | None = request.get("Timestamp")
    if (number is not None) != (kind in _NUMBERED):
        must = "must be specified" if kind in _NUMBERED else "must not be specified"
        raise ValidationException(f"{_INVALID}SequenceNumber {must} for ShardIteratorType {kind}")
    if (since_ms is not None) != (kind == _TIMED):
        must = "must be specified" if kind == _TIMED else "must not be specified"
        raise ValidationException(f"{_INVALID}Timestamp {must} for ShardIteratorType {kind}")
    if since_ms is not None and since_ms > now_ms:
        raise ValidationException(f"{_INVALID}Timestamp must not be in the future")
    if number is None:
        return None
    place = place_of_number(number)
    if place is None:
        raise ValidationException("Invalid SequenceNumber")
    return place


def begun_iterator(
    request: Request, stream: StreamRecord, shard: Shard, latest: int, now_ms: int
) -> Iterator:
    """Return the iterator that a GetShardIterator request asks for.

    Args:
        request: The request, whose type was found to be right.
        stream: The stream.
        shard: The shard.
        latest: The place of its last record, or of its begin if it has none.
        now_ms: The time.

    Raises:
        TrimmedDataAccessException: The record that it names is not kept any more.
        ValidationException: It names a place that is not in the shard.
    """
    kind, arn = request["ShardIteratorType"], request["StreamArn"]
    place = require_type(request, now_ms)
    if place is not None:
        if place < shard.start or (shard.end is not None and place > shard.end):
            raise ValidationException("Invalid SequenceNumber for the shard")
        after = max(shard.start, place - (kind == "AT_SEQUENCE_NUMBER"))
        require_untrimmed(stream, after)
        return Iterator(arn, shard.start, after, now_ms)
    if kind == "LATEST":
        kept = max(latest, place_of(stream.trimmed))
        after = kept if shard.end is None else min(kept, shard.end)
        return Iterator(arn, shard.start, after, now_ms)
    since_ms: int = request.get("Timestamp", 0)
    return Iterator(arn, shard.start, shard.start, now_ms, since_ms, horizon=True)


def require_untrimmed(stream: StreamRecord, after: int) -> None:
    """Refuse to read on behind a place if a record behind it was removed."""
    if after < place_of(stream.trimmed):
        raise trimmed()


def trimmed() -> TrimmedDataAccessException:
    """Return the error that a record is not kept any more."""
    return TrimmedDataAccessException("The data you are trying to access has been trimmed.")


def text_of(iterator: Iterator) -> str:
    """Return an iterator as a text, which the gateway seals behind the last mark."""
    place = (
        f"{iterator.shard:x}.{iterator.after:x}.{iterator.issued_ms}.{iterator.since_ms}"
        f".{iterator.horizon:d}"
    )
    return f"{iterator.arn}{ITERATOR_MARK}1{ITERATOR_MARK}{place}"


def iterator_of(text: str, now_ms: int) -> Iterator:
    """Return the iterator that a text is, which this cloud has made.

    Raises:
        ExpiredIteratorException: It is too old.
    """
    arn, _, place = text.split(ITERATOR_MARK)
    shard, after, issued, since, horizon = place.split(".")
    if now_ms - int(issued) > STREAM_ITERATOR_MS:
        raise ExpiredIteratorException("Iterator expired. The iterator was created too long ago.")
    return Iterator(
        arn, int(shard, 16), int(after, 16), int(issued), int(since), horizon=horizon == "1"
    )
