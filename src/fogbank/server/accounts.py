"""The accounts of a data directory: the first start makes one, operators make more.

Rule: an account's root credentials are in the credentials file, on disk, before the account is in
the store; a row of the file without its account is finished by the next start, or by the next
attempt to create it. What cannot be created is found out before the file is written.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from fogbank.base.arn import AWS, PARTITIONS, partition_of
from fogbank.base.ids import Ids
from fogbank.platform.identity.accounts import AccountTaken
from fogbank.platform.identity.identity import ACCOUNTS_PAGE_MAX, Identity
from fogbank.server import datadir
from fogbank.server.config import Config, account_problem
from fogbank.server.control import Control, ControlError, NoArguments, Send
from fogbank.server.datadir import AccountCredentials

DEFAULT_NAME = "default"
ACCOUNTS_MAX: Final = 10_000
"""Accounts of one data directory: they are rows of one file and of one list."""
_NAME: Final = re.compile(r"(?!\d{12}\Z)[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_NAME_RULE: Final = (
    "an account's name has 1 to 63 letters, digits, dots, hyphens and underscores, begins with a "
    "letter or a digit, and is not itself an account id"
)


class AccountError(Exception):
    """The settings' account contradicts the data directory's."""


class CreateAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator says of a new account; what is empty is drawn at random."""

    name: str
    id: str = ""
    access_key_id: str = ""
    secret_access_key: str = ""
    partition: str = ""
    """Empty: that of the data directory's first account."""

    def __repr__(self) -> str:
        return f"CreateAccount({self.name!r}, {self.id!r}, {self.access_key_id!r})"


def draw(config: Config, ids: Ids) -> AccountCredentials:
    """Return the default account of a first start: what the settings say, the rest at random."""
    said, partition = config.account, partition_of(config.region)
    return _drawn(
        CreateAccount(DEFAULT_NAME, said.id, said.access_key_id, said.secret_access_key, partition),
        ids,
    )


def _drawn(new: CreateAccount, ids: Ids) -> AccountCredentials:
    """Return the credentials of a new account, with what nobody said drawn."""
    account_id = new.id or ids.digits(12)
    return AccountCredentials(
        name=new.name,
        account_id=account_id,
        access_key_id=new.access_key_id or Identity.mint_key_id(account_id, ids),
        secret_access_key=new.secret_access_key or ids.base62(40),
        partition=new.partition,
    )


async def ensure(data_dir: Path, config: Config, identity: Identity, ids: Ids) -> None:
    """Make every account of the credentials file that the store lacks; draw the first.

    Raises:
        AccountError: The settings name another account than the directory has, or the file and the
            store contradict each other.
    """
    accounts = datadir.read_credentials(data_dir)
    if not accounts:
        accounts = [draw(config, ids)]
        datadir.write_credentials(data_dir, accounts)
    _compare(config, accounts[0])
    for account in accounts:
        try:
            await _finish(identity, account)
        except AccountTaken as error:
            raise AccountError(f"{datadir.CREDENTIALS_FILE}: {account.name}: {error}") from error


async def _finish(identity: Identity, account: AccountCredentials) -> None:
    """Make an account of the credentials file unless it stands."""
    if await identity.find_account(account.account_id) is None:
        await identity.create_account(
            account.name,
            account_id=account.account_id,
            access_key_id=account.access_key_id,
            secret_access_key=account.secret_access_key,
            partition=account.partition,
        )


def _compare(config: Config, default: AccountCredentials) -> None:
    """Refuse settings that would be ignored because the account stands already."""
    wanted = config.account
    for name, want, have in (
        ("account.id", wanted.id, default.account_id),
        ("account.access_key_id", wanted.access_key_id, default.access_key_id),
        ("account.secret_access_key", wanted.secret_access_key, default.secret_access_key),
    ):
        if want and want != have:
            raise AccountError(f"{name} differs from the data directory's default account")
    if partition_of(config.region) != default.partition:
        raise AccountError(
            f"region {config.region} is not of the partition {default.partition}, of which the "
            "data directory's default account is"
        )


class Accounts:
    """Creates and lists accounts, whether a server holds the data directory or a command.

    Args:
        data_dir: The data directory, whose lock the process holds.
        identity: The accounts of its store.
        ids: Where ids and secrets come from.
    """

    def __init__(self, data_dir: Path, identity: Identity, ids: Ids) -> None:
        self._data_dir = data_dir
        self._identity = identity
        self._ids = ids
        self._writing = asyncio.Lock()  # the file has one writer at a time

    def controls(self) -> list[Control]:
        """Return the requests of operators about accounts."""
        return [
            Control("account.create", CreateAccount, self.create),
            Control("account.list", NoArguments, self.list),
        ]

    async def create(self, new: CreateAccount, _send: Send) -> Mapping[str, Any]:
        """Create an account; a secret is in no answer.

        Raises:
            ControlError: A value makes no sense, or belongs to another account.
        """
        if not _NAME.fullmatch(new.name):
            raise ControlError("BadRequest", _NAME_RULE)
        problem = account_problem(new.id, new.access_key_id, new.secret_access_key)
        if problem:
            raise ControlError("BadRequest", problem)
        if new.partition not in ("", *PARTITIONS):
            raise ControlError("BadRequest", f"partition must be one of {', '.join(PARTITIONS)}")
        async with self._writing:
            rows = await asyncio.to_thread(datadir.read_credentials, self._data_dir)
            partition = new.partition or (rows[0].partition if rows else AWS)
            new = msgspec.structs.replace(new, partition=partition)
            account = next((row for row in rows if row.name == new.name), None)
            try:
                if account is None:
                    account = _drawn(new, self._ids)
                    await self._require_free(account, rows)
                    await asyncio.to_thread(
                        datadir.write_credentials, self._data_dir, [*rows, account]
                    )
                elif not await self._is_unfinished(account, new):
                    raise ControlError("AccountTaken", f"there is an account named {new.name}")
                await _finish(self._identity, account)
            except AccountTaken as error:
                raise ControlError("AccountTaken", str(error)) from error
        return {"name": account.name, "id": account.account_id}

    async def _require_free(
        self, account: AccountCredentials, rows: list[AccountCredentials]
    ) -> None:
        """Refuse what another account has, in the file or in the store."""
        if len(rows) >= ACCOUNTS_MAX:
            raise ControlError("LimitExceeded", f"there are {ACCOUNTS_MAX} accounts already")
        for row in rows:
            if row.account_id == account.account_id:
                raise ControlError("AccountTaken", f"there is an account {row.account_id}")
            if row.access_key_id == account.access_key_id:
                raise ControlError(
                    "AccountTaken", f"the access key id {row.access_key_id} is taken"
                )
        await self._identity.require_free(account.name, account.account_id, account.access_key_id)

    async def _is_unfinished(self, account: AccountCredentials, new: CreateAccount) -> bool:
        """Return whether a row of the file is what is asked for and not yet in the store."""
        said = (
            (new.id, account.account_id),
            (new.access_key_id, account.access_key_id),
            (new.secret_access_key, account.secret_access_key),
            (new.partition, account.partition),
        )
        return (
            all(not want or want == have for want, have in said)
            and await self._identity.find_account(account.account_id) is None
        )

    async def list(self, _none: NoArguments, send: Send) -> Mapping[str, Any]:
        """Send a row with name and id for each account, in order of id."""
        count, after = 0, None
        for _ in range(ACCOUNTS_MAX // ACCOUNTS_PAGE_MAX + 1):
            page = await self._identity.list_accounts(after)
            for account in page:
                await send({"name": account.name, "id": account.account_id})
            count += len(page)
            if not page:
                break
            after = page[-1].account_id
        return {"count": count}
