"""Where Lambda's records lie: the only room that knows keys.

Functions take the transaction first and compose. ``receive`` is here because it is nothing but
reads and writes of the delivering transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fogbank.base.errors import Throttled
from fogbank.contract.action import Access, ContextValue
from fogbank.contract.event import Arrival, Refusal
from fogbank.contract.facet import Standing
from fogbank.contract.quota import Quotas
from fogbank.platform.blobs import rows
from fogbank.platform.bus import trace
from fogbank.platform.bus.entry import Delivery
from fogbank.platform.iam.bound import BoundPolicy
from fogbank.platform.iam.request import Caller
from fogbank.platform.identity.principal import service_principal
from fogbank.platform.scheduler import worklist
from fogbank.platform.scheduler.worklist import Counts, WorkEntry
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.records import encode
from fogbank.platform.tags import borne
from fogbank.services.lambda_ import arns, quotas
from fogbank.services.lambda_.errors import ResourceConflictException
from fogbank.services.lambda_.rules import policies
from fogbank.services.lambda_.rules.access import StatementKeys
from fogbank.services.lambda_.rules.names import FunctionName
from fogbank.services.lambda_.schema import (
    FUNCTIONS,
    PIECES,
    POLICIES,
    EventRecord,
    FunctionRecord,
    PieceRecord,
    PolicyRecord,
)

ASYNC: Final = "lambda.async"
"""The work list of events that wait for their invocation."""


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


async def create_function(tr: Transaction, function: FunctionRecord) -> None:
    """Write a new function and the reference to its code."""
    await require_none(tr, function.name)
    rows.attach(tr, function.blob, function.code_size)
    FUNCTIONS.put(tr, function, function.name)


async def change_code(tr: Transaction, before: FunctionRecord, after: FunctionRecord) -> None:
    """Write a function whose code has changed; the old code goes."""
    rows.attach(tr, after.blob, after.code_size)
    await rows.release(tr, before.blob)
    FUNCTIONS.put(tr, after, after.name)


def put_function(tr: Transaction, function: FunctionRecord) -> None:
    """Write a function whose code is the same."""
    FUNCTIONS.put(tr, function, function.name)


async def delete_function(tr: Transaction, named: FunctionName) -> None:
    """Remove a function, its policy and the reference to its code."""
    function = await require_function(tr, named)
    await rows.release(tr, function.blob)
    FUNCTIONS.delete(tr, function.name)
    POLICIES.delete(tr, function.name)


async def list_functions(tr: Transaction, after: str | None, limit: int) -> list[FunctionRecord]:
    """Return up to ``limit`` functions in order of name."""
    behind = None if after is None else (after,)
    return [record for _, record in await FUNCTIONS.list(tr, limit=limit, after=behind)]


# Policies and tags.


async def find_tags(tr: Transaction, arn: str) -> Mapping[str, ContextValue]:
    """Return the condition keys of the tags of a function's ARN; none if it does not stand."""
    found = arns.find_function(arn)
    function = None if found is None else await FUNCTIONS.find(tr, found[2])
    return {} if function is None else borne(function.tags)


async def find_stored_keys(tr: Transaction, access: Access) -> Mapping[str, ContextValue]:
    """Return the condition keys of the statement that a request is about."""
    if not isinstance(access.context, StatementKeys):
        return {}
    name = arns.find_function(access.resource)
    found = None if name is None else await find_policy_of(tr, name[2])
    for statement in policies.statements_of(None if found is None else found.document):
        if statement["Sid"] == access.context.sid:
            return {"lambda:Principal": policies.named_principal(statement)}
    return {}


async def find_standing(tr: Transaction, access: Access, _caller: Caller) -> Standing | None:
    """Return what a function says of who may reach it, or None."""
    found = arns.find_function(access.resource)
    return None if found is None else Standing(await find_policy_of(tr, found[2]))


async def find_policy_of(tr: Transaction, name: str) -> BoundPolicy | None:
    """Return the policy of a function, or None."""
    policy = await POLICIES.find(tr, name)
    return None if policy is None else BoundPolicy(policy.document, policy.bound)


def put_policy(tr: Transaction, function: FunctionRecord, policy: BoundPolicy | None) -> None:
    """Write or remove a function's policy; the function has a new revision."""
    if policy is None:
        POLICIES.delete(tr, function.name)
    else:
        POLICIES.put(tr, PolicyRecord(*policy), function.name)
    FUNCTIONS.put(tr, function, function.name)


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
    payload, pieces = event.payload, 0
    if len(payload) > quotas.INLINE_PAYLOAD_BYTES:
        for at in range(0, len(payload), quotas.PAYLOAD_PIECE_BYTES):
            piece = PieceRecord(payload[at : at + quotas.PAYLOAD_PIECE_BYTES])
            PIECES.put(tr, piece, event_id, pieces)
            pieces += 1
        payload = b""
    kept = EventRecord(
        function_name=event.function_name,
        invoked_arn=event.invoked_arn,
        payload=payload,
        pieces=pieces,
        client_context=event.client_context,
        source=event.source,
    )
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


async def read_payload(tr: Transaction, event: EventRecord, event_id: str) -> bytes:
    """Return the payload of an event, put together if it lies in pieces."""
    if not event.pieces:
        return event.payload
    found = await PIECES.list(tr, event_id, limit=event.pieces)
    assert len(found) == event.pieces, "an event has all of its pieces"
    return b"".join(piece.content for _, piece in found)


def forget_pieces(tr: Transaction, event: EventRecord, event_id: str) -> None:
    """Remove the pieces of an event that is done."""
    for number in range(event.pieces):
        PIECES.delete(tr, event_id, number)


async def receive(tr: Transaction, delivery: Delivery, arrival: Arrival) -> None:
    """Queue a delivered event if the function stands and its policy lets the source in.

    Raises:
        Refusal: There is no such function, or the source may not invoke it.
        Throttled: Too many events of the function, or of its account, wait already.
    """
    found = arns.find_function(delivery.target)
    assert found is not None, "only functions are received for"
    account, region, name, _ = found
    if await FUNCTIONS.find(tr, name) is None:
        raise Refusal(f"there is no function {delivery.target}")
    arn = arns.function_arn(region, account, name)
    caller = service_principal(
        delivery.source, source_arn=delivery.source_arn, source_account=delivery.source_account
    )
    if not policies.allows_invoke(await find_policy_of(tr, name), caller, arn):
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
