"""Several tables at one moment: what the reader of SQL is given while they are written."""

from __future__ import annotations

from typing import Any

import pytest

from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.dynamodb.errors import ResourceNotFoundException
from fogbank.services.dynamodb.schema import TableRecord
from fogbank.services.dynamodb.state import history, moments
from fogbank.testing.cloud import Cloud

COUNT = 3 * moments.ITEMS_PER_PIECE


class Reader:
    """Reads tables of the cloud's account as ``fogbank sql`` does."""

    def __init__(self, cloud: Cloud, account: str) -> None:
        self._cloud = cloud
        domain = Domain("dynamodb", account, "us-east-1")
        self._store, self._blobs = cloud.engine.store_of(domain), cloud.engine.blobs_of(domain)

    def take(self, *names: str, reader: str = "r") -> list[TableRecord]:
        now_ms = self._cloud.clock.now_ms()

        async def body(tr: Transaction) -> list[TableRecord]:
            return await moments.take(tr, names, reader, now_ms)

        return self._cloud.run(self._store.transact(body))

    def values(self, table: TableRecord, between: Any = None) -> list[int]:
        """Return the values of a table; after the first item something is done."""

        async def read() -> list[int]:
            found: list[int] = []
            items = moments.read(self._store, self._blobs, table, "r", self._cloud.clock)
            async for item, _ in items:
                found.append(int(str(item["v"]["N"])))
                if between is not None and len(found) == 1:
                    await between()
            return sorted(found)

        return self._cloud.run(read())

    def release(self, table: TableRecord) -> None:
        async def body(tr: Transaction) -> None:
            await moments.release(tr, table, "r", self._cloud.clock.now_ms())

        self._cloud.run(self._store.transact(body))

    def cuts(self, table: TableRecord) -> int:
        async def body(tr: Transaction) -> int:
            return await history.count_cuts(tr, table.id, 10)

        return self._cloud.run(self._store.read(body))


@pytest.fixture
def reader(cloud: Cloud, account: str) -> Reader:
    return Reader(cloud, account)


def put(dynamodb: Any, table: str, value: int) -> None:
    for number in range(COUNT):
        item = {"p": {"S": str(number)}, "v": {"N": str(value)}}
        dynamodb.put_item(TableName=table, Item=item)


def test_tables_are_read_as_of_one_moment_though_they_are_written_meanwhile(
    dynamodb: Any, make_table: Any, reader: Reader
) -> None:
    for name in ("one", "two"):
        make_table(name)
        put(dynamodb, name, 1)
    one, two = reader.take("one", "two")
    put(dynamodb, "two", 2)
    assert reader.values(one) == [1] * COUNT
    put(dynamodb, "one", 2)
    dynamodb.delete_item(TableName="one", Key={"p": {"S": "0"}})
    dynamodb.put_item(TableName="one", Item={"p": {"S": "new"}, "v": {"N": "3"}})
    assert reader.values(one) == reader.values(two) == [1] * COUNT
    for table in (one, two):
        reader.release(table)
        assert reader.cuts(table) == 0


def test_a_moment_of_a_dead_reader_is_let_go_in_time(
    cloud: Cloud, make_table: Any, reader: Reader
) -> None:
    make_table("one")
    [table] = reader.take("one")
    cloud.advance(moments.READ_MS - 1)
    cloud.settle()
    assert reader.cuts(table) == 1
    cloud.advance(2)
    cloud.settle()
    assert reader.cuts(table) == 0


def test_a_table_that_is_not_there_keeps_no_moment_of_the_others(
    make_table: Any, reader: Reader
) -> None:
    make_table("one")
    with pytest.raises(ResourceNotFoundException, match="Table: nobody not found"):
        reader.take("one", "nobody")
    [table] = reader.take("one")
    assert reader.cuts(table) == 1
