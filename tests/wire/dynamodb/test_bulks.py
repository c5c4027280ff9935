"""Bulk puts: items of objects of a bucket become items of a table that stands, and what does not is told.

Source: Amazon DynamoDB API Reference, StartBulkPutItems, InputS3Configuration, OutputS3Configuration and
BulkOperationDescription; Developer Guide, "Amazon S3 input formats for bulk put items", "Bulk put items
output and reconciliation" and "Bulk put items considerations, quotas, and permissions".
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from backports import zstd
from tests.wire.dynamodb.bulks import (
    BOTH,
    IN,
    OUT,
    Run,
    asked,
    bulk_cloud,
    found,
    line,
    put_source,
    run_bulk,
    told,
)
from tests.wire.dynamodb.indexing import index

from fogbank.services.dynamodb.state import reading
from fogbank.testing.cloud import Cloud

UNLESS_THERE = {"ConditionExpression": "attribute_not_exists(p)"}


@pytest.fixture
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """Return a cloud for bulk puts; a parameter gives its quotas."""
    with bulk_cloud(getattr(request, "param", {})) as made:
        yield made


@pytest.fixture
def put(cloud: Cloud) -> Callable[[str, bytes], None]:
    return partial(put_source, cloud)


@pytest.fixture
def run(cloud: Cloud) -> Run:
    return partial(run_bulk, cloud)


def test_items_are_put_beside_and_over_those_that_are_there(
    put: Any, run: Run, dynamodb: Any, make_table: Any
) -> None:
    make_table()
    for name in "ab":
        dynamodb.put_item(TableName="tab", Item={"p": {"S": name}, "old": {"BOOL": True}})
    put("in/1", line({"p": {"S": "b"}, "n": {"N": "1.50"}}) + line({"p": {"S": "c"}}))
    put("in/2", line({"p": {"S": "d"}}))
    put("other", line({"p": {"S": "e"}}))
    ended = run()
    assert ended["BulkOperationStatus"] == "COMPLETED", ended
    assert found(dynamodb) == {
        "a": {"p": {"S": "a"}, "old": {"BOOL": True}},
        "b": {"p": {"S": "b"}, "n": {"N": "1.5"}},
        "c": {"p": {"S": "c"}},
        "d": {"p": {"S": "d"}},
    }


def test_a_bulk_put_is_told_as_it_is(
    put: Any, run: Run, dynamodb: Any, cloud: Cloud, make_table: Any
) -> None:
    make_table()
    content = line({"p": {"S": "a"}}) + line({"p": {"S": "b"}, "x": {"S": "x" * 1_100}})
    put("in/1", content)
    began, account = cloud.clock.now_ms(), cloud.account.principal.account
    ended = run(ClientToken="token", MaxWriteRequestUnits=2_048, PerformanceTier="ACCELERATED")
    arn = ended.pop("BulkOperationArn")
    prefix, _, bulk_id = arn.rpartition("/")
    assert prefix == f"arn:aws:dynamodb:us-east-1:{account}:table/tab/bulk-operation"
    assert re.fullmatch(rf"{began:014}-[0-9a-f]{{8}}", bulk_id)
    assert {key: ended.pop(key).timestamp() * 1_000 for key in ("StartTime", "EndTime")} == {
        "StartTime": began,
        "EndTime": cloud.clock.now_ms(),
    }
    given, owner = asked(), {"S3BucketOwner": account}
    table = dynamodb.describe_table(TableName="tab")["Table"]
    assert ended == {
        "BulkOperationStatus": "COMPLETED",
        "TableDetails": [{"TableName": "tab", "TableId": table["TableId"]}],
        "ClientToken": "token",
        "InputS3Configuration": {**given["InputS3Configuration"], **owner},
        "OutputS3Configuration": {**given["OutputS3Configuration"], **owner},
        "ProcessedItemCount": 2,
        "FailedItemCount": 0,
        "ProcessedInputBytes": len(content),
        "TotalInputBytes": len(content),
        "BulkOperationUsage": [
            {"TableName": "tab", "BulkPutBytes": 3_072, "Table": {"BulkPutBytes": 3_072}}
        ],
        "MaxWriteRequestUnits": 2_048,
        "PerformanceTier": "ACCELERATED",
    }


def test_usage_is_told_of_each_index(put: Any, run: Run, dynamodb: Any) -> None:
    dynamodb.create_table(
        TableName="tab",
        KeySchema=[
            {"AttributeName": "p", "KeyType": "HASH"},
            {"AttributeName": "c", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("p", "c", "g")
        ],
        LocalSecondaryIndexes=[index("local", "p", ">g")],
        GlobalSecondaryIndexes=[index("overall", "g")],
        BillingMode="PAY_PER_REQUEST",
    )
    put("in/1", line({"p": {"S": "a"}, "c": {"S": "b"}, "g": {"S": "c"}}))
    [usage] = run()["BulkOperationUsage"]
    assert usage == {
        "TableName": "tab",
        "BulkPutBytes": 3 * 1_024,
        "Table": {"BulkPutBytes": 1_024},
        "LocalSecondaryIndexes": {"local": {"BulkPutBytes": 1_024}},
        "GlobalSecondaryIndexes": {"overall": {"BulkPutBytes": 1_024}},
    }
    query = {"TableName": "tab", "IndexName": "overall", "KeyConditionExpression": "g = :g"}
    assert dynamodb.query(**query, ExpressionAttributeValues={":g": {"S": "c"}})["Count"] == 1


ION = (
    b'$ion_1_0 {Item:{p:"a",n:1.},ConditionExpression:"n > :n",'
    b"ExpressionAttributeValues:{':n':0}}\n"
    b'{Item:{p:"b"},ConditionExpression:"#p = :p",'
    b"ExpressionAttributeNames:{'#p':\"p\"},ExpressionAttributeValues:{':p':\"b\"}}\n"
    b'{Item:{p:"c"}}\n'
)
JSON = (
    line(
        {"p": {"S": "a"}, "n": {"N": "1"}},
        ConditionExpression="n > :n",
        ExpressionAttributeValues={":n": {"N": "0"}},
    )
    + line(
        {"p": {"S": "b"}},
        ConditionExpression="#p = :p",
        ExpressionAttributeNames={"#p": "p"},
        ExpressionAttributeValues={":p": {"S": "b"}},
    )
    + line({"p": {"S": "c"}})
)
PACKED = {"NONE": bytes, "GZIP": gzip.compress, "ZSTD": zstd.compress}


@pytest.mark.parametrize("compression", PACKED)
@pytest.mark.parametrize(("form", "content"), [("DYNAMODB_JSON", JSON), ("ION", ION)])
def test_a_record_is_written_on_its_condition_in_every_format(
    put: Any, run: Run, dynamodb: Any, make_table: Any, cloud: Cloud, form: str, content: bytes,
    compression: str, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Small windows and pieces: it goes on within an object in each attempt."""
    monkeypatch.setattr(reading, "ITEMS_PER_PIECE", 1)
    monkeypatch.setattr(reading, "WINDOW_BYTES", 40)
    make_table()
    dynamodb.put_item(TableName="tab", Item={"p": {"S": "a"}, "n": {"N": "0"}})
    dynamodb.put_item(TableName="tab", Item={"p": {"S": "b"}, "old": {"S": "x"}})
    put("in/1", PACKED[compression](content))
    ended = run(InputFormat=form, InputCompressionType=compression)
    assert ended["BulkOperationStatus"] == "COMPLETED", ended
    assert (ended["ProcessedItemCount"], ended["FailedItemCount"]) == (3, 0)
    assert ended["ProcessedInputBytes"] == ended["TotalInputBytes"]
    assert found(dynamodb) == {
        "a": {"p": {"S": "a"}, "n": {"N": "0"}},
        "b": {"p": {"S": "b"}},
        "c": {"p": {"S": "c"}},
    }
    assert told(cloud, ended) == {
        "condition-check-failure": [
            {
                "itemS3Pointer": {"bucket": IN, "key": "in/1", "itemIndex": 0},
                "Item": {"p": {"S": "a"}, "n": {"N": "1"}},
                "ExistingItem": {"p": {"S": "a"}, "n": {"N": "0"}},
            }
        ]
    }


def test_a_condition_that_fails_where_nothing_is_has_no_existing_item(
    put: Any, run: Run, cloud: Cloud, make_table: Any
) -> None:
    make_table()
    put("in/1", line({"p": {"S": "a"}}, ConditionExpression="attribute_exists(p)"))
    [failure] = told(cloud, run())["condition-check-failure"]
    assert "ExistingItem" not in failure


BROKEN = (
    b"no json\n"
    + line({"p": {"N": "1"}})
    + line({"q": {"S": "a"}})
    + line({"p": {"S": "a"}, "x": {"S": "x" * (400 << 10)}})
    + line({"p": {"S": "a"}}, ConditionExpression="p >")
    + line({"p": {"S": "a"}}, ConditionExpression="p = :unknown")
    + line({"p": {"S": "a"}}, ExpressionAttributeNames={"#unused": "p"})
    + line({"p": {"S": "a"}}, Condition="p = p")
    + b'{"Item":' + b'{"M":' * 5_000 + b"\n"
    + line({"p": {"S": "fine"}})
)  # fmt: skip


def test_what_is_no_item_is_counted_and_told_and_the_rest_is_written(
    put: Any, run: Run, dynamodb: Any, cloud: Cloud, make_table: Any
) -> None:
    make_table()
    put("in/1", BROKEN)
    ended = run()
    assert ended["BulkOperationStatus"] == "COMPLETED_WITH_ERRORS"
    assert (ended["ProcessedItemCount"], ended["FailedItemCount"]) == (10, 9)
    assert "FailureCode" not in ended
    assert [*found(dynamodb)] == ["fine"]
    errors = told(cloud, ended)["error"]
    assert [each["itemS3Pointer"]["itemIndex"] for each in errors] == [*range(9)]
    messages = [each["errorMessages"][0] for each in errors]
    assert messages[1].startswith("One or more parameter values were invalid: Type mismatch")
    assert messages[3] == "Item size has exceeded the maximum allowed size"
    assert messages[4].startswith("Invalid ConditionExpression: Syntax error")


def test_a_giant_line_is_an_error_of_one_item(
    put: Any, run: Run, dynamodb: Any, make_table: Any
) -> None:
    make_table()
    put("in/1", b'{"Item":{"p":{"S":"' + b"x" * (5 << 20) + b'"}}}\n' + line({"p": {"S": "a"}}))
    ended = run()
    assert (ended["ProcessedItemCount"], ended["FailedItemCount"]) == (2, 1)
    assert [*found(dynamodb)] == ["a"]


@pytest.mark.parametrize("compression", ["GZIP", "ZSTD"])
def test_what_a_bomb_stands_for_is_never_whole_in_memory(
    put: Any, run: Run, dynamodb: Any, make_table: Any, compression: str
) -> None:
    """A hundred megabytes of one line, of which 4 MB are looked at, in some kilobytes."""
    make_table()
    bomb = b"x" * (100 << 20) + b"\n" + line({"p": {"S": "a"}})
    put("in/1", PACKED[compression](bomb))
    ended = run(InputCompressionType=compression)
    assert (ended["ProcessedItemCount"], ended["FailedItemCount"]) == (2, 1)
    assert [*found(dynamodb)] == ["a"]


def test_the_rest_of_an_object_that_is_malformed_is_passed_over_and_told(
    put: Any, run: Run, dynamodb: Any, cloud: Cloud, make_table: Any
) -> None:
    make_table()
    put("in/1", gzip.compress(line({"p": {"S": "a"}}))[:-4])
    put("in/2", gzip.compress(line({"p": {"S": "b"}})))
    ended = run(InputCompressionType="GZIP")
    assert ended["BulkOperationStatus"] == "COMPLETED_WITH_ERRORS"
    assert (ended["ProcessedItemCount"], ended["FailedItemCount"]) == (3, 1)
    assert ended["ProcessedInputBytes"] == ended["TotalInputBytes"]
    [error] = told(cloud, ended)["error"]
    assert error["itemS3Pointer"]["key"] == "in/1"
    assert error["errorMessages"] == ["The compressed file is cut off"]
    assert {*found(dynamodb)} == {"a", "b"}


@pytest.mark.parametrize("kind", BOTH)
def test_a_report_tells_only_what_was_asked_for(
    put: Any, run: Run, cloud: Cloud, make_table: Any, kind: str
) -> None:
    make_table()
    put("in/1", line({"p": {"S": "a"}}) + line({"p": {"S": "a"}}, **UNLESS_THERE) + b"no\n")
    ended = run(kind)
    assert (ended["ProcessedItemCount"], ended["FailedItemCount"]) == (3, 1)
    assert [*told(cloud, ended)] == [kind.lower().replace("_", "-")]


@pytest.mark.parametrize("cloud", [{"dynamodb.export_file_bytes_max": 2_000}], indirect=True)
def test_reports_of_many_lines_are_several_files_and_nothing_of_them_is_kept(
    put: Any, run: Run, cloud: Cloud, make_table: Any
) -> None:
    make_table()
    put("in/1", b"no\n" * 200)
    errors = told(cloud, run())["error"]
    assert [each["itemS3Pointer"]["itemIndex"] for each in errors] == [*range(200)]
    keys = [each["Key"] for each in cloud.client("s3").list_objects_v2(Bucket=OUT)["Contents"]]
    assert sum("/error/" in key for key in keys) > 3


@pytest.mark.parametrize("size", [20 << 10, 300 << 10])
def test_items_whose_bodies_lie_beside_them_are_put_told_and_let_go(
    put: Any, run: Run, dynamodb: Any, cloud: Cloud, make_table: Any, size: int
) -> None:
    make_table()
    old = {"p": {"S": "a"}, "x": {"S": "o" * size}}
    new = {"p": {"S": "a"}, "x": {"S": "n" * size}}
    dynamodb.put_item(TableName="tab", Item=old)
    put("in/1", line(new, **UNLESS_THERE) + line({**new, "p": {"S": "b"}}))
    ended = run()
    assert found(dynamodb) == {"a": old, "b": {**new, "p": {"S": "b"}}}
    [failure] = told(cloud, ended)["condition-check-failure"]
    assert (failure["Item"], failure["ExistingItem"]) == (new, old)


def test_of_records_with_one_key_each_finds_what_the_one_before_has_left(
    put: Any, run: Run, dynamodb: Any, make_table: Any
) -> None:
    make_table()
    first, second = ({"p": {"S": "a"}, "n": {"N": str(at)}} for at in range(2))
    put("in/1", line(first, **UNLESS_THERE) + line(second, **UNLESS_THERE))
    ended = run()
    assert (ended["ProcessedItemCount"], ended["BulkOperationStatus"]) == (2, "COMPLETED")
    assert found(dynamodb) == {"a": first}
