"""Global tables of version 2019.11.21: replicas come, go, and have each other's writes.

Source: Developer Guide, "Global tables: how it works" (eventual consistency), and what others measured
on AWS in October 2026 (ack-api-quirks, DDB-TABLE-201 to 310).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.wire.dynamodb.regions import (
    EAST,
    SOUTH,
    WEST,
    Regions,
    add,
    described,
    drop,
    held,
    item,
    make,
    put,
    settle,
    statuses,
)

from fogbank.base.errors import Unavailable
from fogbank.platform.metering import points
from fogbank.platform.metering.metrics import Series
from fogbank.platform.store.engine import SYSTEM_PREFIX, Domain
from fogbank.platform.store.keyspace import CONSUMERS
from fogbank.server.config import Config
from fogbank.server.consuming import NET_MS
from fogbank.services.dynamodb import SERVICE as DYNAMODB
from fogbank.services.dynamodb import state
from fogbank.services.dynamodb.jobs import replication
from fogbank.services.dynamodb.schema.replicas import (
    GROUPS,
    PAIRS,
    REPLICATION,
    TOMBSTONES,
    VERSIONS,
)
from fogbank.services.dynamodb.state import groups
from fogbank.services.dynamodbstreams import SERVICE as STREAMS
from fogbank.services.iam import SERVICE as IAM
from fogbank.testing.cloud import Cloud

IN_USE = "The resource which you are attempting to change is in use."
pytestmark = pytest.mark.slow

MINUTE_MS, HOUR_MS = 60_000, 3_600_000


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """Return a cloud with streams, whose bodies all run twice."""
    config = Config(quotas={"dynamodb.replication_poll_ms": 500})
    with Cloud(services=[DYNAMODB, STREAMS, IAM], replay=True, config=config) as made:
        yield made


@contextmanager
def cut(patch: pytest.MonkeyPatch, region: str) -> Iterator[None]:
    """Let nobody reach one region from another, nor others from there."""
    domain_in = groups.domain_in

    def reached(domain: Domain, wanted: str) -> Domain:
        if wanted != domain.name[-1] and region in (wanted, domain.name[-1]):
            raise Unavailable(f"a cut between {domain.name[-1]} and {wanted}")
        return domain_in(domain, wanted)

    with patch.context() as patched:
        patched.setattr(groups, "domain_in", reached)
        yield


def leap(cloud: Cloud, milliseconds: int) -> None:
    """Move time on at once, as for a machine that slept, and let all wake."""

    async def move() -> None:
        cloud.clock._now_ms += milliseconds
        cloud.clock.advance_to(cloud.clock._now_ms)

    cloud.settle()
    cloud.run(move())
    settle(cloud)


def test_pairs_cost_nothing_while_nobody_writes_and_bring_a_write_at_once(
    cloud: Cloud, at: Regions, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(at[WEST])
    add(at[WEST], EAST)
    settle(cloud)
    steps, run = list[str](), replication._Link.run

    async def counted(link: Any) -> Any:
        steps.append(link._link.region)
        return await run(link)

    monkeypatch.setattr(replication._Link, "run", counted)
    cloud.advance(MINUTE_MS)
    assert len(steps) == 2 * MINUTE_MS // NET_MS, "of two pairs"
    put(at[WEST], "a", 1)
    cloud.settle()
    assert held(at[EAST]) == held(at[WEST]) == [item("a", 1)]
    at[EAST].update_time_to_live(
        TableName="tab", TimeToLiveSpecification={"Enabled": True, "AttributeName": "gone"}
    )
    cloud.settle()
    told = at[WEST].describe_time_to_live(TableName="tab")["TimeToLiveDescription"]
    assert told["TimeToLiveStatus"] == "ENABLED", "settings are brought at once as well"


def test_a_replica_has_what_was_there_and_what_is_written_after_in_either_region(
    cloud: Cloud, at: Regions
) -> None:
    make(at[WEST])
    for number in range(45):
        put(at[WEST], f"old-{number}", number)
    told = add(at[WEST], EAST)
    assert told["TableStatus"] == "UPDATING"
    assert told["GlobalTableVersion"] == "2019.11.21"
    settle(cloud)
    assert statuses(at[WEST]) == {"": "ACTIVE", EAST: "ACTIVE"}
    assert statuses(at[EAST]) == {"": "ACTIVE", WEST: "ACTIVE"}
    assert held(at[EAST]) == held(at[WEST]) != []
    put(at[WEST], "west", 1, by="west")
    put(at[EAST], "east", 1, by="east")
    at[EAST].delete_item(TableName="tab", Key=item("old-1", 1))
    settle(cloud, 2)
    assert held(at[EAST]) == held(at[WEST])
    keys = {each["p"]["S"] for each in held(at[WEST])}
    assert {"west", "east"} < keys
    assert "old-1" not in keys


def test_a_replica_is_added_from_any_other_and_has_the_writes_of_all(
    cloud: Cloud, two: Regions
) -> None:
    put(two[WEST], "west", 1)
    put(two[EAST], "east", 1)
    add(two[EAST], SOUTH)
    settle(cloud)
    assert [*statuses(two[WEST])] == ["", EAST, SOUTH]
    assert [*statuses(two[SOUTH])] == ["", WEST, EAST]
    put(two[SOUTH], "south", 1)
    settle(cloud, 2)
    assert held(two[WEST]) == held(two[EAST]) == held(two[SOUTH])
    assert [each["p"]["S"] for each in held(two[WEST])] == ["east", "south", "west"]


def test_the_last_writer_of_an_item_wins_in_every_region(cloud: Cloud, two: Regions) -> None:
    put(two[WEST], "key", 1, by="west")
    cloud.clock.advance_to(cloud.clock.now_ms() + 1)
    put(two[EAST], "key", 1, by="east")
    put(two[EAST], "gone", 1, by="east")
    cloud.clock.advance_to(cloud.clock.now_ms() + 1)
    two[WEST].delete_item(TableName="tab", Key=item("gone", 1))
    settle(cloud, 2)
    assert held(two[WEST]) == held(two[EAST]) == [item("key", 1, by="east")]


def test_a_deletion_is_known_longer_than_a_write_that_is_older_takes(
    cloud: Cloud, two: Regions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that waits in its region does not undo a deletion, however long it waits."""
    put(two[WEST], "key", 1, by="west")
    settle(cloud, 2)
    with cut(monkeypatch, EAST):
        put(two[EAST], "key", 1, by="east")
        cloud.clock.advance_to(cloud.clock.now_ms() + 1)
        two[WEST].delete_item(TableName="tab", Key=item("key", 1))
        leap(cloud, 3 * HOUR_MS)
    leap(cloud, MINUTE_MS)
    assert held(two[WEST]) == held(two[EAST]) == []


def write_late(cloud: Cloud, two: Regions, patch: pytest.MonkeyPatch) -> None:
    """Write to a replica whose pair cannot bring it yet, and rests from having tried."""
    with cut(patch, EAST):
        put(two[EAST], "late", 1)
        cloud.settle()


class TestLeaving:
    def test_a_replica_goes_when_the_others_have_its_writes(
        self, cloud: Cloud, two: Regions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_late(cloud, two, monkeypatch)
        drop(two[WEST], EAST)
        with cut(monkeypatch, EAST):
            settle(cloud)
            assert statuses(two[WEST])[EAST] == "DELETING"
        settle(cloud, 30)
        with pytest.raises(two[EAST].exceptions.ResourceNotFoundException):
            described(two[EAST])
        assert held(two[WEST]) == [item("late", 1)]
        told = described(two[WEST])
        assert {"Replicas", "GlobalTableVersion"} & told.keys() == set()
        assert told["StreamSpecification"]["StreamEnabled"]

    def test_nobody_writes_to_a_replica_that_goes(
        self, cloud: Cloud, two: Regions, monkeypatch: pytest.MonkeyPatch, refusal: Any
    ) -> None:
        write_late(cloud, two, monkeypatch)
        two[EAST].delete_table(TableName="tab")
        with cut(monkeypatch, EAST):
            settle(cloud)
            assert statuses(two[EAST])[""] == "DELETING"
            given = {"TableName": "tab", "Item": item("more", 1)}
            status, code, _ = refusal(two[EAST].put_item, **given)
            assert (status, code) == (400, "ResourceNotFoundException")
            status, code, _ = refusal(two[EAST].delete_table, TableName="tab")
            assert (status, code) == (400, "ResourceInUseException")
        settle(cloud, 30)
        assert statuses(two[WEST]) == {"": "ACTIVE"}

    def test_nothing_is_left_of_a_global_table_but_its_items(
        self, cloud: Cloud, two: Regions
    ) -> None:
        put(two[WEST], "key", 1)
        two[WEST].delete_item(TableName="tab", Key=item("no", 1))
        settle(cloud, 2)
        drop(two[WEST], EAST)
        settle(cloud, 30)
        kinds = (GROUPS, VERSIONS, REPLICATION, TOMBSTONES, PAIRS)
        assert [rows_of(cloud, kind) for kind in kinds] == [0] * 5
        assert consumers_in(cloud) == 0
        put(two[WEST], "more", 1)
        assert rows_of(cloud, VERSIONS) == 0

    def test_a_replica_can_come_again(self, cloud: Cloud, two: Regions) -> None:
        put(two[WEST], "key", 1)
        settle(cloud, 2)
        drop(two[WEST], EAST)
        settle(cloud, 30)
        put(two[WEST], "key", 1, by="alone")
        put(two[WEST], "more", 1)
        add(two[WEST], EAST)
        settle(cloud)
        assert held(two[EAST]) == [item("key", 1, by="alone"), item("more", 1)]

    def test_what_another_was_made_from_stays_for_a_day(
        self, cloud: Cloud, two: Regions, refusal: Any
    ) -> None:
        """ack-api-quirks, DDB-TABLE-266 and 267."""
        text = (
            "Replica cannot be deleted because it has acted as a source region for new replica(s)"
            " being added to the table in the last 24 hours."
        )
        words = (400, "ValidationException", text)
        assert refusal(two[WEST].delete_table, TableName="tab") == words
        updates = [{"Delete": {"RegionName": WEST}}]
        assert refusal(two[EAST].update_table, TableName="tab", ReplicaUpdates=updates) == words
        leap(cloud, 25 * HOUR_MS)
        two[WEST].delete_table(TableName="tab")
        settle(cloud, 30)
        assert statuses(two[EAST]) == {"": "ACTIVE"}

    def test_a_protected_replica_stays(self, two: Regions, refusal: Any) -> None:
        two[EAST].update_table(TableName="tab", DeletionProtectionEnabled=True)
        _, code, message = refusal(drop, client=two[WEST], region=EAST)
        assert code == "ValidationException"
        assert "protected against deletion" in message
        assert not described(two[WEST])["DeletionProtectionEnabled"]


class TestComing:
    def test_a_replica_is_told_of_and_not_served_before_it_has_everything(
        self, cloud: Cloud, at: Regions, monkeypatch: pytest.MonkeyPatch, refusal: Any
    ) -> None:
        make(at[WEST])
        for number in range(60):
            put(at[WEST], f"old-{number}", number)
        read_copy = state.replication.read_copy

        async def one(tr: Any, table: Any, pair: Any, limit: int) -> Any:
            if pair.next_place:
                raise Unavailable("the copy waits")
            return await read_copy(tr, table, pair, limit)

        with monkeypatch.context() as patch:
            patch.setattr(state.replication, "read_copy", one)
            add(at[WEST], EAST)
            settle(cloud)
            [told] = described(at[WEST])["Replicas"]
            assert told["ReplicaStatus"] == "CREATING"
            assert 0 < int(told["ReplicaStatusPercentProgress"]) < 100
            assert statuses(at[WEST])[""] == "UPDATING"
            assert statuses(at[EAST])[""] == "CREATING"
            status, code, _ = refusal(at[EAST].scan, TableName="tab")
            assert (status, code) == (400, "ResourceNotFoundException")
            put(at[WEST], "during", 1)
            status, code, message = refusal(add, client=at[WEST], region=SOUTH)
            assert (code, message) == ("ResourceInUseException", IN_USE)
        settle(cloud, 30)
        assert statuses(at[WEST]) == {"": "ACTIVE", EAST: "ACTIVE"}
        assert held(at[EAST]) == held(at[WEST])
        assert len(held(at[EAST])) == 61

    def test_items_of_before_come_once_though_each_step_is_repeated(
        self, cloud: Cloud, at: Regions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make(at[WEST])
        for number in range(25):
            put(at[WEST], f"old-{number}", number)
        steps: list[int] = []
        latency_of, move_pair = replication._Link._latency_ms, state.replication.move_pair

        def counted(*given: Any) -> int:
            steps.append(len(steps))
            return latency_of(*given)

        async def every_other(*given: Any) -> bool:
            return await move_pair(*given) if len(steps) % 2 else False

        monkeypatch.setattr(replication._Link, "_latency_ms", counted)
        monkeypatch.setattr(state.replication, "move_pair", every_other)
        add(at[WEST], EAST)
        settle(cloud, 30)
        assert held(at[EAST]) == held(at[WEST])
        arn = described(at[EAST])["LatestStreamArn"]
        assert len(records(cloud, EAST, arn)) == 25

    def test_the_stream_of_a_replica_tells_of_what_comes_and_cannot_be_disabled(
        self, cloud: Cloud, two: Regions, refusal: Any
    ) -> None:
        put(two[WEST], "key", 1, by="west")
        settle(cloud, 2)
        arn = described(two[EAST])["LatestStreamArn"]
        [record] = records(cloud, EAST, arn)
        assert record["awsRegion"] == EAST
        assert record["dynamodb"]["NewImage"] == item("key", 1, by="west")
        assert "userIdentity" not in record
        specification = {"StreamEnabled": False}
        given = {"TableName": "tab", "StreamSpecification": specification}
        words = "Disabling Stream is not allowed for a Global Table replica."
        assert refusal(two[EAST].update_table, **given) == (400, "ValidationException", words)

    def test_what_expires_is_gone_everywhere(self, cloud: Cloud, two: Regions) -> None:
        two[EAST].update_time_to_live(
            TableName="tab", TimeToLiveSpecification={"AttributeName": "at", "Enabled": True}
        )
        settle(cloud)
        told = two[WEST].describe_time_to_live(TableName="tab")["TimeToLiveDescription"]
        assert told == {"TimeToLiveStatus": "ENABLED", "AttributeName": "at"}
        second = cloud.clock.now_ms() // 1_000 + 4
        soon = item("soon", 1) | {"at": {"N": str(second)}}
        two[WEST].put_item(TableName="tab", Item=soon)
        settle(cloud, 2)
        assert len(held(two[EAST])) == 1
        settle(cloud, 10)
        assert held(two[EAST]) == held(two[WEST]) == []


class TestSettings:
    def test_an_index_is_made_and_removed_in_every_region(self, cloud: Cloud, two: Regions) -> None:
        put(two[WEST], "key", 1, by="me")
        two[EAST].update_table(
            TableName="tab",
            AttributeDefinitions=[{"AttributeName": "by", "AttributeType": "S"}],
            GlobalSecondaryIndexUpdates=[
                {
                    "Create": {
                        "IndexName": "who",
                        "KeySchema": [{"AttributeName": "by", "KeyType": "HASH"}],
                        "Projection": {"ProjectionType": "ALL"},
                    }
                }
            ],
        )
        settle(cloud)
        for region in (WEST, EAST):
            found = two[region].scan(TableName="tab", IndexName="who")["Items"]
            assert found == [item("key", 1, by="me")]
        two[WEST].update_table(
            TableName="tab", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "who"}}]
        )
        settle(cloud)
        for region in (WEST, EAST):
            assert "GlobalSecondaryIndexes" not in described(two[region])

    def test_throughput_and_class_are_shared_and_protection_and_tags_are_not(
        self, cloud: Cloud, two: Regions
    ) -> None:
        units = {"ReadCapacityUnits": 7, "WriteCapacityUnits": 9}
        two[WEST].update_table(
            TableName="tab", BillingMode="PROVISIONED", ProvisionedThroughput=units
        )
        settle(cloud)
        two[EAST].update_table(TableName="tab", TableClass="STANDARD_INFREQUENT_ACCESS")
        two[EAST].update_table(TableName="tab", DeletionProtectionEnabled=True)
        settle(cloud)
        for region in (WEST, EAST):
            table = described(two[region])
            found = table["ProvisionedThroughput"]
            assert (found["ReadCapacityUnits"], found["WriteCapacityUnits"]) == (7, 9)
            assert table["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
            assert table["DeletionProtectionEnabled"] == (region == EAST)

    def test_a_replica_has_read_capacity_of_its_own(self, cloud: Cloud, at: Regions) -> None:
        units = {"ReadCapacityUnits": 7, "WriteCapacityUnits": 9}
        make(at[WEST], BillingMode="PROVISIONED", ProvisionedThroughput=units)
        add(at[WEST], EAST, ProvisionedThroughputOverride={"ReadCapacityUnits": 3})
        settle(cloud)
        assert described(at[EAST])["ProvisionedThroughput"]["ReadCapacityUnits"] == 3
        [told] = described(at[WEST])["Replicas"]
        assert told["ProvisionedThroughputOverride"] == {"ReadCapacityUnits": 3}
        at[WEST].update_table(
            TableName="tab", ProvisionedThroughput=units | {"WriteCapacityUnits": 11}
        )
        settle(cloud)
        found = described(at[EAST])["ProvisionedThroughput"]
        assert (found["ReadCapacityUnits"], found["WriteCapacityUnits"]) == (3, 11)
        change = {"RegionName": EAST, "ProvisionedThroughputOverride": {"ReadCapacityUnits": 7}}
        at[WEST].update_table(TableName="tab", ReplicaUpdates=[{"Update": change}])
        settle(cloud)
        assert described(at[EAST])["ProvisionedThroughput"]["ReadCapacityUnits"] == 7
        assert "ProvisionedThroughputOverride" not in described(at[WEST])["Replicas"][0]


def records(cloud: Cloud, region: str, arn: str) -> list[Any]:
    """Return what a stream tells from its begin."""
    streams = cloud.client("dynamodbstreams", region=region)
    found: list[Any] = []
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        iterator = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        found += streams.get_records(ShardIterator=iterator)["Records"]
    return found


def rows_of(cloud: Cloud, kind: Any) -> int:
    """Return how many rows of a kind all regions have."""
    rows: Any = cloud.engine.rows
    skip = len(domain_of(WEST).prefix)
    return sum(key[skip:].startswith(kind.subspace) for key in rows if key[:1] != SYSTEM_PREFIX)


def consumers_in(cloud: Cloud) -> int:
    rows: Any = cloud.engine.rows
    prefix = SYSTEM_PREFIX + bytes((CONSUMERS,))
    return sum(key.startswith(prefix) for key in rows)


def domain_of(region: str) -> Domain:
    return Domain("dynamodb", "any", region)


def test_how_long_each_write_took_to_arrive_is_kept_where_it_was_made(
    cloud: Cloud, two: Regions
) -> None:
    """Developer Guide, "DynamoDB metrics and dimensions", ReplicationLatency: by ReceivingRegion."""
    for number in range(3):
        put(two[WEST], "a", number)
    settle(cloud)

    async def work() -> list[tuple[Any, ...]]:
        await cloud.app.flush_all()
        (system,) = cloud.engine.system_stores()
        found: list[tuple[Any, ...]] = []
        for record in await points.list_series(system, "AWS/DynamoDB"):
            series = Series(record.namespace, record.dimensions)
            store = cloud.engine.store_of(Domain(*record.domain))

            async def body(tr: Any, of: Series = series) -> list[points.Point]:
                return await points.list_points(tr, of, 3_600_000, 0, 1 << 60, 10)

            (point,) = await store.read(body)
            value = point.values["ReplicationLatency"]
            assert 0 <= value.least <= value.most < 5_000
            found.append((record.domain[-1], dict(record.dimensions), value.count))
        return found

    told = {"ReceivingRegion": EAST, "TableName": "tab"}
    assert cloud.run(work()) == [(WEST, told, 3)]
