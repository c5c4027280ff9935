"""Where IAM's entities lie, and how they change.

Functions take the transaction first and compose. ``permitted`` is the exception: it reads an
entity and requires the operation's action on it, because the path in the ARN is in the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import msgspec

from fogbank.base.arn import find_arn
from fogbank.base.errors import Conflict
from fogbank.contract.action import ContextValue, Scope
from fogbank.contract.call import Call
from fogbank.platform.identity import linked
from fogbank.platform.identity.managed import ManagedPolicy, managed_policies
from fogbank.platform.identity.mfa import find_device
from fogbank.platform.identity.principal import PrincipalKind
from fogbank.platform.identity.records import (
    ACCOUNTS,
    ATTACHMENTS,
    GROUPS,
    MEMBERSHIPS,
    MFA_DEVICES,
    POLICIES,
    ROLES,
    USERS,
    AccountRecord,
    AttachmentRecord,
    GroupRecord,
    MembershipRecord,
    MfaDeviceRecord,
    PolicyRecord,
    RoleRecord,
    UserRecord,
    iam_domain,
)
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.platform.store.records import Record, Table
from fogbank.services.iam import rules
from fogbank.services.iam.arns import Kind, entity_arn, mfa_arn, policy_arn
from fogbank.services.iam.errors import (
    EntityAlreadyExists,
    InvalidInput,
    NoSuchEntity,
    UnmodifiableEntity,
    ValidationError,
)
from fogbank.services.iam.quotas import ATTACHMENTS_COUNTED_MAX, SCAN_ROWS_MAX
from fogbank.services.iam.rules import Entity, Holder

if TYPE_CHECKING:
    from fogbank.wire.shapes import iam as shapes

R = TypeVar("R", bound=Record)
E = TypeVar("E", bound=Entity)

_TAGGED: Final[dict[str, Table[Any]]] = {
    "user": USERS,
    "role": ROLES,
    "policy": POLICIES,
    "mfa": MFA_DEVICES,
}
_TABLES: Final[dict[Kind, Table[Any]]] = {"user": USERS, "role": ROLES, "group": GROUPS}


async def find(tr: Transaction, kind: Kind, name: str) -> Entity | None:
    """Return a user, role or group, or None."""
    entity = await _TABLES[kind].find(tr, name.lower())
    return entity if entity is not None and entity.name == name else None


def missing(kind: Kind, name: str) -> NoSuchEntity:
    """Return the error for an entity that is not there."""
    return NoSuchEntity(f"The {kind} with name {name} cannot be found.")


async def require(tr: Transaction, kind: Kind, name: str) -> Entity:
    """Return a user, role or group, or refuse the call."""
    entity = await find(tr, kind, name)
    if entity is None:
        raise missing(kind, name)
    return entity


async def permitted(
    call: Call, kind: Kind, name: str, context: dict[str, ContextValue] | None = None
) -> Entity:
    """Return an entity that the caller may act on as the operation does.

    Raises:
        AccessDenied: In the words of IAM, whether or not the entity stands.
        NoSuchEntity: The caller may, but there is none.
    """
    entity = await call.store.read(lambda tr: find(tr, kind, name))
    path = "/" if entity is None else entity.path
    keys = dict(context or {})
    if isinstance(entity, UserRecord | RoleRecord):
        keys = {**rules.boundary_context(call.operation, entity.boundary), **keys}
    arn = entity_arn(call.scope, kind, path, name)
    await call.require(f"iam:{call.operation}", arn, keys)
    if entity is None:
        raise missing(kind, name)
    return entity


def tagged_domain(arn: str) -> Domain | None:
    """Return the domain of a user, role, policy or device, or None if the ARN is of something else."""
    found = find_arn(arn)
    if found is None or found.resource.partition("/")[0] not in _TAGGED:
        return None
    # AWS's own policies are in no account, and have no tags.
    if not found.account.isdecimal():
        return None
    return iam_domain(found.account)


async def find_tags(tr: Transaction, arn: str) -> Mapping[str, ContextValue]:
    """Return the condition keys of the tags of a user, role, policy or device; none if it is not there."""
    found = find_arn(arn)
    assert found is not None, "only an ARN has a domain"
    kind, _, path = found.resource.partition("/")
    name = path.rpartition("/")[2]
    record = await _TAGGED[kind].find(tr, name.lower())
    if record is None or f"{kind}{record.path}{record.name}" != found.resource:
        return {}
    return rules.resource_tag_context(record.tags)


async def again(tr: Transaction, kind: Kind, seen: E, *, described: bool = False) -> E:
    """Return the entity that was permitted, as it is now.

    Args:
        tr: The transaction that changes it.
        kind: What it is.
        seen: The entity as it was when it was permitted.
        described: Only its description changes: that of a service's own role may.

    Raises:
        Conflict: It moved to another path, or another took its name: decide again.
        UnmodifiableEntity: It is a service's own role.
    """
    if not described and seen.path.startswith(linked.PATH):
        raise UnmodifiableEntity(
            f"Cannot perform the operation on the protected role '{seen.name}' - this role is only"
            " modifiable by AWS"
        )
    entity = await require(tr, kind, seen.name)
    if entity.unique_id != seen.unique_id or entity.path != seen.path:
        raise Conflict(f"the {kind} {seen.name} changed while it was asked for")
    return cast("E", entity)


def put(tr: Transaction, kind: Kind, entity: Entity) -> None:
    """Write an entity."""
    _TABLES[kind].put(tr, entity, entity.name.lower())


def changed(tr: Transaction, kind: Kind, entity: E, **fields: Any) -> E:
    """Write an entity with some fields changed; return it."""
    after = msgspec.structs.replace(entity, **fields)
    put(tr, kind, after)
    return after


def delete(tr: Transaction, kind: Kind, entity: Entity) -> None:
    """Remove an entity, and that it is bounded."""
    _TABLES[kind].delete(tr, entity.name.lower())
    if isinstance(entity, UserRecord | RoleRecord):
        _unbind(tr, kind, entity)


async def require_free(tr: Transaction, kind: Kind, name: str) -> None:
    """Refuse the call if the name is taken, without regard to case."""
    if await _TABLES[kind].find(tr, name.lower()) is not None:
        raise EntityAlreadyExists(f"{kind.capitalize()} with name {name} already exists.")


async def entities(
    tr: Transaction, kind: Kind, prefix: str, after: str | None, limit: int
) -> tuple[list[Any], str | None]:
    """Return a page of entities under a path, and the key it ends at if more may follow."""
    found, last = await _scan(tr, _TABLES[kind], prefix, after, limit)
    return found, last


async def policies(
    tr: Transaction, prefix: str, after: str | None, limit: int
) -> tuple[list[PolicyRecord], str | None]:
    """Return a page of managed policies under a path, and the key it ends at if more may be."""
    return await _scan(tr, POLICIES, prefix, after, limit)


async def _scan(
    tr: Transaction, table: Table[R], prefix: str, after: str | None, limit: int
) -> tuple[list[R], str | None]:
    """Return records whose path begins with a prefix; looks at a bounded number of rows."""
    start = None if after is None else (after,)
    rows = await table.list(tr, limit=SCAN_ROWS_MAX + 1, after=start)
    found: list[R] = []
    last: str | None = None
    for number, (key, record) in enumerate(rows):
        if len(found) == limit or number == SCAN_ROWS_MAX:
            return found, last
        last = cast("str", key[0])
        if cast("Any", record).path.startswith(prefix):
            found.append(record)
    return found, None


# Groups.


async def members(
    tr: Transaction, group: GroupRecord, after: str | None, limit: int
) -> tuple[list[UserRecord], str | None]:
    """Return a page of a group's users, and the key it ends at if there are more."""
    start = None if after is None else (after,)
    rows = await MEMBERSHIPS.list(tr, group.name.lower(), limit=limit + 1, after=start)
    users: list[UserRecord] = []
    for _, row in rows[:limit]:
        user = await USERS.find(tr, row.user.lower())
        assert user is not None, "a member of a group stands"
        users.append(user)
    return users, None if len(rows) <= limit else users[-1].name.lower()


async def has_members(tr: Transaction, group: GroupRecord) -> bool:
    """Tell whether a group has users."""
    return bool(await MEMBERSHIPS.list(tr, group.name.lower(), limit=1))


def join(tr: Transaction, group: GroupRecord, user: UserRecord) -> None:
    """Put a user into a group."""
    groups = tuple(sorted({*user.groups, group.name}))
    changed(tr, "user", user, groups=groups)
    MEMBERSHIPS.put(tr, MembershipRecord(user.name), group.name.lower(), user.name.lower())


def leave(tr: Transaction, group: GroupRecord, user: UserRecord) -> None:
    """Take a user out of a group."""
    groups = tuple(name for name in user.groups if name != group.name)
    changed(tr, "user", user, groups=groups)
    MEMBERSHIPS.delete(tr, group.name.lower(), user.name.lower())


# Managed policies.


async def find_policy(
    tr: Transaction, scope: Scope, arn: str
) -> PolicyRecord | ManagedPolicy | None:
    """Return the managed policy of an ARN, AWS's or the account's, or None."""
    managed = managed_policies(scope.partition).get(arn)
    if managed is not None:
        return managed
    if find_arn(arn) is None:
        raise InvalidInput(f"ARN {arn} is not valid.")
    record = await POLICIES.find(tr, arn.rpartition("/")[2].lower())
    if record is None or policy_arn(scope, record.path, record.name) != arn:
        return None
    return record


async def require_policy(tr: Transaction, scope: Scope, arn: str) -> PolicyRecord | ManagedPolicy:
    """Return the managed policy of an ARN, or refuse the call."""
    policy = await find_policy(tr, scope, arn)
    if policy is None:
        raise NoSuchEntity(f"Policy {arn} was not found.")
    return policy


def put_policy(tr: Transaction, policy: PolicyRecord) -> None:
    """Write a managed policy."""
    POLICIES.put(tr, policy, policy.name.lower())


def delete_policy(tr: Transaction, policy: PolicyRecord) -> None:
    """Remove a managed policy."""
    POLICIES.delete(tr, policy.name.lower())


async def require_free_policy(tr: Transaction, name: str) -> None:
    """Refuse the call if a policy has the name, without regard to case."""
    if await POLICIES.find(tr, name.lower()) is not None:
        raise EntityAlreadyExists(
            f"A policy called {name} already exists. Duplicate names are not allowed."
        )


async def uses(tr: Transaction, arn: str) -> rules.Uses:
    """Return how often a policy is used."""
    rows = await ATTACHMENTS.list(tr, arn, limit=ATTACHMENTS_COUNTED_MAX)
    bounding = sum(row.kind.startswith(rules.BOUNDARY) for _, row in rows)
    return rules.Uses(len(rows) - bounding, bounding)


async def attached_entities(
    tr: Transaction, arn: str, after: tuple[str, str] | None, limit: int
) -> list[AttachmentRecord]:
    """Return entities that a policy is attached to, in order of kind and name."""
    rows = await ATTACHMENTS.list(tr, arn, limit=limit, after=after)
    return [row for _, row in rows]


def attach(tr: Transaction, kind: Kind, entity: Entity, arn: str) -> None:
    """Attach a policy; both sides are written."""
    changed(tr, kind, entity, attached=(*entity.attached, arn))
    row = AttachmentRecord(kind, entity.name, entity.unique_id)
    ATTACHMENTS.put(tr, row, arn, kind, entity.name.lower())


def detach(tr: Transaction, kind: Kind, entity: Entity, arn: str) -> None:
    """Detach a policy; both sides are written."""
    changed(tr, kind, entity, attached=tuple(one for one in entity.attached if one != arn))
    ATTACHMENTS.delete(tr, arn, kind, entity.name.lower())


# Permissions boundaries: rows among the attachments, under kinds of their own.


async def require_boundary(tr: Transaction, scope: Scope, arn: str) -> None:
    """Refuse the call unless a policy can bound a user or role."""
    if await find_policy(tr, scope, arn) is None:
        raise NoSuchEntity(f"Scope ARN: {arn} does not exist or is not attachable.")


def bind(tr: Transaction, kind: Kind, entity: UserRecord | RoleRecord) -> None:
    """Write that a user or role is bounded by the policy it names; none if it names none."""
    if entity.boundary:
        row = AttachmentRecord(rules.BOUNDARY + kind, entity.name, entity.unique_id)
        ATTACHMENTS.put(tr, row, entity.boundary, row.kind, entity.name.lower())


def _unbind(tr: Transaction, kind: Kind, entity: UserRecord | RoleRecord) -> None:
    """Remove that a user or role is bounded."""
    if entity.boundary:
        ATTACHMENTS.delete(tr, entity.boundary, rules.BOUNDARY + kind, entity.name.lower())


def rebound(tr: Transaction, kind: Kind, entity: UserRecord | RoleRecord, arn: str) -> None:
    """Write another boundary of a user or role, or none; both sides are written."""
    _unbind(tr, kind, entity)
    bind(tr, kind, changed(tr, kind, entity, boundary=arn))


# MFA devices: a row of their own, and their names with who has them.


async def permitted_holder(call: Call, name: str | None) -> Holder:
    """Return who has devices, whom the caller may act on as the operation does.

    Without a name it is the caller. The root user is named by its account's id, as it has no name.

    Raises:
        AccessDenied: In the words of IAM, whether or not the user stands.
        NoSuchEntity: The caller may, but there is none.
        ValidationError: The caller has no devices, being no user.
    """
    principal = call.principal
    is_root = principal.kind is PrincipalKind.ROOT
    if is_root and name in (None, call.account):
        arn = entity_arn(call.scope, "root", "", "")
        await call.require(f"iam:{call.operation}", arn)
        return await call.store.read(_root)
    if name is None:
        if principal.kind is not PrincipalKind.USER:
            raise ValidationError("Must specify userName when calling with non-User credentials")
        name = principal.name
    return cast("UserRecord", await permitted(call, "user", name))


async def _root(tr: Transaction) -> AccountRecord:
    """Return the record of the account, which has the root user's devices."""
    account = await ACCOUNTS.find(tr)
    assert account is not None, "the caller's account stands"
    return account


async def holder_again(tr: Transaction, seen: Holder) -> Holder:
    """Return who has devices as it is now; see ``again``."""
    return await again(tr, "user", seen) if isinstance(seen, UserRecord) else await _root(tr)


def put_devices(tr: Transaction, holder: Holder, names: tuple[str, ...]) -> None:
    """Write the names of the devices that somebody has."""
    if isinstance(holder, UserRecord):
        changed(tr, "user", holder, mfa=names)
    else:
        ACCOUNTS.put(tr, msgspec.structs.replace(holder, mfa=names))


async def require_device(tr: Transaction, account: str, serial: str) -> MfaDeviceRecord:
    """Return the device that has a serial number, or refuse the call."""
    device = await find_device(tr, account, serial)
    if device is None:
        raise NoSuchEntity(f"VirtualMFADevice with serial number {serial} does not exist.")
    return device


async def require_held(
    tr: Transaction, account: str, holder: Holder, serial: str
) -> MfaDeviceRecord:
    """Return the device that somebody has, or refuse the call."""
    device = await find_device(tr, account, serial)
    if device is None or device.holder != rules.holder_id(holder):
        raise NoSuchEntity(f"MFA Device with serial number {serial} is not associated with user.")
    return device


async def page_of_devices(
    tr: Transaction, status: str, after: str | None, limit: int
) -> tuple[list[MfaDeviceRecord], str | None]:
    """Return a page of the devices of an account, and the key it ends at if more may follow."""
    start = None if after is None else (after,)
    rows = await MFA_DEVICES.list(tr, limit=SCAN_ROWS_MAX + 1, after=start)
    found: list[MfaDeviceRecord] = []
    last: str | None = None
    for number, (key, device) in enumerate(rows):
        if len(found) == limit or number == SCAN_ROWS_MAX:
            return found, last
        last = cast("str", key[0])
        if status in ("Any", "Assigned" if device.holder else "Unassigned"):
            found.append(device)
    return found, None


async def device_view(
    tr: Transaction, scope: Scope, device: MfaDeviceRecord
) -> shapes.VirtualMFADevice:
    """Return a device as a list has it: with its user, without its seed."""
    view: shapes.VirtualMFADevice = {
        "SerialNumber": mfa_arn(scope, device.path, device.name),
    }
    if not device.holder:
        return view
    view["EnableDate"] = rules.seconds(device.enabled_ms)
    if device.user:
        user = await require(tr, "user", device.user)
        view["User"] = rules.user_view(scope, cast("UserRecord", user), details=False)
    else:
        view["User"] = rules.root_view(scope, await _root(tr))
    return view
