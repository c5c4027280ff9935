from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.base.errors import Corrupt
from fogbank.engines.bodies import LIMITS
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import Domain
from fogbank.services.dynamodb.quotas import PARTITION_KEY_BYTES_MAX, SORT_KEY_BYTES_MAX
from fogbank.services.dynamodb.rules import indexes, numbers, pages
from fogbank.services.dynamodb.rules.expressions.keyconditions import KeyTerm
from fogbank.services.dynamodb.rules.keys import ItemKey
from fogbank.services.dynamodb.schema import ENTRIES, ITEMS, IndexRecord, KeyAttribute, TableRecord

PREFIX_BYTES = len(Domain("dynamodb").prefix + ENTRIES.subspace) + 16 + indexes.NUMBER_BYTES
TYPES = st.sampled_from("SNB")
NUMBERS = st.integers(-(10**37), 10**37).map(lambda number: numbers.canonical(f"{number}e-3"))


def table_of(*found: IndexRecord) -> TableRecord:
    return TableRecord(
        name="tab",
        id="0" * 32,
        digest_key=b"k" * 16,
        partition=KeyAttribute("p", "S"),
        sort=None,
        billing_mode="PAY_PER_REQUEST",
        read_units=0,
        write_units=0,
        deletion_protected=False,
        created_ms=0,
        indexes=found,
    )


def index_of(partition: str, sort: str, **members: Any) -> IndexRecord:
    """Return an index whose key has attributes of these types: ``h0``, ``h1``, ``r0``."""
    attributes = [
        tuple(KeyAttribute(f"{role}{at}", kind) for at, kind in enumerate(kinds))
        for role, kinds in (("h", partition), ("r", sort))
    ]
    given = {"name": "idx", "number": 7, "is_local": False, "projection": "ALL"} | members
    return IndexRecord(partition=attributes[0], sort=attributes[1], **given)


@given(st.text(TYPES, min_size=1, max_size=4), st.text(TYPES, max_size=4), st.data())
def test_every_key_that_an_index_takes_fits_the_store(
    partition: str, sort: str, data: st.DataObject
) -> None:
    """Also at the limits of both keys, however the bytes are shared among the attributes."""
    index = index_of(partition, sort)
    item: dict[str, Any] = {"p": {"S": "p"}}
    for role, kinds, room in (
        ("h", partition, PARTITION_KEY_BYTES_MAX),
        ("r", sort, SORT_KEY_BYTES_MAX),
    ):
        left = room
        for at, kind in enumerate(kinds):
            rest = sum(each != "N" for each in kinds[at + 1 :])
            if kind == "N":
                item[f"{role}{at}"] = {"N": data.draw(NUMBERS)}
                continue
            size = data.draw(st.integers(1, left - rest)) if rest else left - rest
            left -= size
            item[f"{role}{at}"] = {kind: b"\0" * size if kind == "B" else "x" * size}
    table = table_of(index)
    key = ItemKey(b"p", b"d" * 16, b"s" * SORT_KEY_BYTES_MAX)
    entry = indexes.entry_of(table, index, key, item, {})
    assert entry is not None
    assert PREFIX_BYTES + len(entry.place) <= LIMITS.key_bytes_max


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("h0", None),
        ("r1", None),
        ("h0", {"N": "1"}),
        ("r0", {"S": "1"}),
        ("h1", {"S": ""}),
        ("r1", {"B": b""}),
        ("h0", {"S": "x" * PARTITION_KEY_BYTES_MAX}),
        ("r1", {"B": b"x" * (SORT_KEY_BYTES_MAX + 1)}),
    ],
)
def test_what_cannot_be_a_key_has_no_entry(name: str, value: Any) -> None:
    """Developer Guide, "Detecting and correcting index key violations"."""
    index = index_of("SS", "NB")
    item = {"p": {"S": "p"}, "h0": {"S": "a"}, "h1": {"S": "b"}, "r0": {"N": "1"}}
    item["r1"] = {"B": b"c"}  # type: ignore[dict-item]
    key, table = ItemKey(b"p", b"d" * 16, b""), table_of(index)
    assert indexes.entry_of(table, index, key, item, {}) is not None
    changed = {each: found for each, found in item.items() if each != name}
    if value is not None:
        changed[name] = value
    assert indexes.entry_of(table, index, key, changed, {}) is None


@given(st.lists(st.tuples(st.text("ab\0", min_size=1, max_size=10), NUMBERS), min_size=2))
def test_entries_lie_in_the_order_of_their_sort_keys(found: list[tuple[str, str]]) -> None:
    index = index_of("S", "SN")
    table = table_of(index)
    places: list[tuple[bytes, tuple[bytes, Decimal]]] = []
    for number, (text, amount) in enumerate(found):
        item = {"p": {"S": "p"}, "h0": {"S": "h"}, "r0": {"S": text}, "r1": {"N": amount}}
        key = ItemKey(b"p", number.to_bytes(16), b"")
        entry = indexes.entry_of(table, index, key, item, {})
        assert entry is not None
        places.append((entry.place, (text.encode(), Decimal(amount))))
    assert [order for _, order in sorted(places)] == sorted(order for _, order in places)


@given(st.binary(min_size=1, max_size=20), st.binary(min_size=1, max_size=20))
def test_a_range_of_a_prefix_holds_what_begins_with_it(prefix: bytes, value: bytes) -> None:
    attribute = KeyAttribute("r0", "B")
    term = KeyTerm("begins_with", ({"B": prefix},))
    asked = pages.entry_range(b"d" * 16, [(attribute, term)])
    for content in (value, prefix + value):
        place = b"d" * 16 + tuples.pack(content) + b"\xff" * 16
        assert asked.holds(place) == content.startswith(prefix)


def make_indexed(run: Any, *, pad: str = "x") -> None:
    run(
        "create_table",
        TableName="tab",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("p", "g")],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "idx",
                "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    for name in "ab":
        item = {"p": {"S": name}, "g": {"S": name}, "pad": {"S": pad}}
        run("put_item", TableName="tab", Item=item)


def entries(call: Any) -> dict[bytes, bytes]:
    prefix = ENTRIES.prefix(call.domain)
    return {key: value for key, value in call.engine.rows.items() if key.startswith(prefix)}


def test_a_change_beside_the_key_leaves_a_large_entry_as_it_is(run: Any, call: Any) -> None:
    make_indexed(run, pad="x" * 2 * indexes.COPY_BYTES_MAX)
    before = entries(call)
    assert {len(value) < 200 for value in before.values()} == {True}
    update = {"UpdateExpression": "SET z = :z", "ExpressionAttributeValues": {":z": {"N": "1"}}}
    run("update_item", TableName="tab", Key={"p": {"S": "a"}}, **update)
    assert entries(call) == before
    [read] = run(
        "query",
        TableName="tab",
        IndexName="idx",
        KeyConditionExpression="g = :g",
        ExpressionAttributeValues={":g": {"S": "a"}},
    )["Items"]
    assert read["z"] == {"N": "1"}


def test_an_entry_of_another_partition_key_is_never_served(run: Any, call: Any) -> None:
    make_indexed(run)

    def found() -> list[Any]:
        asked = {"TableName": "tab", "IndexName": "idx", "KeyConditionExpression": "g = :g"}
        return [
            run("query", **asked, ExpressionAttributeValues={":g": {"S": name}}) for name in "ab"
        ]

    assert [reply["Count"] for reply in found()] == [1, 1]
    one, other = sorted(entries(call))
    call.engine.rows[one] = call.engine.rows[other]
    with pytest.raises(Corrupt, match="another partition key"):
        found()


def test_an_entry_without_its_item_is_damage(run: Any, call: Any) -> None:
    make_indexed(run, pad="x" * 2 * indexes.COPY_BYTES_MAX)
    prefix = ITEMS.prefix(call.domain)
    for key in [key for key in call.engine.rows if key.startswith(prefix)]:
        del call.engine.rows[key]
    with pytest.raises(Corrupt, match="an item that is not there"):
        run("scan", TableName="tab", IndexName="idx")
