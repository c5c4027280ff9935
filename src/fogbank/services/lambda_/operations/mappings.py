"""Operations on event source mappings: which stream a function is invoked with.

What reads the stream is ``jobs/sources``; here is decided where it begins. The function's role must be
able to read before a mapping is made, as it must whenever it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fogbank.base.errors import ServiceError
from fogbank.base.types import Request
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.runtime.functions import RoleNotAssumableError
from fogbank.platform.runtime.sources import SourceReader
from fogbank.platform.store.engine import Transaction
from fogbank.services.lambda_ import quotas, state
from fogbank.services.lambda_.rules import access, filters, mappings, names, views
from fogbank.services.lambda_.rules.names import FunctionName
from fogbank.services.lambda_.schema import CursorRecord, FunctionRecord, MappingRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import lambda_ as shapes

_UNHONOURED: Final[dict[str, Any]] = {
    "LoggingConfig": None,
    "ScalingConfig": None,
    "SourceAccessConfigurations": [],
    "AmazonManagedKafkaEventSourceConfig": None,
    "SelfManagedKafkaEventSourceConfig": None,
    "DocumentDBEventSourceConfig": None,
    "ProvisionedPollerConfig": None,
}


@operation(
    access=access.create_mapping,
    unhonoured={
        **_UNHONOURED,
        "Topics": [],
        "Queues": [],
        "SelfManagedEventSource": None,
    },
)
async def create_event_source_mapping(
    call: Call, request: shapes.CreateEventSourceMappingRequest
) -> shapes.EventSourceMappingConfiguration:
    """Have a function invoked with the records of a stream, from a place on."""
    named = names.function_name_of(call.scope, request)
    mapping = mappings.created_mapping(
        call.scope, request, named, mapping_id=call.ids.uuid(), now_ms=call.clock.now_ms()
    )
    reader = await _checked_reader(call, named, mapping.source_arn)
    begins = await _begins_of(reader, mapping, call.clock.now_ms())
    mapping = await state.filters.sealed(call, mapping, mapping, request)
    mappings_max = call.limit(quotas.MAPPINGS)

    async def body(tr: Transaction) -> None:
        await state.versions.require_version(tr, named)
        await state.create_mapping(tr, mapping, begins, mappings_max)

    await call.store.transact(body)
    return await state.filters.told(call, mapping, "Creating")


async def _checked_reader(call: Call, named: FunctionName, source_arn: str) -> SourceReader:
    """Return what reads a stream for a function, whose role was found to be able to."""

    async def body(tr: Transaction) -> FunctionRecord:
        return await state.versions.require_version(tr, named)

    function = await call.store.read(body)
    target = views.target_of(named.account, named.region, function)
    reader = SourceReader(target, source_arn, call.facilities)
    try:
        await reader.check()
    except (ServiceError, RoleNotAssumableError) as error:
        raise mappings.no_access(source_arn) from error
    return reader


async def _begins_of(
    reader: SourceReader, mapping: MappingRecord, now_ms: int
) -> dict[str, CursorRecord]:
    """Return where a new mapping begins: in the oldest shards, or in those that are open.

    Their children follow when they have been read to their end.
    """
    shards = await reader.shards()
    if mapping.position == mappings.TRIM_HORIZON:
        ids = {shard["ShardId"] for shard in shards}
        oldest = [shard for shard in shards if shard.get("ParentShardId") not in ids]
        return {shard["ShardId"]: CursorRecord(begin=mapping.position) for shard in oldest}
    begins: dict[str, CursorRecord] = {}
    for shard in shards:
        if "EndingSequenceNumber" not in shard["SequenceNumberRange"]:
            place = await reader.iterator(shard["ShardId"], mappings.LATEST)
            begins[shard["ShardId"]] = CursorRecord(
                begin=mapping.position, iterator=place, since_ms=now_ms
            )
    return begins


@operation(access=access.on_mapping("GetEventSourceMapping"))
async def get_event_source_mapping(
    call: Call, request: shapes.GetEventSourceMappingRequest
) -> shapes.EventSourceMappingConfiguration:
    """Return a mapping."""

    async def body(tr: Transaction) -> MappingRecord:
        return await state.require_mapping(tr, request["UUID"])

    mapping = await call.store.read(body)
    return await state.filters.told(call, mapping, mappings.state_of(mapping))


@operation(access=access.list_mappings)
async def list_event_source_mappings(
    call: Call, request: shapes.ListEventSourceMappingsRequest
) -> shapes.ListEventSourceMappingsResponse:
    """Return the mappings of a source or function, or all of them, a page at a time."""
    limit = min(request.get("MaxItems", quotas.MAPPINGS_PAGE), quotas.MAPPINGS_PAGE)
    after: str | None = request.get("Marker")
    mappings_max = call.limit(quotas.MAPPINGS)

    async def body(tr: Transaction) -> list[MappingRecord]:
        return await state.list_mappings(tr, after, mappings_max)

    wanted = _wanted(call, request)
    found = [each for each in await call.store.read(body) if wanted.items() <= _named(each).items()]
    page = found[:limit]
    reply: shapes.ListEventSourceMappingsResponse = {
        "EventSourceMappings": [
            mappings.view_of(call.scope, each, mappings.state_of(each)) for each in page
        ]
    }
    if len(found) > limit:
        reply["NextMarker"] = page[-1].id
    return reply


def _wanted(call: Call, request: Request) -> dict[str, str]:
    """Return what a listing asks for: source, function, both or neither."""
    wanted: dict[str, str] = {}
    if "EventSourceArn" in request:
        wanted["source"] = request["EventSourceArn"]
    if "FunctionName" in request:
        named = names.function_name_of(call.scope, request)
        wanted["function"] = named.name
        if named.qualifier:
            wanted["qualifier"] = named.qualifier
    return wanted


def _named(mapping: MappingRecord) -> dict[str, str]:
    """Return what a mapping is listed by."""
    return {
        "source": mapping.source_arn,
        "function": mapping.function,
        "qualifier": mapping.qualifier,
    }


@operation(access=access.on_mapping("UpdateEventSourceMapping"), unhonoured=_UNHONOURED)
async def update_event_source_mapping(
    call: Call, request: shapes.UpdateEventSourceMappingRequest
) -> shapes.EventSourceMappingConfiguration:
    """Change how a function is invoked, or which, or stop it, or let it go on where it was."""
    now_ms = call.clock.now_ms()
    named = names.function_name_of(call.scope, request) if "FunctionName" in request else None

    async def look(tr: Transaction) -> MappingRecord:
        return await state.require_mapping(tr, request["UUID"])

    found = await call.store.read(look)
    if named is not None:
        await _checked_reader(call, named, found.source_arn)

    def changed(before: MappingRecord) -> MappingRecord:
        after = mappings.changed_mapping(before, request, now_ms)
        return after if named is None else mappings.renamed(after, named)

    sealed = await state.filters.sealed(call, found, changed(found), request)

    async def body(tr: Transaction) -> tuple[MappingRecord, MappingRecord]:
        before = await look(tr)
        filters.require_same(found, before)
        if named is not None:
            await state.versions.require_version(tr, named)
        after = changed(before)
        if found.kms_key or sealed.kms_key:
            after = filters.as_sealed(after, sealed)
        await state.change_mapping(tr, before, after)
        return before, after

    before, after = await call.store.transact(body)
    return await state.filters.told(call, after, mappings.transition_of(before, after))


@operation(access=access.on_mapping("DeleteEventSourceMapping"))
async def delete_event_source_mapping(
    call: Call, request: shapes.DeleteEventSourceMappingRequest
) -> shapes.EventSourceMappingConfiguration:
    """Remove a mapping; what it was invoked with so far stays done."""

    async def body(tr: Transaction) -> MappingRecord:
        mapping = await state.require_mapping(tr, request["UUID"])
        await state.delete_mapping(tr, mapping)
        return mapping

    mapping = await call.store.transact(body)
    return await state.filters.told(call, mapping, "Deleting")
