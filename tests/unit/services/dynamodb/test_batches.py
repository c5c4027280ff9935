from __future__ import annotations

from typing import Any

import pytest

from fogbank.services.dynamodb import quotas
from fogbank.services.dynamodb.errors import ResourceNotFoundException, ValidationException
from fogbank.services.dynamodb.rules import batches

DUPLICATES = "Provided list of item keys contains duplicates"


def put(**item: Any) -> dict[str, Any]:
    return {"PutRequest": {"Item": item}}


def delete(**key: Any) -> dict[str, Any]:
    return {"DeleteRequest": {"Key": key}}


def s(text: str) -> dict[str, str]:
    return {"S": text}


def test_items_of_several_tables_are_written_and_read(run: Any, make_table: Any) -> None:
    make_table("one")
    make_table("two", sort="N")
    run("put_item", TableName="one", Item={"p": s("old"), "a": s("x" * 2_000)})
    key = {"p": s("b"), "c": {"N": "1"}}
    written = run(
        "batch_write_item",
        RequestItems={
            "one": [put(p=s("a"), v=s("1")), delete(p=s("old")), delete(p=s("absent"))],
            "two": [put(**key)],
        },
        ReturnConsumedCapacity="TOTAL",
    )
    assert written == {
        "UnprocessedItems": {},
        "ConsumedCapacity": [
            {"TableName": "one", "CapacityUnits": 4.0},
            {"TableName": "two", "CapacityUnits": 1.0},
        ],
    }
    read = run(
        "batch_get_item",
        RequestItems={
            "one": {
                "Keys": [{"p": s("a")}, {"p": s("old")}],
                "ProjectionExpression": "v",
                "ConsistentRead": True,
            },
            "two": {"Keys": [key]},
        },
        ReturnConsumedCapacity="INDEXES",
    )
    assert read["Responses"] == {"one": [{"v": s("1")}], "two": [key]}
    assert read["UnprocessedKeys"] == {}
    assert [each["CapacityUnits"] for each in read["ConsumedCapacity"]] == [2.0, 0.5]


def test_what_one_reply_does_not_take_is_left_unprocessed(
    run: Any, make_table: Any, call: Any
) -> None:
    make_table()
    wanted = [{"p": s(f"{number:02}")} for number in range(40)]
    for key in wanted:
        run("put_item", TableName="tab", Item={**key, "a": s("x" * 96)})
    call.quotas[quotas.BATCH_GET_BYTES.name] = 1_500
    found: list[Any] = []
    asked = {"tab": {"Keys": wanted, "ConsistentRead": True}}
    replies = 0
    while asked:
        reply = run("batch_get_item", RequestItems=asked)
        found += reply["Responses"]["tab"]
        asked = reply["UnprocessedKeys"]
        assert asked.get("tab", {"ConsistentRead": True})["ConsistentRead"]
        replies += 1
    assert [{"p": item["p"]} for item in found] == wanted
    assert replies == 3


def test_an_item_stands_once_in_a_batch(run: Any, make_table: Any) -> None:
    make_table(partition="N")
    for writes in (
        [put(p={"N": "1"}), put(p={"N": "1.0"})],
        [put(p={"N": "1"}), delete(p={"N": "1"})],
    ):
        with pytest.raises(ValidationException) as caught:
            run("batch_write_item", RequestItems={"tab": writes})
        assert caught.value.message == DUPLICATES
    with pytest.raises(ValidationException) as caught:
        run("batch_get_item", RequestItems={"tab": {"Keys": [{"p": {"N": "1"}}] * 2}})
    assert caught.value.message == DUPLICATES


def test_nothing_is_written_if_one_write_is_wrong(run: Any, make_table: Any) -> None:
    make_table()
    for wrong in (put(p={"N": "1"}), put(q=s("x")), delete(q=s("x")), put(p=s(""))):
        with pytest.raises(ValidationException):
            run("batch_write_item", RequestItems={"tab": [put(p=s("a")), wrong]})
    with pytest.raises(ResourceNotFoundException):
        run("batch_write_item", RequestItems={"tab": [put(p=s("a"))], "gone": [put(p=s("a"))]})
    assert run("scan", TableName="tab")["Count"] == 0


def test_batches_are_limited(run: Any, make_table: Any) -> None:
    make_table("one")
    make_table("two")
    writes = {name: [put(p=s(str(n))) for n in range(13)] for name in ("one", "two")}
    with pytest.raises(ValidationException, match="Too many items requested"):
        run("batch_write_item", RequestItems=writes)
    reads = {name: {"Keys": [{"p": s(str(n))} for n in range(51)]} for name in ("one", "two")}
    with pytest.raises(ValidationException, match="Too many items requested"):
        run("batch_get_item", RequestItems=reads)


def test_large_writes_are_made_in_groups() -> None:
    sizes = [200_000, 60_000, 3_000, 400_000, 1, 2]
    writes = [batches.BatchWrite("t", "t", {}, size, removes=False, asked={}) for size in sizes]
    groups = [[write.size for write in group] for group in batches.groups_of(writes)]
    assert groups == [[200_000, 60_000], [3_000], [400_000], [1, 2]]
