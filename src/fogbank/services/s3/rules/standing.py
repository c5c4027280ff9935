"""What a bucket says of who may reach it, as one policy: its own, its lists, and what is blocked.

Rule: access control lists are said in the language of policies, as more statements beside the bucket's
own; so there is one decision, in one order. A list never takes anything away. Of an object that
another account owns, the bucket's owner may only deny: what its policy allows is left out.

Source: Amazon S3 User Guide, "How Amazon S3 authorizes a request", "Access control list (ACL) overview"
(Mapping of ACL permissions and access policy permissions), "Blocking public access to your Amazon S3
storage"; API Reference, PutBucketPolicy (the root user of the bucket's account).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast

from fogbank.platform.iam.evaluate import document_of
from fogbank.services.s3.rules.acls import (
    ALL_USERS,
    ANONYMOUS_ID,
    AUTHENTICATED_USERS,
    FULL_CONTROL,
    LOG_DELIVERY,
    PUBLIC,
    READ,
    READ_ACP,
    WRITE,
    WRITE_ACP,
)
from fogbank.services.s3.rules.blocks import block_of
from fogbank.services.s3.schema import ENFORCED, Acl, BucketRecord, Grant

_REMEMBERED_MAX: Final = 1_024
_BUCKET: Final[Mapping[str, tuple[str, ...]]] = {
    READ: ("s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"),
    WRITE: ("s3:PutObject",),
    READ_ACP: ("s3:GetBucketAcl",),
    WRITE_ACP: ("s3:PutBucketAcl",),
}
_OBJECT: Final[Mapping[str, tuple[str, ...]]] = {
    READ: ("s3:GetObject", "s3:GetObjectVersion"),
    READ_ACP: ("s3:GetObjectAcl", "s3:GetObjectVersionAcl"),
    WRITE_ACP: ("s3:PutObjectAcl", "s3:PutObjectVersionAcl"),
}
OF_OWNER: Final = frozenset(action for actions in _OBJECT.values() for action in actions)
"""What the owner of an object lets others do with it, if that is not the bucket's owner."""
DELETE: Final = "s3:DeleteObject"
OF_INITIATOR: Final = frozenset(("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"))
"""What whoever began an upload may do with it."""
_OF_POLICY: Final = frozenset(("s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"))
_ANONYMOUSLY: Final = {"aws:PrincipalType": "Anonymous"}

Granted = tuple[tuple[str, tuple[str, ...]], ...]
"""Grantees, and the actions that they are granted."""


class Found(NamedTuple):
    """What an access is to, beside the bucket."""

    owner: str = ""
    """The account that owns the object, if it is not the bucket's."""
    acl: Acl | None = None
    """The object's list."""
    absent: bool = False
    """Whether there is no such object."""
    granted: tuple[str, ...] = ()
    """Actions that the caller's account may do by what it did before."""


NOTHING: Final = Found()


def counts(bucket: BucketRecord) -> bool:
    """Return whether access control lists of a bucket count."""
    return bucket.ownership != ENFORCED


def is_spared(bucket: BucketRecord, action: str, account: str, kind: str) -> bool:
    """Return whether a bucket's policy does not bear on an access.

    AWS: the root user of the owner's account may always see, put and delete the policy, whatever the
    policy says, so that nobody is locked out.
    """
    return kind == "root" and account == bucket.account and action in _OF_POLICY


def is_whole(bucket: BucketRecord, action: str, found: Found) -> bool:
    """Return whether the same is said of an action on all that is in a bucket, to every caller."""
    return found is NOTHING and not counts(bucket) and action not in _OF_POLICY


def owner_of(bucket: BucketRecord, action: str, found: Found) -> str:
    """Return the account that lets others do something: the object's owner or the bucket's."""
    return (found.owner or bucket.account) if action in OF_OWNER else bucket.account


def said_of(
    bucket: BucketRecord, policy: str, action: str, found: Found, who: str, *, ignores: bool = False
) -> str:
    """Return the document of all that bears on an access; empty: nothing does.

    Args:
        bucket: The bucket.
        policy: Its policy, in JSON; empty if it has none, or none that bears on the access.
        action: What is asked.
        found: What it is asked of.
        who: The canonical user id of the caller's account.
        ignores: Whether what lists grant to the public does not count, whatever the bucket says.
    """
    block = block_of(bucket)
    ignores = ignores or block.ignore_acls
    grants = _granted(bucket, action, found, ignores=ignores) if counts(bucket) else ()
    if found.granted:
        grants = (*grants, (who, found.granted))
    if found.absent:
        # AWS: of what is not there the operation says so, to who may list the bucket (API Reference,
        # GetObject, "Permissions").
        grants = (*grants, (ALL_USERS, (action,)))
    restricted = block.restrict and bucket.policy_public and bool(policy)
    denies_only = owner_of(bucket, action, found) != bucket.account
    if not (grants or restricted or denies_only):
        return policy
    return _joined(policy, grants, bucket.account if restricted else "", denies_only)


def _granted(bucket: BucketRecord, action: str, found: Found, *, ignores: bool) -> Granted:
    """Return what lists grant of an access."""
    if action in OF_OWNER:
        return _actions_of(found.acl or (), _OBJECT, ignores=ignores)
    return _actions_of(bucket.acl or (), _BUCKET, ignores=ignores)


def _actions_of(
    acl: Iterable[Grant], by: Mapping[str, tuple[str, ...]], *, ignores: bool
) -> Granted:
    """Return what the grants of a list come to."""
    granted: list[tuple[str, tuple[str, ...]]] = []
    for grantee, permission in (_plain(grant) for grant in acl):
        if ignores and grantee in PUBLIC:
            continue
        if permission == FULL_CONTROL:
            actions = tuple(action for several in by.values() for action in several)
        else:
            actions = by.get(permission, ())
        if actions:
            granted.append((grantee, actions))
    return tuple(granted)


def _plain(grant: Grant) -> tuple[str, str]:
    """Return grantee and permission."""
    return grant.grantee, grant.permission


@lru_cache(maxsize=_REMEMBERED_MAX)
def _joined(policy: str, granted: Granted, restricted_to: str, denies_only: bool) -> str:  # noqa: FBT001 (a cache's key)
    """Return a policy with more statements."""
    whole: dict[str, Any] = json.loads(policy) if policy else document_of()
    said = whole["Statement"]
    statements = cast("list[dict[str, Any]]", said if isinstance(said, list) else [said])
    if denies_only:
        statements = [each for each in statements if each["Effect"] == "Deny"]
    more = [_statement(grantee, actions) for grantee, actions in granted]
    if restricted_to:
        more.append(restriction(restricted_to))
    whole["Statement"] = [*statements, *more]
    return json.dumps(whole) if whole["Statement"] else ""


def _statement(grantee: str, actions: Sequence[str]) -> dict[str, Any]:
    """Return the statement that a grant is."""
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": list(actions),
        "Resource": "*",
    }
    if grantee == AUTHENTICATED_USERS:
        statement["Condition"] = {"StringNotEquals": _ANONYMOUSLY}
    elif grantee == ANONYMOUS_ID:
        statement["Condition"] = {"StringEquals": _ANONYMOUSLY}
    elif grantee == LOG_DELIVERY:
        statement["Principal"] = {"Service": "logging.s3.amazonaws.com"}
    elif grantee != ALL_USERS:
        statement["Principal"] = {"CanonicalUser": grantee}
    return statement


def restriction(account: str) -> dict[str, Any]:
    """Return the statement that keeps all out but an account and services."""
    return {
        "Sid": "RestrictPublicBuckets",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": "*",
        "Condition": {
            "StringNotEquals": {"aws:PrincipalAccount": account},
            "Null": {"aws:PrincipalServiceName": "true"},
        },
    }
