"""Bulk puts into tables whose key KMS has: what they write, what they keep, and what they wait for.

Source: AWS KMS Developer Guide, "How Amazon DynamoDB uses AWS KMS"; what waits for a report of a bulk
put is of the table, and the report itself is encrypted as its bucket's request says.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.wire.dynamodb import encrypting
from tests.wire.dynamodb.bulks import asked, bulk_cloud, described, found, line, put_source, told
from tests.wire.dynamodb.encrypting import MAKE, SECRET, kept_plain

from fogbank.base.errors import Unavailable
from fogbank.contract.call import OPENED_MS
from fogbank.services.dynamodb.state import bulking, reports
from fogbank.testing.cloud import Cloud

kms, key, make = encrypting.kms, encrypting.key, encrypting.make
SSE = {"Enabled": True, "SSEType": "KMS"}
NEVER = {"ConditionExpression": "attribute_not_exists(p)"}
LARGE = {"S": SECRET + "x" * 20_000}


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """Return a cloud with KMS, and buckets to read and to write."""
    with bulk_cloud({}) as made:
        yield made


@pytest.fixture
def arn(cloud: Cloud, dynamodb: Any) -> Any:
    """Begin a bulk put of two items of which one is there already; return what begins it."""

    def begun() -> str:
        there = {"p": {"S": "a"}, "old": {"S": SECRET}}
        dynamodb.put_item(TableName="tab", Item=there)
        new = {"p": {"S": "a"}, "new": LARGE}
        lines = line(new, **NEVER) + line({"p": {"S": "b"}, "new": LARGE}, **NEVER)
        # What is in the clear in the source is not the table's.
        put_source(
            cloud, "in/1", lines.replace(SECRET.encode(), SECRET.replace("o", "\\u006f").encode())
        )
        told = dynamodb.start_bulk_put_items(**asked())["BulkOperationDescription"]
        return str(told["BulkOperationArn"])

    return begun


def ends_well(cloud: Cloud, dynamodb: Any, arn: str) -> None:
    ended = described(dynamodb, arn)
    assert (ended["BulkOperationStatus"], ended["ProcessedItemCount"]) == ("COMPLETED", 2)
    [unmet] = told(cloud, ended)["condition-check-failure"]
    assert unmet["Item"] == {"p": {"S": "a"}, "new": LARGE}
    assert unmet["ExistingItem"] == {"p": {"S": "a"}, "old": {"S": SECRET}}


@contextmanager
def held(where: Any, name: str) -> Iterator[None]:
    """Have work wait there, until the end."""

    async def wait(*_: Any, **__: Any) -> Any:
        raise Unavailable("not now")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(where, name, wait)
        yield


def test_items_and_what_reports_wait_for_are_sealed(
    cloud: Cloud, dynamodb: Any, make: MAKE, key: str, arn: Any
) -> None:
    make(key)
    with held(reports.Reports, "write_file"):
        begun = arn()
        cloud.settle()
        assert found(dynamodb)["b"] == {"p": {"S": "b"}, "new": LARGE}
        assert described(dynamodb, begun)["BulkOperationStatus"] == "IN_PROGRESS"
        assert kept_plain(cloud, SECRET) == []
    cloud.advance(60_000)
    ends_well(cloud, dynamodb, begun)


def test_a_bulk_put_waits_for_its_tables_key(
    cloud: Cloud, dynamodb: Any, kms: Any, make: MAKE, key: str, arn: Any, refusal: Any
) -> None:
    make(key)
    with held(reports.Reports, "write_file"):
        begun = arn()
        cloud.settle()
        kms.disable_key(KeyId=key)
    assert refusal(dynamodb.start_bulk_put_items, **asked())[1] == "ValidationException"
    cloud.advance(60_000)
    assert described(dynamodb, begun)["BulkOperationStatus"] == "IN_PROGRESS"
    kms.enable_key(KeyId=key)
    cloud.advance(120_000)
    ends_well(cloud, dynamodb, begun)


def test_reports_tell_of_items_whose_table_has_another_key_by_now(
    cloud: Cloud, dynamodb: Any, kms: Any, make: MAKE, key: str, arn: Any
) -> None:
    old = kms.create_key()["KeyMetadata"]["Arn"]
    make(old)
    with held(reports.Reports, "write_file"):
        begun = arn()
        cloud.settle()
        dynamodb.update_table(TableName="tab", SSESpecification={**SSE, "KMSMasterKeyId": key})
        kms.disable_key(KeyId=old)
        cloud.advance(OPENED_MS)
    cloud.advance(OPENED_MS)
    ends_well(cloud, dynamodb, begun)


def test_reports_tell_of_items_whose_table_was_sealed_meanwhile_and_is_gone(
    cloud: Cloud, dynamodb: Any, kms: Any, make_table: Any, key: str, arn: Any
) -> None:
    make_table()
    with held(reports.Reports, "write_file"):
        with held(bulking._Work, "_read"):
            begun = arn()
            dynamodb.update_table(TableName="tab", SSESpecification={**SSE, "KMSMasterKeyId": key})
            cloud.settle()
        cloud.advance(60_000)
        dynamodb.delete_table(TableName="tab")
        cloud.advance(OPENED_MS)
        assert len(kms.list_grants(KeyId=key)["Grants"]) == 1
    cloud.advance(OPENED_MS)
    assert len(told(cloud, described(dynamodb, begun))["condition-check-failure"]) == 1
    cloud.advance(60_000)
    assert kms.list_grants(KeyId=key)["Grants"] == []
