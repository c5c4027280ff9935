"""Tables that get a key of KMS, another one, or AWS's own again.

The words are those of ``test_encryption``'s source (ack-api-quirks, DDB-TABLE-065, 079, 082, 141).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.wire.dynamodb import encrypting
from tests.wire.dynamodb.encrypting import (
    INVALID,
    MAKE,
    PARTITION,
    SECRET,
    STREAM,
    disabled,
    index,
    kept_plain,
    records,
)

from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.dynamodb import state
from fogbank.testing.cloud import Cloud

cloud, kms, key = encrypting.cloud, encrypting.kms, encrypting.key
make, put, get = encrypting.make, encrypting.put, encrypting.get


@pytest.fixture
def rekey(dynamodb: Any) -> Callable[..., dict[str, Any]]:
    """Change the encryption of the table; return how it is described in the answer."""

    def changed(key: str | None = None, **sse: Any) -> dict[str, Any]:
        given = sse or {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
        return dynamodb.update_table(TableName="tab", SSESpecification=given)["TableDescription"]

    return changed


def described(dynamodb: Any, name: str = "tab") -> dict[str, Any] | None:
    return dynamodb.describe_table(TableName=name)["Table"].get("SSEDescription")


SIZES = (1, 20_000, 300_000)


def fill(dynamodb: Any, put: Any) -> None:
    """Write items of several sizes, each twice, into a table that keeps its history."""
    dynamodb.update_continuous_backups(
        TableName="tab", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    for size in SIZES:
        for more in ("first", "second"):
            put(f"{PARTITION} {size}", s={"S": more + "s" * size}, g={"S": "by this"})


def require_filled(dynamodb: Any, get: Any) -> None:
    for size in SIZES:
        assert get(f"{PARTITION} {size}")["s"] == {"S": "second" + "s" * size}
    found = dynamodb.scan(TableName="tab", IndexName="by_g")["Items"]
    assert {each["p"]["S"] for each in found} == {f"{PARTITION} {size}" for size in SIZES}


INDEXED = {
    "GlobalSecondaryIndexes": [index("by_g", "g")],
    "more": [{"AttributeName": "g", "AttributeType": "S"}],
}
SECRETS = (SECRET, PARTITION, "by this", "sss")


def test_what_was_there_is_sealed_when_a_table_gets_a_key(
    make: MAKE, rekey: Any, dynamodb: Any, key: str, cloud: Cloud, put: Any, get: Any
) -> None:
    """Items of every size, their entries in indexes, and what the history has of them."""
    make(SSESpecification={"Enabled": False}, **INDEXED)
    fill(dynamodb, put)
    before = cloud.clock.now_ms()
    cloud.advance(2_000)
    put(f"{PARTITION} 1", s={"S": "third"})
    assert kept_plain(cloud, *SECRETS) == [*SECRETS]
    told = {"Status": "UPDATING", "SSEType": "KMS", "KMSMasterKeyArn": key}
    reply = rekey(key)
    assert (reply["TableStatus"], reply["SSEDescription"]) == ("ACTIVE", told)
    assert described(dynamodb) == told
    put(f"{PARTITION} 1", s={"S": "seconds"}, g={"S": "by this"})
    cloud.settle()
    assert described(dynamodb) == {**told, "Status": "ENABLED"}
    assert kept_plain(cloud, *SECRETS) == []
    require_filled(dynamodb, get)
    dynamodb.restore_table_to_point_in_time(
        SourceTableName="tab", TargetTableName="back", RestoreDateTime=before / 1_000
    )
    cloud.settle()
    for size in SIZES:
        assert get(f"{PARTITION} {size}", "back")["s"] == {"S": "second" + "s" * size}


def test_a_table_may_get_another_key(
    make: MAKE, rekey: Any, dynamodb: Any, kms: Any, key: str, cloud: Cloud, put: Any, get: Any
) -> None:
    make(key, StreamSpecification=STREAM, **INDEXED)
    fill(dynamodb, put)
    other = kms.create_key()["KeyMetadata"]["Arn"]
    assert rekey(other)["SSEDescription"]["KMSMasterKeyArn"] == other
    cloud.settle()
    assert kms.list_grants(KeyId=key)["Grants"] == []
    kms.disable_key(KeyId=key)
    require_filled(dynamodb, get)
    streams = cloud.client("dynamodbstreams")
    arn = dynamodb.describe_table(TableName="tab")["Table"]["LatestStreamArn"]
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]
    iterator = streams.get_shard_iterator(
        StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    assert len(records(streams, iterator)) == 2 * len(SIZES)
    kms.disable_key(KeyId=other)
    with pytest.raises(dynamodb.exceptions.ClientError):
        get()


def test_a_table_may_go_back_to_the_default_key_and_get_one_again(
    make: MAKE, rekey: Any, dynamodb: Any, kms: Any, key: str, cloud: Cloud, put: Any, get: Any
) -> None:
    make(key, **INDEXED)
    fill(dynamodb, put)
    told = {"Status": "UPDATING", "SSEType": "KMS", "KMSMasterKeyArn": key}
    assert rekey(Enabled=False)["SSEDescription"] == told
    assert described(dynamodb) is None
    kms.disable_key(KeyId=key)
    require_filled(dynamodb, get)
    put(f"{PARTITION} 1", s={"S": "seconds"}, g={"S": "by this"})
    kms.enable_key(KeyId=key)
    rekey(key)
    cloud.settle()
    assert kept_plain(cloud, *SECRETS) == []
    require_filled(dynamodb, get)
    kms.disable_key(KeyId=key)
    with pytest.raises(dynamodb.exceptions.ClientError):
        get()


def test_what_is_no_change_is_refused(
    make: MAKE,
    rekey: Any,
    make_table: Any,
    dynamodb: Any,
    key: str,
    refusal: Any,
    kms: Any,
    cloud: Cloud,
) -> None:
    make_table("tab2")
    for given in ({"Enabled": False}, {}):
        assert refusal(dynamodb.update_table, TableName="tab2", SSESpecification=given) == (
            *(400, "ValidationException"),
            f"{INVALID}Table is already encrypted by default",
        )
    make(key)
    same = (
        "Table is already encrypted with given KMSMasterKeyId. Use KMSMasterKeyId parameter if you"
    )
    told = f"{INVALID}{same} want to change Master Key"
    assert refusal(rekey, key=key) == (400, "ValidationException", told)
    assert rekey(key.rpartition("/")[2])["SSEDescription"]["KMSMasterKeyArn"] == key
    cloud.settle()
    assert len(kms.list_grants(KeyId=key)["Grants"]) == 1


def test_the_encryption_is_changed_four_times_a_day(
    make: MAKE, rekey: Any, key: str, refusal: Any, cloud: Cloud, kms: Any
) -> None:
    make(key)
    by_id = key.rpartition("/")[2]
    for _ in range(4):
        rekey(by_id)
    _, code, message = refusal(rekey, key=by_id)
    assert code == "LimitExceededException"
    assert message.startswith(
        "Subscriber limit exceeded: Encryption mode changes are limited in the 24h window ending at 2"
    )
    assert (
        "Z. After the first 4 change, each subsequent change in the same window can be performed at"
        " most once every 21600 seconds. Number of updates today: 4. Last change at 2"
    ) in message
    cloud.advance(21_600_000)
    rekey(by_id)
    assert refusal(rekey, key=by_id)[1] == "LimitExceededException"


def test_a_key_that_cannot_be_used_is_not_changed(
    make: MAKE, rekey: Any, kms: Any, key: str, refusal: Any, dynamodb: Any
) -> None:
    make(key)
    other = kms.create_key()["KeyMetadata"]["Arn"]
    kms.disable_key(KeyId=key)
    for given in ({"key": other}, {"Enabled": False}, {"Enabled": True}):
        assert refusal(rekey, **given)[2].startswith(disabled(key))
    kms.enable_key(KeyId=key)
    kms.disable_key(KeyId=other)
    assert refusal(rekey, key=other)[2].startswith(disabled(other))
    assert described(dynamodb) == {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": key}


def test_a_table_is_not_sealed_while_a_moment_of_it_is_read(
    make: MAKE, rekey: Any, key: str, refusal: Any, cloud: Cloud, put: Any, kms: Any
) -> None:
    make(SSESpecification={"Enabled": False})
    put()
    domain = Domain("dynamodb", key.split(":")[4], "us-east-1")
    store = cloud.engine.store_of(domain)

    async def keep(tr: Transaction) -> None:
        await state.moments.take(tr, ["tab"], "reader", cloud.clock.now_ms())

    cloud.run(store.transact(keep))
    assert refusal(rekey, key=key)[1] == "ResourceInUseException"
    assert kms.list_grants(KeyId=key)["Grants"] == []
