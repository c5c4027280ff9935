"""Why a caller was refused, gathered while it is still known.

Rule: a refusal is rare and its reasons change: what decided is written down then, in words that
stay true when policies are gone. The condition keys of a refusal are kept whole, so that a
condition that did not hold can be seen; the text of a statement is kept where one spoke.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from fogbank.base.arn import find_arn
from fogbank.contract.action import ContextValue, Point
from fogbank.gateway.visit import Reasons, Visit
from fogbank.platform.iam.decision import Decided, Decision, PolicySource
from fogbank.platform.iam.request import AccessRequest
from fogbank.platform.identity.grants import Sourced, documents_of
from fogbank.platform.identity.identity import Identity
from fogbank.platform.identity.principal import Principal, PrincipalKind
from fogbank.platform.identity.records import iam_domain
from fogbank.platform.metering.records import Caller, DenialRecord, LookedAt
from fogbank.platform.store.engine import Placement

LOOKED_AT_MAX: Final = 64
KEYS_MAX: Final = 128
TEXT_MAX: Final = 8_192


async def _documents_of(placement: Placement, principal: Principal) -> list[Sourced]:
    """Return the text of every policy that hangs on a principal, each with where it hangs."""
    if principal.kind not in (PrincipalKind.USER, PrincipalKind.SESSION):
        return []
    documents = await placement.store_of(iam_domain(principal.account)).read(
        lambda tr: documents_of(tr, principal)
    )
    return [*documents.identity, *documents.session, *(documents.boundary or [])]


async def reasons_of(
    placement: Placement,
    principal: Principal,
    request: AccessRequest,
    decision: Decision,
    resources: Sequence[Sourced],
) -> Reasons:
    """Return what a request was refused on.

    Args:
        placement: Where the caller's policies are.
        principal: The caller.
        request: What was asked.
        decision: The refusal.
        resources: The policies of what was asked for: of what was decided on last first.
    """
    found = [*await _documents_of(placement, principal), *resources]
    looked_at = tuple(LookedAt(*source) for _, source in found[:LOOKED_AT_MAX])
    return Reasons(_keys_of(request.context), looked_at, _text_of(found, decision)[:TEXT_MAX])


def point_of(points: Sequence[Point], request: AccessRequest) -> Point | None:
    """Return the point that a request asked to pass, if it did."""
    inside = request.resource
    return next((each for each in points if inside == each.arn or _is_in(inside, each)), None)


def _is_in(resource: str, point: Point) -> bool:
    return resource.startswith(f"{point.arn}/object/")


def points_said(points: Sequence[Point], first: Point | None = None) -> list[Sourced]:
    """Return the policies of points, the first one's first, each with where it hangs."""
    ordered = sorted(points, key=lambda point: point is not first)
    return [
        (point.said, PolicySource("resource", "", point.arn)) for point in ordered if point.said
    ]


async def trust_of(identity: Identity, request: AccessRequest) -> Sourced | None:
    """Return the trust policy of the role that a request wants to assume, if it does."""
    arn = find_arn(request.resource)
    if arn is None or not request.action.startswith("sts:"):
        return None
    role = await identity.find_role(arn.account, arn.resource.rpartition("/")[2])
    if role is None:
        return None
    return role.trust, PolicySource("trust", "", request.resource)


def _keys_of(context: Mapping[str, ContextValue | Sequence[str]]) -> dict[str, Any]:
    """Return condition keys as they are kept."""
    rows = list(context.items())[:KEYS_MAX]
    return {key: value if isinstance(value, str) else list(value) for key, value in rows}


def _text_of(found: Sequence[Sourced], decision: Decision) -> str:
    """Return the statement that decided, as JSON; '' if none spoke."""
    if decision.statement is None or decision.source is None:
        return ""
    for text, source in found:
        if _is_same(source, decision.source):
            statement = _statement(text, decision.statement.index)
            if statement:
                return statement
    return ""


def _is_same(one: PolicySource, other: PolicySource) -> bool:
    """Return whether two sources are one policy; a resource's may not say whose it is."""
    if other.kind in ("resource", "trust"):
        return one.kind == other.kind
    return one == other


def _statement(text: str, index: int) -> str:
    """Return one statement of a document."""
    said: Any = json.loads(text).get("Statement", [])
    statements = cast("list[Any]", said if isinstance(said, list) else [said])
    return json.dumps(statements[index]) if index < len(statements) else ""


def denial_of(visit: Visit, caller: Caller, reasons: Reasons | None) -> DenialRecord | None:
    """Return the record of why a call was refused, or None if no decision refused it."""
    refusals = [each for each in visit.decisions if not each[2].allowed]
    if not refusals:
        return None
    action, resource, decision = refusals[-1]
    decided: Decided = decision.decided(action, resource)
    reasons = reasons or Reasons({})
    return DenialRecord(
        visit.now_ms,
        visit.request_id,
        caller,
        action,
        resource,
        decided.reason,
        decided.explanation,
        decided.policy_kind,
        decided.policy,
        decided.holder,
        decided.sid,
        decided.statement,
        reasons.text,
        reasons.keys,
        reasons.looked_at,
    )
