"""Where Lambda's records lie: the only room that knows keys.

Functions take the transaction first and compose. ``receive`` is here because it is nothing but
reads and writes of the delivering transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from fogbank.base.errors import Throttled
from fogbank.contract.event import Arrival, Refusal
from fogbank.contract.quota import Quotas
from fogbank.platform.blobs import rows
from fogbank.platform.bus import trace
from fogbank.platform.bus.entry import Delivery
from fogbank.platform.identity.principal import service_principal
from fogbank.platform.scheduler import consumers, worklist
from fogbank.platform.scheduler.consumers import Consumer
from fogbank.platform.scheduler.worklist import Counts, WorkEntry
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.records import encode
from fogbank.services.lambda_ import arns, quotas
from fogbank.services.lambda_.errors import (
    InvalidParameterValueException,
    ResourceConflictException,
)
from fogbank.services.lambda_.rules import mappings
from fogbank.services.lambda_.rules import policies as rules
from fogbank.services.lambda_.rules.names import FunctionName
from fogbank.services.lambda_.schema import (
    CURSORS,
    FUNCTIONS,
    MAPPINGS,
    PIECES,
    POLICIES,
    CursorRecord,
    EventRecord,
    FunctionRecord,
    LaneRecord,
    MappingRecord,
    PieceRecord,
)
from fogbank.services.lambda_.state import accounts as accounts
from fogbank.services.lambda_.state import concurrency, layers, policies, versions
from fogbank.services.lambda_.state import filters as filters
from fogbank.services.lambda_.state import grants as grants
from fogbank.services.lambda_.state import packages as packages
from fogbank.services.lambda_.state import sealing as sealing
from fogbank.services.lambda_.state import urls as urls

ASYNC: Final = "lambda.async"
"""The work list of events that wait for their invocation."""
SOURCES: Final = "lambda.sources"
"""The kind of consumers that read streams for event source mappings."""
CURSORS_MAX: Final = 5_000
"""Lanes of a mapping: those of the shards that are being read, each with its parent's at most."""


# Functions.


async def find_function(tr: Transaction, name: str) -> FunctionRecord | None:
    """Return a function, or None."""
    return await FUNCTIONS.find(tr, name)


async def require_function(tr: Transaction, named: FunctionName) -> FunctionRecord:
    """Return a function or refuse the call."""
    function = await FUNCTIONS.find(tr, named.name)
    if function is None:
        raise named.not_found
    return function


async def require_none(tr: Transaction, name: str) -> None:
    """Refuse the call if there is a function of that name."""
    if await FUNCTIONS.find(tr, name) is not None:
        raise ResourceConflictException(f"Function already exist: {name}")


async def create_function(tr: Transaction, function: FunctionRecord, code_bytes_max: int) -> None:
    """Write a new function and the reference to its code.

    Raises:
        CodeStorageExceededException: More code would be stored than may be.
        ResourceConflictException: There is one of that name.
    """
    await require_none(tr, function.name)
    await accounts.store_code(tr, function.code_size, code_bytes_max)
    rows.attach(tr, function.blob, function.code_size)
    await grants.retain(tr, function)
    FUNCTIONS.put(tr, function, function.name)


async def change_code(
    tr: Transaction, before: FunctionRecord, after: FunctionRecord, code_bytes_max: int
) -> None:
    """Write a function whose code has changed; the old code goes.

    Raises:
        CodeStorageExceededException: More code would be stored than may be.
    """
    await accounts.store_code(tr, after.code_size, code_bytes_max, before.code_size)
    rows.attach(tr, after.blob, after.code_size)
    await rows.release(tr, before.blob)
    FUNCTIONS.put(tr, after, after.name)


def put_function(tr: Transaction, function: FunctionRecord) -> None:
    """Write a function whose code is the same."""
    FUNCTIONS.put(tr, function, function.name)


async def delete_function(tr: Transaction, named: FunctionName, now_ms: int) -> None:
    """Remove a function, its policy and the reference to its code; its versions go behind it."""
    function = await require_function(tr, named)
    await accounts.release_code(tr, function.code_size)
    await layers.release(tr, function)
    await grants.release(tr, function)
    FUNCTIONS.delete(tr, function.name)
    POLICIES.delete(tr, function.name)
    await concurrency.release(tr, function)
    versions.queue_forgetting(tr, function, now_ms)


async def list_functions(tr: Transaction, after: str | None, limit: int) -> list[FunctionRecord]:
    """Return up to ``limit`` functions in order of name."""
    behind = None if after is None else (after,)
    return [record for _, record in await FUNCTIONS.list(tr, limit=limit, after=behind)]


async def list_with_versions(
    tr: Transaction, name: str, number: int, limit: int
) -> list[FunctionRecord]:
    """Return up to ``limit`` functions, each with its versions behind it.

    Args:
        tr: The transaction.
        name: The function behind whose version the answer begins; empty: with the first.
        number: That version; 0: ``$LATEST``.
        limit: How many.
    """
    found: list[FunctionRecord] = []
    begun = await FUNCTIONS.find(tr, name) if name else None
    if begun is not None:
        found += await versions.list_versions(tr, begun, number, limit)
    after = name or None
    while len(found) < limit:
        page = await list_functions(tr, after, 1)
        if not page:
            break
        after = page[0].name
        found += [*page, *await versions.list_versions(tr, page[0], 0, limit - len(found))]
    return found[:limit]


# Event source mappings.


async def find_mapping(tr: Transaction, mapping_id: str) -> MappingRecord | None:
    """Return a mapping, or None."""
    return await MAPPINGS.find(tr, mapping_id)


async def require_mapping(tr: Transaction, mapping_id: str) -> MappingRecord:
    """Return a mapping or refuse the call."""
    mapping = await MAPPINGS.find(tr, mapping_id)
    if mapping is None:
        raise mappings.not_found(mapping_id)
    return mapping


async def list_mappings(tr: Transaction, after: str | None, limit: int) -> list[MappingRecord]:
    """Return up to ``limit`` mappings in order of their ids."""
    behind = None if after is None else (after,)
    return [record for _, record in await MAPPINGS.list(tr, limit=limit, after=behind)]


async def create_mapping(
    tr: Transaction, mapping: MappingRecord, begins: Mapping[str, CursorRecord], mappings_max: int
) -> None:
    """Write a new mapping and where it begins in each shard.

    Raises:
        InvalidParameterValueException: There are too many.
        ResourceConflictException: There is one of that source and function.
    """
    found = await list_mappings(tr, None, mappings_max)
    if len(found) == mappings_max:
        raise InvalidParameterValueException(f"There are {mappings_max} event source mappings.")
    for other in found:
        if mappings.reads_for(other) == mappings.reads_for(mapping):
            raise ResourceConflictException(
                f'The event source arn (" {mapping.source_arn} ") and function ('
                f'" {mapping.function} ") provided mapping already exists. Please update or delete'
                f" the existing mapping with UUID {other.id}"
            )
    MAPPINGS.put(tr, mapping, mapping.id)
    for shard, cursor in begins.items():
        put_lanes(tr, mapping, shard, cursor)


def put_lanes(tr: Transaction, mapping: MappingRecord, shard: str, cursor: CursorRecord) -> None:
    """Begin every lane of a shard at one place."""
    for lane in range(mapping.factor):
        CURSORS.put(tr, cursor, mapping.id, shard, lane)
        if mapping.enabled:
            consumers.put(tr, _consumer(tr, mapping.id, shard, lane))


def _consumer(tr: Transaction, mapping_id: str, shard: str, lane: int) -> Consumer:
    """Return the row that has a lane read."""
    payload = encode(LaneRecord(mapping_id, shard, lane))
    return Consumer(SOURCES, lane_id(mapping_id, shard, lane), tr.domain.name, payload)


def lane_id(mapping_id: str, shard: str, lane: int) -> str:
    """Return what names a lane."""
    return f"{mapping_id}/{shard}/{lane}"


async def list_cursors(tr: Transaction, *of: str) -> list[tuple[str, int, CursorRecord]]:
    """Return the shards, lanes and cursors of a mapping, or of one of its shards."""
    found: list[tuple[str, int, CursorRecord]] = []
    for key, cursor in await CURSORS.list(tr, *of, limit=CURSORS_MAX):
        *shard, lane = key
        named = shard[0] if shard else of[-1]
        assert isinstance(named, str)
        assert isinstance(lane, int)
        found.append((named, lane, cursor))
    return found


async def change_mapping(tr: Transaction, before: MappingRecord, after: MappingRecord) -> None:
    """Write a mapping that was changed; its lanes are others, or read or not, as it says now."""
    MAPPINGS.put(tr, after, after.id)
    if (before.factor, before.enabled) == (after.factor, after.enabled):
        return
    shards: dict[str, list[CursorRecord]] = {}
    for shard, lane, cursor in await list_cursors(tr, after.id):
        shards.setdefault(shard, []).append(cursor)
        consumers.remove(tr, SOURCES, lane_id(after.id, shard, lane))
        if before.factor == after.factor:
            if after.enabled and not cursor.done:
                consumers.put(tr, _consumer(tr, after.id, shard, lane))
            continue
        _forget_lane(tr, after.id, shard, lane, cursor)
    if before.factor != after.factor:
        for shard, cursors in shards.items():
            put_lanes(tr, after, shard, mappings.least_of(cursors))


def _forget_lane(
    tr: Transaction, mapping_id: str, shard: str, lane: int, cursor: CursorRecord
) -> None:
    """Remove a cursor and the state of its window."""
    CURSORS.delete(tr, mapping_id, shard, lane)
    for number in range(cursor.state_pieces):
        PIECES.delete(tr, lane_id(mapping_id, shard, lane), number)


async def delete_mapping(tr: Transaction, mapping: MappingRecord) -> None:
    """Remove a mapping with all that stands of its lanes."""
    MAPPINGS.delete(tr, mapping.id)
    for shard, lane, cursor in await list_cursors(tr, mapping.id):
        _forget_lane(tr, mapping.id, shard, lane, cursor)
        consumers.remove(tr, SOURCES, lane_id(mapping.id, shard, lane))


async def find_cursor(tr: Transaction, lane: LaneRecord) -> CursorRecord | None:
    """Return how far a lane has been read; None if it is no more."""
    return await CURSORS.find(tr, lane.mapping, lane.shard, lane.lane)


async def move_cursor(
    tr: Transaction, lane: LaneRecord, before: CursorRecord, after: CursorRecord, result: str
) -> bool:
    """Move a lane on, unless its mapping was stopped or its lanes were laid anew since.

    Args:
        tr: The transaction.
        lane: The lane.
        before: Its cursor, as whoever moves it has read it.
        after: Its cursor from now on.
        result: What the mapping tells of the last batch; empty: nothing new.
    """
    mapping = await MAPPINGS.find(tr, lane.mapping)
    if mapping is None or not mapping.enabled or await find_cursor(tr, lane) != before:
        return False
    CURSORS.put(tr, after, lane.mapping, lane.shard, lane.lane)
    if result not in ("", mapping.result):
        MAPPINGS.put(tr, msgspec.structs.replace(mapping, result=result), mapping.id)
    return True


async def note_result(tr: Transaction, mapping_id: str, result: str) -> None:
    """Note what went wrong with a mapping before there was a batch."""
    mapping = await MAPPINGS.find(tr, mapping_id)
    if mapping is not None and mapping.result != result:
        MAPPINGS.put(tr, msgspec.structs.replace(mapping, result=result), mapping_id)


async def read_window(tr: Transaction, lane: LaneRecord, cursor: CursorRecord) -> bytes:
    """Return the state of the tumbling window that is open: JSON."""
    name = lane_id(lane.mapping, lane.shard, lane.lane)
    found = await PIECES.list(tr, name, limit=max(1, cursor.state_pieces))
    return b"".join(piece.content for _, piece in found[: cursor.state_pieces]) or b"{}"


def put_window(
    tr: Transaction, lane: LaneRecord, cursor: CursorRecord, content: bytes
) -> CursorRecord:
    """Write the state of a window; return the cursor that says where it lies."""
    name, pieces = lane_id(lane.mapping, lane.shard, lane.lane), 0
    for at in range(0, len(content), quotas.PAYLOAD_PIECE_BYTES):
        PIECES.put(tr, PieceRecord(content[at : at + quotas.PAYLOAD_PIECE_BYTES]), name, pieces)
        pieces += 1
    for number in range(pieces, cursor.state_pieces):
        PIECES.delete(tr, name, number)
    return msgspec.structs.replace(cursor, state_pieces=pieces)


async def end_lane(
    tr: Transaction, lane: LaneRecord, before: CursorRecord, children: Sequence[str]
) -> None:
    """End a lane whose shard has been read to its end; with the last of them its children begin."""
    done = msgspec.structs.replace(before, done=True)
    if not await move_cursor(tr, lane, before, done, ""):
        return
    consumers.remove(tr, SOURCES, lane_id(lane.mapping, lane.shard, lane.lane))
    mapping = await require_mapping(tr, lane.mapping)
    lanes = await list_cursors(tr, lane.mapping, lane.shard)
    if not all(cursor.done for _, _, cursor in lanes):
        return
    for shard, number, cursor in lanes:
        _forget_lane(tr, lane.mapping, shard, number, cursor)
    for child in children:
        put_lanes(tr, mapping, child, CursorRecord(begin=mappings.TRIM_HORIZON))


# Events that wait.


async def count_queued(tr: Transaction, name: str) -> Counts:
    """Return how many events of a function wait, and of its account and region."""
    return await worklist.counts(tr, ASYNC, name)


def throttle_of(queued: Counts, quotas_in_force: Quotas) -> str:
    """Return why a function's queue takes no further event, as ``ThrottleReason``; '' if it does.

    AWS: it bounds no queue that one could fill; the reasons are those of its own limits on the rate
    of one function and of one caller (API Reference, Invoke, ``TooManyRequestsException``).
    """
    if queued.of_word >= quotas_in_force.value(quotas.ASYNC_QUEUED):
        return "FunctionInvocationRateLimitExceeded"
    if queued.of_domain >= quotas_in_force.value(quotas.ACCOUNT_ASYNC_QUEUED):
        return "CallerRateLimitExceeded"
    return ""


def enqueue(
    tr: Transaction, event: EventRecord, event_id: str, now_ms: int, queued: Counts
) -> None:
    """Queue an event for its invocation; a large one is put beside its entry in pieces."""
    payload, pieces = put_pieces(tr, event_id, event.payload)
    kept = msgspec.structs.replace(event, payload=payload, pieces=pieces)
    entry = WorkEntry(
        list=ASYNC,
        id=event_id,
        domain=tr.domain.name,
        payload=encode(kept),
        created_ms=now_ms,
        visible_ms=now_ms,
        word=event.function_name,
    )
    worklist.put_counted(tr, entry, queued)
    trace.note(tr, event_id, now_ms, "queued", f"for {event.invoked_arn}")


def put_pieces(tr: Transaction, name: str, content: bytes) -> tuple[bytes, int]:
    """Return what of a content lies in its record, and in how many pieces it lies beside it."""
    if len(content) <= quotas.INLINE_PAYLOAD_BYTES:
        return content, 0
    pieces = 0
    for at in range(0, len(content), quotas.PAYLOAD_PIECE_BYTES):
        PIECES.put(tr, PieceRecord(content[at : at + quotas.PAYLOAD_PIECE_BYTES]), name, pieces)
        pieces += 1
    return b"", pieces


async def read_pieces(tr: Transaction, name: str, content: bytes, pieces: int) -> bytes:
    """Return a content, put together if it lies in pieces."""
    if not pieces:
        return content
    found = await PIECES.list(tr, name, limit=pieces)
    assert len(found) == pieces, "what lies in pieces has all of them"
    return b"".join(piece.content for _, piece in found)


def forget_pieces(tr: Transaction, name: str, pieces: int) -> None:
    """Remove the pieces of what is done."""
    for number in range(pieces):
        PIECES.delete(tr, name, number)


async def receive(tr: Transaction, delivery: Delivery, arrival: Arrival) -> None:
    """Queue a delivered event if the function stands and its policy lets the source in.

    Raises:
        Refusal: There is no such function, or the source may not invoke it.
        Throttled: Too many events of the function, or of its account, wait already.
    """
    found = arns.find_function(delivery.target)
    assert found is not None, "only functions are received for"
    account, region, name, qualifier = found
    function = await FUNCTIONS.find(tr, name)
    if function is None or await versions.find_qualified(tr, function, qualifier) is None:
        raise Refusal(f"there is no function {delivery.target}")
    arn = arns.function_arn(region, account, name, qualifier)
    caller = service_principal(
        delivery.source, source_arn=delivery.source_arn, source_account=delivery.source_account
    )
    if not rules.allows_invoke(await policies.find_said(tr, function, qualifier), caller, arn):
        raise Refusal(f"the policy of {arn} does not let {delivery.source} in")
    queued = await count_queued(tr, name)
    throttle = throttle_of(queued, arrival.quotas)
    if throttle:
        raise Throttled(throttle)
    event = EventRecord(
        function_name=name,
        invoked_arn=delivery.target,
        payload=delivery.payload,
        source=delivery.source,
    )
    enqueue(tr, event, arrival.id, arrival.now_ms, queued)
    if delivery.event_id:
        detail = f"invocation {arrival.id} of {delivery.target}"
        trace.connect(tr, delivery.event_id, arrival.id, arrival.now_ms, "became", detail)
