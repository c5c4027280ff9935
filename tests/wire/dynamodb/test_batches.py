from __future__ import annotations

from typing import Any

import pytest

from fogbank.services.dynamodb.operations import batches


def put(name: str, **attributes: Any) -> dict[str, Any]:
    return {"PutRequest": {"Item": {"p": {"S": name}, **attributes}}}


def test_a_batch_writes_and_reads_several_tables(dynamodb: Any, make_table: Any) -> None:
    make_table("one")
    make_table("two")
    dynamodb.put_item(TableName="two", Item={"p": {"S": "old"}})
    written = dynamodb.batch_write_item(
        RequestItems={
            "one": [put(str(number), n={"N": str(number)}) for number in range(20)],
            "two": [{"DeleteRequest": {"Key": {"p": {"S": "old"}}}}, put("new")],
        }
    )
    assert written["UnprocessedItems"] == {}
    reply = dynamodb.batch_get_item(
        RequestItems={
            "one": {
                "Keys": [{"p": {"S": str(number)}} for number in range(18, 22)],
                "ProjectionExpression": "#n",
                "ExpressionAttributeNames": {"#n": "n"},
            },
            "two": {"Keys": [{"p": {"S": "old"}}, {"p": {"S": "new"}}]},
        }
    )
    found = sorted(item["n"]["N"] for item in reply["Responses"]["one"])
    assert found == ["18", "19"]
    assert reply["Responses"]["two"] == [{"p": {"S": "new"}}]
    assert reply["UnprocessedKeys"] == {}


def test_a_batch_is_checked_whole_before_it_writes(
    dynamodb: Any, make_table: Any, refusal: Any
) -> None:
    make_table("one")
    assert refusal(
        dynamodb.batch_write_item, RequestItems={"one": [put("a"), put("b"), put("a")]}
    ) == (400, "ValidationException", "Provided list of item keys contains duplicates")
    items = {"one": [put("a")], "none": [put("a")]}
    assert refusal(dynamodb.batch_write_item, RequestItems=items)[1:] == (
        "ResourceNotFoundException",
        "Requested resource not found",
    )
    assert dynamodb.scan(TableName="one")["Count"] == 0


@pytest.mark.parametrize("cloud", [{"dynamodb.batch_get_bytes_max": 2_000}], indirect=True)
def test_what_a_reply_has_no_room_for_is_to_be_asked_again(dynamodb: Any, make_table: Any) -> None:
    make_table("one")
    names = [f"item{number:02}" for number in range(40)]
    for name in names:
        dynamodb.put_item(
            TableName="one", Item=put(name, pad={"S": "x" * 100})["PutRequest"]["Item"]
        )
    asked: Any = {"one": {"Keys": [{"p": {"S": name}} for name in names]}}
    found: list[str] = []
    rounds = 0
    while asked:
        reply = dynamodb.batch_get_item(RequestItems=asked)
        found += [item["p"]["S"] for item in reply["Responses"]["one"]]
        asked = reply["UnprocessedKeys"]
        rounds += 1
    assert sorted(found) == names
    assert rounds > 1


def test_a_batch_of_large_items_gives_way_after_each_of_them(
    dynamodb: Any, make_table: Any, turns: list[str]
) -> None:
    make_table("one")
    names = [str(number) for number in range(12)]
    pad = {"B": bytes(140_000)}
    dynamodb.batch_write_item(RequestItems={"one": [put(name, pad=pad) for name in names]})
    assert turns == ["BatchWriteItem"] * 12
    turns.clear()
    keys = [{"p": {"S": name}} for name in names]
    reply = dynamodb.batch_get_item(RequestItems={"one": {"Keys": keys}})
    assert [item["p"]["S"] for item in reply["Responses"]["one"]] == names
    assert turns == ["BatchGetItem"] * 12


def test_a_batch_of_small_items_holds_nobody_up_and_gives_no_way(
    dynamodb: Any, make_table: Any, turns: list[str]
) -> None:
    make_table("one")
    for first in range(0, 100, 25):
        puts = [put(str(number)) for number in range(first, first + 25)]
        dynamodb.batch_write_item(RequestItems={"one": puts})
    keys = [{"p": {"S": str(number)}} for number in range(100)]
    assert (
        len(dynamodb.batch_get_item(RequestItems={"one": {"Keys": keys}})["Responses"]["one"])
        == 100
    )
    assert turns == []


def test_a_batch_reads_fewer_keys_at_once_the_larger_their_items_are(
    dynamodb: Any, make_table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_table("one")
    for number in range(12):
        dynamodb.put_item(
            TableName="one", Item=put(str(number), pad={"B": bytes(350_000)})["PutRequest"]["Item"]
        )
    steps: list[int] = []
    read_step = batches._read_step

    async def read(call: Any, table: Any, wanted: Any, **how: Any) -> Any:
        steps.append(len(wanted))
        return await read_step(call, table, wanted, **how)

    monkeypatch.setattr(batches, "_read_step", read)
    keys = [{"p": {"S": str(number)}} for number in range(50)]
    dynamodb.batch_get_item(RequestItems={"one": {"Keys": keys}})
    assert steps[:4] == [4, 3, 3, 3]
    steps.clear()
    dynamodb.batch_get_item(RequestItems={"one": {"Keys": keys[12:]}})
    assert steps == [4, 16, 16, 2]
