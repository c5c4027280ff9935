"""Streams of tables: UpdateTable, ListStreams, DescribeStream and who may read."""

from __future__ import annotations

from typing import Any

import pytest

DAY_MS = 60_000
ON = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
OFF = {"StreamEnabled": False}


def test_a_stream_is_told_by_its_table_and_described(
    cloud: Any, dynamodb: Any, streams: Any, make_table: Any, account: str
) -> None:
    arn = make_table(view="OLD_IMAGE")
    table = dynamodb.describe_table(TableName="tab")["Table"]
    assert table["LatestStreamArn"] == arn
    label = table["LatestStreamLabel"]
    assert arn == f"arn:aws:dynamodb:us-east-1:{account}:table/tab/stream/{label}"
    assert table["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "OLD_IMAGE"}
    [listed] = streams.list_streams()["Streams"]
    assert listed == {"StreamArn": arn, "TableName": "tab", "StreamLabel": label}
    found = streams.describe_stream(StreamArn=arn)["StreamDescription"]
    assert {
        name: found[name] for name in found if name not in ("Shards", "CreationRequestDateTime")
    } == {
        **listed,
        "StreamStatus": "ENABLED",
        "StreamViewType": "OLD_IMAGE",
        "KeySchema": [
            {"AttributeName": "p", "KeyType": "HASH"},
            {"AttributeName": "c", "KeyType": "RANGE"},
        ],
    }
    assert found["CreationRequestDateTime"].timestamp() * 1_000 == cloud.clock.now_ms()


def test_a_stream_is_closed_and_another_opened_and_both_can_be_read(
    dynamodb: Any, streams: Any, make_table: Any, put: Any, read: Any, shards: Any
) -> None:
    first = make_table(view="KEYS_ONLY")
    put(c=1)
    closed = dynamodb.update_table(TableName="tab", StreamSpecification=OFF)["TableDescription"]
    assert "StreamSpecification" not in closed
    # AWS: the latest stream is named though it is closed (ack-api-quirks, DDB-TABLE-050).
    assert closed["LatestStreamArn"] == first
    put(c=2)
    assert (
        streams.describe_stream(StreamArn=first)["StreamDescription"]["StreamStatus"] == "DISABLED"
    )
    [shard] = shards(first)
    assert "EndingSequenceNumber" in shard["SequenceNumberRange"]
    opened = dynamodb.update_table(TableName="tab", StreamSpecification=ON)["TableDescription"]
    second = opened["LatestStreamArn"]
    assert second != first
    put(c=3)
    keys = [[each["dynamodb"]["Keys"]["c"]["N"] for each in read(arn)] for arn in (first, second)]
    assert keys == [["1"], ["3"]]
    listed = [each["StreamArn"] for each in streams.list_streams(TableName="tab")["Streams"]]
    assert listed == [first, second]


@pytest.mark.parametrize("cloud", [{"dynamodb.stream_retention_ms": DAY_MS}], indirect=True)
def test_the_stream_of_a_deleted_table_can_be_read_for_a_day(
    cloud: Any, dynamodb: Any, streams: Any, make_table: Any, put: Any, read: Any, refusal: Any
) -> None:
    arn = make_table()
    put(c=1)
    dynamodb.delete_table(TableName="tab")
    again = make_table()
    assert [each["eventName"] for each in read(arn)] == ["INSERT"]
    assert read(again) == []
    listed = [each["StreamArn"] for each in streams.list_streams(TableName="tab")["Streams"]]
    assert listed == [arn, again]
    cloud.advance(DAY_MS - 1)
    assert streams.describe_stream(StreamArn=arn)["StreamDescription"]["StreamStatus"] == "DISABLED"
    cloud.advance(1)
    code, _ = refusal(streams.describe_stream, StreamArn=arn)
    assert code == "ResourceNotFoundException"
    assert [each["StreamArn"] for each in streams.list_streams()["Streams"]] == [again]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (ON, "Table already has an enabled stream: TableName: tab"),
        (
            {"StreamEnabled": True},
            "If stream is being enabled then UpdateViewType is required",
        ),
        (
            {"StreamEnabled": False, "StreamViewType": "KEYS_ONLY"},
            "If stream is being disabled, then UpdateViewType must not be specified",
        ),
    ],
)
def test_a_change_of_a_stream_that_cannot_be_is_refused(
    dynamodb: Any, make_table: Any, refusal: Any, asked: Any, message: str
) -> None:
    """ack-api-quirks, DDB-TABLE-050: answers of AWS."""
    make_table()
    told = refusal(dynamodb.update_table, TableName="tab", StreamSpecification=asked)
    prefix = "" if message.startswith("Table") else "One or more parameter values were invalid: "
    assert told == ("ValidationException", prefix + message)


def test_a_table_without_a_stream_has_none_to_close(
    dynamodb: Any, make_table: Any, refusal: Any
) -> None:
    make_table()
    dynamodb.update_table(TableName="tab", StreamSpecification=OFF)
    told = refusal(dynamodb.update_table, TableName="tab", StreamSpecification=OFF)
    assert told == ("ValidationException", "Table has no stream to disable: TableName: tab")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"StreamEnabled": True}, "Table is being created with a stream enabled"),
        ({"StreamEnabled": False, "StreamViewType": "KEYS_ONLY"}, "with a stream disabled"),
    ],
)
def test_a_new_table_says_all_of_its_stream_or_nothing(
    dynamodb: Any, refusal: Any, asked: Any, words: str
) -> None:
    code, message = refusal(
        dynamodb.create_table,
        TableName="tab",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification=asked,
    )
    assert (code, words in message) == ("ValidationException", True)


def test_streams_are_listed_by_pages_of_their_arns(
    dynamodb: Any, streams: Any, make_table: Any, refusal: Any
) -> None:
    arns = [make_table(f"tab{number}") for number in range(3)]
    page = streams.list_streams(Limit=1)
    found = [page["Streams"][0]["StreamArn"]]
    while "LastEvaluatedStreamArn" in page:
        assert page["LastEvaluatedStreamArn"] == found[-1]
        dynamodb.delete_table(TableName=page["Streams"][0]["TableName"])
        page = streams.list_streams(Limit=1, ExclusiveStartStreamArn=found[-1])
        found += [each["StreamArn"] for each in page["Streams"]]
    assert found == arns
    for bad in ({"Limit": 101}, {"ExclusiveStartStreamArn": "x" * 40}):
        assert refusal(streams.list_streams, **bad)[0] == "ValidationException"


def test_reading_needs_the_right_on_the_stream(
    cloud: Any, streams: Any, make_table: Any, put: Any, shards: Any, iterator: Any, refusal: Any
) -> None:
    arn, other = make_table(), make_table("other")
    put(c=1)
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["dynamodb:GetRecords", "dynamodb:GetShardIterator"],
                "Resource": arn,
            },
            {"Effect": "Allow", "Action": "dynamodb:*", "Resource": arn.partition("/stream/")[0]},
        ],
    }
    keys = cloud.create_user("reader", policy)
    reader = cloud.client(
        "dynamodbstreams", access_key=keys.access_key_id, secret_key=keys.secret_access_key
    )
    asked = {"ShardIteratorType": "TRIM_HORIZON"}
    mine = reader.get_shard_iterator(StreamArn=arn, ShardId=shards(arn)[0]["ShardId"], **asked)
    assert len(reader.get_records(ShardIterator=mine["ShardIterator"])["Records"]) == 1
    refused = [
        refusal(reader.describe_stream, StreamArn=arn),
        refusal(reader.list_streams),
        refusal(
            reader.get_shard_iterator, StreamArn=other, ShardId=shards(other)[0]["ShardId"], **asked
        ),
        refusal(reader.get_records, ShardIterator=iterator(other, shards(other)[0])),
    ]
    assert [code for code, _ in refused] == ["AccessDeniedException"] * 4
