"""Sessions: temporary credentials for roles, users and the root user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from fogbank.base.errors import AccessDenied
from fogbank.base.types import Request
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.iam.decision import Decision, Reason
from fogbank.platform.iam.evaluate import evaluate
from fogbank.platform.iam.request import AccessRequest
from fogbank.platform.identity.credentials import Credential
from fogbank.platform.identity.grants import find_policy_document
from fogbank.platform.identity.lookups import partition_of
from fogbank.platform.identity.principal import PrincipalKind
from fogbank.platform.identity.records import RoleRecord, iam_domain
from fogbank.platform.identity.tokens import Session
from fogbank.platform.store.engine import Transaction
from fogbank.services.sts import rules
from fogbank.services.sts.errors import ValidationError
from fogbank.services.sts.rules import RoleName, SessionTags

if TYPE_CHECKING:
    from fogbank.wire.shapes import sts as shapes


def _credentials_view(credential: Credential) -> shapes.Credentials:
    """Return a temporary credential as the wire has it."""
    return {
        "AccessKeyId": credential.access_key_id,
        "SecretAccessKey": credential.secret_access_key,
        "SessionToken": credential.session_token,
        "Expiration": credential.expires_ms // 1000 * 1000,
    }


def _denied(call: Call, arn: str) -> AccessDenied:
    """Return the denial that does not say whether the role stands."""
    user = call.principal.arn or "anonymous"
    return AccessDenied(
        f"User: {user} is not authorized to perform: sts:AssumeRole on resource: {arn}"
    )


async def _require_role(call: Call, arn: str, named: RoleName) -> RoleRecord:
    """Return the role of an ARN, or refuse the call as if it did not trust the caller."""
    role = await call.identity.find_role(named.account, named.name)
    if role is None or role.path != named.path or named.partition != call.scope.partition:
        raise _denied(call, arn)
    partition = await call.read(iam_domain(named.account), partition_of)
    if partition != named.partition:
        raise _denied(call, arn)
    return role


async def _decide(
    call: Call, request: Request, role: RoleRecord, actions: list[str], source_identity: str
) -> None:
    """Raise access denied unless the trust policy, and the caller's where it must, allow."""
    arn, account = request["RoleArn"], rules.role_name_of(request["RoleArn"]).account
    trust = call.identity.policies.compiled(role.trust, "trust", role.trusted)
    policies = (await call.identity.policies.of(call.principal)).with_resource(trust, required=True)
    context = {**call.access_context, **rules.context_of(request, role, source_identity)}
    for action in actions:
        asked = AccessRequest(call.principal, action, arn, context, account)
        decision = evaluate(asked, policies)
        call.asked = asked
        call.decisions.append((action, arn, decision))
        if not decision.allowed:
            raise _denial(call, asked, decision)


def _denial(call: Call, asked: AccessRequest, decision: Decision) -> AccessDenied:
    """Return the denial of a caller; a stranger is not told what a trust policy says."""
    trust = decision.reason in (Reason.NO_TRUST, Reason.DENIED_BY_TRUST)
    if trust and asked.resource_account != call.principal.account:
        return _denied(call, asked.resource)
    return AccessDenied(decision.message(asked))


async def _require_policies(call: Call, account: str, policies: tuple[str, ...]) -> None:
    """Refuse session policies by ARN that do not stand in the role's account."""
    arns = [policy for policy in policies if policy.startswith("arn:")]
    if not arns:
        return

    async def body(tr: Transaction) -> list[str]:
        return [arn for arn in arns if await find_policy_document(tr, arn) is None]

    missing = await call.read(iam_domain(account), body)
    if missing:
        raise ValidationError(f"PolicyArns: {missing[0]} does not exist or is not attachable.")


@operation(
    access=rules.no_access,
    unhonoured={
        "ProvidedContexts": [],
        "MinimumSessionTokenSize": frozenset(),
    },
)
async def assume_role(call: Call, request: shapes.AssumeRoleRequest) -> shapes.AssumeRoleResponse:
    """Return credentials for a session of a role that trusts the caller."""
    principal, arn = call.principal, request["RoleArn"]
    if principal.kind is PrincipalKind.ROOT:
        raise AccessDenied("Roles may not be assumed by root accounts.")
    named = rules.role_name_of(arn)
    policies = rules.session_policies_of(request, call.scope.partition)
    tags = rules.tags_of(request, principal)
    source_identity = rules.source_identity_of(request, principal)
    role = await _require_role(call, arn, named)
    mfa_ms = await _prove_second_factor(call, request)
    actions = rules.actions_of(request, tags, source_identity)
    await _decide(call, request, role, actions, source_identity)
    await _require_policies(call, named.account, policies)
    fresh = call.identity.new_session(
        account=named.account,
        kind=PrincipalKind.SESSION,
        unique_id=role.unique_id,
        name=role.name,
        duration_s=rules.duration_s_of(request, role, principal),
    )
    session = msgspec.structs.replace(
        fresh,
        session_name=request["RoleSessionName"],
        policies=policies,
        tags=tags.tags,
        transitive=tags.transitive,
        source_identity=source_identity,
        source_function_arn=rules.function_of(principal),
        mfa_ms=mfa_ms,
    )
    return _assumed_view(await call.identity.session(session), session, tags)


async def _prove_second_factor(call: Call, request: Request) -> int:
    """Take the code of an MFA device that a request has; return when, or 0 if it has none.

    Raises:
        AccessDenied: It is no code of a device of the caller.
    """
    given = rules.second_factor_of(request)
    if given is None:
        return 0
    await call.identity.require_code(call.principal, *given)
    return call.clock.now_ms()


def _assumed_view(
    credential: Credential, session: Session, tags: SessionTags
) -> shapes.AssumeRoleResponse:
    """Return the answer to AssumeRole."""
    view: shapes.AssumeRoleResponse = {
        "Credentials": _credentials_view(credential),
        "AssumedRoleUser": {
            "AssumedRoleId": credential.principal.user_id,
            "Arn": credential.principal.arn,
        },
    }
    if session.policies or tags.tags:
        view["PackedPolicySize"] = rules.packed_percent(session.policies, tags.tags)
    if session.source_identity:
        view["SourceIdentity"] = session.source_identity
    return view


@operation(access=rules.no_access, unhonoured={"MinimumSessionTokenSize": frozenset()})
async def get_session_token(
    call: Call, request: shapes.GetSessionTokenRequest
) -> shapes.GetSessionTokenResponse:
    """Return temporary credentials for the calling user itself."""
    principal = call.principal
    if principal.is_temporary or principal.kind not in (PrincipalKind.USER, PrincipalKind.ROOT):
        raise AccessDenied("Cannot call GetSessionToken with session credentials")
    session = call.identity.new_session(
        account=principal.account,
        kind=principal.kind,
        unique_id=principal.unique_id,
        name=principal.name,
        duration_s=rules.token_duration_s_of(request, principal),
    )
    session = msgspec.structs.replace(session, mfa_ms=await _prove_second_factor(call, request))
    return {"Credentials": _credentials_view(await call.identity.session(session))}
