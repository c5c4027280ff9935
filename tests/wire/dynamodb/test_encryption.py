"""Tables whose key KMS has: what is told, what lies on disk, and who may read when the key says no.

Sources: Amazon DynamoDB API Reference, SSESpecification and SSEDescription; AWS KMS Developer Guide, "How
Amazon DynamoDB uses AWS KMS"; the messages are those that the maintainers of AWS's controllers for
Kubernetes recorded in October 2026 (ack-api-quirks, DDB-TABLE-020 to 023, 079, 082, 141, 333, 461).
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.wire.dynamodb import encrypting, searching
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
from tests.wire.dynamodb.searching import AXES, keys_of, search, vector_index

from fogbank.testing.cloud import Cloud

cloud, kms, key = encrypting.cloud, encrypting.kms, encrypting.key
make, put, get = encrypting.make, encrypting.put, encrypting.get


def test_a_table_is_described_with_its_key(make: MAKE, dynamodb: Any, key: str) -> None:
    told = {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": key}
    assert make(key)["SSEDescription"] == told
    assert dynamodb.describe_table(TableName="tab")["Table"]["SSEDescription"] == told


def test_a_table_may_have_the_key_that_aws_manages(
    make: MAKE, dynamodb: Any, kms: Any, put: Any, get: Any
) -> None:
    arn = make()["SSEDescription"]["KMSMasterKeyArn"]
    managed = kms.describe_key(KeyId="alias/aws/dynamodb")["KeyMetadata"]
    assert (managed["Arn"], managed["KeyManager"]) == (arn, "AWS")
    put()
    assert get()["a"] == {"S": SECRET}
    assert make("alias/aws/dynamodb", "tab2")["SSEDescription"]["KMSMasterKeyArn"] == arn


def test_a_key_is_named_by_its_id_and_by_an_alias_too(make: MAKE, kms: Any, key: str) -> None:
    kms.create_alias(AliasName="alias/mine", TargetKeyId=key)
    for number, name in enumerate((key.rpartition("/")[2], "alias/mine")):
        assert make(name, f"tab{number}")["SSEDescription"]["KMSMasterKeyArn"] == key


def test_a_table_of_the_default_key_is_told_nothing_of(
    make_table: Any, dynamodb: Any, cloud: Cloud, put: Any
) -> None:
    make_table("tab")
    put()
    assert "SSEDescription" not in dynamodb.describe_table(TableName="tab")["Table"]
    assert kept_plain(cloud, SECRET, PARTITION) == [SECRET, PARTITION]


def test_nothing_of_an_item_stands_where_the_keyring_of_the_store_opens_it(
    make: MAKE, cloud: Cloud, key: str, put: Any, get: Any, dynamodb: Any
) -> None:
    """Items, entries of indexes, images of streams, history and backups, of every size."""
    make(
        key,
        StreamSpecification=STREAM,
        GlobalSecondaryIndexes=[index("by_g", "g"), index("by_k", "g", "KEYS_ONLY")],
        more=[{"AttributeName": "g", "AttributeType": "S"}],
    )
    dynamodb.update_continuous_backups(
        TableName="tab", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    sizes = (1, 1_000, 20_000, 300_000)
    for size in sizes:
        for more in (SECRET, "another secret"):
            put(f"{PARTITION} {size}", s={"S": more + "s" * size}, g={"S": "by this"})
    dynamodb.create_backup(TableName="tab", BackupName="kept")
    cloud.settle()
    assert kept_plain(cloud, SECRET, PARTITION, "another secret", "by this", "sss") == []
    for size in sizes:
        assert get(f"{PARTITION} {size}")["s"] == {"S": "another secret" + "s" * size}
    for name in ("by_g", "by_k"):
        found = dynamodb.query(
            TableName="tab",
            IndexName=name,
            KeyConditionExpression="g = :g",
            ExpressionAttributeValues={":g": {"S": "by this"}},
        )
        assert {each["p"]["S"] for each in found["Items"]} == {f"{PARTITION} {n}" for n in sizes}


def test_writes_see_what_was_sealed(make: MAKE, dynamodb: Any, key: str, get: Any) -> None:
    make(key)
    keys = {"p": {"S": PARTITION}}
    for _ in range(3):
        dynamodb.update_item(
            TableName="tab",
            Key=keys,
            UpdateExpression="ADD n :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )
    assert get()["n"] == {"N": "3"}
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException):
        dynamodb.delete_item(
            TableName="tab", Key=keys, ConditionExpression="attribute_not_exists(p)"
        )
    put = {"TableName": "tab", "Item": {**keys, "n": {"N": "4"}}}
    dynamodb.transact_write_items(TransactItems=[{"Put": put}])
    found = dynamodb.execute_statement(
        Statement="SELECT n FROM tab WHERE p = ?", Parameters=[keys["p"]]
    )
    assert found["Items"] == [{"n": {"N": "4"}}]
    old = dynamodb.delete_item(TableName="tab", Key=keys, ReturnValues="ALL_OLD")
    assert old["Attributes"] == put["Item"]
    assert get() is None


def test_sealed_vectors_are_found(make: MAKE, dynamodb: Any, key: str, cloud: Cloud) -> None:
    """Those that the entry holds, and those of items that are too large for it."""
    searched = vector_index(filters="f")
    filters = [{"AttributeName": "f", "AttributeType": "S"}]
    make(key, VectorIndexes=[searched], more=filters)
    for name, vector in AXES.items():
        size = 500 if name == "b" else 1
        searching.put(dynamodb, f"{PARTITION} {name}", vector, f="this filter", a=SECRET * size)
    found = search(dynamodb, condition="f = :f", values={"f": "this filter"}, TopK=3)
    assert [each[-1] for each in keys_of(found)] == ["a", "d", "b"]
    assert kept_plain(cloud, SECRET, PARTITION, "this filter") == []


# Who may use the key.


def test_a_disabled_key_makes_its_table_inaccessible_until_it_is_enabled(
    make: MAKE, dynamodb: Any, kms: Any, key: str, put: Any, get: Any, refusal: Any
) -> None:
    make(key)
    put()
    kms.disable_key(KeyId=key)
    keys = {"p": {"S": PARTITION}}
    calls: list[tuple[Any, dict[str, Any]]] = [
        (dynamodb.get_item, {"Key": keys}),
        (dynamodb.put_item, {"Item": keys}),
        (dynamodb.update_item, {"Key": keys}),
        (dynamodb.delete_item, {"Key": keys}),
        (dynamodb.scan, {}),
        (dynamodb.create_backup, {"BackupName": "refused"}),
        (
            dynamodb.update_time_to_live,
            {"TimeToLiveSpecification": {"Enabled": True, "AttributeName": "t"}},
        ),
        (dynamodb.update_contributor_insights, {"ContributorInsightsAction": "ENABLE"}),
    ]
    for call, given in calls:
        status, code, message = refusal(call, TableName="tab", **given)
        assert (status, code) == (400, "ValidationException"), call
        assert message.startswith(disabled(key))
        assert message.endswith("; Proxy: null)")
    dynamodb.tag_resource(
        ResourceArn=dynamodb.describe_table(TableName="tab")["Table"]["TableArn"],
        Tags=[{"Key": "k", "Value": "v"}],
    )
    kms.enable_key(KeyId=key)
    assert get()["a"] == {"S": SECRET}


def test_a_disabled_key_closes_the_stream_too(
    make: MAKE, cloud: Cloud, kms: Any, key: str, put: Any, refusal: Any
) -> None:
    arn = make(key, StreamSpecification=STREAM)["LatestStreamArn"]
    put()
    put(b={"S": "another"})
    streams = cloud.client("dynamodbstreams")
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]
    iterator = streams.get_shard_iterator(
        StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    first, second = (each["dynamodb"] for each in records(streams, iterator))
    item = {"p": {"S": PARTITION}, "a": {"S": SECRET}}
    assert (first["Keys"], first["NewImage"]) == ({"p": item["p"]}, item)
    assert (second["OldImage"], second["NewImage"]) == (item, {**item, "b": {"S": "another"}})
    kms.disable_key(KeyId=key)
    _, code, message = refusal(streams.get_records, ShardIterator=iterator)
    assert (code, message.startswith(disabled(key))) == ("ValidationException", True)
    kms.enable_key(KeyId=key)
    assert len(records(streams, iterator)) == 2


DYNAMODB_ONLY = {"Action": "dynamodb:*"}
DECRYPTS = {"Action": "kms:Decrypt"}


def test_who_may_not_decrypt_may_not_read(
    make: MAKE, key: str, put: Any, get: Any, as_user: Any, refusal: Any
) -> None:
    """By IAM: the key's policy leaves it to the account's own."""
    make(key)
    put()
    alice, bob = as_user(DYNAMODB_ONLY, name="alice"), as_user(DYNAMODB_ONLY, DECRYPTS, name="bob")
    assert get(client=bob)["a"] == {"S": SECRET}
    status, code, message = refusal(alice.get_item, TableName="tab", Key={"p": {"S": PARTITION}})
    assert (status, code) == (400, "AccessDeniedException")
    assert message.startswith(
        "KMS key access denied error: com.amazonaws.services.kms.model.AWSKMSException: User:"
        f" arn:aws:iam::{key.split(':')[4]}:user/alice is not authorized to perform: kms:Decrypt"
    )


def test_a_key_policy_that_changes_is_in_force_at_once(
    make: MAKE, kms: Any, key: str, put: Any, get: Any, as_user: Any, refusal: Any
) -> None:
    make(key)
    put()
    alice = as_user(DYNAMODB_ONLY, DECRYPTS)
    assert get(client=alice)["a"] == {"S": SECRET}
    before = kms.get_key_policy(KeyId=key)["Policy"]
    document = json.loads(before)
    account = key.split(":")[4]
    denies = {
        "Effect": "Deny",
        "Principal": {"AWS": f"arn:aws:iam::{account}:user/alice"},
        "Action": "kms:Decrypt",
        "Resource": "*",
        "Condition": {"StringEquals": {"kms:ViaService": "dynamodb.us-east-1.amazonaws.com"}},
    }
    document["Statement"].append(denies)
    kms.put_key_policy(KeyId=key, Policy=json.dumps(document))
    asked = {"TableName": "tab", "Key": {"p": {"S": PARTITION}}}
    assert refusal(alice.get_item, **asked)[1] == "AccessDeniedException"
    kms.put_key_policy(KeyId=key, Policy=before)
    assert get(client=alice)["a"] == {"S": SECRET}


def test_a_policy_may_ask_for_the_table_in_the_encryption_context(
    make: MAKE, key: str, put: Any, get: Any, as_user: Any, refusal: Any
) -> None:
    for name in ("tab", "other"):
        make(key, name)
        put(name=name)
    only = {"StringEquals": {"kms:EncryptionContext:aws:dynamodb:tableName": "tab"}}
    alice = as_user(DYNAMODB_ONLY, {**DECRYPTS, "Condition": only})
    assert get(client=alice)["a"] == {"S": SECRET}
    asked = {"TableName": "other", "Key": {"p": {"S": PARTITION}}}
    assert refusal(alice.get_item, **asked)[1] == "AccessDeniedException"


def test_who_makes_a_table_has_to_be_allowed_to_make_a_grant(
    key: str, as_user: Any, refusal: Any, make: MAKE, kms: Any
) -> None:
    alice = as_user(DYNAMODB_ONLY, {"Action": ["kms:DescribeKey", "kms:Decrypt"]})
    status, code, message = refusal(
        alice.create_table,
        TableName="tab",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key},
    )
    assert (status, code) == (400, "AccessDeniedException")
    assert "is not authorized to perform: kms:CreateGrant on resource" in message
    make(key)
    [grant] = kms.list_grants(KeyId=key)["Grants"]
    assert grant["GranteePrincipal"] == "dynamodb.us-east-1.amazonaws.com"
    assert grant["Constraints"]["EncryptionContextSubset"]["aws:dynamodb:tableName"] == "tab"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"Enabled": False, "SSEType": "KMS"}, "SSEType can not be specified if Enabled is false"),
        (
            {"KMSMasterKeyId": "alias/aws/dynamodb"},
            "KMSMasterKeyId can not be specified if Enabled is false",
        ),
        ({"Enabled": True, "SSEType": "AES256"}, "SSEType AES256 is not supported"),
        (
            {"Enabled": True, "KMSMasterKeyId": "alias/aws/dynamodb"},
            "SSEType KMS is required if KMSMasterKeyId is specified",
        ),
    ],
)
def test_a_specification_that_contradicts_itself_is_refused(
    make: MAKE, refusal: Any, given: dict[str, Any], told: str
) -> None:
    assert refusal(make, SSESpecification=given) == (
        *(400, "ValidationException"),
        f"{INVALID}{told}",
    )


def test_a_key_that_cannot_be_used_makes_no_table(
    make: MAKE, dynamodb: Any, kms: Any, key: str, refusal: Any
) -> None:
    account, gone = key.split(":")[4], "00000000-0000-4000-8000-000000000000"
    arn = f"arn:aws:kms:us-east-1:{account}:key/{gone}"
    prefix = "KMS validation error: com.amazonaws.services.kms.model."
    kms.disable_key(KeyId=key)
    pending = kms.create_key()["KeyMetadata"]["Arn"]
    kms.schedule_key_deletion(KeyId=pending)
    for named, message in (
        (key, disabled(key)),
        (gone, f"{prefix}NotFoundException: Key '{arn}' does not exist"),
        (
            "alias/none",
            f"{prefix}NotFoundException: Alias arn:aws:kms:us-east-1:{account}:alias/none is not found.",
        ),
        (pending, f"{prefix}KMSInvalidStateException: {pending} is pending deletion."),
    ):
        status, code, told = refusal(make, key=named)
        assert (status, code, told.startswith(message)) == (400, "ValidationException", True)
    mac = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["Arn"]
    assert refusal(make, key=mac)[:2] == (500, "InternalServerError")
    assert dynamodb.list_tables()["TableNames"] == []


# The grant.


def test_the_grant_goes_with_its_table(
    make: MAKE, dynamodb: Any, kms: Any, key: str, cloud: Cloud
) -> None:
    make(key)
    dynamodb.delete_table(TableName="tab")
    cloud.settle()
    assert kms.list_grants(KeyId=key)["Grants"] == []


def test_the_grant_stays_as_long_as_a_backup_needs_it(
    make: MAKE, dynamodb: Any, kms: Any, key: str, cloud: Cloud, put: Any, get: Any
) -> None:
    make(key)
    put()
    arn = dynamodb.create_backup(TableName="tab", BackupName="kept")["BackupDetails"]["BackupArn"]
    cloud.settle()
    dynamodb.delete_table(TableName="tab")
    cloud.settle()
    assert len(kms.list_grants(KeyId=key)["Grants"]) == 1
    described = dynamodb.describe_backup(BackupArn=arn)["BackupDescription"]
    assert described["SourceTableFeatureDetails"]["SSEDescription"]["KMSMasterKeyArn"] == key
    dynamodb.restore_table_from_backup(TargetTableName="back", BackupArn=arn)
    cloud.settle()
    table = dynamodb.describe_table(TableName="back")["Table"]
    assert table["SSEDescription"]["KMSMasterKeyArn"] == key
    assert get(name="back")["a"] == {"S": SECRET}
    assert kept_plain(cloud, SECRET, PARTITION) == []
    dynamodb.delete_backup(BackupArn=arn)
    cloud.settle()
    [grant] = kms.list_grants(KeyId=key)["Grants"]
    assert grant["Constraints"]["EncryptionContextSubset"]["aws:dynamodb:tableName"] == "back"


def test_a_table_that_is_there_already_leaves_no_grant(
    make: MAKE, kms: Any, key: str, refusal: Any
) -> None:
    make(key)
    assert refusal(make, key=key)[1] == "ResourceInUseException"
    assert len(kms.list_grants(KeyId=key)["Grants"]) == 1


# Restores.


def restored(dynamodb: Any, cloud: Cloud, **override: Any) -> dict[str, Any]:
    arn = dynamodb.create_backup(TableName="tab", BackupName="kept")["BackupDetails"]["BackupArn"]
    cloud.settle()
    dynamodb.restore_table_from_backup(TargetTableName="back", BackupArn=arn, **override)
    cloud.settle()
    return dynamodb.describe_table(TableName="back")["Table"]


def test_a_restored_table_may_have_another_key(
    make: MAKE, dynamodb: Any, kms: Any, key: str, cloud: Cloud, put: Any, get: Any
) -> None:
    make(key)
    for size in (1, 20_000, 300_000):
        put(f"{PARTITION} {size}", s={"S": "s" * size})
    other = kms.create_key()["KeyMetadata"]["Arn"]
    sse = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": other}
    table = restored(dynamodb, cloud, SSESpecificationOverride=sse)
    assert table["SSEDescription"]["KMSMasterKeyArn"] == other
    kms.disable_key(KeyId=key)
    for size in (1, 20_000, 300_000):
        assert get(f"{PARTITION} {size}", "back")["s"] == {"S": "s" * size}


def test_a_restored_table_may_have_the_default_key(
    make: MAKE, dynamodb: Any, key: str, cloud: Cloud, put: Any, get: Any
) -> None:
    make(key)
    put()
    table = restored(dynamodb, cloud, SSESpecificationOverride={"Enabled": False})
    assert "SSEDescription" not in table
    assert get(name="back")["a"] == {"S": SECRET}


def test_a_plain_table_is_sealed_when_it_is_restored_to_a_second(
    make_table: Any, dynamodb: Any, key: str, cloud: Cloud, put: Any, get: Any
) -> None:
    make_table("tab")
    put()
    dynamodb.update_continuous_backups(
        TableName="tab", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    sse = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
    dynamodb.restore_table_to_point_in_time(
        SourceTableName="tab",
        TargetTableName="back",
        UseLatestRestorableTime=True,
        SSESpecificationOverride=sse,
    )
    cloud.settle()
    dynamodb.delete_table(TableName="tab")
    assert get(name="back")["a"] == {"S": SECRET}


# Background work.


def test_what_has_expired_is_deleted_though_it_is_sealed(
    make: MAKE, dynamodb: Any, key: str, cloud: Cloud, put: Any, get: Any
) -> None:
    make(key)
    specification = {"Enabled": True, "AttributeName": "t"}
    dynamodb.update_time_to_live(TableName="tab", TimeToLiveSpecification=specification)
    put(t={"N": str(cloud.clock.now_ms() // 1_000 + 60)})
    cloud.settle()
    assert get() is not None
    cloud.advance(62_000)
    assert get() is None


def test_what_expires_while_the_key_is_disabled_goes_when_it_is_back(
    make: MAKE, dynamodb: Any, kms: Any, key: str, cloud: Cloud, put: Any, get: Any
) -> None:
    make(key)
    specification = {"Enabled": True, "AttributeName": "t"}
    dynamodb.update_time_to_live(TableName="tab", TimeToLiveSpecification=specification)
    put(t={"N": str(cloud.clock.now_ms() // 1_000 + 60)})
    cloud.settle()
    kms.disable_key(KeyId=key)
    cloud.advance(62_000)
    table = dynamodb.describe_table(TableName="tab")["Table"]
    assert table["TableStatus"] == "INACCESSIBLE_ENCRYPTION_CREDENTIALS"
    assert "InaccessibleEncryptionDateTime" in table["SSEDescription"]
    kms.enable_key(KeyId=key)
    cloud.advance(302_000)
    table = dynamodb.describe_table(TableName="tab")["Table"]
    assert table["TableStatus"] == "ACTIVE"
    assert "InaccessibleEncryptionDateTime" not in table["SSEDescription"]
    cloud.advance(5_000)
    assert get() is None


def test_a_table_says_that_its_key_cannot_be_used(
    make: MAKE, dynamodb: Any, kms: Any, key: str, cloud: Cloud
) -> None:
    make(key)
    cloud.settle()
    kms.disable_key(KeyId=key)
    cloud.advance(301_000)
    table = dynamodb.describe_table(TableName="tab")["Table"]
    assert table["TableStatus"] == "INACCESSIBLE_ENCRYPTION_CREDENTIALS"
    assert table["SSEDescription"]["Status"] == "ENABLED"
    dynamodb.update_table(TableName="tab", DeletionProtectionEnabled=True)
    dynamodb.update_table(TableName="tab", DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName="tab")
    cloud.settle()
    assert dynamodb.list_tables()["TableNames"] == []


def test_a_new_index_is_filled_from_sealed_items(
    make: MAKE, dynamodb: Any, key: str, cloud: Cloud, put: Any
) -> None:
    make(key)
    put(g={"S": "by this"})
    dynamodb.update_table(
        TableName="tab",
        AttributeDefinitions=[
            {"AttributeName": "p", "AttributeType": "S"},
            {"AttributeName": "g", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexUpdates=[{"Create": index("by_g", "g")}],
    )
    cloud.settle()
    found = dynamodb.scan(TableName="tab", IndexName="by_g")
    assert [each["a"] for each in found["Items"]] == [{"S": SECRET}]
    assert kept_plain(cloud, SECRET, PARTITION, "by this") == []


def test_a_replica_needs_a_key_of_its_own(
    make: MAKE, dynamodb: Any, key: str, refusal: Any
) -> None:
    make(key, StreamSpecification=STREAM)
    update = {"Create": {"RegionName": "eu-west-1"}}
    assert refusal(dynamodb.update_table, TableName="tab", ReplicaUpdates=[update]) == (
        *(400, "ValidationException"),
        f"{INVALID}KMSMasterKeyId must be specified for each replica.",
    )
