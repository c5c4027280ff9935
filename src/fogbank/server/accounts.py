"""The accounts of a data directory: the first start makes one, with real entropy."""

from __future__ import annotations

from pathlib import Path

from fogbank.base.ids import Ids
from fogbank.platform.identity.identity import Identity
from fogbank.server import datadir
from fogbank.server.config import Config
from fogbank.server.datadir import AccountCredentials

DEFAULT_NAME = "default"


class AccountError(Exception):
    """The settings' account contradicts the data directory's."""


def draw(config: Config, ids: Ids) -> AccountCredentials:
    """Return the default account of a first start: what the settings say, the rest at random."""
    account_id = config.account.id or ids.digits(12)
    return AccountCredentials(
        name=DEFAULT_NAME,
        account_id=account_id,
        access_key_id=config.account.access_key_id or Identity.mint_key_id(account_id, ids),
        secret_access_key=config.account.secret_access_key or ids.base62(40),
    )


async def ensure(data_dir: Path, config: Config, identity: Identity, ids: Ids) -> None:
    """Make every account of the credentials file that the store lacks; draw the first.

    Raises:
        AccountError: The settings name another account than the directory has.
    """
    accounts = datadir.read_credentials(data_dir)
    if not accounts:
        accounts = [draw(config, ids)]
        datadir.write_credentials(data_dir, accounts)
    _compare(config, accounts[0])
    for account in accounts:
        if await identity.find_account(account.account_id) is None:
            await identity.create_account(
                account.name,
                account_id=account.account_id,
                access_key_id=account.access_key_id,
                secret_access_key=account.secret_access_key,
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
