"""Which policies hang on a principal: read from the records, compiled, ready to evaluate.

Rule: a policy that cannot be read or compiled denies everything: it is an error, not an absence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from fogbank.base.arn import global_arn
from fogbank.platform.iam.decision import PolicySource
from fogbank.platform.iam.document import Kind
from fogbank.platform.iam.evaluate import Finder, PolicySet, document_of
from fogbank.platform.iam.index import StatementIndex
from fogbank.platform.iam.policy import Policy, compile_policy
from fogbank.platform.identity.managed import find_managed
from fogbank.platform.identity.principal import Principal, PrincipalKind
from fogbank.platform.identity.records import (
    GROUPS,
    POLICIES,
    ROLES,
    USERS,
    RoleRecord,
    UserRecord,
)
from fogbank.platform.store.engine import Transaction

Compile = Callable[[str, Kind], Policy]

# AWS: GetSessionToken's credentials cannot call IAM without MFA, nor STS but these two (API
# reference, "GetSessionToken", Permissions).
_TOKEN_SESSION: Final = document_of(
    {"Effect": "Allow", "Action": "*", "Resource": "*"},
    {"Effect": "Deny", "Action": "iam:*", "Resource": "*"},
    {
        "Effect": "Deny",
        "Action": ["sts:Get*", "sts:Decode*", "sts:AssumeRoot"],
        "Resource": "*",
    },
)


def token_session() -> PolicySet:
    """Return what cuts the sessions of GetSessionToken down, and nothing else."""
    return PolicySet(session=compile_policy(_TOKEN_SESSION, kind="session"))


Sourced = tuple[str, PolicySource]
"""A document, and where it hangs."""


class Documents(NamedTuple):
    """What hangs on a principal, as text."""

    identity: list[Sourced]
    session: list[Sourced]
    boundary: list[Sourced] | None = None
    """None if there is no boundary; empty if its policy is gone, which allows nothing."""


async def documents_of(tr: Transaction, principal: Principal) -> Documents:
    """Return the documents of every policy of a user or role session.

    A principal that no longer exists, or whose name belongs to another now, has none; a session
    policy given by ARN that is gone allows nothing.
    """
    holder = await _holder(tr, principal)
    session = await _session(tr, principal)
    if holder is None:
        return Documents([], session)
    identity = await _identity(tr, principal, holder)
    if not holder.boundary:
        return Documents(identity, session)
    source = PolicySource("boundary", holder.boundary, principal.role_arn or principal.arn)
    document = await find_policy_document(tr, holder.boundary)
    return Documents(identity, session, [] if document is None else [(document, source)])


async def _holder(tr: Transaction, principal: Principal) -> UserRecord | RoleRecord | None:
    """Return the user, or the role of the session; None if it is gone or another of its name."""
    key = principal.name.lower()
    holder: UserRecord | RoleRecord | None
    if principal.kind is PrincipalKind.SESSION:
        holder = await ROLES.find(tr, key)
    else:
        holder = await USERS.find(tr, key)
    return holder if holder is not None and holder.unique_id == principal.unique_id else None


async def _session(tr: Transaction, principal: Principal) -> list[Sourced]:
    """Return the documents of session policies."""
    documents: list[Sourced] = []
    for given in principal.session_policies:
        managed = given.startswith("arn:")
        document = await find_policy_document(tr, given) if managed else given
        if document is not None:
            source = PolicySource("session", given if managed else "", principal.arn)
            documents.append((document, source))
    return documents


async def _identity(
    tr: Transaction, principal: Principal, holder: UserRecord | RoleRecord
) -> list[Sourced]:
    """Return the documents of identity policies."""
    arn = principal.role_arn or principal.arn
    documents = await _documents(tr, arn, holder.inline, holder.attached)
    if isinstance(holder, RoleRecord):
        return documents
    for name in holder.groups:
        group = await GROUPS.find(tr, name.lower())
        assert group is not None, "a group with members stands"
        path = f"group{group.path}{group.name}"
        arn = global_arn(principal.partition, "iam", principal.account, path)
        documents += await _documents(tr, arn, group.inline, group.attached)
    return documents


async def _documents(
    tr: Transaction, holder: str, inline: Iterable[tuple[str, str]], attached: Iterable[str]
) -> list[Sourced]:
    """Return inline documents, and the versions in force of attached policies."""
    own = [(text, PolicySource("inline", name, holder)) for name, text in inline]
    return own + [
        (await policy_document(tr, arn), PolicySource("managed", arn, holder)) for arn in attached
    ]


async def policy_document(tr: Transaction, arn: str) -> str:
    """Return the document in force of a managed policy that is attached."""
    document = await find_policy_document(tr, arn)
    assert document is not None, "an attached policy stands"
    return document


async def find_policy_document(tr: Transaction, arn: str) -> str | None:
    """Return the document in force of a managed policy of AWS's or the domain's, or None."""
    managed = find_managed(arn)
    if managed is not None:
        return managed.document
    record = await POLICIES.find(tr, arn.rpartition("/")[2].lower())
    if record is None or not arn.endswith(f":policy{record.path}{record.name}"):
        return None
    version = record.version(record.default)
    assert version is not None, "a managed policy has its default version"
    return version.document


def policy_set(documents: Documents, principal: Principal, compiled: Compile) -> PolicySet:
    """Return the compiled policies of a user or role session."""

    def indexed(documents: list[Sourced], kind: Kind) -> StatementIndex:
        return StatementIndex((compiled(text, kind), source) for text, source in documents)

    session: Finder | None = None
    if principal.session_policies:
        session = indexed(documents.session, "session")
    boundary: Finder | None = None
    if documents.boundary is not None:
        boundary = indexed(documents.boundary, "identity")
    return PolicySet(indexed(documents.identity, "identity"), session, boundary)
