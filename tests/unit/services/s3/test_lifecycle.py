"""Lifecycle rules that are applied, day by day, in virtual time."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from tests.unit.services.s3.world import LARGE, OWNER, World, made, run, upload

from fogbank.platform.scheduler.timers import Timer
from fogbank.services.s3.errors import NoSuchLifecycleConfiguration, NoSuchUpload
from fogbank.services.s3.jobs import begin_lifecycle
from fogbank.services.s3.rules.access import domain_of
from fogbank.services.s3.rules.lifecycle import CALENDAR_DAY_MS as DAY
from fogbank.services.s3.schema import OBJECTS, UPLOADS, VERSIONS, Tag
from fogbank.services.s3.state import lifecycle
from fogbank.services.s3.state.tasks import READ_GRACE_MS, WORKFLOW_GRACE_MS

ARN = f"arn:aws:lambda:us-east-1:{OWNER}:function:told"


def rule(number: int = 1, **more: Any) -> dict[str, Any]:
    return {"ID": f"rule{number}", "Status": "Enabled", "Filter": {}, **more}


async def put(world: World, *rules: Any) -> None:
    await world.call(
        "put_bucket_lifecycle_configuration",
        Bucket="bucket",
        LifecycleConfiguration={"Rules": list(rules)},
    )


async def timers(world: World) -> list[Timer]:
    return [timer for timer in await world.timers() if timer.kind == lifecycle.RUN]


async def ring(world: World, due: Timer) -> None:
    """Let a timer wake, when it is due or later."""

    async def wake(tr: Any) -> None:
        world.facilities.timers.delete(tr, due)
        await begin_lifecycle.wake(tr, due, world.facilities)

    world.clock.advance_to(max(due.due_ms, world.clock.now_ms()))
    await world.engine.store_of(domain_of("bucket")).transact(wake)


async def midnight(world: World) -> None:
    """Go to the next midnight that a timer waits for, and do all that is to be done then."""
    await ring(world, min(await timers(world), key=lambda timer: timer.due_ms))
    await world.tasks()


async def days(world: World, count: int) -> None:
    for _ in range(count):
        await midnight(world)


async def keys(world: World) -> list[str]:
    listed = await world.call("list_objects_v2", Bucket="bucket")
    return [entry["Key"] for entry in listed.get("Contents", [])]


async def versions(world: World) -> list[tuple[str, str]]:
    """Return what there is: keys, and ``version``, ``current`` or ``marker``."""
    listed = await world.call("list_object_versions", Bucket="bucket")
    found = [
        (each["Key"], "current" if each["IsLatest"] else "version") for each in listed["Versions"]
    ]
    return sorted([*found, *((each["Key"], "marker") for each in listed["DeleteMarkers"])])


async def versioned(world: World, status: str = "Enabled") -> World:
    await made(world)
    await turn(world, status)
    return world


async def turn(world: World, status: str) -> None:
    configuration = {"Status": status}
    await world.call(
        "put_bucket_versioning", Bucket="bucket", VersioningConfiguration=configuration
    )


def test_objects_go_when_their_days_are_over_and_their_bytes_with_them(world: World) -> None:
    async def story() -> None:
        await made(world)
        await put(world, rule(Filter={"Prefix": "log/"}, Expiration={"Days": 1}))
        await world.put("log/1", LARGE)
        await world.put("photo", LARGE)
        await midnight(world)
        assert await keys(world) == ["log/1", "photo"]
        await world.put("log/2", b"x")
        await midnight(world)
        assert await keys(world) == ["log/2", "photo"]
        assert await world.blobs() == 1
        await midnight(world)
        assert await keys(world) == ["photo"]

    run(story())


def test_filters_of_tags_and_sizes_are_heeded(world: World) -> None:
    async def story() -> None:
        await made(world)
        tagged = {"And": {"Tags": [{"Key": "a", "Value": "b"}], "ObjectSizeGreaterThan": 1}}
        await put(world, rule(Filter=tagged, Expiration={"Days": 1}))
        await world.put("small", b"x", Tagging="a=b")
        await world.put("large", b"xx", Tagging="a=b")
        await world.put("other", b"xx", Tagging="a=c")
        await days(world, 2)
        assert await keys(world) == ["other", "small"]

    run(story())


def test_a_date_is_for_everything_from_then_on(world: World) -> None:
    async def story() -> None:
        await made(world)
        date = (world.clock.now_ms() // DAY + 2) * DAY
        await put(world, rule(Expiration={"Date": date}))
        await world.put("old", b"x")
        await midnight(world)
        assert await keys(world) == ["old"]
        await midnight(world)
        assert await keys(world) == []
        await world.put("new", b"x")
        await midnight(world)
        assert await keys(world) == []

    run(story())


def test_with_versions_a_marker_comes_first_and_everything_goes_in_the_end(world: World) -> None:
    async def story() -> None:
        await versioned(world)
        await put(
            world,
            rule(1, Expiration={"Days": 1}, NoncurrentVersionExpiration={"NoncurrentDays": 1}),
        )
        await world.put("k", LARGE)
        await days(world, 2)
        assert await versions(world) == [("k", "marker"), ("k", "version")]
        assert await world.blobs() == 1
        await days(world, 2)
        # The version went, and in the same night the marker, which is old enough itself.
        assert await versions(world) == []
        assert await world.blobs() == 0

    run(story())


def test_a_marker_goes_when_nothing_is_left_behind_it(world: World) -> None:
    async def story() -> None:
        await versioned(world)
        await put(world, rule(Expiration={"ExpiredObjectDeleteMarker": True}))
        kept = await world.put("kept", b"x")
        await world.put("there", b"x")
        for key in ("kept", "alone"):
            await world.call("delete_object", Bucket="bucket", Key=key)
        await midnight(world)
        rest = [("kept", "marker"), ("kept", "version"), ("there", "current")]
        assert await versions(world) == rest
        named = {"Bucket": "bucket", "Key": "kept", "VersionId": kept["VersionId"]}
        await world.call("delete_object", **named)
        await midnight(world)
        assert await versions(world) == [("there", "current")]

    run(story())


def test_the_newest_of_the_versions_that_are_not_current_stay(world: World) -> None:
    async def story() -> None:
        await versioned(world)
        kept = {"NoncurrentDays": 1, "NewerNoncurrentVersions": 2}
        await put(world, rule(NoncurrentVersionExpiration=kept))
        bodies = [b"1", b"2", b"3", b"4", b"5"]
        put_all = [await world.put("k", body) for body in bodies]
        await world.put("other", b"x")
        await days(world, 2)
        assert await versions(world) == [
            *[("k", "current"), ("k", "version"), ("k", "version")],
            ("other", "current"),
        ]
        left = [
            body for body, reply in zip(bodies, put_all, strict=True) if await has(world, reply)
        ]
        assert left == [b"3", b"4", b"5"]

    async def has(world: World, reply: Any) -> bool:
        listed = await world.call("list_object_versions", Bucket="bucket")
        return reply["VersionId"] in [each["VersionId"] for each in listed["Versions"]]

    run(story())


def test_days_of_a_version_count_from_when_it_was_replaced(world: World) -> None:
    async def story() -> None:
        await versioned(world)
        await put(world, rule(NoncurrentVersionExpiration={"NoncurrentDays": 1}))
        await world.put("k", b"1")
        await days(world, 5)
        await world.put("k", b"2")
        await midnight(world)
        assert len(await versions(world)) == 2
        await midnight(world)
        assert await versions(world) == [("k", "current")]
        # A marker on top replaces as well as an object does.
        await world.call("delete_object", Bucket="bucket", Key="k")
        await midnight(world)
        assert await versions(world) == [("k", "marker"), ("k", "version")]
        await midnight(world)
        assert await versions(world) == [("k", "marker")]

    run(story())


def test_where_versioning_is_suspended_a_null_marker_takes_the_place(world: World) -> None:
    async def story() -> None:
        await made(world)
        await world.put("k", LARGE)
        await turn(world, "Suspended")
        await put(world, rule(Expiration={"Days": 1}))
        await days(world, 2)
        listed = await world.call("list_object_versions", Bucket="bucket")
        assert [each["VersionId"] for each in listed["DeleteMarkers"]] == ["null"]
        assert listed["Versions"] == []
        assert await world.blobs() == 0

    run(story())


def test_protected_versions_stay_until_they_are_free(world: World) -> None:
    async def story() -> None:
        await made(world, ObjectLockEnabledForBucket=True)
        await put(world, rule(NoncurrentVersionExpiration={"NoncurrentDays": 1}))
        until = world.clock.now_ms() + 5 * DAY + 1_000
        locked = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}
        digest = {"x-amz-checksum-crc32": "verified elsewhere"}
        await world.put("k", b"1", headers=digest, **locked)
        await world.put("k", b"2")
        await days(world, 5)
        assert await versions(world) == [("k", "current"), ("k", "version")]
        await midnight(world)
        assert await versions(world) == [("k", "current")]

    run(story())


def test_uploads_that_nobody_completes_are_aborted(world: World) -> None:
    async def story() -> None:
        await made(world)
        abort = {"DaysAfterInitiation": 1}
        await put(world, rule(Filter={"Prefix": "k"}, AbortIncompleteMultipartUpload=abort))
        old, _ = await upload(world, LARGE)
        await midnight(world)
        new, _ = await upload(world, LARGE)
        other, _ = await upload(world, LARGE, key="other")
        await midnight(world)
        with pytest.raises(NoSuchUpload):
            await world.call("list_parts", Bucket="bucket", Key="k", UploadId=old)
        await world.call("list_parts", Bucket="bucket", Key="k", UploadId=new)
        await world.call("list_parts", Bucket="bucket", Key="other", UploadId=other)
        await world.advance(READ_GRACE_MS)
        assert await world.blobs() == 2

    run(story())


def test_a_walk_over_more_than_a_piece_goes_on_where_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        monkeypatch.setattr(lifecycle, "ROWS_PER_PIECE", 3)
        monkeypatch.setattr("fogbank.services.s3.jobs.PIECES_PER_ATTEMPT", 2)
        await versioned(world)
        kept = {"NoncurrentDays": 1, "NewerNoncurrentVersions": 3}
        await put(world, rule(NoncurrentVersionExpiration=kept, Expiration={"Days": 3}))
        for key in ("a", "b"):
            for number in range(8):
                await world.put(key, str(number).encode())
        for number in range(7):
            await world.put(f"more{number}", b"x")
        await days(world, 2)
        found = await versions(world)
        assert [what for key, what in found if key == "a"] == ["current", *["version"] * 3]
        assert [what for key, what in found if key == "b"] == ["current", *["version"] * 3]
        await days(world, 2)
        assert await keys(world) == []

    run(story())


def test_a_run_that_lasts_into_the_next_day_goes_on_and_no_other_begins(world: World) -> None:
    async def story() -> None:
        await made(world)
        await world.advance(WORKFLOW_GRACE_MS)
        await put(world, rule(Expiration={"Days": 1}))
        await world.put("k", b"x")
        due = (await timers(world))[0]
        for _ in range(3):
            await ring(world, due)
            [due] = await timers(world)
        # The first night's walk comes late, and counts ages to its own midnight.
        assert await world.tasks() == 1
        assert await keys(world) == ["k"]
        await midnight(world)
        assert await keys(world) == []

    run(story())


def test_there_is_one_timer_however_often_rules_are_put(world: World) -> None:
    async def story() -> None:
        await made(world)
        for number in range(3):
            await put(world, rule(number, Expiration={"Days": 1}))
            await world.advance(1)
        assert len(await timers(world)) == 1
        await midnight(world)
        assert len(await timers(world)) == 1
        await world.call("delete_bucket_lifecycle", Bucket="bucket")
        with pytest.raises(NoSuchLifecycleConfiguration):
            await world.call("get_bucket_lifecycle_configuration", Bucket="bucket")
        await world.put("k", b"x")
        await midnight(world)
        assert await timers(world) == []
        assert await keys(world) == ["k"]
        await put(world, rule(Expiration={"Days": 1}))
        assert len(await timers(world)) == 1

    run(story())


def test_a_late_timer_does_nothing_once_there_is_a_later_one(world: World) -> None:
    async def story() -> None:
        await made(world)
        await put(world, rule(Expiration={"Days": 1}))
        [first] = await timers(world)
        await world.advance(2 * DAY)
        await put(world, rule(Expiration={"Days": 2}))
        assert await timers(world) == [first]
        await world.call("delete_bucket_lifecycle", Bucket="bucket")
        await put(world, rule(Expiration={"Days": 1}))
        [late, later] = sorted(await timers(world), key=lambda timer: timer.due_ms)
        assert late == first
        await ring(world, late)
        assert await timers(world) == [later]
        assert await world.tasks() == 0

    run(story())


def test_the_timer_of_a_bucket_that_is_gone_does_nothing(world: World) -> None:
    async def story() -> None:
        await made(world)
        await put(world, rule(Expiration={"Days": 1}))
        [old] = await timers(world)
        await world.call("delete_bucket", Bucket="bucket")
        await made(world)
        await world.put("k", b"x")
        await put(world, rule(Expiration={"Days": 1}))
        [new] = [timer for timer in await timers(world) if timer != old]
        assert new.due_ms == old.due_ms
        await ring(world, old)
        assert await timers(world) == [new]
        await world.call("delete_bucket_lifecycle", Bucket="bucket")
        await ring(world, new)
        assert await timers(world) == []
        assert await keys(world) == ["k"]

    run(story())


@pytest.mark.parametrize(
    ("table", "action"),
    [
        (OBJECTS, {"Expiration": {"Days": 1}}),
        (VERSIONS, {"NoncurrentVersionExpiration": {"NoncurrentDays": 1}}),
        (UPLOADS, {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}),
    ],
)
def test_what_changed_since_it_was_judged_is_left_alone(
    table: Any, action: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    act_on = lifecycle._act

    async def racing(tr: Any, work: Any, act: Any) -> None:
        """Change every row of the table just before something is done to one."""
        for place, record in await table.list(tr, work.bucket.bucket_id, limit=9):
            changed = msgspec.structs.replace(record, tags=(Tag("changed", ""),))
            table.put(tr, changed, work.bucket.bucket_id, *place)
        await act_on(tr, work, act)

    async def story() -> None:
        world = await versioned(World())
        monkeypatch.setattr(lifecycle, "_act", racing)
        await put(world, rule(**action))
        await world.put("k", b"1")
        await world.put("k", b"2")
        upload_id, _ = await upload(world, key="u")
        await days(world, 2)
        assert await versions(world) == [("k", "current"), ("k", "version")]
        await world.call("list_parts", Bucket="bucket", Key="u", UploadId=upload_id)

    run(story())


def test_what_expires_is_told(world: World) -> None:
    async def story() -> None:
        await made(world)
        world.calls.functions.add(ARN)
        entry = {"LambdaFunctionArn": ARN, "Events": ["s3:LifecycleExpiration:*"]}
        await world.call(
            "put_bucket_notification_configuration",
            Bucket="bucket",
            NotificationConfiguration={"LambdaFunctionConfigurations": [entry]},
        )
        await put(
            world,
            rule(Expiration={"Days": 1}, NoncurrentVersionExpiration={"NoncurrentDays": 1}),
        )
        await world.put("a", b"x")
        await days(world, 2)
        await turn(world, "Enabled")
        version = (await world.put("b", b"x"))["VersionId"]
        await days(world, 4)
        told = [json.loads(each.payload)["Records"][0] for each in await world.deliveries()]
        said = [
            (each["eventName"], each["s3"]["object"]["key"], each["s3"]["object"].get("versionId"))
            for each in told
        ]
        marker = said[1][2]
        assert said == [
            ("LifecycleExpiration:Delete", "a", None),
            ("LifecycleExpiration:DeleteMarkerCreated", "b", marker),
            ("LifecycleExpiration:Delete", "b", version),
            ("LifecycleExpiration:Delete", "b", marker),
        ]
        assert {each["userIdentity"]["principalId"] for each in told} == {"s3.amazonaws.com"}
        assert {each["eventVersion"] for each in told} == {"2.3"}

    run(story())
