"""What tables hold, as operators ask for it: the source of ``fogbank sql``."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, Final

import msgspec

from fogbank.base.clock import Clock
from fogbank.base.ids import Ids
from fogbank.platform.blobs.port import BlobPlacement
from fogbank.platform.crypto.locked import Opener
from fogbank.platform.identity.identity import Identity
from fogbank.platform.store.engine import Domain, Placement, Transaction
from fogbank.server.control import Control, ControlError, Send
from fogbank.services.dynamodb.schema import TableRecord
from fogbank.services.dynamodb.state import encryption, moments

TABLES_MAX: Final = 16
"""Of one request."""
PIECE_CHARACTERS: Final = 64 << 10
"""Of an item as text; a line of the socket has room for what escapes make of them."""


class TablesArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which tables are wanted, whose and where."""

    tables: list[str]
    account: str
    region: str


class Tables:
    """Tells what tables hold.

    Args:
        identity: The accounts.
        placement: Where the domains of their tables live.
        clock: Says when.
        ids: Names each reader.
        opener: Has keys opened that KMS has; None: there is no KMS here.
    """

    def __init__(
        self,
        identity: Identity,
        placement: Placement,
        clock: Clock,
        ids: Ids,
        opener: Opener | None = None,
    ) -> None:
        self._identity = identity
        self._placement = placement
        self._clock = clock
        self._ids = ids
        self._opener = opener

    def controls(self) -> list[Control]:
        """Return the requests of operators about what tables hold."""
        return [Control("dynamodb.read", TablesArguments, self.read)]

    async def read(self, asked: TablesArguments, send: Send) -> Mapping[str, Any]:
        """Send each table, then its items, all as they are at one moment.

        The row of a table has its number in the request and its key; that of an item the table's
        number and the item in DynamoDB's JSON, in pieces if it is long.

        Raises:
            ControlError: There is no such account, or too many tables, or no KMS to open a key.
            ServiceError: There is no such table, or reading took too long.
        """
        account = await self._identity.find_account(asked.account)
        if account is None:
            raise ControlError("NoSuchAccount", f"there is no account {asked.account}")
        if len(asked.tables) > TABLES_MAX:
            raise ControlError("TooManyTables", f"more than {TABLES_MAX} tables")
        domain = Domain("dynamodb", account.account_id, asked.region)
        store, reader = self._placement.store_of(domain), self._ids.uuid()
        now_ms = self._clock.now_ms()

        async def take(tr: Transaction) -> list[TableRecord]:
            return await moments.take(tr, asked.tables, reader, now_ms)

        found = await store.transact(take)
        try:
            count = 0
            for number, table in enumerate(found):
                table = await self._opened(domain, table)  # noqa: PLW2901 (the same, with its key)
                key = [[each.name, each.type] for each in table.key_attributes]
                await send({"table": number, "key": key})
                count += await self._send_items(domain, table, number, reader, send)
        finally:

            async def release(tr: Transaction) -> None:
                for table in found:
                    await moments.release(tr, table, reader, self._clock.now_ms())

            await store.transact(release)
        return {"items": count}

    async def _opened(self, domain: Domain, table: TableRecord) -> TableRecord:
        """Return a table with the key that KMS has of it, if it has one."""
        if table.sse is None:
            return table
        if self._opener is None:
            raise ControlError(
                "KeyUnavailable",
                f"the table {table.name} is encrypted with a KMS key, which a running server opens",
            )
        return await encryption.opened_by(self._opener, domain, table)

    async def _send_items(
        self, domain: Domain, table: TableRecord, number: int, reader: str, send: Send
    ) -> int:
        """Send the items of a table; return how many."""
        assert isinstance(self._placement, BlobPlacement), "who places domains places their blobs"
        store, blobs = self._placement.store_of(domain), self._placement.blobs_of(domain)
        count = 0
        async with aclosing(moments.read(store, blobs, table, reader, self._clock)) as read:
            async for item, _ in read:
                text = msgspec.json.encode(item).decode()
                for at in range(0, len(text), PIECE_CHARACTERS):
                    more = at + PIECE_CHARACTERS < len(text)
                    piece = text[at : at + PIECE_CHARACTERS]
                    await send({"table": number, "item": piece, "more": more})
                count += 1
        return count
