"""Streams of the replicas of a strongly consistent global table: each region has its own.

Source: Amazon DynamoDB Developer Guide, "How DynamoDB global tables work", "Streams": "You can enable
Streams on an MRSC replica. Streams records on MRSC replicas are identical for every replica, including
Stream record ordering"; "Settings synchronization": the definition of streams is never synchronised.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.wire.dynamodb.regions import (
    EAST,
    SOUTH,
    WEST,
    Regions,
    begin,
    delete,
    described,
    item,
    make,
    put,
    settle,
)

from fogbank.testing.cloud import Cloud

pytestmark = pytest.mark.slow

LARGE = "x" * 300_000
KEPT_MS = 60_000
"""How long records are kept where it is waited for that they go."""
soon = pytest.mark.parametrize("cloud", [{"dynamodb.stream_retention_ms": KEPT_MS}], indirect=True)


@pytest.fixture
def at(cloud: Cloud) -> Regions:
    """Have a strongly consistent table, made in the west."""
    made = {region: cloud.client("dynamodb", region=region) for region in (WEST, EAST, SOUTH)}
    make(made[WEST])
    begin(made[WEST], EAST, SOUTH)
    settle(cloud)
    return made


@pytest.fixture
def streams(cloud: Cloud) -> Regions:
    return {
        region: cloud.client("dynamodbstreams", region=region) for region in (WEST, EAST, SOUTH)
    }


def switch(client: Any, view: str = "NEW_AND_OLD_IMAGES") -> str:
    """Open the stream of the table, or close it; return its ARN."""
    given = {"StreamEnabled": True, "StreamViewType": view} if view else {"StreamEnabled": False}
    told = client.update_table(TableName="tab", StreamSpecification=given)["TableDescription"]
    return told["LatestStreamArn"]


def read(client: Any, arn: str) -> list[Any]:
    """Return all records of a stream."""
    found: list[Any] = []
    for shard in client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        given = {"ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        at = client.get_shard_iterator(StreamArn=arn, **given)["ShardIterator"]
        while at:
            page = client.get_records(ShardIterator=at)
            found += page["Records"]
            at = page.get("NextShardIterator") if page["Records"] else None
    return found


def refused(call: Any, **given: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**given)
    return caught.value.response["Error"]["Code"]


def test_the_streams_of_all_regions_tell_of_all_writes_in_one_order(
    at: Regions, streams: Regions
) -> None:
    arns = {region: switch(at[region]) for region in at}
    for number, region in enumerate((EAST, WEST, SOUTH, EAST)):
        put(at[region], "a", number, at=region, more=LARGE if number == 2 else "")
    at[SOUTH].delete_item(TableName="tab", Key=item("a", 0))
    found = {region: read(streams[region], arns[region]) for region in at}
    for region, records in found.items():
        assert arns[region].split(":")[3] == region
        assert {each["awsRegion"] for each in records} == {region}
        assert [each["eventName"] for each in records] == ["INSERT"] * 4 + ["REMOVE"]
        told = [each["dynamodb"] for each in records]
        assert [each["Keys"]["c"]["N"] for each in told] == ["0", "1", "2", "3", "0"]
        assert [each["NewImage"]["at"]["S"] for each in told[:4]] == [EAST, WEST, SOUTH, EAST]
        assert told[2]["NewImage"]["more"]["S"] == LARGE
        assert told[4]["OldImage"] == item("a", 0, at=EAST, more="")


def test_each_region_has_a_stream_and_a_view_of_its_own(at: Regions, streams: Regions) -> None:
    east = switch(at[EAST], "KEYS_ONLY")
    for region in (WEST, SOUTH):
        assert "LatestStreamArn" not in described(at[region])
        assert streams[region].list_streams()["Streams"] == []
    told = described(at[EAST])
    assert told["LatestStreamArn"] == east
    assert told["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    assert [each["StreamArn"] for each in streams[EAST].list_streams()["Streams"]] == [east]
    put(at[WEST], "a", 1)
    west = switch(at[WEST], "NEW_IMAGE")
    put(at[SOUTH], "a", 2)
    assert [each["dynamodb"]["Keys"] for each in read(streams[EAST], east)] == [
        item("a", 1),
        item("a", 2),
    ]
    [record] = read(streams[WEST], west)
    assert record["dynamodb"]["NewImage"] == item("a", 2)
    assert refused(streams[WEST].describe_stream, StreamArn=east) == "ResourceNotFoundException"
    at[EAST].update_table(TableName="tab", DeletionProtectionEnabled=True)
    assert described(at[EAST])["LatestStreamArn"] == east


@soon
def test_one_that_is_closed_is_read_until_its_records_are_gone_and_then_forgotten(
    cloud: Cloud, at: Regions, streams: Regions
) -> None:
    first = switch(at[EAST])
    put(at[WEST], "a", 1)
    assert switch(at[EAST], "") == first
    put(at[WEST], "a", 2)
    told = streams[EAST].describe_stream(StreamArn=first)["StreamDescription"]
    assert told["StreamStatus"] == "DISABLED"
    assert [each["dynamodb"]["Keys"] for each in read(streams[EAST], first)] == [item("a", 1)]
    assert "StreamSpecification" not in described(at[EAST])
    assert described(at[EAST])["LatestStreamArn"] == first
    cloud.advance(1_000)
    second = switch(at[EAST])
    assert second != first
    put(at[WEST], "a", 3)
    assert [each["dynamodb"]["Keys"] for each in read(streams[EAST], second)] == [item("a", 3)]
    cloud.advance(3 * KEPT_MS)
    assert [each["StreamArn"] for each in streams[EAST].list_streams()["Streams"]] == [second]
    assert refused(streams[EAST].describe_stream, StreamArn=first) == "ResourceNotFoundException"
    assert read(streams[EAST], second) == []


@soon
def test_streams_outlive_the_global_table_and_its_replicas(
    cloud: Cloud, at: Regions, streams: Regions
) -> None:
    arn = switch(at[EAST])
    put(at[SOUTH], "a", 1)
    at[WEST].update_table(TableName="tab", ReplicaUpdates=delete(EAST, SOUTH))
    settle(cloud)
    put(at[WEST], "a", 2)
    assert at[EAST].list_tables()["TableNames"] == []
    assert "LatestStreamArn" not in described(at[WEST])
    told = streams[EAST].describe_stream(StreamArn=arn)["StreamDescription"]
    assert told["StreamStatus"] == "DISABLED"
    assert [each["dynamodb"]["Keys"] for each in read(streams[EAST], arn)] == [item("a", 1)]
    make(at[EAST])
    assert [each["dynamodb"]["Keys"] for each in read(streams[EAST], arn)] == [item("a", 1)]
    at[WEST].delete_table(TableName="tab")
    cloud.advance(3 * KEPT_MS)
    assert streams[EAST].list_streams()["Streams"] == []


def test_the_policy_of_a_stream_rules_in_its_region(
    cloud: Cloud, at: Regions, streams: Regions
) -> None:
    iam = cloud.client("iam")
    user = iam.create_user(UserName="alice")["User"]["Arn"]
    allow = {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_user_policy(UserName="alice", PolicyName="p", PolicyDocument=document)
    made = iam.create_access_key(UserName="alice")["AccessKey"]
    key = {"access_key": made["AccessKeyId"], "secret_key": made["SecretAccessKey"]}
    alice = {r: cloud.client("dynamodbstreams", region=r, **key) for r in (WEST, EAST)}
    arns = {region: switch(at[region]) for region in (WEST, EAST)}
    put(at[WEST], "a", 1)
    assert len(read(alice[EAST], arns[EAST])) == 1
    deny = {
        "Effect": "Deny",
        "Action": "dynamodb:GetRecords",
        "Resource": arns[EAST],
        "Principal": {"AWS": user},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    at[EAST].put_resource_policy(ResourceArn=arns[EAST], Policy=document)
    with pytest.raises(ClientError, match="AccessDenied"):
        read(alice[EAST], arns[EAST])
    assert len(read(alice[WEST], arns[WEST])) == 1


def test_what_a_region_has_for_itself_changes_beside_what_all_share(
    at: Regions, streams: Regions
) -> None:
    told = at[EAST].update_table(
        TableName="tab",
        DeletionProtectionEnabled=True,
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
        OnDemandThroughput={"MaxReadRequestUnits": 7_000, "MaxWriteRequestUnits": 7_000},
    )["TableDescription"]
    assert told["TableArn"].split(":")[3] == EAST
    assert told["TableId"] == described(at[EAST])["TableId"]
    for region in at:
        found = described(at[region])
        assert found["DeletionProtectionEnabled"] == (region == EAST)
        assert ("StreamSpecification" in found) == (region == EAST)
    assert described(at[WEST])["OnDemandThroughput"]["MaxReadRequestUnits"] == 7_000
    assert streams[EAST].list_streams(TableName="tab")["Streams"]
