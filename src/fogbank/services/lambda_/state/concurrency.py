"""Concurrency that functions hold, and the environments that are to stand ready."""

from __future__ import annotations

from typing import Final

from fogbank.platform.scheduler import consumers
from fogbank.platform.scheduler.consumers import Consumer
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.records import encode
from fogbank.services.lambda_.rules import concurrency
from fogbank.services.lambda_.rules.concurrency import Limits
from fogbank.services.lambda_.schema import (
    ALIASES,
    FUNCTIONS,
    PROVISIONED,
    AliasRecord,
    FunctionRecord,
    ProvisionedRecord,
    ReadyRecord,
)
from fogbank.services.lambda_.state import accounts

READY: Final = "lambda.ready"
"""The kind of consumers that keep environments ready."""
_ALL: Final = 10_000
"""More than can be provisioned of one function."""


async def put_held(tr: Transaction, before: FunctionRecord, after: FunctionRecord) -> None:
    """Write a function that holds more or less than before, and what all hold together."""
    FUNCTIONS.put(tr, after, after.name)
    await accounts.add_held(tr, concurrency.held_by(after) - concurrency.held_by(before))


async def release(tr: Transaction, function: FunctionRecord) -> None:
    """Give back all that a function holds that goes."""
    await accounts.add_held(tr, -concurrency.held_by(function))
    if not function.provisioned:
        return
    for (qualifier,), _ in await PROVISIONED.list(tr, function.key, limit=_ALL):
        assert isinstance(qualifier, str), "a version or alias"
        PROVISIONED.delete(tr, function.key, qualifier)
        consumers.remove(tr, READY, _ready_id(function, qualifier))


def _ready_id(function: FunctionRecord, qualifier: str) -> str:
    """Return what names the consumer that keeps a version or alias ready."""
    return f"{function.key}/{qualifier}"


async def find_provisioned(tr: Transaction, key: str, qualifier: str) -> ProvisionedRecord | None:
    """Return what is provisioned of a version or alias, or None."""
    return await PROVISIONED.find(tr, key, qualifier)


async def list_provisioned(
    tr: Transaction, function: FunctionRecord, after: str, limit: int
) -> list[tuple[str, ProvisionedRecord]]:
    """Return up to ``limit`` qualifiers and what is provisioned of them, in order."""
    behind = (after,) if after else None
    found = await PROVISIONED.list(tr, function.key, limit=limit, after=behind)
    return [(str(qualifier), record) for (qualifier,), record in found]


async def provision(
    tr: Transaction,
    function: FunctionRecord,
    qualifier: str,
    record: ProvisionedRecord,
    limits: Limits,
) -> None:
    """Write what is provisioned of a version or alias; a consumer keeps it ready from now on.

    Raises:
        InvalidParameterValueException: It is more than there is room for.
    """
    before = await PROVISIONED.find(tr, function.key, qualifier)
    change = record.count - (0 if before is None else before.count)
    held = await accounts.find_held(tr)
    after = concurrency.provisioned_function(function, change, held, limits)
    await put_held(tr, function, after)
    PROVISIONED.put(tr, record, function.key, qualifier)
    payload = encode(ReadyRecord(function.name, function.key, qualifier))
    consumer = Consumer(READY, _ready_id(function, qualifier), tr.domain.name, payload)
    consumers.put(tr, consumer)


async def unprovision(tr: Transaction, function: FunctionRecord, qualifier: str) -> FunctionRecord:
    """Remove what is provisioned of a version or alias, if anything is; return the function."""
    before = await PROVISIONED.find(tr, function.key, qualifier)
    if before is None:
        return function
    limits = Limits(0, 0)  # what is given back has room
    after = concurrency.provisioned_function(function, -before.count, 0, limits)
    await put_held(tr, function, after)
    PROVISIONED.delete(tr, function.key, qualifier)
    consumers.remove(tr, READY, _ready_id(function, qualifier))
    return after


async def check_single(
    tr: Transaction, function: FunctionRecord, version: str, alias: str = ""
) -> None:
    """Refuse to provision a version twice, by itself and by aliases that point to it.

    Raises:
        ResourceConflictException: It is provisioned already.
    """
    if alias and await PROVISIONED.find(tr, function.key, version) is not None:
        raise concurrency.conflict_of(alias=True)
    for qualifier, _ in await list_provisioned(tr, function, "", _ALL):
        other = await ALIASES.find(tr, function.key, qualifier)
        if other is not None and other.name != alias and other.version == version:
            raise concurrency.conflict_of(alias=bool(alias))


async def check_alias(tr: Transaction, function: FunctionRecord, alias: AliasRecord) -> None:
    """Refuse to point a provisioned alias to what cannot be provisioned.

    Raises:
        ResourceConflictException: The version is provisioned already.
        InvalidParameterValueException: It is no published version.
    """
    if await PROVISIONED.find(tr, function.key, alias.name) is not None:
        concurrency.check_published(alias.version)
        await check_single(tr, function, alias.version, alias.name)
