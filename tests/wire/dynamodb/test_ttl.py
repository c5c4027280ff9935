"""Items that expire: Developer Guide, "Using time to live (TTL) in DynamoDB".

Messages of UpdateTimeToLive as AWS gives them to its own controllers for Kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import SYSTEM_PREFIX, Domain, Transaction
from fogbank.platform.store.keyspace import EXPIRIES
from fogbank.platform.store.records import RecordDecoder, encode
from fogbank.services.dynamodb.jobs import tables as jobs
from fogbank.services.dynamodb.schema import TABLES, WALKS, ExpiryRecord, WalkRecord
from fogbank.services.dynamodb.state import expiries
from fogbank.testing.cloud import Cloud

YEAR_S = 365 * 86_400
SECOND_MS = 1_000


@pytest.fixture
def now_s(cloud: Cloud) -> int:
    return cloud.clock.now_ms() // 1_000


@pytest.fixture
def put(dynamodb: Any) -> Callable[..., None]:
    """Write an item that expires at what a number, or another value, says."""

    def write(key: str, at: object = None, **more: Any) -> None:
        value = at if isinstance(at, dict) else {"N": str(at)}
        item = {"p": {"S": key}, **more} | ({} if at is None else {"at": value})
        dynamodb.put_item(TableName="tab", Item=item)

    return write


@pytest.fixture
def expiring(cloud: Cloud, dynamodb: Any, make_table: Callable[..., None]) -> None:
    """Have a table whose items expire by ``at``, over which the walk has gone."""
    make_table()
    enable(dynamodb)
    cloud.settle()


def enable(dynamodb: Any, attribute: str = "at", *, enabled: bool = True) -> Any:
    specification = {"AttributeName": attribute, "Enabled": enabled}
    return dynamodb.update_time_to_live(TableName="tab", TimeToLiveSpecification=specification)


def left(dynamodb: Any) -> set[str]:
    """Return the keys of the items that stand."""
    return {item["p"].get("S", "") for item in dynamodb.scan(TableName="tab")["Items"]}


def entries(cloud: Cloud) -> int:
    """Return how many items the store knows to expire."""
    prefix = SYSTEM_PREFIX + bytes((EXPIRIES,))
    return sum(key.startswith(prefix) for key in cloud.engine.rows.irange())


def pass_time(cloud: Cloud, seconds: int) -> None:
    cloud.advance(seconds * SECOND_MS)
    cloud.settle()


def test_a_table_says_by_what_its_items_expire(dynamodb: Any, make_table: Any) -> None:
    make_table()
    described = dynamodb.describe_time_to_live(TableName="tab")["TimeToLiveDescription"]
    assert described == {"TimeToLiveStatus": "DISABLED"}
    asked = {"AttributeName": "at", "Enabled": True}
    assert enable(dynamodb)["TimeToLiveSpecification"] == asked
    described = dynamodb.describe_time_to_live(TableName="tab")["TimeToLiveDescription"]
    assert described == {"TimeToLiveStatus": "ENABLED", "AttributeName": "at"}
    enable(dynamodb, enabled=False)
    described = dynamodb.describe_time_to_live(TableName="tab")["TimeToLiveDescription"]
    assert described == {"TimeToLiveStatus": "DISABLED"}


def test_items_are_deleted_within_seconds_of_their_time(
    cloud: Cloud, dynamodb: Any, expiring: None, put: Any, now_s: int
) -> None:
    put("past", now_s - 60)
    put("soon", now_s + 10)
    put("fraction", f"{now_s + 10}.5")
    put("later", now_s + 3_600)
    put("never")
    put("text", {"S": str(now_s - 60)})
    put("zero", 0)
    put("five years", now_s - 5 * YEAR_S - 60)
    put("milliseconds", now_s * 1_000)
    put("beyond", "1e120")
    pass_time(cloud, 1)
    stay = {"later", "never", "text", "zero", "five years", "milliseconds", "beyond"}
    assert left(dynamodb) == {"soon", "fraction", *stay}
    pass_time(cloud, 9)
    assert left(dynamodb) == {"fraction", *stay}
    pass_time(cloud, 2)
    assert left(dynamodb) == stay
    pass_time(cloud, 3_600)
    assert left(dynamodb) == stay - {"later"}


@pytest.mark.parametrize("cloud", [{"dynamodb.ttl_period_ms": 60_000}], indirect=True)
def test_how_often_they_are_looked_for_is_a_setting(
    cloud: Cloud, dynamodb: Any, expiring: None, put: Any, now_s: int
) -> None:
    put("soon", now_s + 5)
    pass_time(cloud, 50)
    assert left(dynamodb) == {"soon"}
    pass_time(cloud, 70)
    assert left(dynamodb) == set()


def test_an_item_whose_time_is_moved_or_taken_away_stays(
    cloud: Cloud, dynamodb: Any, expiring: None, put: Any, now_s: int
) -> None:
    for key in ("moved", "taken", "kept"):
        put(key, now_s + 10)
    put("moved", now_s + 100)
    dynamodb.update_item(
        TableName="tab",
        Key={"p": {"S": "taken"}},
        UpdateExpression="REMOVE #at",
        ExpressionAttributeNames={"#at": "at"},
    )
    dynamodb.delete_item(TableName="tab", Key={"p": {"S": "kept"}})
    put("kept")
    assert entries(cloud) == 1
    pass_time(cloud, 20)
    assert left(dynamodb) == {"moved", "taken", "kept"}
    pass_time(cloud, 90)
    assert left(dynamodb) == {"taken", "kept"}
    assert entries(cloud) == 0


def test_items_expire_by_whatever_operation_wrote_them(
    cloud: Cloud, dynamodb: Any, expiring: None, now_s: int
) -> None:
    def item(key: str) -> dict[str, Any]:
        return {"p": {"S": key}, "at": {"N": str(now_s + 5)}}

    dynamodb.batch_write_item(RequestItems={"tab": [{"PutRequest": {"Item": item("batch")}}]})
    dynamodb.transact_write_items(
        TransactItems=[{"Put": {"TableName": "tab", "Item": item("transaction")}}]
    )
    dynamodb.update_item(
        TableName="tab",
        Key={"p": {"S": "update"}},
        UpdateExpression="SET #at = :at",
        ExpressionAttributeNames={"#at": "at"},
        ExpressionAttributeValues={":at": {"N": str(now_s + 5)}},
    )
    assert left(dynamodb) == {"batch", "transaction", "update"}
    pass_time(cloud, 6)
    assert left(dynamodb) == set()


def test_items_may_expire_by_their_key(
    cloud: Cloud, dynamodb: Any, make_table: Any, now_s: int
) -> None:
    make_table(sort="N")
    enable(dynamodb, "c")
    for at in (now_s + 5, now_s + 500):
        dynamodb.put_item(TableName="tab", Item={"p": {"S": "a"}, "c": {"N": str(at)}})
    pass_time(cloud, 10)
    items = dynamodb.scan(TableName="tab")["Items"]
    assert [item["c"]["N"] for item in items] == [str(now_s + 500)]


@pytest.mark.parametrize("step_bytes", [expiries.STEP_BYTES, 0])
def test_items_that_were_there_before_expire_too(
    cloud: Cloud,
    dynamodb: Any,
    make_table: Any,
    put: Any,
    now_s: int,
    step_bytes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "ITEMS_PER_STEP", 3)
    monkeypatch.setattr(jobs, "STEPS_PER_ATTEMPT", 2)
    monkeypatch.setattr(expiries, "STEP_BYTES", step_bytes)
    make_table()
    for number in range(20):
        put(f"old{number}", now_s + 5)
    put("stays")
    enable(dynamodb)
    cloud.settle()
    assert entries(cloud) == 20
    pass_time(cloud, 10)
    assert left(dynamodb) == {"stays"}
    assert entries(cloud) == 0
    prefix = WALKS.prefix(Domain("dynamodb", cloud.account.principal.account, "us-east-1"))
    assert not any(key.startswith(prefix) for key in cloud.engine.rows.irange())


def test_nothing_expires_once_it_is_turned_off(
    cloud: Cloud, dynamodb: Any, expiring: None, put: Any, now_s: int
) -> None:
    put("one", now_s + 5)
    enable(dynamodb, enabled=False)
    put("two", now_s + 5)
    cloud.settle()
    assert entries(cloud) == 0
    pass_time(cloud, 20)
    assert left(dynamodb) == {"one", "two"}


def test_by_another_attribute_other_items_expire(
    cloud: Cloud, dynamodb: Any, expiring: None, put: Any, now_s: int
) -> None:
    put("by at", now_s + 5)
    put("by then", None, then={"N": str(now_s + 5)})
    enable(dynamodb, enabled=False)
    enable(dynamodb, "then")
    pass_time(cloud, 20)
    assert left(dynamodb) == {"by at"}


def test_what_an_entry_says_is_decided_anew_when_its_time_has_come(
    cloud: Cloud, dynamodb: Any, expiring: None, put: Any, now_s: int
) -> None:
    """An entry that was left behind deletes nothing: not the item that took its place."""
    put("item", now_s + 5)
    prefix = SYSTEM_PREFIX + bytes((EXPIRIES,))
    behind = {key: value for key, value in cloud.engine.rows.items() if key.startswith(prefix)}
    put("item", now_s + 500)
    cloud.engine.rows.update(behind)
    assert entries(cloud) == 2
    pass_time(cloud, 10)
    assert left(dynamodb) == {"item"}
    assert entries(cloud) == 1


@pytest.mark.parametrize("other", [{"table_id": "another"}, {"attribute": "then"}])
def test_an_entry_of_another_table_or_attribute_deletes_nothing(
    cloud: Cloud, dynamodb: Any, expiring: None, put: Any, now_s: int, other: dict[str, str]
) -> None:
    put("item", now_s + 5, then={"N": str(now_s + 5)})
    prefix = SYSTEM_PREFIX + bytes((EXPIRIES,))
    rows: dict[bytes, bytes] = cloud.engine.rows
    [key] = [key for key in rows if key.startswith(prefix)]
    entry = RecordDecoder(ExpiryRecord).decode(rows.pop(key))
    changed = msgspec.structs.replace(entry, **other)
    rows[expiries.key_of(Domain(*entry.domain), changed)] = encode(changed)
    pass_time(cloud, 10)
    assert left(dynamodb) == {"item"}
    assert entries(cloud) == 0


def walk(cloud: Cloud, attribute: str) -> bool:
    """Take one step of a walk over the table; return whether it is done."""
    domain = Domain("dynamodb", cloud.account.principal.account, "us-east-1")

    async def step(tr: Transaction) -> bool:
        table = await TABLES.find(tr, "tab")
        assert table is not None
        payload = encode(WalkRecord(table="tab", table_id=table.id, attribute=attribute))
        entry = WorkEntry(expiries.WALKED_TABLES, "walk", domain.name, payload, 0, 0)
        return await expiries.walk_on(tr, entry, 10)

    return cloud.run(cloud.engine.store_of(domain).transact(step))


def test_a_step_of_a_walk_looks_into_few_large_items_and_goes_on_behind_them(
    cloud: Cloud,
    dynamodb: Any,
    make_table: Any,
    put: Any,
    now_s: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "STEPS_PER_ATTEMPT", 0)
    make_table()
    for key in "abc":
        put(key, now_s + 500, more={"S": "x" * 1_000})
    enable(dynamodb)
    monkeypatch.setattr(expiries, "STEP_BYTES", 1_500)
    assert not walk(cloud, "at")
    assert entries(cloud) == 2
    assert walk(cloud, "at")
    assert entries(cloud) == 3


def test_a_walk_for_an_attribute_leaves_what_expires_by_another(
    cloud: Cloud, dynamodb: Any, make_table: Any, put: Any, now_s: int
) -> None:
    make_table()
    enable(dynamodb, "then")
    put("item", now_s + 5, then={"N": str(now_s + 5)})
    assert walk(cloud, "at")
    pass_time(cloud, 10)
    assert left(dynamodb) == set()


def test_a_dropped_table_leaves_no_entries_and_takes_none_of_a_new_one_with_it(
    cloud: Cloud, dynamodb: Any, expiring: None, put: Any, make_table: Any, now_s: int
) -> None:
    put("old", now_s + 100)
    dynamodb.delete_table(TableName="tab")
    make_table()
    enable(dynamodb)
    put("old")
    put("new", now_s + 100)
    cloud.settle()
    assert entries(cloud) == 1
    pass_time(cloud, 110)
    assert left(dynamodb) == {"old"}


@pytest.mark.parametrize(
    ("before", "asked", "words"),
    [
        ([], ("at", False), "TimeToLive is already disabled"),
        ([("at", True)], ("at", True), "TimeToLive is already enabled"),
        (
            [("at", True)],
            ("other", True),
            "TimeToLive is active on a different AttributeName: current AttributeName is at",
        ),
        (
            [("at", True)],
            ("other", False),
            "TimeToLive is active on a different AttributeName: current AttributeName is at",
        ),
    ],
)
def test_a_change_that_is_none_is_refused(
    dynamodb: Any, make_table: Any, refusal: Any, before: Any, asked: Any, words: str
) -> None:
    make_table()
    for attribute, enabled in before:
        enable(dynamodb, attribute, enabled=enabled)
    specification = {"AttributeName": asked[0], "Enabled": asked[1]}
    said = refusal(
        dynamodb.update_time_to_live, TableName="tab", TimeToLiveSpecification=specification
    )
    assert said == (400, "ValidationException", words)


def test_a_table_that_is_not_there_is_named(dynamodb: Any, refusal: Any) -> None:
    text = "Requested resource not found: Table: none not found"
    specification = {"AttributeName": "at", "Enabled": True}
    for call, given in (
        (dynamodb.update_time_to_live, {"TimeToLiveSpecification": specification}),
        (dynamodb.describe_time_to_live, {}),
    ):
        assert refusal(call, TableName="none", **given) == (400, "ResourceNotFoundException", text)
