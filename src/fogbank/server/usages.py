"""What the buckets of a cloud hold, as operators ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from fogbank.platform.identity.identity import Identity
from fogbank.platform.store.engine import Placement
from fogbank.server.control import Control, ControlError, Send
from fogbank.services.s3.state.usage import usages_of


class UsageArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose buckets are wanted: of an account, by name or id; empty: of all."""

    account: str = ""


class Usages:
    """Counts what buckets hold.

    Args:
        identity: The accounts.
        placement: Where the domains of their buckets live.
    """

    def __init__(self, identity: Identity, placement: Placement) -> None:
        self._identity = identity
        self._placement = placement

    def controls(self) -> list[Control]:
        """Return the requests of operators about what is stored."""
        return [Control("s3.usage", UsageArguments, self.usage)]

    async def usage(self, asked: UsageArguments, send: Send) -> Mapping[str, Any]:
        """Send a row for each bucket, by account and name.

        Raises:
            ControlError: There is no such account.
        """
        count = 0
        for account in await account_ids(self._identity, asked.account):
            async for usage in usages_of(self._placement, account):
                await send(msgspec.to_builtins(usage))
                count += 1
        return {"buckets": count}


async def account_ids(identity: Identity, name: str) -> list[str]:
    """Return the id of an account, by its name or id, or of all where none is named.

    Raises:
        ControlError: There is no such account.
    """
    if name:
        account = await identity.find_account(name)
        if account is None:
            raise ControlError("NoSuchAccount", f"there is no account {name}")
        return [account.account_id]
    found: list[str] = []
    while page := await identity.list_accounts(found[-1] if found else None):
        found += [each.account_id for each in page]
    return found
