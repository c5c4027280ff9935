"""Policies of streams: each has its own, beside its table's.

Source: Amazon DynamoDB Developer Guide, "Attach a resource-based policy to a DynamoDB stream"; answers
of AWS in ack-api-quirks, DDB-TABLE-213.
"""

from __future__ import annotations

import json
from typing import Any

from fogbank.testing.cloud import Cloud

READS = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"]


def policy(principal: Any, effect: str = "Allow", action: Any = READS, resource: str = "*") -> str:
    said = {"Effect": effect, "Principal": principal, "Action": action, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [said]})


def shard_of(streams: Any, arn: str) -> str:
    [shard] = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    found: str = shard["ShardId"]
    return found


def iterator(streams: Any, arn: str, shard: str) -> str:
    found = streams.get_shard_iterator(
        StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
    )
    return str(found["ShardIterator"])


def test_another_account_reads_a_stream_by_the_stream_s_own_policy(
    cloud: Cloud, dynamodb: Any, streams: Any, make_table: Any, other: Any, refusal: Any
) -> None:
    arn = make_table()
    dynamodb.put_item(TableName="tab", Item={"p": {"S": "a"}, "c": {"N": "1"}})
    them = {"AWS": f"arn:aws:iam::{other.principal.account}:root"}
    theirs = cloud.client("dynamodbstreams", credential=other)
    table = arn.partition("/stream/")[0]
    everything = policy(them, action="dynamodb:*")
    dynamodb.put_resource_policy(ResourceArn=table, Policy=everything)
    assert refusal(theirs.describe_stream, StreamArn=arn)[0] == "AccessDeniedException"
    dynamodb.put_resource_policy(ResourceArn=arn, Policy=policy(them, resource=arn))
    description = theirs.describe_stream(StreamArn=arn)["StreamDescription"]
    assert description["StreamArn"] == arn
    found = theirs.get_records(ShardIterator=iterator(theirs, arn, shard_of(theirs, arn)))
    assert [each["eventName"] for each in found["Records"]] == ["INSERT"]
    dynamodb.delete_resource_policy(ResourceArn=arn)
    assert refusal(theirs.describe_stream, StreamArn=arn)[0] == "AccessDeniedException"
    assert refusal(dynamodb.get_resource_policy, ResourceArn=arn)[0] == "PolicyNotFoundException"
    assert dynamodb.get_resource_policy(ResourceArn=table)["RevisionId"]


def test_a_deny_on_a_stream_is_in_force_at_once_and_spares_its_table(
    dynamodb: Any, streams: Any, make_table: Any, refusal: Any
) -> None:
    arn = make_table()
    shard = shard_of(streams, arn)
    at = iterator(streams, arn, shard)
    streams.get_records(ShardIterator=at)
    dynamodb.put_resource_policy(ResourceArn=arn, Policy=policy("*", "Deny"))
    for _ in range(2):
        assert refusal(streams.get_records, ShardIterator=at)[0] == "AccessDeniedException"
        assert refusal(streams.describe_stream, StreamArn=arn)[0] == "AccessDeniedException"
    dynamodb.put_item(TableName="tab", Item={"p": {"S": "a"}, "c": {"N": "1"}})


def test_the_policy_of_a_stream_speaks_of_streams_alone(
    dynamodb: Any, make_table: Any, refusal: Any
) -> None:
    arn = make_table()
    table = arn.partition("/stream/")[0]
    for text in (
        policy("*", "Deny", "dynamodb:GetItem"),
        policy("*", "Deny", resource=table),
        policy("*", "Deny", "dynamodb:ListStreams"),
    ):
        refused = refusal(dynamodb.put_resource_policy, ResourceArn=arn, Policy=text)
        assert refused[0] == "ValidationException"
