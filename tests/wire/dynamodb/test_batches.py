from __future__ import annotations

from typing import Any

import pytest


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
