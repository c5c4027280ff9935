"""boto3's resource layer: tables as objects, conditions as expressions, Python's own types.

Argument: what its tables are called by.
"""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import Any

import boto3
from boto3.dynamodb.conditions import Attr, Key
from boto3.dynamodb.types import Binary, TypeDeserializer

NAME = sys.argv[1]
DIGITS = Decimal("12345678901234567890.123456789012345678")
resource = boto3.resource("dynamodb")
client = resource.meta.client


def refused(code: str, work: Any, **members: Any) -> Any:
    """Return what the answer of a call says that is refused with an error of a name."""
    try:
        work(**members)
    except getattr(client.exceptions, code) as error:
        return error.response
    raise AssertionError((code, members))


def made() -> Any:
    """Make a table with both kinds of indexes and a stream."""
    table = resource.create_table(
        TableName=NAME,
        KeySchema=[
            {"AttributeName": "artist", "KeyType": "HASH"},
            {"AttributeName": "song", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "artist", "AttributeType": "S"},
            {"AttributeName": "song", "AttributeType": "S"},
            {"AttributeName": "year", "AttributeType": "N"},
            {"AttributeName": "genre", "AttributeType": "S"},
        ],
        LocalSecondaryIndexes=[
            {
                "IndexName": "by-year",
                "KeySchema": [
                    {"AttributeName": "artist", "KeyType": "HASH"},
                    {"AttributeName": "year", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-genre",
                "KeySchema": [
                    {"AttributeName": "genre", "KeyType": "HASH"},
                    {"AttributeName": "year", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["plays"]},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        Tags=[{"Key": "of", "Value": "the field"}],
    )
    table.wait_until_exists()
    table.reload()
    assert table.table_status == "ACTIVE"
    assert NAME in [each.name for each in resource.tables.all()]
    return table


def types(table: Any) -> None:
    """Write and read every type, and numbers to the last digit."""
    item = {
        "artist": "Björk 🎻",
        "song": "Jóga",
        "year": 1997,
        "digits": DIGITS,
        "tiny": Decimal("1E-130"),
        "bytes": b"\x00\xff",
        "nothing": None,
        "yes": True,
        "list": [1, "two", [b"3"], {"four": Decimal("4.0")}],
        "map": {" ": "a blank", "ü": {"deep": []}},
        "names": {"a", "b"},
        "numbers": {1, Decimal("2.5")},
        "binaries": {b"x", b"y"},
        "empty": "",
    }
    table.put_item(Item=item)
    found = table.get_item(Key={"artist": item["artist"], "song": "Jóga"}, ConsistentRead=True)
    back = found["Item"]
    assert back == {
        **item,
        "bytes": Binary(b"\x00\xff"),
        "binaries": {Binary(b"x"), Binary(b"y")},
    } | {"list": [1, "two", [Binary(b"3")], {"four": Decimal("4.0")}]}, back
    table.delete_item(Key={"artist": item["artist"], "song": "Jóga"})
    wrong = refused("ClientError", table.put_item, Item={**item, "digits": Decimal("1E+126")})
    assert wrong["Error"]["Code"] == "ValidationException"


def conditions(table: Any) -> None:
    """Decide by conditions, count, and change parts of items."""
    key = {"artist": "Nina", "song": "Feeling Good"}
    new = Attr("song").not_exists()
    table.put_item(Item={**key, "plays": 1, "tags": ["a"], "of": {"x": 1}}, ConditionExpression=new)
    refused("ConditionalCheckFailedException", table.put_item, Item=key, ConditionExpression=new)
    changed = table.update_item(
        Key=key,
        UpdateExpression="SET tags = list_append(tags, :more), #of.y = if_not_exists(#of.y, :y) "
        "ADD plays :one REMOVE #of.x",
        ExpressionAttributeNames={"#of": "of"},
        ExpressionAttributeValues={":more": ["b"], ":y": 7, ":one": 1},
        ConditionExpression=Attr("plays").between(1, 5) & ~Attr("tags").contains("b"),
        ReturnValues="ALL_NEW",
    )["Attributes"]
    assert changed == {**key, "plays": 2, "tags": ["a", "b"], "of": {"y": 7}}, changed
    said = refused(
        "ConditionalCheckFailedException",
        table.delete_item,
        Key=key,
        ConditionExpression=Attr("plays").gt(100) | Attr("of.y").is_in([1, 2]),
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )
    assert said["Item"]["plays"] == {"N": "2"}, said
    old = table.delete_item(Key=key, ReturnValues="ALL_OLD")["Attributes"]
    assert old["tags"] == ["a", "b"]


def many(table: Any) -> None:
    """Write in batches, and read by key, by both indexes, by pages and in segments."""
    with table.batch_writer(overwrite_by_pkeys=["artist", "song"]) as batch:
        for number in range(120):
            row = {"artist": f"a{number % 4}", "song": f"s{number:03}", "year": 1900 + number}
            batch.put_item(Item={**row, "genre": "even" if number % 2 == 0 else "odd", "plays": 1})
        batch.put_item(Item={"artist": "a0", "song": "s000", "year": 1900, "genre": "none"})
        batch.delete_item(Key={"artist": "a3", "song": "s119"})
    found = table.query(
        KeyConditionExpression=Key("artist").eq("a1") & Key("song").begins_with("s1"),
        ScanIndexForward=False,
        ProjectionExpression="song",
    )["Items"]
    assert [row["song"] for row in found] == ["s117", "s113", "s109", "s105", "s101"], found
    by_year = table.query(
        IndexName="by-year",
        KeyConditionExpression=Key("artist").eq("a2") & Key("year").between(1900, 1910),
        ConsistentRead=True,
    )
    assert [row["year"] for row in by_year["Items"]] == [1902, 1906, 1910]
    assert set(by_year["Items"][0]) == {"artist", "song", "year"}
    pages = client.get_paginator("query").paginate(
        TableName=NAME,
        IndexName="by-genre",
        KeyConditionExpression=Key("genre").eq("odd"),
        FilterExpression=Attr("plays").eq(1),
        PaginationConfig={"PageSize": 7},
    )
    rows = [row for page in pages for row in page["Items"]]
    assert [row["year"] for row in rows] == list(range(1901, 2019, 2)), rows
    assert set(rows[0]) == {"artist", "song", "year", "genre", "plays"}
    segments = [
        row["song"]
        for segment in range(3)
        for page in client.get_paginator("scan").paginate(
            TableName=NAME, Segment=segment, TotalSegments=3, PaginationConfig={"PageSize": 11}
        )
        for row in page["Items"]
    ]
    assert sorted(segments) == [f"s{number:03}" for number in range(119)]
    keys = [{"artist": f"a{number % 4}", "song": f"s{number:03}"} for number in range(100)]
    got = resource.batch_get_item(RequestItems={NAME: {"Keys": keys, "ConsistentRead": True}})
    assert len(got["Responses"][NAME]) == 100
    assert not got["UnprocessedKeys"]


def transactions() -> None:
    """Do several things or none, once for a token."""
    parts: list[dict[str, Any]] = [
        {"Put": {"TableName": NAME, "Item": {"artist": "t", "song": "1", "plays": Decimal(5)}}},
        {
            "Update": {
                "TableName": NAME,
                "Key": {"artist": "t", "song": "2"},
                "UpdateExpression": "ADD plays :five",
                "ExpressionAttributeValues": {":five": 5},
            }
        },
        {
            "ConditionCheck": {
                "TableName": NAME,
                "Key": {"artist": "a0", "song": "s000"},
                "ConditionExpression": "genre = :none",
                "ExpressionAttributeValues": {":none": "none"},
            }
        },
    ]
    for _ in range(2):  # the second says what the first did
        client.transact_write_items(TransactItems=parts, ClientRequestToken=NAME)
    both = [{"Get": {"TableName": NAME, "Key": {"artist": "t", "song": s}}} for s in ("1", "2")]
    found = client.transact_get_items(TransactItems=both)["Responses"]
    assert [row["Item"]["plays"] for row in found] == [5, 5], found
    parts[2]["ConditionCheck"]["ExpressionAttributeValues"] = {":none": "else"}
    said = refused("TransactionCanceledException", client.transact_write_items, TransactItems=parts)
    codes = [reason["Code"] for reason in said["CancellationReasons"]]
    assert codes == ["None", "None", "ConditionalCheckFailed"], codes


def statements() -> None:
    """Ask in PartiQL."""
    said = client.execute_statement(
        Statement=f'SELECT plays FROM "{NAME}" WHERE artist = ? AND song = ?', Parameters=["t", "1"]
    )
    assert said["Items"] == [{"plays": 5}]


def changes(table: Any) -> None:
    """Read the whole stream with the images of each change."""
    table.reload()
    streams, images = boto3.client("dynamodbstreams"), TypeDeserializer()
    told = streams.describe_stream(StreamArn=table.latest_stream_arn)["StreamDescription"]
    seen: list[tuple[str, Any]] = []
    for shard in told["Shards"]:
        at = streams.get_shard_iterator(
            StreamArn=table.latest_stream_arn,
            ShardId=shard["ShardId"],
            ShardIteratorType="TRIM_HORIZON",
        )["ShardIterator"]
        while at:
            page = streams.get_records(ShardIterator=at)
            for record in page["Records"]:
                keys = record["dynamodb"]["Keys"]
                seen.append((record["eventName"], images.deserialize(keys["song"])))
            if not page["Records"]:
                break
            at = page.get("NextShardIterator")
    of_nina = [name for name, song in seen if song == "Feeling Good"]
    assert of_nina == ["INSERT", "MODIFY", "REMOVE"], of_nina
    assert [name for name, song in seen if song in {"1", "2"}] == ["INSERT"] * 2
    of_many = [(name, song) for name, song in seen if song.startswith("s")]
    made = [("INSERT", f"s{number:03}") for number in range(119)]
    assert sorted(of_many) == [*made, ("MODIFY", "s000")], of_many


def main() -> None:
    table = made()
    types(table)
    conditions(table)
    many(table)
    transactions()
    statements()
    changes(table)
    table.delete()
    table.wait_until_not_exists()
    refused("ResourceNotFoundException", table.reload)


main()
