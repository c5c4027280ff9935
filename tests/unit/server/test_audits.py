"""The trail of a whole cloud in this process, asked as the commands ask it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError

from fogbank.base.errors import Full
from fogbank.engines.watch import Watchers
from fogbank.gateway.refusals import RECORDS_MAX
from fogbank.platform.metering import reading
from fogbank.platform.metering.records import (
    STRANGERS,
    Caller,
    Entry,
    NextRecord,
    account_prefix,
    next_key,
)
from fogbank.platform.metering.trail import DENIALS_MAX, WAITING_MAX, Trail, TrailSettings
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import SYSTEM_PREFIX, Body, Transaction
from fogbank.platform.store.keyspace import AUDIT
from fogbank.platform.store.records import encode
from fogbank.server.audits import Audits
from fogbank.server.config import AuditSettings, Config
from fogbank.server.control import ControlError
from fogbank.testing.cloud import Cloud

TABLE = {
    "TableName": "table",
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "BillingMode": "PAY_PER_REQUEST",
}
AUDIT_KEYS = SYSTEM_PREFIX + bytes((AUDIT,))
KEY = {"id": {"S": "1"}}


@pytest.fixture
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """Return a cloud; a parameter says what it keeps of its trail."""
    config = Config(audit=getattr(request, "param", AuditSettings()))
    with Cloud(config=config) as cloud:
        yield cloud


def ask(cloud: Cloud, control_name: str, /, **arguments: Any) -> list[dict[str, Any]]:
    """Return the rows that a command hears."""
    app = cloud.app
    audits = Audits(app.trail_stores, app.identity, app.parts.clock, app.flush_all)
    control = next(each for each in audits.controls() if each.name == control_name)
    rows: list[dict[str, Any]] = []

    async def send(row: Any) -> None:
        rows.append(dict(row))

    cloud.run(control.run(msgspec.convert(arguments, control.arguments), send))
    return rows


def stored(cloud: Cloud) -> list[str]:
    """Return the operations whose records are durable already, oldest first."""
    store = cloud.app.parts.placement.system_stores()[0]

    async def read() -> list[str]:
        return [
            each.caller.operation
            for account in await reading.accounts(store)
            async for each in reading.entries(store, account, 0, 1 << 62)
        ]

    return cloud.run(read())


def account_of(cloud: Cloud) -> str:
    return cloud.account.principal.account


def request_id_of(error: ClientError) -> str:
    return str(error.response["ResponseMetadata"]["RequestId"])


def user(cloud: Cloud, policy: dict[str, Any] | None = None) -> dict[str, str]:
    """Return the keys of a new user ``a`` with at most one inline policy."""
    iam = cloud.client("iam")
    iam.create_user(UserName="a")
    if policy is not None:
        document = json.dumps({"Version": "2012-10-17", "Statement": policy})
        iam.put_user_policy(UserName="a", PolicyName="p", PolicyDocument=document)
    key = iam.create_access_key(UserName="a")["AccessKey"]
    return {"access_key": key["AccessKeyId"], "secret_key": key["SecretAccessKey"]}


# What is durable when.


def test_a_management_call_is_durable_with_its_answer_before_its_reply(cloud: Cloud) -> None:
    cloud.client("dynamodb").create_table(**TABLE)
    assert stored(cloud) == ["CreateTable"]
    (record,) = ask(cloud, "audit")
    assert record["requestParameters"]["tableName"] == "table"
    assert record["responseElements"]["tableDescription"]["tableName"] == "table"


def test_a_call_that_changes_data_carries_its_record_in_its_own_commit(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = cloud.client("dynamodb")
    client.create_table(**TABLE)
    commits: list[list[bytes]] = []
    committed = Watchers.committed

    def noting(watchers: Watchers, keys: Iterable[bytes]) -> None:
        commits.append(list(keys))
        committed(watchers, keys)

    monkeypatch.setattr(Watchers, "committed", noting)
    client.put_item(TableName="table", Item={**KEY, "secret": {"S": "planted"}})
    assert stored(cloud) == ["CreateTable", "PutItem"]
    (together,) = [keys for keys in commits if any(key.startswith(AUDIT_KEYS) for key in keys)]
    assert any(not key.startswith(SYSTEM_PREFIX) for key in together)


def test_reads_of_data_are_written_within_the_flush_time(cloud: Cloud) -> None:
    client = cloud.client("dynamodb")
    client.create_table(**TABLE)
    client.get_item(TableName="table", Key=KEY)
    assert stored(cloud) == ["CreateTable"]
    cloud.advance(200)
    assert stored(cloud) == ["CreateTable", "GetItem"]


def test_a_change_that_failed_after_it_rode_says_how_it_failed(cloud: Cloud) -> None:
    client = cloud.client("dynamodb")
    client.create_table(**TABLE)
    with pytest.raises(ClientError) as caught:
        client.put_item(TableName="table", Item=KEY, ConditionExpression="attribute_exists(id)")
    (record,) = ask(cloud, "audit", request=request_id_of(caught.value))
    assert record["errorCode"] == "ConditionalCheckFailedException"
    assert record["requestParameters"]["item"] == "HIDDEN_DUE_TO_SECURITY_REASONS"


# Requests that are refused before there is an operation.


def refused(client: Any, operation: str = "list_tables") -> str:
    """Return the id of a request that is refused."""
    with pytest.raises(ClientError) as caught:
        getattr(client, operation)()
    return request_id_of(caught.value)


def stranger(cloud: Cloud, request_id: str) -> dict[str, Any]:
    """Return the one record of a request by nobody that we know."""
    (record,) = ask(cloud, "audit", account=STRANGERS, request=request_id)
    assert record["recipientAccountId"] == STRANGERS
    return record


def test_a_bad_signature_is_recorded_with_the_key_and_its_account_and_pushes_out_nothing(
    cloud: Cloud,
) -> None:
    record = stranger(cloud, refused(cloud.client("dynamodb", secret_key="wrong" * 8)))
    assert record["errorCode"] == "InvalidSignatureException"
    assert record["userIdentity"] == {
        "type": "Unknown",
        "principalId": "",
        "accountId": account_of(cloud),
        "accessKeyId": cloud.account.access_key_id,
    }
    assert (record["eventSource"], record["eventName"]) == ("dynamodb.amazonaws.com", "ListTables")
    assert ask(cloud, "audit", account=account_of(cloud)) == []


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("dynamodb", "list_tables", "UnrecognizedClientException"),
        ("iam", "list_users", "InvalidClientTokenId"),
        ("s3", "list_buckets", "InvalidAccessKeyId"),
        ("lambda", "list_functions", "UnrecognizedClientException"),
    ],
)
def test_an_unknown_key_is_recorded_as_it_was_given(
    cloud: Cloud, service: str, operation: str, code: str
) -> None:
    key_id = "AKIAIOSFODNN7EXAMPLE"
    client = cloud.client(service, access_key=key_id, secret_key="wrong" * 8)
    record = stranger(cloud, refused(client, operation))
    assert record["errorCode"] == code
    assert record["userIdentity"]["type"] == "Unknown"
    assert record["userIdentity"]["accessKeyId"] == key_id
    assert record["userIdentity"]["accountId"] == ""
    expected = "".join(word.capitalize() for word in operation.split("_"))
    assert record["eventName"] == expected


def test_what_does_not_look_like_a_key_may_be_a_secret_and_is_not_recorded(cloud: Cloud) -> None:
    swapped = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab"
    record = stranger(cloud, refused(cloud.client("dynamodb", access_key=swapped, secret_key="s")))
    assert record["userIdentity"]["accessKeyId"] == "HIDDEN_DUE_TO_SECURITY_REASONS"
    assert swapped not in json.dumps(record)


def changed(cloud: Cloud, change: Any) -> Any:
    """Return a client whose requests are changed before they are signed."""
    client = cloud.client("dynamodb")
    client.meta.events.register("before-sign.dynamodb.*", lambda request, **_: change(request))
    return client


def test_an_unknown_operation_is_recorded_by_the_name_that_was_asked_for(cloud: Cloud) -> None:
    def rename(request: Any) -> None:
        request.headers.replace_header("X-Amz-Target", "DynamoDB_20120810.MakeCoffee")

    request_id = refused(changed(cloud, rename))
    (record,) = ask(cloud, "audit", request=request_id)
    assert record["eventName"] == "MakeCoffee"
    assert record["errorCode"] == "UnknownOperationException"
    assert record["userIdentity"]["type"] == "Root"
    assert record["recipientAccountId"] == account_of(cloud)


def test_a_malformed_request_is_recorded_under_its_caller(cloud: Cloud) -> None:
    def break_body(request: Any) -> None:
        request.data = b'{"Limit": '

    request_id = refused(changed(cloud, break_body))
    (record,) = ask(cloud, "audit", request=request_id)
    assert (record["eventName"], record["errorCode"]) == ("ListTables", "SerializationException")
    assert record["recipientAccountId"] == account_of(cloud)


def test_a_request_that_names_nothing_is_recorded_as_unknown(cloud: Cloud) -> None:
    def rename(request: Any) -> None:
        request.headers.replace_header("X-Amz-Target", "not a name at all")

    (record,) = ask(cloud, "audit", request=refused(changed(cloud, rename)))
    assert record["eventName"] == "Unknown"


def test_a_flood_of_refusals_leaves_a_bounded_number_of_records(cloud: Cloud) -> None:
    client = cloud.client("dynamodb", secret_key="wrong" * 8)
    count = RECORDS_MAX + 40
    for _ in range(count):
        refused(client)
    records = ask(cloud, "audit", account=STRANGERS)
    told = [int(each["additionalEventData"]["refusals"]) for each in records[RECORDS_MAX:]]
    assert 1 <= len(told) <= 2  # wrong signatures, and then those that were told to slow down
    assert sum(told) == 40
    assert cloud.app.dispatcher.refusals.grouped == 40
    assert all("additionalEventData" not in each for each in records[:RECORDS_MAX])


# Settings.


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ("all", ["CreateTable", "PutItem", "GetItem"]),
        ("writes", ["CreateTable", "PutItem"]),
        ("none", ["CreateTable"]),
    ],
)
def test_which_events_of_data_are_kept_is_a_setting(kept: Any, expected: list[str]) -> None:
    with Cloud(config=Config(audit=AuditSettings(data_events=kept))) as cloud:
        client = cloud.client("dynamodb")
        client.create_table(**TABLE)
        client.put_item(TableName="table", Item=KEY)
        client.get_item(TableName="table", Key=KEY)
        assert [record["eventName"] for record in ask(cloud, "audit")] == expected


@pytest.mark.slow
def test_old_records_go_by_age_and_the_oldest_by_size() -> None:
    config = Config(audit=AuditSettings(retention_days=1, account_mb_max=1))
    with Cloud(config=config) as cloud:
        iam = cloud.client("iam")
        iam.create_user(UserName="old")
        cloud.advance(2 * 86_400_000)
        assert stored(cloud) == []
        for number in range(120):
            iam.create_user(UserName=f"u{number}", Tags=[{"Key": "k", "Value": "v"}] * 1)
            cloud.run(_fill(cloud, 12_000))
        cloud.advance(120_000)
        names = [
            r["requestParameters"]["userName"] for r in ask(cloud, "audit", event="CreateUser")
        ]
        assert 0 < len(names) < 120
        assert names == [f"u{number}" for number in range(120 - len(names), 120)]
        size = cloud.run(_size(cloud))
        assert size <= 1 << 20


async def _fill(cloud: Cloud, size: int) -> None:
    """Settle a record of a certain size."""

    account = account_of(cloud)
    entry = Entry(
        cloud.clock.now_ms(), cloud.ids.uuid(), 0, parameters=msgspec.msgpack.encode("x" * size)
    )
    await cloud.app.trail.settle(account, Caller("iam", "Fill", "x", "root"), entry)


async def _size(cloud: Cloud) -> int:
    """Return the bytes of all rows of the account's trail."""

    prefix = account_prefix(account_of(cloud))
    store = cloud.app.parts.placement.system_stores()[0]

    async def body(tr: Transaction) -> int:
        rows = await tr.range(prefix, tuples.after_prefix(prefix), limit=1_000)
        return sum(len(key) + len(value) for key, value in rows)

    return await store.read(body)


# Asking for records.


def test_records_are_chosen_by_event_user_request_account_and_time(cloud: Cloud) -> None:
    keys = user(cloud, {"Effect": "Allow", "Action": "*", "Resource": "*"})
    later_ms = cloud.clock.now_ms() + 10_000
    cloud.advance(20_000)
    cloud.client("iam", **keys).list_users()
    arn = f"arn:aws:iam::{account_of(cloud)}:user/a"
    assert [r["eventName"] for r in ask(cloud, "audit", user=arn)] == ["ListUsers"]
    assert [r["eventName"] for r in ask(cloud, "audit", event="CreateUser")] == ["CreateUser"]
    assert [r["eventName"] for r in ask(cloud, "audit", since_ms=later_ms)] == ["ListUsers"]
    early = [r["eventName"] for r in ask(cloud, "audit", until_ms=later_ms)]
    assert early == ["CreateUser", "PutUserPolicy", "CreateAccessKey"]
    assert len(ask(cloud, "audit", account="default")) == 4
    with pytest.raises(ControlError, match="no account nobody"):
        ask(cloud, "audit", account="nobody")


def test_a_reader_that_follows_hears_every_later_call_once(cloud: Cloud) -> None:
    app = cloud.app
    audits = Audits(app.trail_stores, app.identity, app.parts.clock, app.flush_all)
    control = next(each for each in audits.controls() if each.name == "audit")
    heard: list[str] = []

    async def send(row: Any) -> None:
        heard.append(row["eventName"])

    async def follow() -> None:
        wanted = msgspec.convert({"follow": True}, control.arguments)
        cloud_task.append(asyncio.ensure_future(control.run(wanted, send)))

    cloud_task: list[Any] = []
    cloud.client("iam").create_user(UserName="first")
    cloud.run(follow())
    cloud.settle()
    assert heard == ["CreateUser"]
    cloud.client("iam").create_group(GroupName="second")
    cloud.advance(1_000)
    cloud.client("iam").list_users()
    cloud.advance(1_000)
    assert heard == ["CreateUser", "CreateGroup", "ListUsers"]

    async def end() -> None:
        cloud_task[0].cancel()

    cloud.run(end())


# Why a request was refused.


def test_why_denied_names_the_statement_with_its_text_and_the_condition_keys(cloud: Cloud) -> None:
    allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    deny = {"Sid": "NoTables", "Effect": "Deny", "Action": "dynamodb:List*", "Resource": "*"}
    keys = user(cloud, [allow, deny])
    with pytest.raises(ClientError) as caught:
        cloud.client("dynamodb", **keys).list_tables()
    (row,) = ask(cloud, "why-denied", request=request_id_of(caught.value))
    arn = f"arn:aws:iam::{account_of(cloud)}:user/a"
    assert row["principal"] == arn
    assert row["action"] == "dynamodb:ListTables"
    assert row["reason"] == "DENIED_BY_IDENTITY"
    policy = row["policy"]
    assert (policy["kind"], policy["policy"], policy["holder"]) == ("inline", "p", arn)
    assert (policy["sid"], policy["statement"]) == ("NoTables", 1)
    assert json.loads(policy["text"]) == deny
    assert row["context"]["aws:username"] == "a"
    assert row["context"]["aws:SourceIp"] == "127.0.0.1"
    assert row["lookedAt"] == [{"kind": "inline", "policy": "p", "holder": arn}]
    (record,) = ask(cloud, "audit", request=row["requestID"])
    assert record["errorCode"] == "AccessDeniedException"


def test_why_denied_says_that_no_statement_allows_and_what_was_looked_at(cloud: Cloud) -> None:
    keys = user(cloud, {"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    with pytest.raises(ClientError) as caught:
        cloud.client("dynamodb", **keys).list_tables()
    (row,) = ask(cloud, "why-denied", request=request_id_of(caught.value))
    assert row["policy"] is None
    assert row["reason"] == "NO_IDENTITY"
    assert [each["policy"] for each in row["lookedAt"]] == ["p"]


def test_why_denied_names_a_statement_of_a_trust_policy(cloud: Cloud) -> None:
    statement = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    deny = {**statement, "Effect": "Deny", "Sid": "Nobody"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement, deny]})
    role = cloud.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=trust)["Role"]
    keys = user(cloud, {"Effect": "Allow", "Action": "*", "Resource": "*"})
    with pytest.raises(ClientError) as caught:
        cloud.client("sts", **keys).assume_role(RoleArn=role["Arn"], RoleSessionName="s1")
    (row,) = ask(cloud, "why-denied", request=request_id_of(caught.value))
    assert row["resource"] == role["Arn"]
    assert (row["policy"]["kind"], row["policy"]["sid"]) == ("trust", "Nobody")
    assert json.loads(row["policy"]["text"]) == deny
    assert {"kind": "trust", "policy": "", "holder": role["Arn"]} in row["lookedAt"]


@pytest.mark.parametrize("at_point", [True, False], ids=["point", "bucket"])
def test_why_denied_shows_the_policy_of_an_access_point(cloud: Cloud, *, at_point: bool) -> None:
    account, s3, control = account_of(cloud), cloud.client("s3"), cloud.client("s3control")
    s3.create_bucket(Bucket="photos")
    made = control.create_access_point(AccountId=account, Name="front", Bucket="photos")
    point = made["AccessPointArn"]
    denied = f"{point}/object/*" if at_point else "arn:aws:s3:::photos/*"
    deny = {"Sid": "NotHere", "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject"}
    allow = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "s3:ListBucket"}
    said = [{**allow, "Resource": point}]
    policy = {"Version": "2012-10-17", "Statement": said}
    if at_point:
        said.append({**deny, "Resource": denied})
    else:
        other = {"Version": "2012-10-17", "Statement": [{**deny, "Resource": denied}]}
        s3.put_bucket_policy(Bucket="photos", Policy=json.dumps(other))
    control.put_access_point_policy(AccountId=account, Name="front", Policy=json.dumps(policy))
    keys = user(cloud, {"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    with pytest.raises(ClientError) as caught:
        cloud.client("s3", **keys).get_object(Bucket=point, Key="k")
    (row,) = ask(cloud, "why-denied", request=request_id_of(caught.value))
    assert row["resource"] == (f"{point}/object/k" if at_point else "arn:aws:s3:::photos/k")
    assert row["policy"]["sid"] == "NotHere"
    assert json.loads(row["policy"]["text"]) == {**deny, "Resource": denied}
    looked = [each["holder"] for each in row["lookedAt"] if each["kind"] == "resource"]
    assert looked == ([point] if at_point else ["arn:aws:s3:::photos/k", point])


def test_why_denied_shows_the_policy_of_that_of_two_access_points(cloud: Cloud) -> None:
    account, s3, control = account_of(cloud), cloud.client("s3"), cloud.client("s3control")
    s3.create_bucket(Bucket="photos")
    points: dict[str, str] = {}
    for name, effect in (("front", "Allow"), ("back", "Deny")):
        made = control.create_access_point(AccountId=account, Name=name, Bucket="photos")
        points[name] = made["AccessPointArn"]
        said = {"Effect": effect, "Principal": {"AWS": account}, "Action": "s3:GetObject"}
        policy = {
            "Version": "2012-10-17",
            "Statement": {**said, "Resource": f"{points[name]}/object/*"},
        }
        control.put_access_point_policy(AccountId=account, Name=name, Policy=json.dumps(policy))
    keys = user(cloud, {"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    copied = {"Bucket": points["back"], "Key": "k"}
    with pytest.raises(ClientError) as caught:
        cloud.client("s3", **keys).copy_object(Bucket=points["front"], Key="c", CopySource=copied)
    (row,) = ask(cloud, "why-denied", request=request_id_of(caught.value))
    assert row["resource"] == f"{points['back']}/object/k"
    assert json.loads(row["policy"]["text"])["Effect"] == "Deny"


def test_why_denied_tells_of_a_call_that_no_policy_refused(cloud: Cloud) -> None:
    with pytest.raises(ClientError) as caught:
        cloud.client("dynamodb", secret_key="wrong" * 8).list_tables()
    (row,) = ask(cloud, "why-denied", request=request_id_of(caught.value))
    assert row["errorCode"] == "InvalidSignatureException"
    with pytest.raises(ControlError, match="nothing is known"):
        ask(cloud, "why-denied", request="no-such-request")


@pytest.mark.slow
@pytest.mark.parametrize("cloud", [AuditSettings(denials_days=1)], indirect=True)
def test_refusals_are_bounded_by_number_and_by_age(cloud: Cloud) -> None:
    keys = user(cloud)
    client = cloud.client("dynamodb", **keys)
    ids = []
    for _ in range(3):
        with pytest.raises(ClientError) as caught:
            client.list_tables()
        ids.append(request_id_of(caught.value))
    store = cloud.app.parts.placement.system_stores()[0]
    account = account_of(cloud)
    cloud.run(_next_slot(store, account, DENIALS_MAX - 1))
    for _ in range(3):
        with pytest.raises(ClientError) as caught:
            client.list_tables()
        ids.append(request_id_of(caught.value))
    kept = [each.request_id for each in cloud.run(reading.denials(store, account))]
    assert sorted(kept) == sorted(ids[2:])  # the ring came round over the first two
    cloud.advance(23 * 3_600_000)
    assert len(cloud.run(reading.denials(store, account))) == len(kept)
    cloud.advance(2 * 3_600_000)
    assert cloud.run(reading.denials(store, account)) == []


async def _next_slot(store: Any, account: str, slot: int) -> None:

    async def body(tr: Transaction) -> None:
        tr.put(next_key(account), encode(NextRecord(slot)))

    await store.transact(body)


# When the store takes nothing.


class _FullStore:
    """A store without space."""

    def __init__(self) -> None:
        self.is_full = True
        self.rows = 0

    async def transact(self, body: Body[Any], *, token: Any = None) -> None:
        if self.is_full:
            raise Full("no space")
        self.rows += 1


class _FullPlacement:
    def __init__(self) -> None:
        self.store = _FullStore()

    def system_stores(self) -> tuple[Any, ...]:
        return (self.store,)


def test_what_the_store_did_not_take_is_written_when_it_does(cloud: Cloud) -> None:
    placement = _FullPlacement()
    trail = Trail(placement, cloud.clock, TrailSettings())  # type: ignore[arg-type]
    caller = Caller("iam", "CreateUser", "us-east-1", "root")
    for number in range(3):
        asyncio.run(trail.settle("1", caller, Entry(1, str(number), 0)))
    assert (trail.waiting, trail.lost, trail.is_failing) == (3, 0, True)
    placement.store.is_full = False
    trail._retry_ms = 0
    asyncio.run(trail.flush())
    assert (trail.waiting, trail.lost, placement.store.rows) == (0, 0, 1)


def test_while_the_store_takes_nothing_records_wait_within_a_bound(cloud: Cloud) -> None:

    placement = _FullPlacement()
    trail = Trail(placement, cloud.clock, TrailSettings())  # type: ignore[arg-type]
    caller = Caller("iam", "CreateUser", "us-east-1", "root")

    async def work() -> None:
        for number in range(WAITING_MAX + 600):
            await trail.settle("1", caller, Entry(1, str(number), 0))

    asyncio.run(work())
    assert trail.is_failing
    assert trail.waiting <= WAITING_MAX
    assert trail.lost > 0
    placement.store.is_full = False
    trail._retry_ms = 0
    asyncio.run(trail.flush())
    assert (trail.waiting, trail.is_failing, placement.store.rows) == (0, False, 1)


def test_a_record_names_the_key_that_an_alias_stood_for(cloud: Cloud) -> None:
    """Source: AWS KMS Developer Guide, "Logging AWS KMS API calls with AWS CloudTrail", Encrypt."""
    kms = cloud.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName="alias/app", TargetKeyId=key)
    kms.encrypt(KeyId="alias/app", Plaintext=b"x", EncryptionContext={"a": "1"})
    [record] = [each for each in ask(cloud, "audit") if each["eventName"] == "Encrypt"]
    resource = {"ARN": key, "accountId": key.split(":")[4], "type": "AWS::KMS::Key"}
    assert record["resources"] == [resource]
    assert (record["readOnly"], record["eventSource"]) == (True, "kms.amazonaws.com")
    assert record["requestParameters"]["encryptionContext"] == {"a": "1"}
