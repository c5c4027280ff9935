"""What a stream tells of changes: API Reference, Record and StreamRecord."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

VIEWS = ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"]
ONE = {"p": {"S": "p"}, "c": {"N": "1"}}


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_shows_its_images_of_each_kind_of_change(
    dynamodb: Any, make_table: Any, put: Any, read: Any, view: str
) -> None:
    arn = make_table(view=view)
    put(c=1, a={"S": "old"})
    put(c=1, a={"S": "new"})
    dynamodb.delete_item(TableName="tab", Key=ONE)
    old, new = {**ONE, "a": {"S": "old"}}, {**ONE, "a": {"S": "new"}}
    told = [
        (each["eventName"], each["dynamodb"].get("OldImage"), each["dynamodb"].get("NewImage"))
        for each in read(arn)
    ]
    expected = [("INSERT", None, old), ("MODIFY", old, new), ("REMOVE", new, None)]
    assert told == [
        (event, before if "OLD" in view else None, after if "NEW" in view else None)
        for event, before, after in expected
    ]


def test_a_record_says_where_when_and_how_large_it_is(
    cloud: Any, dynamodb: Any, make_table: Any, put: Any, read: Any
) -> None:
    arn = make_table()
    put(c=1, blob={"B": b"\x00\xff"})
    cloud.advance(1_600)
    put(c=1, blob={"B": b"\x01"})
    first, second = read(arn)
    assert first["eventID"] != second["eventID"]
    assert [first, second] == read(arn)
    assert {key: second[key] for key in ("eventVersion", "eventSource", "awsRegion")} == {
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
    }
    assert "userIdentity" not in second
    told = second["dynamodb"]
    now = datetime.fromtimestamp(cloud.clock.now_ms() // 1_000, UTC)
    assert told["ApproximateCreationDateTime"] == now
    assert told["Keys"] == ONE
    assert told["StreamViewType"] == "NEW_AND_OLD_IMAGES"
    assert told["OldImage"]["blob"] == {"B": b"\x00\xff"}
    # Keys, the image before and the image after: names of 1, 1 and 4 bytes, values of 1, 2 and 2 or 1.
    assert told["SizeBytes"] == 5 + (5 + 6) + (5 + 5)
    assert first["dynamodb"]["SizeBytes"] == 5 + (5 + 6)
    number = told["SequenceNumber"]
    assert number.isdecimal()
    assert 21 <= len(number) <= 40
    assert int(number) > int(first["dynamodb"]["SequenceNumber"])


def test_a_write_that_changes_nothing_leaves_no_record(
    dynamodb: Any, make_table: Any, put: Any, read: Any
) -> None:
    """scylladb test/alternator, test_streams_updateitem_equal_but_not_identical and others."""
    arn = make_table()
    dynamodb.delete_item(TableName="tab", Key=ONE)
    put(c=1, m={"M": {"a": {"N": "1"}, "b": {"N": "2"}}}, s={"SS": ["x", "y"]})
    put(c=1, m={"M": {"a": {"N": "1"}, "b": {"N": "2"}}}, s={"SS": ["x", "y"]})
    put(c=1, s={"SS": ["y", "x"]}, m={"M": {"b": {"N": "2.0"}, "a": {"N": "1"}}})
    update = {"UpdateExpression": "REMOVE absent"}
    dynamodb.update_item(TableName="tab", Key=ONE, **update)
    dynamodb.update_item(TableName="tab", Key={"p": {"S": "p"}, "c": {"N": "2"}}, **update)
    assert [each["eventName"] for each in read(arn)] == ["INSERT"]
    put(c=1, m={"M": {"b": {"N": "3"}, "a": {"N": "1"}}}, s={"SS": ["x", "y"]})
    assert [each["eventName"] for each in read(arn)] == ["INSERT", "MODIFY"]


def test_batches_and_transactions_are_told_item_by_item_and_refused_ones_not(
    dynamodb: Any, make_table: Any, put: Any, read: Any, refusal: Any
) -> None:
    arn = make_table(view="KEYS_ONLY")
    items = [{"p": {"S": "p"}, "c": {"N": str(number)}} for number in range(6)]
    batch = [{"PutRequest": {"Item": item}} for item in items[:3]]
    batch.append({"DeleteRequest": {"Key": items[5]}})
    dynamodb.batch_write_item(RequestItems={"tab": batch})
    dynamodb.transact_write_items(
        TransactItems=[
            {"Put": {"TableName": "tab", "Item": items[3]}},
            {"Delete": {"TableName": "tab", "Key": items[0]}},
        ]
    )
    absent = {"ConditionExpression": "attribute_not_exists(p)"}
    refusal(dynamodb.put_item, TableName="tab", Item=items[3], **absent)
    cancelled = [
        {"Put": {"TableName": "tab", "Item": items[4]}},
        {"Put": {"TableName": "tab", "Item": items[3], **absent}},
    ]
    refusal(dynamodb.transact_write_items, TransactItems=cancelled)
    told = [(each["eventName"], each["dynamodb"]["Keys"]) for each in read(arn)]
    assert told == [
        *(("INSERT", item) for item in items[:4]),
        ("REMOVE", items[0]),
    ]
    numbers = [int(each["dynamodb"]["SequenceNumber"]) for each in read(arn)]
    assert all(one < other for one, other in pairwise(numbers))


def test_two_images_that_no_row_takes_are_told_whole(
    dynamodb: Any, make_table: Any, put: Any, read: Any, streams: Any, shards: Any, iterator: Any
) -> None:
    """An item has up to 400 KB, a row of the store 512 KiB."""
    arn = make_table()
    texts = [letter * 390_000 for letter in "abc"]
    for text in texts:
        put(c=1, a={"S": text})
    put(c=2)
    records = read(arn)
    images = [
        tuple(
            each["dynamodb"].get(image, {}).get("a", {}).get("S")
            for image in ("OldImage", "NewImage")
        )
        for each in records
    ]
    a, b, c = texts
    assert images == [(None, a), (a, b), (b, c), (None, None)]
    [shard] = shards(arn)
    for at in range(4):
        number = records[at]["dynamodb"]["SequenceNumber"]
        for kind, first in (("AT_SEQUENCE_NUMBER", at), ("AFTER_SEQUENCE_NUMBER", at + 1)):
            place = iterator(arn, shard, kind, SequenceNumber=number)
            page = streams.get_records(ShardIterator=place)["Records"]
            assert page == records[first : first + len(page)]
            assert bool(page) == (first < 4)


@pytest.mark.slow
def test_an_item_that_is_kept_deflated_is_told_whole(make_table: Any, put: Any, read: Any) -> None:
    arn = make_table()
    many = {"L": [{"BOOL": True}] * 75_000}
    put(c=1, many=many)
    [record] = read(arn)
    assert record["dynamodb"]["NewImage"]["many"] == many


def test_a_page_has_so_many_records_or_so_many_bytes(
    streams: Any, make_table: Any, put: Any, shards: Any, iterator: Any, refusal: Any
) -> None:
    arn = make_table(view="NEW_IMAGE")
    for number in range(6):
        put(c=number, a={"S": "x" * 300_000})
    [shard] = shards(arn)
    place, pages = iterator(arn, shard), []
    for _ in range(3):
        page = streams.get_records(ShardIterator=place)
        pages.append([each["dynamodb"]["Keys"]["c"]["N"] for each in page["Records"]])
        place = page["NextShardIterator"]
    assert pages == [["0", "1", "2"], ["3", "4", "5"], []]
    page = streams.get_records(ShardIterator=iterator(arn, shard), Limit=2)
    assert len(page["Records"]) == 2
    page = streams.get_records(ShardIterator=page["NextShardIterator"], Limit=1)
    assert page["Records"][0]["dynamodb"]["Keys"]["c"] == {"N": "2"}
    code, message = refusal(streams.get_records, ShardIterator=place, Limit=1_001)
    assert (code, "Limit" in message) == ("ValidationException", True)


def test_changes_of_each_key_stand_in_their_order(
    dynamodb: Any, make_table: Any, put: Any, read: Any
) -> None:
    arn = make_table(view="NEW_IMAGE")
    seed = random.Random(7)
    expected: dict[str, list[str]] = {}
    for number in range(120):
        c = seed.randrange(5)
        put(c=c, n={"N": str(number)})
        expected.setdefault(str(c), []).append(str(number))
    found: dict[str, list[str]] = {}
    for each in read(arn):
        image = each["dynamodb"]["NewImage"]
        found.setdefault(image["c"]["N"], []).append(image["n"]["N"])
    assert found == expected


@pytest.mark.slow
def test_a_batch_whose_images_no_transaction_takes_is_written_piece_by_piece(
    dynamodb: Any, make_table: Any, put: Any, read: Any
) -> None:
    """A transaction of the store has 10 MB; what a batch removes is known when it is read."""
    arn = make_table(view="OLD_IMAGE")
    keys = [{"p": {"S": "p"}, "c": {"N": str(number)}} for number in range(25)]
    for number in range(25):
        put(c=number, a={"B": b"x" * 400_000})
    deletes = [{"DeleteRequest": {"Key": key}} for key in keys]
    assert dynamodb.batch_write_item(RequestItems={"tab": deletes})["UnprocessedItems"] == {}
    removed = [each["dynamodb"]["Keys"] for each in read(arn) if each["eventName"] == "REMOVE"]
    assert removed == keys
