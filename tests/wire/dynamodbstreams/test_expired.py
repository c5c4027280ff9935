"""What streams tell of items whose time has come."""

from __future__ import annotations

from typing import Any

from fogbank.testing.cloud import Cloud


def test_a_stream_is_told_who_deleted_what_has_expired(
    cloud: Cloud, dynamodb: Any, make_table: Any, put: Any, read: Any
) -> None:
    """Source: Developer Guide, "DynamoDB Streams and Time to Live"."""
    arn = make_table(view="OLD_IMAGE")
    specification = {"AttributeName": "at", "Enabled": True}
    dynamodb.update_time_to_live(TableName="tab", TimeToLiveSpecification=specification)
    now_s = cloud.clock.now_ms() // 1_000
    put("expired", at={"N": str(now_s + 5)})
    put("deleted", at={"N": str(now_s + 500)})
    dynamodb.delete_item(TableName="tab", Key={"p": {"S": "deleted"}, "c": {"N": "0"}})
    cloud.advance(10_000)
    cloud.settle()
    removed = [record for record in read(arn) if record["eventName"] == "REMOVE"]
    images = [record["dynamodb"]["OldImage"]["p"]["S"] for record in removed]
    assert images == ["deleted", "expired"]
    service = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}
    assert [record.get("userIdentity") for record in removed] == [None, service]
