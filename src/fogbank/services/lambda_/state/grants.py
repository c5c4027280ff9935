"""Who still needs the grants by which roles have variables decrypted.

A grant lies under the key of its function with the number of those that refer to it: the function itself,
and versions that were published while it had it. With the last of them it is queued to be retired.
"""

from __future__ import annotations

from typing import Final

from fogbank.platform.scheduler import worklist
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.records import encode
from fogbank.services.lambda_.schema import GRANTS, FunctionRecord, GrantRecord, RetiringRecord

RETIRING: Final = "lambda.retiring"
"""The work list of grants that nobody needs any more."""


async def retain(tr: Transaction, function: FunctionRecord) -> None:
    """Refer to the grant of a function or a version, if it has one."""
    if not function.grant:
        return
    found = await GRANTS.find(tr, function.key, function.grant)
    users = 0 if found is None else found.users
    GRANTS.put(tr, GrantRecord(function.kms_key, users + 1), function.key, function.grant)


async def release(tr: Transaction, function: FunctionRecord) -> None:
    """Let go of the grant of a function or a version that goes or has another."""
    if not function.grant:
        return
    found = await GRANTS.find(tr, function.key, function.grant)
    assert found is not None, "a grant is referred to as long as it is needed"
    if found.users > 1:
        fewer = GrantRecord(found.kms_key, found.users - 1)
        GRANTS.put(tr, fewer, function.key, function.grant)
        return
    GRANTS.delete(tr, function.key, function.grant)
    now_ms = await tr.now_ms()
    entry = WorkEntry(
        list=RETIRING,
        id=function.grant,
        domain=tr.domain.name,
        payload=encode(RetiringRecord(found.kms_key, function.grant)),
        created_ms=now_ms,
        visible_ms=now_ms,
    )
    worklist.put(tr, entry)


async def change(tr: Transaction, before: FunctionRecord, after: FunctionRecord) -> None:
    """Refer to the grant that a function has from now on, and no longer to the one that it had."""
    if before.grant != after.grant:
        await retain(tr, after)
        await release(tr, before)
