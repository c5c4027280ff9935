"""Operations on grants: made, listed, retired by who holds them, revoked by who owns the key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fogbank.base.errors import NotBuilt
from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.iam.bound import Bound
from fogbank.platform.iam.malformed import MalformedPolicy
from fogbank.platform.identity.bound import UnknownPrincipal, bind
from fogbank.platform.store.engine import Transaction
from fogbank.services.kms import quotas
from fogbank.services.kms.arns import key_arn
from fogbank.services.kms.errors import (
    InvalidArnException,
    InvalidGrantIdException,
    InvalidGrantTokenException,
    ValidationException,
)
from fogbank.services.kms.rules import access, grants, names, states, tokens, views
from fogbank.services.kms.rules.access import GrantKeys
from fogbank.services.kms.schema import GrantRecord
from fogbank.services.kms.state import grants as kept
from fogbank.services.kms.state import keys
from fogbank.services.kms.state.permitted import (
    Found,
    change,
    check_tokens,
    end_dry_run,
    permitted,
)

if TYPE_CHECKING:
    from fogbank.wire.shapes import kms as shapes

_BYTES: Final = 32


@operation(
    access=access.in_operation,
    domain=names.domain_by("KeyId"),
    unhonoured={"GranteeServicePrincipal": None, "RetiringServicePrincipal": None},
)
async def create_grant(
    call: Call, request: shapes.CreateGrantRequest
) -> shapes.CreateGrantResponse:
    """Let a principal use a key, at once and until the grant ends."""
    context = access.grant_keys(request, call.http.via)
    found = await permitted(call, request["KeyId"], context, foreign=True)
    states.check_enabled(found.arn, found.key)
    grants.check(request, found.key)
    await check_tokens(call, found.name, request)
    asked = await _asked(call, found, request)
    end_dry_run(asked=request.get("DryRun", False))
    limit = call.limit(quotas.GRANTS)

    async def body(tr: Transaction) -> GrantRecord:
        key = await keys.require_key(tr, found.name, found.key.id)
        states.check_enabled(found.arn, key)
        same = await kept.find_same(tr, asked)
        if same is not None:
            return same
        await kept.create_grant(tr, asked, limit)
        return asked

    grant = await call.store.transact(body)
    salt = call.ids.random_bytes(tokens.SALT_BYTES)
    token = tokens.token_of(found.name.account, grant.key_id, grant.id, grant.secret, salt)
    return {"GrantToken": token, "GrantId": grant.id}


async def _asked(call: Call, found: Found, request: Request) -> GrantRecord:
    """Return the grant that a request asks for."""
    if "GranteePrincipal" not in request:
        raise ValidationException("GranteePrincipal is required.")
    grantee, retiring = request["GranteePrincipal"], request.get("RetiringPrincipal", "")
    constraints: dict[str, Any] = request.get("Constraints") or {}
    if "SourceArn" in constraints:
        raise NotBuilt.member("kms", "CreateGrant", "SourceArn")
    return GrantRecord(
        id=call.ids.random_bytes(_BYTES).hex(),
        key_id=found.key.id,
        name=request.get("Name", ""),
        created_ms=call.clock.now_ms(),
        grantee=grantee,
        retiring=retiring,
        issuer=call.account,
        operations=tuple(dict.fromkeys(request["Operations"])),
        secret=call.ids.random_bytes(_BYTES),
        equals=constraints.get(grants.EQUALS),
        subset=constraints.get(grants.SUBSET),
        bound=await _bound(call, *(name for name in (grantee, retiring) if name)),
    )


async def _bound(call: Call, *principals: str) -> Bound:
    """Return whom the principals of a grant mean.

    Raises:
        InvalidArnException: One of them is nobody.
    """
    try:
        policy = call.identity.policies.compiled(grants.document_of(*principals), "resource")
        return await bind(call.facilities.placement, policy)
    except (MalformedPolicy, UnknownPrincipal) as error:
        raise InvalidArnException(f"ARN does not refer to a valid principal: {error}") from error


@operation(
    access=access.in_operation,
    domain=names.domain_by("KeyId"),
    unhonoured={"GranteeServicePrincipal": None},
)
async def list_grants(call: Call, request: shapes.ListGrantsRequest) -> shapes.ListGrantsResponse:
    """List the grants of a key in order of their ids, or those that a principal holds."""
    context = access.for_aws_keys(call.http.via)
    found = await permitted(call, request["KeyId"], context, foreign=True)
    limit = min(request.get("Limit", quotas.PAGE), quotas.LISTED_MAX)
    after, grantee = request.get("Marker"), request.get("GranteePrincipal")
    grant_id = request.get("GrantId")

    async def body(tr: Transaction) -> list[GrantRecord]:
        if grant_id is not None:
            one = await kept.find_grant(tr, found.key.id, grant_id)
            return [] if one is None or grantee not in (None, one.grantee) else [one]
        if grantee is not None:
            return await kept.list_held(tr, found.key.id, grantee, after, limit + 1)
        return await kept.list_grants(tr, found.key.id, after, limit + 1)

    listed = await call.store.read(body)
    reply: shapes.ListGrantsResponse = {
        "Grants": [
            views.grant_view(found.name.account, found.name.region, grant)
            for grant in listed[:limit]
        ],
        "Truncated": len(listed) > limit,
    }
    if len(listed) > limit:
        reply["NextMarker"] = listed[limit - 1].id
    return reply


@operation(
    access=access.of_account("ListRetirableGrants"),
    unhonoured={"RetiringServicePrincipal": None},
)
async def list_retirable_grants(
    call: Call, request: shapes.ListRetirableGrantsRequest
) -> shapes.ListGrantsResponse:
    """List the grants of the account's keys that a principal may retire."""
    if "RetiringPrincipal" not in request:
        raise ValidationException("RetiringPrincipal is required.")
    retiring, marker = request["RetiringPrincipal"], request.get("Marker")
    limit = min(request.get("Limit", quotas.PAGE), quotas.LISTED_MAX)
    key_id, _, grant_id = (marker or "").partition(" ")
    after = (key_id, grant_id) if marker else None

    async def body(tr: Transaction) -> list[GrantRecord]:
        return await kept.list_retirable(tr, retiring, after, limit + 1)

    listed = await call.store.read(body)
    reply: shapes.ListGrantsResponse = {
        "Grants": [views.grant_view(call.account, call.region, grant) for grant in listed[:limit]],
        "Truncated": len(listed) > limit,
    }
    if len(listed) > limit:
        last = listed[limit - 1]
        reply["NextMarker"] = f"{last.key_id} {last.id}"
    return reply


@operation(access=access.in_operation, domain=names.retired_domain)
async def retire_grant(call: Call, request: shapes.RetireGrantRequest) -> Wire:
    """End a grant that is done with: its token, or its key and id, say which."""
    token = request.get("GrantToken")
    key_id, grant_id = request.get("KeyId"), request.get("GrantId")
    if token is not None:
        grant = await call.store.read(lambda tr: kept.find_tokened(tr, token))
        if grant is None:
            raise InvalidGrantTokenException("The grant token is not valid.")
        account = names.retired_domain(call.scope, request).name[1]
        key_id, grant_id = key_arn(call.region, account, grant.key_id), grant.id
    if key_id is None or grant_id is None:
        raise ValidationException("Either a grant token, or a key ARN and a grant ID are required.")
    return await _end(call, request, key_id, grant_id)


@operation(access=access.in_operation, domain=names.domain_by("KeyId"))
async def revoke_grant(call: Call, request: shapes.RevokeGrantRequest) -> Wire:
    """End a grant whoever holds it."""
    return await _end(call, request, request["KeyId"], request["GrantId"])


async def _end(call: Call, request: Request, key_text: str, grant_id: str) -> Wire:
    """End a grant.

    Raises:
        InvalidGrantIdException: The key has no such grant.
    """
    context = GrantKeys(access.for_aws_keys(call.http.via), grant_id)
    found = await permitted(call, key_text, context, foreign=True)
    if await call.store.read(lambda tr: kept.find_grant(tr, found.key.id, grant_id)) is None:
        raise _unknown(grant_id)
    end_dry_run(asked=request.get("DryRun", False))

    async def body(tr: Transaction) -> None:
        grant = await kept.find_grant(tr, found.key.id, grant_id)
        if grant is None:
            raise _unknown(grant_id)
        await kept.delete_grant(tr, grant)

    await change(call, found.name.account, body)
    return {}


def _unknown(grant_id: str) -> InvalidGrantIdException:
    """Return the error for a grant that the key does not have."""
    return InvalidGrantIdException(f"Grant ID {grant_id} not found")
