"""The policies of tables and streams: what the gateway reads to decide, and what operations change.

Rule: the record of a table or stream says whether it has a policy and which revision, so that one
without costs nothing; operations on items confirm that in the transaction that reads the record.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fogbank.contract.action import Access
from fogbank.contract.call import Call
from fogbank.contract.facet import ResourcePolicies, Standing
from fogbank.platform.iam.bound import BoundPolicy
from fogbank.platform.iam.malformed import MalformedPolicy
from fogbank.platform.iam.request import Caller
from fogbank.platform.identity.bound import UnknownPrincipal, bind
from fogbank.platform.store.engine import Transaction
from fogbank.services.dynamodb.errors import ResourceNotFoundException
from fogbank.services.dynamodb.rules import policies, resources, streams
from fogbank.services.dynamodb.rules.resources import Resource
from fogbank.services.dynamodb.schema import (
    POLICIES,
    STREAMS,
    TABLES,
    PolicyRecord,
    StreamRecord,
    TableRecord,
)

Holder = TableRecord | StreamRecord
"""What a policy hangs on."""


async def record_of(call: Call, document: str) -> PolicyRecord:
    """Return a checked policy as it is kept, with whom its names mean.

    Raises:
        ValidationException: It names nobody.
    """
    text = policies.kept_text(document)
    try:
        policy = call.identity.policies.compiled(text, "resource")
        return PolicyRecord(document=text, bound=await bind(call.facilities.placement, policy))
    except (MalformedPolicy, UnknownPrincipal):
        raise policies.invalid_principal() from None


async def find_holder(tr: Transaction, resource: Resource) -> Holder | None:
    """Return the record of a table or stream, or None if it does not stand."""
    if not resource.stream_label:
        return await TABLES.find(tr, resource.table)
    created_ms = streams.find_created_ms(resource.stream_label)
    return None if created_ms is None else await STREAMS.find(tr, resource.table, created_ms)


async def require_holder(tr: Transaction, resource: Resource) -> Holder:
    """Return the record of a table or stream whose policy is asked for.

    Raises:
        ResourceNotFoundException: It does not stand.
    """
    found = await find_holder(tr, resource)
    if found is not None:
        return found
    if resource.stream_label:
        raise ResourceNotFoundException(
            f"Requested resource not found: Stream: {resource.stream_label} not found for Table: "
            f"{resource.table}"
        )
    raise ResourceNotFoundException(
        f"Requested resource not found: Table: {resource.table} not found"
    )


def _key_of(holder: Holder) -> tuple[str, int]:
    """Return where the policy of a table or stream lies."""
    if isinstance(holder, TableRecord):
        return holder.id, 0
    return holder.table_id, holder.created_ms


async def policy_of(tr: Transaction, holder: Holder) -> PolicyRecord | None:
    """Return the policy of a table or stream, or None if it has none."""
    if not holder.has_policy:
        return None
    found = await POLICIES.find(tr, *_key_of(holder))
    assert found is not None, "what says that it has a policy has one"
    return found


def put_policy(tr: Transaction, holder: Holder, policy: PolicyRecord, now_ms: int) -> str:
    """Give a table or stream a policy, in place of what it had; return the revision.

    ``holder`` is stale afterwards.
    """
    POLICIES.put(tr, policy, *_key_of(holder))
    revision_ms = policies.next_revision_ms(holder, now_ms)
    changed = msgspec.structs.replace(holder, has_policy=True, policy_ms=revision_ms)
    _put(tr, changed)
    return policies.revision_of(changed)


def delete_policy(tr: Transaction, holder: Holder) -> None:
    """Take the policy of a table or stream away; ``holder`` is stale afterwards."""
    POLICIES.delete(tr, *_key_of(holder))
    _put(tr, msgspec.structs.replace(holder, has_policy=False))


def drop_policy(tr: Transaction, holder: Holder) -> None:
    """Remove the policy of a table or stream that goes itself."""
    if holder.has_policy:
        POLICIES.delete(tr, *_key_of(holder))


def _put(tr: Transaction, holder: Holder) -> None:
    if isinstance(holder, TableRecord):
        TABLES.put(tr, holder, holder.name)
    else:
        STREAMS.put(tr, holder, holder.table, holder.created_ms)


def confirm(tr: Transaction, call: Call, holder: Holder, within: str) -> None:
    """Confirm in a transaction what was decided on a table or stream.

    Args:
        tr: The transaction that read the record.
        call: The call.
        holder: The record.
        within: Which of the resources of the domain it is (``Resource.within``).
    """
    plain = not holder.has_policy and tr.domain.name[1] == call.account
    if plain and not call.standings:
        # As nearly always: nothing was decided on, so there is nothing to compare.
        call.confirmed = (tr.domain, within)
        return
    call.confirm(tr.domain, policies.token_of(holder), plain=plain, within=within)


async def find_standing(tr: Transaction, access: Access, caller: Caller) -> Standing | None:
    """Return what a table or stream says of who may reach it, or None if it does not stand."""
    resource = resources.find_resource(access.resource)
    assert resource is not None, "asked only for what has a domain"
    holder = await find_holder(tr, resource)
    if holder is None:
        return None
    token = policies.token_of(holder)
    # AWS: the root user of the account can always take a policy away (DeleteResourcePolicy).
    spared = access.action == policies.DELETE and caller.kind == "root"
    if spared and caller.account == resource.account:
        return Standing(owner=resource.account, token=token)
    found = await policy_of(tr, holder)
    said = None if found is None else BoundPolicy(found.document, found.bound)
    return Standing(said, resource.account, token)


RESOURCE_POLICIES: Final = ResourcePolicies(
    domain=resources.find_domain,
    find=find_standing,
    presumed=True,
    confirming=policies.CONFIRMING,
    within=resources.within,
)
