"""Pure decisions of IAM: what a document, a tag or a page may be, and how records look outside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypedDict, TypeVar
from urllib.parse import quote

from fogbank.base.errors import AccessDenied, NotBuilt
from fogbank.base.types import Request
from fogbank.contract.action import Access, AccessOf, ContextValue, Scope
from fogbank.platform.iam.document import Kind as PolicyKind
from fogbank.platform.iam.malformed import MalformedPolicy, NotEvaluated
from fogbank.platform.iam.policy import Policy, compile_policy
from fogbank.platform.identity import linked
from fogbank.platform.identity.managed import ManagedPolicy
from fogbank.platform.identity.records import (
    AccessKeyRecord,
    AccountRecord,
    GroupRecord,
    MfaDeviceRecord,
    Pairs,
    PolicyRecord,
    PolicyVersion,
    RoleRecord,
    UserRecord,
)
from fogbank.platform.identity.totp import find_consecutive
from fogbank.services.iam.arns import Kind, entity_arn, mfa_arn, policy_arn
from fogbank.services.iam.errors import (
    InvalidInput,
    LimitExceeded,
    MalformedPolicyDocument,
    PolicyNotAttachable,
    ValidationError,
)
from fogbank.services.iam.quotas import INLINE_CHARACTERS_MAX, PAGE_ITEMS, TAGS_MAX

if TYPE_CHECKING:
    from fogbank.wire.shapes import iam as shapes

T = TypeVar("T")
Holder = UserRecord | AccountRecord
"""Who has MFA devices: a user, or the root user."""
Entity = UserRecord | RoleRecord | GroupRecord


class Paging(TypedDict, total=False):
    """The members of an answer that say whether more follows, and behind which key."""

    IsTruncated: bool
    Marker: str


class _Details(TypedDict, total=False):
    """What is told of one user or role and not in lists."""

    PermissionsBoundary: shapes.AttachedPermissionsBoundary
    Tags: list[shapes.Tag]


class _PolicyDetails(TypedDict, total=False):
    """What is told of one policy and not in lists."""

    Description: str
    Tags: list[shapes.Tag]


LAST_OWN: Final = "arn:"
"""The marker between the account's policies and AWS's: below every ARN, above no name."""
# AWS: the actions that have the key iam:PermissionsBoundary (Service Authorization Reference,
# "Actions defined by AWS Identity and Access Management").
_BOUNDARY_KEYED: Final = frozenset(
    {
        *("CreateUser", "AttachUserPolicy", "DetachUserPolicy", "PutUserPolicy"),
        *("DeleteUserPolicy", "PutUserPermissionsBoundary", "DeleteUserPermissionsBoundary"),
        *("CreateRole", "AttachRolePolicy", "DetachRolePolicy", "PutRolePolicy"),
        *("DeleteRolePolicy", "PutRolePermissionsBoundary", "DeleteRolePermissionsBoundary"),
        *("DeleteRole", "GetRole", "UpdateRole", "UpdateRoleDescription"),
        "UpdateAssumeRolePolicy",
    }
)
BOUNDARY: Final = "boundary-"
"""What the kind of an attachment begins with if the policy bounds the entity."""
UNIQUE_ID_PREFIXES: Final = {"user": "AIDA", "role": "AROA", "group": "AGPA", "policy": "ANPA"}


# Documents.


def checked(
    document: str, kind: PolicyKind, partition: str, *, current_version: bool = False
) -> Policy:
    """Return the compiled policy of a document that names resources of one partition.

    Raises:
        MalformedPolicyDocument: In AWS's words.
        NotBuilt: The document uses what is not evaluated.
    """
    try:
        return compile_policy(
            document, kind=kind, current_version=current_version, partition=partition
        )
    except NotEvaluated as refused:
        raise NotBuilt(refused.message) from None
    except MalformedPolicy as refused:
        raise MalformedPolicyDocument(refused.message) from None


def characters_of(document: str) -> int:
    """Return the size of a document as quotas count it: without white space."""
    return len("".join(document.split()))


def with_inline(entity: Entity, kind: Kind, name: str, document: str) -> Pairs:
    """Return an entity's inline policies with one put, in order of name.

    Raises:
        LimitExceeded: All together are too large.
    """
    inline = {**dict(entity.inline), name: document}
    size_max = INLINE_CHARACTERS_MAX[kind]
    if sum(characters_of(one) for one in inline.values()) > size_max:
        raise LimitExceeded(
            f"Maximum policy size of {size_max} bytes exceeded for {kind} {entity.name}"
        )
    return tuple(sorted(inline.items()))


def require_own_path(request: Request) -> None:
    """Refuse a role where only service-linked roles lie.

    Raises:
        ValidationError: Its path is theirs.
    """
    path: str = request.get("Path", "/")
    if path.startswith(linked.PATH):
        raise ValidationError(f"The path {path} is kept for service-linked roles.")


def require_attachable(arn: str, entity: Entity) -> None:
    """Refuse a policy of service-linked roles for others.

    Raises:
        PolicyNotAttachable: It is one.
    """
    if f":policy{linked.PATH}" in arn:
        what = "Role" if isinstance(entity, RoleRecord) else "entity"
        raise PolicyNotAttachable(f"Cannot attach a Service Role Policy to a Customer {what}.")


# Tags.


def with_tags(before: Pairs, given: Iterable[shapes.Tag]) -> Pairs:
    """Return tags with others put over them; keys are the same without regard to case.

    Raises:
        InvalidInput: A key stands twice or belongs to AWS.
        LimitExceeded: There would be too many.
    """
    tags = {key.lower(): (key, value) for key, value in before}
    seen: set[str] = set()
    for tag in given:
        key = tag["Key"].lower()
        if key in seen:
            raise InvalidInput(
                "Duplicate tag keys found. Please note that Tag keys are case insensitive."
            )
        if key.startswith("aws:"):
            raise InvalidInput("aws: prefixed tag key names are not allowed for external use.")
        seen.add(key)
        tags[key] = (tag["Key"], tag["Value"])
    if len(tags) > TAGS_MAX:
        raise LimitExceeded("The number of tags has reached the maximum limit.")
    return tuple(tags.values())


def without_tags(before: Pairs, keys: Iterable[str]) -> Pairs:
    """Return tags without those of some keys."""
    gone = {key.lower() for key in keys}
    return tuple((key, value) for key, value in before if key.lower() not in gone)


def tags_view(tags: Pairs) -> list[shapes.Tag]:
    """Return tags as the wire has them."""
    return [{"Key": key, "Value": value} for key, value in tags]


def resource_tag_context(tags: Pairs) -> dict[str, ContextValue]:
    """Return the condition keys of an entity's tags."""
    context: dict[str, ContextValue] = {}
    for key, value in tags:
        context[f"aws:ResourceTag/{key}"] = value
        context[f"iam:ResourceTag/{key}"] = value
    return context


def request_tag_context(request: Request) -> dict[str, ContextValue]:
    """Return the condition keys of the tags that a request names."""
    tags = request.get("Tags", [])
    keys = [tag["Key"] for tag in tags] + request.get("TagKeys", [])
    if not keys:
        return {}
    context: dict[str, ContextValue] = {
        f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in tags
    }
    context["aws:TagKeys"] = tuple(keys)
    return context


def created_tag_context(request: Request) -> dict[str, ContextValue]:
    """Return the condition keys of the tags that a request gives to what it creates.

    AWS: they are the tags of the request and of the resource ("aws:ResourceTag/tag-key":
    "or in requests that create a resource with an attached tag").
    """
    tags = tuple((tag["Key"], tag["Value"]) for tag in request.get("Tags", []))
    return {**request_tag_context(request), **resource_tag_context(tags)}


def boundary_context(operation: str, boundary: str) -> dict[str, ContextValue]:
    """Return the condition key of an entity's permissions boundary, for actions that have it."""
    if not boundary or operation not in _BOUNDARY_KEYED:
        return {}
    return {"iam:PermissionsBoundary": boundary}


# MFA devices.


def second_step(
    device: MfaDeviceRecord, codes: tuple[str, str], step: int, steps: int
) -> int | None:
    """Return the step of the second of two codes in a row, none of them spent, or None.

    Args:
        device: Whose codes.
        codes: The two.
        step: That of now.
        steps: How far the clock of the device may go wrong, before and after.
    """
    first = max(step - steps, device.spent)
    return find_consecutive(device.seed, codes, range(first, step + steps))


def holder_id(holder: Holder) -> str:
    """Return the unique id of who has devices; the account's of the root user."""
    return holder.unique_id if isinstance(holder, UserRecord) else holder.account


def holder_name(holder: Holder) -> str:
    """Return the name of who has devices; nothing of the root user."""
    return holder.name if isinstance(holder, UserRecord) else ""


# Accesses.


def creates(kind: str, member: str) -> AccessOf:
    """Return the access of an operation that creates an entity named in a member."""

    def access(scope: Scope, request: Request) -> list[Access]:
        arn = entity_arn(scope, kind, request.get("Path", "/"), request[member])
        operation = f"Create{kind.capitalize()}"
        context = boundary_context(operation, request.get("PermissionsBoundary", ""))
        context |= created_tag_context(request)
        return [Access(f"iam:{operation}", arn, context)]

    return access


def creates_mfa_device(scope: Scope, request: Request) -> list[Access]:
    """Return the access of CreateVirtualMFADevice."""
    arn = mfa_arn(scope, request.get("Path", "/"), request["VirtualMFADeviceName"])
    return [Access("iam:CreateVirtualMFADevice", arn, created_tag_context(request))]


def on_mfa_device(action: str) -> AccessOf:
    """Return the access of an operation on the device that a request names."""

    def access(scope: Scope, request: Request) -> list[Access]:
        del scope
        return [Access(action, request["SerialNumber"], request_tag_context(request))]

    return access


def lists(action: str, kind: str) -> AccessOf:
    """Return the access of an operation that lists entities under a path prefix."""

    # AWS: listings are decided on `arn:aws:iam::1:user/` and the prefix, as their denials say.
    def access(scope: Scope, request: Request) -> list[Access]:
        prefix = request.get("PathPrefix", "/")
        return [Access(f"iam:{action}", entity_arn(scope, kind, prefix, ""))]

    return access


def in_operation(scope: Scope, request: Request) -> list[Access]:
    """Declare no access: the operation requires it on the record, whose path is in the ARN."""
    del scope, request
    return []


# Pages.


def marker_of(key: str) -> str:
    """Return the marker behind an item: its key, which the gateway seals."""
    return key


def after_of(request: Request) -> str | None:
    """Return the key behind which a page begins, or None for the first."""
    marker: str | None = request.get("Marker")
    return marker


def limit_of(request: Request) -> int:
    """Return how many items a page may hold."""
    return int(request.get("MaxItems", PAGE_ITEMS))


def page(request: Request, items: Sequence[tuple[str, T]]) -> tuple[list[T], Paging]:
    """Return the asked-for page of keyed items in order of key, and the members that say so."""
    after, limit = after_of(request), limit_of(request)
    rest = [item for item in items if after is None or item[0] > after]
    shown = rest[:limit]
    truncated = len(rest) > limit
    return [item for _, item in shown], paging(shown[-1][0] if truncated else None)


def numbered(items: Sequence[T]) -> list[tuple[str, T]]:
    """Return items keyed by their place, for lists that have no better key."""
    return [(f"{number:04d}", item) for number, item in enumerate(items)]


def entity_key(after: str) -> tuple[str, str]:
    """Return kind and name of an attachment that a marker names."""
    kind, _, name = after.partition("/")
    return kind, name


def kind_of(kind: str) -> Kind:
    """Return the kind of the entity of an attachment."""
    kind = kind.removeprefix(BOUNDARY)
    assert kind in ("user", "role", "group"), "an attachment is on a user, role or group"
    return kind


def paging(last: str | None) -> Paging:
    """Return the members that say whether more follows, behind which key."""
    if last is None:
        return {"IsTruncated": False}
    return {"IsTruncated": True, "Marker": marker_of(last)}


# Views.


def seconds(created_ms: int) -> int:
    """Return a time as IAM tells it: in whole seconds."""
    return created_ms // 1000 * 1000


def user_view(scope: Scope, user: UserRecord, *, details: bool = True) -> shapes.User:
    """Return a user as the wire has it."""
    view: shapes.User = {
        "Path": user.path,
        "UserName": user.name,
        "UserId": user.unique_id,
        "Arn": entity_arn(scope, "user", user.path, user.name),
        "CreateDate": seconds(user.created_ms),
    }
    return {**view, **_details(user)} if details else view


def root_view(scope: Scope, account: AccountRecord) -> shapes.User:
    """Return the root user as the wire has it: without name and path."""
    return {
        "UserId": account.account,
        "Arn": entity_arn(scope, "root", "", ""),
        "CreateDate": seconds(account.created_ms),
    }


def _details(entity: UserRecord | RoleRecord) -> _Details:
    """Return what is told of one user or role and not in lists: tags and boundary."""
    details: _Details = {}
    if entity.boundary:
        details["PermissionsBoundary"] = {
            # AWS: the wire says "Policy", although the model lists another word only.
            "PermissionsBoundaryType": "Policy",
            "PermissionsBoundaryArn": entity.boundary,
        }
    if entity.tags:
        details["Tags"] = tags_view(entity.tags)
    return details


def role_view(scope: Scope, role: RoleRecord, trust: str, *, details: bool = True) -> shapes.Role:
    """Return a role, whose trust policy reads as given, as the wire has it."""
    view: shapes.Role = {
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.unique_id,
        "Arn": entity_arn(scope, "role", role.path, role.name),
        "CreateDate": seconds(role.created_ms),
        "AssumeRolePolicyDocument": encoded(trust),
        "MaxSessionDuration": role.session_s_max,
    }
    if role.description:
        view["Description"] = role.description
    return {**view, **_details(role)} if details else view


def group_view(scope: Scope, group: GroupRecord) -> shapes.Group:
    """Return a group as the wire has it."""
    return {
        "Path": group.path,
        "GroupName": group.name,
        "GroupId": group.unique_id,
        "Arn": entity_arn(scope, "group", group.path, group.name),
        "CreateDate": seconds(group.created_ms),
    }


def key_view(key: AccessKeyRecord) -> shapes.AccessKeyMetadata:
    """Return an access key as the wire has it, without its secret."""
    view: shapes.AccessKeyMetadata = {
        "AccessKeyId": key.key_id,
        "Status": "Active" if key.active else "Inactive",
        "CreateDate": seconds(key.created_ms),
    }
    if key.user:
        view["UserName"] = key.user
    return view


class Uses(NamedTuple):
    """How often a managed policy is used."""

    attached: int
    """By users, roles and groups that it is attached to."""
    bounding: int
    """By users and roles whose permissions it bounds."""


UNUSED: Final = Uses(0, 0)


def policy_view(
    scope: Scope, policy: PolicyRecord | ManagedPolicy, uses: Uses = UNUSED
) -> shapes.Policy:
    """Return a managed policy as the wire has it."""
    view: shapes.Policy = {
        "PolicyName": policy.name,
        "PolicyId": policy.unique_id,
        "Path": policy.path,
        "AttachmentCount": uses.attached,
        "PermissionsBoundaryUsageCount": uses.bounding,
        "IsAttachable": True,
        "CreateDate": seconds(policy.created_ms),
    }
    if isinstance(policy, ManagedPolicy):
        return {
            **view,
            "Arn": policy.arn,
            "DefaultVersionId": "v1",
            "UpdateDate": seconds(policy.created_ms),
        }
    view["Arn"] = policy_arn(scope, policy.path, policy.name)
    view["DefaultVersionId"] = policy.default
    view["UpdateDate"] = seconds(policy.updated_ms)
    return view


def version_view(
    version: PolicyVersion, default: str, *, document: bool = False
) -> shapes.PolicyVersion:
    """Return one version of a managed policy as the wire has it."""
    view: shapes.PolicyVersion = {
        "VersionId": version.version_id,
        "IsDefaultVersion": version.version_id == default,
        "CreateDate": seconds(version.created_ms),
    }
    if document:
        view["Document"] = encoded(version.document)
    return view


def arn_of(scope: Scope, policy: PolicyRecord | ManagedPolicy) -> str:
    """Return the ARN of a policy of AWS's or the account's."""
    if isinstance(policy, ManagedPolicy):
        return policy.arn
    return policy_arn(scope, policy.path, policy.name)


def policy_details(policy: PolicyRecord | ManagedPolicy) -> _PolicyDetails:
    """Return what is told of one policy and not in lists: description and tags."""
    if isinstance(policy, ManagedPolicy):
        return {}
    details = policy_tags(policy)
    if policy.description:
        details["Description"] = policy.description
    return details


def policy_tags(policy: PolicyRecord) -> _PolicyDetails:
    """Return the tags of a policy as a member, if it has any."""
    return {"Tags": tags_view(policy.tags)} if policy.tags else {}


def as_record(policy: PolicyRecord | ManagedPolicy) -> PolicyRecord:
    """Return a policy of AWS's in the form of a record: one version, no tags."""
    if isinstance(policy, PolicyRecord):
        return policy
    return PolicyRecord(
        name=policy.name,
        path=policy.path,
        unique_id=policy.unique_id,
        created_ms=policy.created_ms,
        updated_ms=policy.created_ms,
        versions=(PolicyVersion("v1", policy.document, policy.created_ms),),
        default="v1",
        last_number=1,
    )


def not_own(arn: str) -> AccessDenied:
    """Return the error for a change of one of AWS's policies."""
    # AWS: even an administrator may not; the denial comes from IAM itself.
    return AccessDenied(f"Cannot perform the operation on the AWS managed policy {arn}.")


def encoded(document: str) -> str:
    """Return a document as IAM answers it: percent-encoded (RFC 3986)."""
    return quote(document, safe="")


def attached_view(arns: Iterable[str], path_prefix: str) -> list[tuple[str, shapes.AttachedPolicy]]:
    """Return attached policies under a path, keyed by name, in order."""
    found: list[tuple[str, shapes.AttachedPolicy]] = []
    for arn in arns:
        path, _, name = arn.partition(":policy")[2].rpartition("/")
        if f"{path}/".startswith(path_prefix):
            found.append((name, {"PolicyName": name, "PolicyArn": arn}))
    return sorted(found, key=lambda one: one[0])
