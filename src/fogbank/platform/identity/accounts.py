"""Accounts: their list and names in the directory, their root keys in their own domain.

Making an account touches two domains, so it is three steps, each a transaction that can be
repeated: reserve id, name and foreign key id in the directory; write account and root key; mark
the entry active. A start that was cut short is finished by the next one of the same name.
"""

from __future__ import annotations

from typing import NamedTuple

from fogbank.base.arn import AWS
from fogbank.platform.identity import records
from fogbank.platform.identity.credentials import find_minted_account
from fogbank.platform.identity.records import (
    ACCESS_KEYS,
    ACCOUNT_ENTRIES,
    ACCOUNT_NAMES,
    ACCOUNTS,
    KEY_ACCOUNTS,
)
from fogbank.platform.store.engine import Transaction


class AccountTaken(Exception):
    """The account id, the name or the access key id belongs to another account."""


class Account(NamedTuple):
    """An account, as lists show it."""

    account_id: str
    name: str
    created_ms: int


class NewAccount(NamedTuple):
    """What an account is made from."""

    account_id: str
    name: str
    key_id: str
    secret: str
    created_ms: int
    partition: str = AWS

    def __repr__(self) -> str:
        return f"NewAccount({self.account_id!r}, {self.name!r}, {self.key_id!r})"


async def require_free(tr: Transaction, name: str, account_id: str, key_id: str) -> None:
    """Refuse a name, an id or a foreign key id that an account has or has reserved.

    Raises:
        AccountTaken: Naming which.
    """
    held = await ACCOUNT_NAMES.find(tr, name)
    entry = await ACCOUNT_ENTRIES.find(tr, held.account if held is not None else account_id)
    if entry is not None:
        raise AccountTaken(f"there is an account {entry.account} named {entry.name}")
    if await KEY_ACCOUNTS.find(tr, key_id) is not None:
        raise AccountTaken(f"the access key id {key_id} belongs to another account")


async def reserve(tr: Transaction, new: NewAccount) -> str:
    """Enter an account into the directory, not yet active; return its id.

    An account of this name that is not active yet keeps its id.

    Raises:
        AccountTaken: Id, name or access key id belongs to another account.
    """
    held = await ACCOUNT_NAMES.find(tr, new.name)
    account_id = new.account_id if held is None else held.account
    entry = await ACCOUNT_ENTRIES.find(tr, account_id)
    if entry is not None and (entry.active or entry.name != new.name):
        raise AccountTaken(f"there is an account {entry.account} named {entry.name}")
    key_account = await KEY_ACCOUNTS.find(tr, new.key_id)
    if key_account is not None and key_account.account != account_id:
        raise AccountTaken(f"the access key id {new.key_id} belongs to another account")
    if find_minted_account(new.key_id) != account_id:
        KEY_ACCOUNTS.put(tr, records.KeyAccountRecord(account_id), new.key_id)
    ACCOUNT_NAMES.put(tr, records.AccountNameRecord(account_id), new.name)
    entry = records.AccountEntryRecord(account_id, new.name, new.created_ms, active=False)
    ACCOUNT_ENTRIES.put(tr, entry, account_id)
    return account_id


async def write(tr: Transaction, new: NewAccount, account_id: str) -> None:
    """Write the account and its root key in the account's domain."""
    record = records.AccountRecord(
        account_id,
        new.name,
        new.created_ms,
        root_keys=(new.key_id,),
        partition=new.partition,
    )
    ACCOUNTS.put(tr, record)
    key = records.AccessKeyRecord(new.key_id, new.secret, "", "", new.created_ms)
    ACCESS_KEYS.put(tr, key, new.key_id)


async def activate(tr: Transaction, account_id: str) -> None:
    """Mark a reserved account as standing."""
    entry = await ACCOUNT_ENTRIES.find(tr, account_id)
    assert entry is not None, "an account is reserved before it is activated"
    entry = records.AccountEntryRecord(entry.account, entry.name, entry.created_ms, active=True)
    ACCOUNT_ENTRIES.put(tr, entry, account_id)


async def find(tr: Transaction, name_or_id: str) -> Account | None:
    """Return an active account by id or name."""
    entry = await ACCOUNT_ENTRIES.find(tr, name_or_id)
    if entry is None:
        held = await ACCOUNT_NAMES.find(tr, name_or_id)
        entry = None if held is None else await ACCOUNT_ENTRIES.find(tr, held.account)
    if entry is None or not entry.active:
        return None
    return Account(entry.account, entry.name, entry.created_ms)


async def page(tr: Transaction, after: str | None, limit: int) -> list[Account]:
    """Return active accounts in order of id."""
    rows = await ACCOUNT_ENTRIES.list(tr, limit=limit, after=None if after is None else (after,))
    return [Account(one.account, one.name, one.created_ms) for _, one in rows if one.active]
