"""What the records of one domain say of keys, sessions and principals; functions of ``tr``."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from fogbank.base.arn import AWS, global_arn
from fogbank.platform.identity.credentials import Credential
from fogbank.platform.identity.principal import Principal, PrincipalKind, root_principal
from fogbank.platform.identity.records import (
    ACCESS_KEYS,
    ACCOUNTS,
    ROLES,
    USERS,
    MasterKeyRecord,
    RoleRecord,
    UserRecord,
)
from fogbank.platform.identity.tokens import Session
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.keyspace import SETTINGS, system_prefix
from fogbank.platform.store.records import RecordDecoder, encode

_MASTER_KEY: Final = system_prefix(SETTINGS, 0) + tuples.pack("identity", "master-key")
_decode_master: Final = RecordDecoder(MasterKeyRecord).decode


async def master_key(tr: Transaction, fresh: bytes) -> bytes:
    """Return the master key of a store; the first to ask leaves the fresh one."""
    raw = await tr.get(_MASTER_KEY)
    if raw is not None:
        return _decode_master(raw).key
    tr.put(_MASTER_KEY, encode(MasterKeyRecord(fresh)))
    return fresh


async def find_key(tr: Transaction, account: str, key_id: str) -> Credential | None:
    """Return the credential of an active long-term key, or None."""
    key = await ACCESS_KEYS.find(tr, key_id)
    if key is None or not key.active:
        return None
    partition = await partition_of(tr)
    if key.user_id:
        user = await USERS.find(tr, key.user.lower())
        assert user is not None, "a key's user stands"
        assert user.unique_id == key.user_id, "a key belongs to one user for ever"
        principal = user_principal(account, user, key_id, partition=partition)
    else:
        principal = root_principal(account, key_id, partition=partition)
    return Credential(access_key_id=key_id, secret_access_key=key.secret, principal=principal)


async def find_session_principal(tr: Transaction, session: Session) -> Principal | None:
    """Return the principal of a session, or None if its role or user is gone."""
    account, key = session.account, session.name.lower()
    partition = await partition_of(tr)
    if session.kind == PrincipalKind.ROOT:
        root = root_principal(account, session.key_id, session.issued_ms, partition)
        return replace(root, mfa_ms=session.mfa_ms)
    if session.kind == PrincipalKind.SESSION:
        role = await ROLES.find(tr, key)
        if role is None or role.unique_id != session.unique_id:
            return None
        return session_principal(account, role, session, partition)
    user = await USERS.find(tr, key)
    if user is None or user.unique_id != session.unique_id:
        return None
    principal = user_principal(account, user, session.key_id, session.issued_ms, partition)
    return replace(principal, mfa_ms=session.mfa_ms)


async def partition_of(tr: Transaction) -> str:
    """Return the partition of the account whose domain this is."""
    account = await ACCOUNTS.find(tr)
    return AWS if account is None else account.partition


def user_principal(
    account: str,
    user: UserRecord,
    key_id: str = "",
    issued_ms: int = 0,
    partition: str = AWS,
) -> Principal:
    """Return a user as principal."""
    return Principal(
        kind=PrincipalKind.USER,
        account=account,
        arn=global_arn(partition, "iam", account, f"user{user.path}{user.name}"),
        unique_id=user.unique_id,
        name=user.name,
        path=user.path,
        tags=user.tags,
        access_key_id=key_id,
        issued_ms=issued_ms,
        partition=partition,
    )


def session_principal(
    account: str, role: RoleRecord, session: Session, partition: str = AWS
) -> Principal:
    """Return a session of a role as principal; the session's tags win over the role's."""
    given = {key.lower() for key, _ in session.tags}
    return Principal(
        kind=PrincipalKind.SESSION,
        account=account,
        arn=global_arn(
            partition, "sts", account, f"assumed-role/{role.name}/{session.session_name}"
        ),
        unique_id=role.unique_id,
        name=role.name,
        path=role.path,
        session_name=session.session_name,
        session_policies=session.policies,
        tags=(
            *((key, value) for key, value in role.tags if key.lower() not in given),
            *session.tags,
        ),
        transitive_tags=session.transitive,
        access_key_id=session.key_id,
        issued_ms=session.issued_ms,
        source_identity=session.source_identity,
        source_function_arn=session.source_function_arn,
        partition=partition,
        mfa_ms=session.mfa_ms,
    )
