"""Lanes: which records of a shard come next, and what a batch that failed leads to.

Rules: a lane has keys of its own, so that records of a key stay in order whichever lane is ahead; a
batch that failed is read again up to the same record, its fence; a batch that is cut in two leaves
a fence within a fence, and what lies behind the inner one comes when that is done.

Source: Lambda Developer Guide, "Processing DynamoDB records with Lambda", "Configuring partial batch
response with DynamoDB and Lambda", "Retain discarded records for a DynamoDB event source".
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

import msgspec
import orjson

from fogbank.base.types import Wire
from fogbank.platform.bus.patterns import Pattern
from fogbank.services.lambda_ import quotas
from fogbank.services.lambda_.schema import CursorRecord, MappingRecord

OK: Final = "OK"
FAILED: Final = "PROBLEM: Function call failed"
BAD_ANSWER: Final = "PROBLEM: Sequence number in function response is invalid. Please check function implementation."
EXHAUSTED: Final = "RetryAttemptsExhausted"
TOO_OLD: Final = "RecordAgeExceeded"
_AROUND_BYTES: Final = 4_096
"""What an event has beside its records, without the state of a window."""


def event_of(record: Wire, source_arn: str) -> dict[str, Any]:
    """Return a record of GetRecords as functions and filters see it."""
    told = dict(record["dynamodb"])
    told["ApproximateCreationDateTime"] = told["ApproximateCreationDateTime"] // 1_000
    for image in ("Keys", "NewImage", "OldImage"):
        if image in told:
            told[image] = {name: _plain(value) for name, value in told[image].items()}
    event = {**record, "dynamodb": told, "eventSourceARN": source_arn}
    identity = record.get("userIdentity")
    if identity is not None:
        event["userIdentity"] = {
            "type": identity["Type"],
            "principalId": identity["PrincipalId"],
        }
    return event


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return an attribute value with its bytes in base64."""
    [(kind, content)] = value.items()
    if kind == "B":
        return {kind: base64.b64encode(content).decode()}
    if kind == "BS":
        return {kind: [base64.b64encode(each).decode() for each in content]}
    if kind == "L":
        return {kind: [_plain(each) for each in content]}
    if kind == "M":
        return {kind: {name: _plain(each) for name, each in content.items()}}
    return {kind: content}


def lane_of(event: Mapping[str, Any], factor: int) -> int:
    """Return the lane of the key that a record is of."""
    if factor == 1:
        return 0
    keys = orjson.dumps(event["dynamodb"]["Keys"], option=orjson.OPT_SORT_KEYS)
    return zlib.crc32(keys) % factor


class Gathering:
    """What is read of a lane, until it is a batch.

    Args:
        mapping: What makes a batch.
        cursor: How far the lane has come.
        lane: Its number.
        patterns: The mapping's filters.
        bytes_max: How large an event may be.
        counted_to: The sequence number up to which records were counted before.
    """

    def __init__(
        self,
        mapping: MappingRecord,
        cursor: CursorRecord,
        lane: int,
        patterns: Sequence[Pattern],
        bytes_max: int,
        counted_to: int = 0,
    ) -> None:
        self._mapping = mapping
        self._counted_to = counted_to
        self.polled = 0
        """How many records of the lane were looked at that are not counted yet."""
        self.filtered = 0
        """How many of those are not wanted."""
        self._lane = lane
        self._patterns = patterns
        self._fence = int(cursor.fences[-1]) if cursor.fences else 0
        state_bytes = cursor.state_pieces * quotas.PAYLOAD_PIECE_BYTES
        self._bytes_left = bytes_max - _AROUND_BYTES - state_bytes
        self.events: list[bytes] = []
        """JSON."""
        self.numbers: list[str] = []
        """Their sequence numbers."""
        self.created_ms: list[int] = []
        self.position = cursor.position
        """The last record that was looked at, whether it is wanted or not."""
        self.window_ms = cursor.window_ms
        self.full = cursor.is_cut_short
        """Nothing more is to come into this batch."""
        self.is_behind_window = False
        """The next record belongs to a later window."""

    def add(self, record: Wire) -> None:
        """Look at the next record of the shard, unless the batch is full."""
        if self.full:
            return
        number: str = record["dynamodb"]["SequenceNumber"]
        event = event_of(record, self._mapping.source_arn)
        if lane_of(event, self._mapping.factor) == self._lane:
            is_wanted = self._is_wanted(event)
            created_ms: int = record["dynamodb"]["ApproximateCreationDateTime"]
            if is_wanted and not self._take(event, number, created_ms):
                self.full = True
                return
            is_new = int(number) > self._counted_to
            self.polled += is_new
            self.filtered += is_new and not is_wanted
        self.position = number
        is_fenced = bool(self._fence) and int(number) >= self._fence
        self.full = is_fenced or len(self.events) == self._mapping.batch_size

    def _is_wanted(self, event: Mapping[str, Any]) -> bool:
        return not self._patterns or any(each.matches(event) for each in self._patterns)

    def _take(self, event: Mapping[str, Any], number: str, created_ms: int) -> bool:
        """Take a record into the batch; return False if it is for a later one."""
        if self._mapping.tumbling_s:
            window_ms = window_of(created_ms, self._mapping)
            if self.window_ms and window_ms > self.window_ms:
                self.is_behind_window = True
                return False
            self.window_ms = self.window_ms or window_ms
        raw = orjson.dumps(event)
        if self.events and len(raw) + 1 > self._bytes_left:
            return False
        self._bytes_left -= len(raw) + 1
        self.events.append(raw)
        self.numbers.append(number)
        self.created_ms.append(created_ms)
        return True

    def too_old(self, now_ms: int) -> int:
        """Return how many of the first records are older than they may be."""
        if self._mapping.age_s < 0:
            return 0
        before_ms = now_ms - self._mapping.age_s * 1_000
        found = 0
        while found < len(self.created_ms) and self.created_ms[found] < before_ms:
            found += 1
        return found

    def waits_until_ms(self) -> int:
        """Return until when the batch may wait to become full; 0: it need not."""
        if self.full or not self._mapping.window_s:
            return 0
        return self.created_ms[0] + self._mapping.window_s * 1_000


def window_of(created_ms: int, mapping: MappingRecord) -> int:
    """Return when the tumbling window began that a record belongs to."""
    return created_ms - created_ms % (mapping.tumbling_s * 1_000)


class Outcome(NamedTuple):
    """What a run leads to."""

    cursor: CursorRecord
    result: str
    """``LastProcessingResult``."""
    given_up: int | None = None
    """The first record of the batch that is given up, with all behind it; None: none is."""


def first_failed(mapping: MappingRecord, answer: bytes, numbers: Sequence[str]) -> int | None:
    """Return the first record that a function says has failed; None: none has.

    Raises:
        ValueError: It names one that it did not get, or says it in another form.
    """
    if not mapping.partial:
        return None
    try:
        said = orjson.loads(answer or b"null")
    except orjson.JSONDecodeError as error:
        raise ValueError("the answer is no JSON") from error
    failures = (
        cast("dict[str, Any]", said).get("batchItemFailures") if isinstance(said, dict) else None
    )
    if not failures:
        return None
    places = {number: at for at, number in enumerate(numbers)}
    try:
        return min(places[each["itemIdentifier"]] for each in failures)
    except (KeyError, TypeError) as error:
        raise ValueError("the answer names a record that was not sent") from error


def advanced(cursor: CursorRecord, position: str) -> CursorRecord:
    """Return a cursor for which everything up to a record is done."""
    fences = cursor.fences
    while fences and int(fences[-1]) <= int(position):
        fences = fences[:-1]
    return msgspec.structs.replace(
        cursor, position=position, fences=fences, attempts=0, retry_at_ms=0, iterator=""
    )


def failed(
    mapping: MappingRecord, cursor: CursorRecord, numbers: Sequence[str], at: int, now_ms: int
) -> Outcome:
    """Return what follows when a batch has failed from one of its records on.

    Args:
        mapping: What is to be tried.
        cursor: The lane before the batch.
        numbers: The sequence numbers of the batch; none for the end of a window.
        at: The first that failed.
        now_ms: The time.
    """
    if at:
        cursor = advanced(cursor, numbers[at - 1])
    left = numbers[at:]
    fences = cursor.fences or tuple(left[-1:])
    if mapping.bisects and not at and len(left) > 1:
        # AWS: splitting a batch does not count towards the retry quota.
        half = left[(len(left) - 1) // 2]
        return Outcome(msgspec.structs.replace(cursor, fences=(*fences, half), attempts=0), FAILED)
    attempts = cursor.attempts + 1
    if 0 <= mapping.retries < attempts:
        return Outcome(cursor, FAILED, given_up=at)
    wait_ms = quotas.STREAM_BACKOFF_MS << min(attempts - 1, 16)
    wait_ms = min(wait_ms, quotas.STREAM_BACKOFF_MS_MAX)
    retried = msgspec.structs.replace(
        cursor, fences=fences, attempts=attempts, retry_at_ms=now_ms + wait_ms
    )
    return Outcome(retried, FAILED)


def window_state_in(answer: bytes) -> bytes | None:
    """Return the state of a window that a function has returned, as JSON; None: it returned none."""
    try:
        said = orjson.loads(answer or b"null")
    except orjson.JSONDecodeError:
        return None
    if not isinstance(said, dict) or "state" not in said:
        return None
    return orjson.dumps(cast("dict[str, Any]", said)["state"])


def window_after(
    cursor: CursorRecord, gathered: Gathering, answer: bytes | None
) -> tuple[CursorRecord, bytes | None]:
    """Return the cursor and the state of the tumbling window behind a batch or its end.

    AWS: a window whose state becomes larger than 1 MB ends early.

    Args:
        cursor: The cursor behind the batch.
        gathered: The batch; without records it was the end of the window.
        answer: What the function has returned, or None if the batch was given up.

    Returns:
        The cursor, and the state to write; None: it stays as it is.
    """
    if not gathered.events:
        return msgspec.structs.replace(cursor, window_ms=0, is_cut_short=False), b""
    cursor = msgspec.structs.replace(cursor, window_ms=gathered.window_ms)
    said = None if answer is None else window_state_in(answer)
    if said is None:
        return cursor, None
    if len(said) > quotas.WINDOW_STATE_BYTES_MAX:
        return msgspec.structs.replace(cursor, is_cut_short=True), None
    return cursor, said
