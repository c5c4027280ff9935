"""A table whose history is kept, and a model of it: what every commit left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from hypothesis import strategies as st
from tests.unit.services.dynamodb.conftest import FakeCall

from fogbank.contract.job import Verdict, WorkList
from fogbank.platform.scheduler import worklist
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.keyspace import partition_of
from fogbank.platform.store.records import Table
from fogbank.services.dynamodb import state
from fogbank.services.dynamodb.rules import items
from fogbank.services.dynamodb.schema import TABLES, ItemRecord, TableRecord

Item = dict[str, Any]
Held = dict[str, Item]

word = st.sampled_from(["a", "a\0", "ab", "b"]).map(lambda text: {"S": text})
SORTS = {
    "": st.none(),
    "S": word,
    "N": st.integers(-2, 2).map(lambda number: {"N": str(number)}),
    "B": st.sampled_from([b"\0", b"\0\0", b"a" * 8, b"a" * 9, b"\xff", b"\xff" * 12]).map(
        lambda raw: {"B": raw}
    ),
}


class Written(NamedTuple):
    """What a commit left."""

    second: int
    held: Held


class World:
    """A table ``tab`` with key ``p`` and, if it has a type, ``c``."""

    def __init__(self, sort: str = "", call: FakeCall | None = None) -> None:
        self.call = call or FakeCall()
        self.sort = sort
        self.held: Held = {}
        self.commits: list[Written] = []
        types = {"p": "S"} | ({"c": sort} if sort else {})
        self.call.run(
            "create_table",
            TableName="tab",
            KeySchema=[
                {"AttributeName": name, "KeyType": role}
                for name, role in zip(types, ("HASH", "RANGE"), strict=False)
            ],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": kind} for name, kind in types.items()
            ],
            BillingMode="PAY_PER_REQUEST",
        )

    @property
    def second(self) -> int:
        return self.call.now_ms // 1_000

    def transact(self, body: Any) -> Any:
        return asyncio.run(self.call.store.transact(body))

    def table(self) -> TableRecord:
        found = asyncio.run(self.call.store.read(lambda tr: TABLES.find(tr, "tab")))
        assert found is not None
        return found

    def recover(self, days: int = 35) -> None:
        """Let the table be restored to a point in time from now on."""
        now_ms = self.call.now_ms

        async def body(tr: Transaction) -> None:
            table = await state.history.keep(tr, await self._find(tr), now_ms)
            on = msgspec.structs.replace(table, recovery_ms=now_ms, recovery_days=days)
            state.tables.put_table(tr, on)

        self.transact(body)
        self.commits.append(Written(self.second, dict(self.held)))

    async def _find(self, tr: Transaction) -> TableRecord:
        table = await TABLES.find(tr, "tab")
        assert table is not None
        return table

    def cut(self, name: str, second: int | None = None) -> TableRecord:
        async def body(tr: Transaction) -> TableRecord:
            table, now_ms = await self._find(tr), self.call.now_ms
            return await state.history.take_cut(tr, table, name, now_ms, second=second)

        return self.transact(body)

    def release(self, table: TableRecord, name: str) -> None:
        now_ms = self.call.now_ms

        async def body(tr: Transaction) -> None:
            await state.history.release_cut(tr, table, name, now_ms)

        self.transact(body)

    # Writes, here and in the model.

    def key(self, partition: Item, sort: Item | None) -> Item:
        return {"p": partition} | ({} if sort is None else {"c": sort})

    def write(self, kind: str, key: Item, number: int) -> None:
        """Make one commit."""
        item = {**key, "v": {"N": str(number)}}
        if kind == "delete":
            self.held.pop(text(key), None)
            self.call.run("delete_item", TableName="tab", Key=key)
        elif kind == "put":
            self.held[text(key)] = item
            self.call.run("put_item", TableName="tab", Item=item)
        elif kind == "update":
            old = self.held.get(text(key), key)
            self.held[text(key)] = {**old, f"u{number % 3}": {"N": str(number)}}
            self.call.run(
                "update_item",
                TableName="tab",
                Key=key,
                AttributeUpdates={f"u{number % 3}": {"Action": "PUT", "Value": {"N": str(number)}}},
            )
        else:
            other = {**key, "p": {"S": "other"}}
            self.held[text(key)] = item
            self.held.pop(text(other), None)
            self.call.run(
                "transact_write_items",
                TransactItems=[
                    {"Put": {"TableName": "tab", "Item": item}},
                    {"Delete": {"TableName": "tab", "Key": other}},
                ],
            )
        self.commits.append(Written(self.second, dict(self.held)))

    def held_at(self, second: int) -> Held:
        """Return what the table held at the end of a second."""
        return [each.held for each in self.commits if each.second <= second][-1]

    # Reading the past.

    def pieces(self, table: TableRecord, name: str, limit: int) -> Iterator[Held]:
        """Yield the table as of a cut, piece by piece, each in a transaction of its own."""
        rest = state.history.EVERYTHING
        while True:

            async def body(tr: Transaction, rest: Any = rest) -> state.history.Piece:
                moment = await state.history.require_cut(tr, table, name)
                return await state.history.list_items_as_of(tr, table, moment, rest, limit=limit)

            piece = asyncio.run(self.call.store.read(body))
            yield self._held_in(table, piece.items)
            if piece.rest is None:
                return
            rest = piece.rest

    def read(self, table: TableRecord, name: str, limit: int = 2) -> Held:
        whole: Held = {}
        for piece in self.pieces(table, name, limit):
            assert not whole.keys() & piece.keys(), "an item came twice"
            whole |= piece
        return whole

    def _held_in(self, table: TableRecord, found: list[tuple[bytes, ItemRecord]]) -> Held:
        places = [place for place, _ in found]
        assert places == sorted(places)
        whole = [asyncio.run(self._whole(record)) for _, record in found]
        return {self.text_of(table, record): items.item_of(table, record) for record in whole}

    async def _whole(self, record: ItemRecord) -> ItemRecord:
        if state.bodies.is_open(record):
            return record
        fetched = await state.bodies.fetched_row(self.call.blobs, record)
        assert isinstance(fetched, ItemRecord)
        return fetched

    def text_of(self, table: TableRecord, record: ItemRecord) -> str:
        item = items.item_of(table, record)
        return text(self.key(item["p"], item.get("c")))

    def changes(
        self, table: TableRecord, first: str, second: str, limit: int
    ) -> list[state.history.Change]:
        found: list[state.history.Change] = []
        rest = state.history.EVERYTHING
        while rest is not None:

            async def body(tr: Transaction, rest: Any = rest) -> state.history.Changes:
                window = (
                    await state.history.require_cut(tr, table, first),
                    await state.history.require_cut(tr, table, second),
                )
                return await state.history.list_changes_between(
                    tr, table, window, rest, limit=limit
                )

            read = asyncio.run(self.call.store.read(body))
            found += read.changes
            rest = read.rest
        return found

    # Jobs and rows.

    def rows(self, kind: Table[Any]) -> int:
        prefix = kind.prefix(self.call.domain)
        stored: dict[bytes, bytes] = self.call.engine.rows  # type: ignore[assignment]
        return sum(key.startswith(prefix) for key in stored)

    def attempt(self, work: WorkList) -> list[Verdict]:
        """Make the attempts at all entries of a list that are due now."""
        return asyncio.run(self._attempts(work))

    async def _attempts(self, work: WorkList) -> list[Verdict]:
        system = self.call.engine.system_stores()[0]
        due = await worklist.claim(
            system,
            work.name,
            partition_of(self.call.domain),
            now_ms=self.call.now_ms,
            hold_ms=work.hold_ms,
            holder="test",
            limit=100,
        )
        return [await self._attempt(work, entry) for entry in due]

    async def _attempt(self, work: WorkList, entry: worklist.WorkEntry) -> Verdict:
        call: Any = self.call
        verdict = await work.attempt(entry, call.facilities)

        async def settle(tr: Transaction) -> None:
            if verdict.settle is not None:
                await verdict.settle(tr)
            if verdict.retry_at_ms is None:
                await worklist.remove(tr, entry)
            else:
                worklist.put_back(tr, entry, verdict.retry_at_ms)

        await call.store.transact(settle)
        return verdict


def text(key: Item) -> str:
    """Return a key as a word."""
    return repr(sorted(key.items()))
