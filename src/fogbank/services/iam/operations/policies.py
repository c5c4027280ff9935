"""Customer managed policies: documents with versions that many entities share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from fogbank.base.types import Request, Wire
from fogbank.contract.action import Access, AccessOf, Scope
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.identity.managed import ManagedPolicy, managed_policies
from fogbank.platform.identity.records import Pairs, PolicyRecord, PolicyVersion
from fogbank.platform.store.engine import Transaction
from fogbank.services.iam import rules, state
from fogbank.services.iam.arns import policy_arn
from fogbank.services.iam.errors import DeleteConflict, LimitExceeded, NoSuchEntity
from fogbank.services.iam.quotas import (
    MANAGED_CHARACTERS,
    POLICY_VERSIONS_MAX,
    UNIQUE_ID_CHARACTERS,
)

if TYPE_CHECKING:
    from fogbank.wire.shapes import iam as shapes


def _on_policy(action: str) -> AccessOf:
    """Return the access of an operation on the policy that a request names."""

    def access(scope: Scope, request: Request) -> list[Access]:
        del scope
        return [Access(f"iam:{action}", request["PolicyArn"])]

    return access


def _create_access(scope: Scope, request: Request) -> list[Access]:
    """Return the access of creating a policy."""
    arn = policy_arn(scope, request.get("Path", "/"), request["PolicyName"])
    return [Access("iam:CreatePolicy", arn, rules.created_tag_context(request))]


def _check(call: Call, document: str) -> None:
    """Refuse a document that is no managed policy."""
    characters_max = call.limit(MANAGED_CHARACTERS)
    if rules.characters_of(document) > characters_max:
        raise LimitExceeded(f"Cannot exceed quota for PolicySize: {characters_max}")
    rules.checked(document, "identity", call.scope.partition, current_version=True)


async def _own(tr: Transaction, call: Call, arn: str) -> PolicyRecord:
    """Return a policy that the account may change."""
    policy = await state.require_policy(tr, call.scope, arn)
    if isinstance(policy, ManagedPolicy):
        raise rules.not_own(arn)
    return policy


def _version(policy: PolicyRecord, arn: str, version_id: str) -> PolicyVersion:
    """Return a version of a policy, or refuse the call."""
    version = policy.version(version_id)
    if version is None:
        raise NoSuchEntity(
            f"Policy {arn} version {version_id} does not exist or is not attachable."
        )
    return version


@operation(access=_create_access)
async def create_policy(
    call: Call, request: shapes.CreatePolicyRequest
) -> shapes.CreatePolicyResponse:
    """Create a managed policy with its first version."""
    _check(call, request["PolicyDocument"])
    now_ms = call.clock.now_ms()
    policy = PolicyRecord(
        name=request["PolicyName"],
        path=request.get("Path", "/"),
        unique_id=rules.UNIQUE_ID_PREFIXES["policy"] + call.ids.base32(UNIQUE_ID_CHARACTERS),
        created_ms=now_ms,
        updated_ms=now_ms,
        versions=(PolicyVersion("v1", request["PolicyDocument"], now_ms),),
        default="v1",
        last_number=1,
        description=request.get("Description", ""),
        tags=rules.with_tags((), request.get("Tags", [])),
    )

    async def body(tr: Transaction) -> None:
        await state.require_free_policy(tr, policy.name)
        state.put_policy(tr, policy)

    await call.identity.change(call.account, body)
    view = rules.policy_view(call.scope, policy)
    return {"Policy": {**view, **rules.policy_tags(policy)}}


@operation(access=_on_policy("GetPolicy"))
async def get_policy(call: Call, request: shapes.GetPolicyRequest) -> shapes.GetPolicyResponse:
    """Describe a managed policy."""
    arn = request["PolicyArn"]

    async def body(tr: Transaction) -> shapes.Policy:
        policy = await state.require_policy(tr, call.scope, arn)
        view = rules.policy_view(call.scope, policy, await state.uses(tr, arn))
        return {**view, **rules.policy_details(policy)}

    return {"Policy": await call.store.read(body)}


def _wanted(request: Request) -> Callable[[rules.Uses], bool]:
    """Return which policies a request lists, by how they are used."""
    bounding = request.get("PolicyUsageFilter") == "PermissionsBoundary"
    attached = request.get("OnlyAttached", False)

    def wanted(uses: rules.Uses) -> bool:
        if bounding:
            return uses.bounding > 0
        return not attached or uses.attached > 0

    return wanted


@operation(access=rules.lists("ListPolicies", "policy"))
async def list_policies(
    call: Call, request: shapes.ListPoliciesRequest
) -> shapes.ListPoliciesResponse:
    """List managed policies: the account's in order of name, then AWS's."""
    scope, after = request.get("Scope", "All"), rules.after_of(request) or ""
    limit, prefix = rules.limit_of(request), request.get("PathPrefix", "/")
    wanted = _wanted(request)

    async def body(tr: Transaction) -> tuple[list[shapes.Policy], str | None]:
        views: list[shapes.Policy] = []
        # A marker is the name of an own policy, or the ARN of one of AWS's.
        if scope != "AWS" and not after.startswith("arn:"):
            own, last = await state.policies(tr, prefix, after or None, limit)
            for policy in own:
                views += await _listed(tr, call, policy, wanted)
            if last is not None:
                return views, last
        managed = () if scope == "Local" else sorted(managed_policies(call.scope.partition).items())
        begin = after if after.startswith("arn:") else ""
        last = None
        for arn, policy in managed:
            if arn <= begin or not policy.path.startswith(prefix):
                continue
            if len(views) >= limit:
                return views, last or rules.LAST_OWN
            views += await _listed(tr, call, policy, wanted)
            last = arn
        return views, None

    views, last = await call.store.read(body)
    return {"Policies": views, **rules.paging(last)}


async def _listed(
    tr: Transaction,
    call: Call,
    policy: PolicyRecord | ManagedPolicy,
    wanted: Callable[[rules.Uses], bool],
) -> list[shapes.Policy]:
    """Return the view of a policy, or nothing if it should not be listed."""
    uses = await state.uses(tr, rules.arn_of(call.scope, policy))
    return [rules.policy_view(call.scope, policy, uses)] if wanted(uses) else []


@operation(access=_on_policy("DeletePolicy"))
async def delete_policy(call: Call, request: shapes.DeletePolicyRequest) -> Wire:
    """Delete a managed policy that has one version and is attached to nobody."""
    arn = request["PolicyArn"]

    async def body(tr: Transaction) -> None:
        policy = await _own(tr, call, arn)
        if any(await state.uses(tr, arn)):
            raise DeleteConflict("Cannot delete a policy attached to entities.")
        if len(policy.versions) > 1:
            raise DeleteConflict(
                "This policy has more than one version. Before you delete a policy, you must "
                "delete the policy's versions. The default version is deleted with the policy."
            )
        state.delete_policy(tr, policy)

    await call.identity.change(call.account, body)
    return {}


@operation(access=_on_policy("CreatePolicyVersion"))
async def create_policy_version(
    call: Call, request: shapes.CreatePolicyVersionRequest
) -> shapes.CreatePolicyVersionResponse:
    """Add a version to a managed policy, in force at once if asked."""
    _check(call, request["PolicyDocument"])
    now_ms = call.clock.now_ms()

    async def body(tr: Transaction) -> shapes.PolicyVersion:
        policy = await _own(tr, call, request["PolicyArn"])
        if len(policy.versions) >= POLICY_VERSIONS_MAX:
            raise LimitExceeded(
                "A managed policy can have up to 5 versions. Before you create a new version, "
                "you must delete an existing version."
            )
        number = policy.last_number + 1
        version = PolicyVersion(f"v{number}", request["PolicyDocument"], now_ms)
        default = version.version_id if request.get("SetAsDefault", False) else policy.default
        state.put_policy(
            tr,
            msgspec.structs.replace(
                policy,
                versions=(*policy.versions, version),
                default=default,
                last_number=number,
                updated_ms=now_ms,
            ),
        )
        return rules.version_view(version, default)

    return {"PolicyVersion": await call.identity.change(call.account, body)}


@operation(access=_on_policy("GetPolicyVersion"))
async def get_policy_version(
    call: Call, request: shapes.GetPolicyVersionRequest
) -> shapes.GetPolicyVersionResponse:
    """Return a version of a managed policy with its document."""
    arn = request["PolicyArn"]

    async def body(tr: Transaction) -> shapes.PolicyVersion:
        policy = rules.as_record(await state.require_policy(tr, call.scope, arn))
        version = _version(policy, arn, request["VersionId"])
        return rules.version_view(version, policy.default, document=True)

    return {"PolicyVersion": await call.store.read(body)}


@operation(access=_on_policy("ListPolicyVersions"))
async def list_policy_versions(
    call: Call, request: shapes.ListPolicyVersionsRequest
) -> shapes.ListPolicyVersionsResponse:
    """List the versions of a managed policy, the newest first."""
    arn = request["PolicyArn"]

    async def body(tr: Transaction) -> list[tuple[str, shapes.PolicyVersion]]:
        policy = rules.as_record(await state.require_policy(tr, call.scope, arn))
        newest_first = policy.versions[::-1]
        return [
            (f"{number:04d}", rules.version_view(version, policy.default))
            for number, version in enumerate(newest_first)
        ]

    shown, paging = rules.page(request, await call.store.read(body))
    return {"Versions": shown, **paging}


@operation(access=_on_policy("DeletePolicyVersion"))
async def delete_policy_version(call: Call, request: shapes.DeletePolicyVersionRequest) -> Wire:
    """Delete a version of a managed policy that is not in force."""
    arn = request["PolicyArn"]

    async def body(tr: Transaction) -> None:
        policy = await _own(tr, call, arn)
        version = _version(policy, arn, request["VersionId"])
        if version.version_id == policy.default:
            raise DeleteConflict("Cannot delete the default version of a policy.")
        versions = tuple(one for one in policy.versions if one != version)
        state.put_policy(tr, msgspec.structs.replace(policy, versions=versions))

    await call.identity.change(call.account, body)
    return {}


@operation(access=_on_policy("SetDefaultPolicyVersion"))
async def set_default_policy_version(
    call: Call, request: shapes.SetDefaultPolicyVersionRequest
) -> Wire:
    """Put a version of a managed policy in force."""
    arn, now_ms = request["PolicyArn"], call.clock.now_ms()

    async def body(tr: Transaction) -> None:
        policy = await _own(tr, call, arn)
        version = _version(policy, arn, request["VersionId"])
        state.put_policy(
            tr,
            msgspec.structs.replace(policy, default=version.version_id, updated_ms=now_ms),
        )

    await call.identity.change(call.account, body)
    return {}


async def _change_tags(call: Call, arn: str, tags: Callable[[Pairs], Pairs]) -> Wire:
    """Write the tags of a policy, as a function of what they were."""

    async def body(tr: Transaction) -> None:
        policy = await _own(tr, call, arn)
        state.put_policy(tr, msgspec.structs.replace(policy, tags=tags(policy.tags)))

    await call.identity.change(call.account, body)
    return {}


def _tag_access(action: str) -> AccessOf:
    """Return the access of an operation that changes a policy's tags."""

    def access(scope: Scope, request: Request) -> list[Access]:
        del scope
        return [Access(f"iam:{action}", request["PolicyArn"], rules.request_tag_context(request))]

    return access


@operation(access=_tag_access("TagPolicy"))
async def tag_policy(call: Call, request: shapes.TagPolicyRequest) -> Wire:
    """Put tags on a managed policy."""
    given = request["Tags"]
    return await _change_tags(call, request["PolicyArn"], lambda tags: rules.with_tags(tags, given))


@operation(access=_tag_access("UntagPolicy"))
async def untag_policy(call: Call, request: shapes.UntagPolicyRequest) -> Wire:
    """Remove tags from a managed policy."""
    keys = request["TagKeys"]
    return await _change_tags(
        call, request["PolicyArn"], lambda tags: rules.without_tags(tags, keys)
    )


@operation(access=_on_policy("ListPolicyTags"))
async def list_policy_tags(
    call: Call, request: shapes.ListPolicyTagsRequest
) -> shapes.ListPolicyTagsResponse:
    """List the tags of a managed policy."""
    arn = request["PolicyArn"]

    async def body(tr: Transaction) -> PolicyRecord:
        return rules.as_record(await state.require_policy(tr, call.scope, arn))

    policy = await call.store.read(body)
    shown, paging = rules.page(request, rules.numbered(rules.tags_view(policy.tags)))
    return {"Tags": shown, **paging}
