from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from tests.unit.services.s3.world import OWNER, World, run

from fogbank.base.errors import NotBuilt
from fogbank.services.s3.errors import InvalidArgument, MalformedXML
from fogbank.services.s3.rules.notifications import configuration_of, functions_of, matching

ARN = f"arn:aws:lambda:us-east-1:{OWNER}:function:thumbnail"


def entry(**more: Any) -> dict[str, Any]:
    return {"LambdaFunctionArn": ARN, "Events": ["s3:ObjectCreated:*"], **more}


def keys(**rules: str) -> dict[str, Any]:
    return {"Key": {"FilterRules": [{"Name": name, "Value": rules[name]} for name in rules]}}


def configured(*entries: dict[str, Any], region: str = "us-east-1") -> Any:
    return functions_of({"LambdaFunctionConfigurations": list(entries)}, region, ["id1", "id2"])


def test_a_configuration_reads_back_as_it_was_put() -> None:
    given = [
        entry(Id="one", Filter=keys(Prefix="in/", Suffix=".jpg")),
        entry(Id="two", Events=["s3:ObjectRemoved:Delete"]),
    ]
    assert configuration_of(configured(*given)) == {"LambdaFunctionConfigurations": given}
    assert configuration_of(configured()) == {}


def test_an_entry_without_id_is_given_one() -> None:
    assert [function.id for function in configured(entry())] == ["id1"]


@pytest.mark.parametrize(
    ("event", "key", "told"),
    [
        ("s3:ObjectCreated:Put", "in/a.jpg", True),
        ("s3:ObjectCreated:CompleteMultipartUpload", "in/.jpg", True),
        ("s3:ObjectCreated:Put", "out/a.jpg", False),
        ("s3:ObjectCreated:Put", "in/a.png", False),
        ("s3:ObjectRemoved:Delete", "in/a.jpg", False),
    ],
)
def test_events_reach_who_asked_for_them(event: str, key: str, *, told: bool) -> None:
    functions = configured(entry(Filter=keys(prefix="in/", suffix=".jpg")))
    assert bool(matching(functions, event, key)) is told


@pytest.mark.parametrize(
    "entries",
    [
        [entry(LambdaFunctionArn="nonsense")],
        [entry(LambdaFunctionArn=ARN.replace("us-east-1", "eu-west-1"))],
        [entry(Events=["s3:ObjectEaten:*"])],
        [entry(Filter=keys(infix="x"))],
        [entry(Filter={"Key": {"FilterRules": [{"Name": "prefix", "Value": "a"}] * 2}})],
        [entry(Filter=keys(prefix="x" * 1_025))],
        [entry(), entry()],
        [entry(), entry(Events=["s3:ObjectCreated:Put"], Filter=keys(prefix="a"))],
        [entry(Filter=keys(prefix="a")), entry(Filter=keys(prefix="ab"))],
        [entry(Filter=keys(prefix="a", suffix="g")), entry(Filter=keys(suffix="jpg"))],
        [entry(Id="x", Filter=keys(prefix="a")), entry(Id="x", Filter=keys(prefix="b"))],
        [entry()] * 101,
    ],
)
def test_configurations_that_cannot_work_are_refused(entries: list[dict[str, Any]]) -> None:
    with pytest.raises(InvalidArgument):
        functions_of(
            {"LambdaFunctionConfigurations": entries},
            "us-east-1",
            [f"id{index}" for index in range(101)],
        )


def test_entries_that_share_no_event_and_no_key_stand_together() -> None:
    configured(entry(Filter=keys(prefix="a")), entry(Filter=keys(prefix="b")))
    configured(entry(Filter=keys(suffix="a")), entry(Filter=keys(suffix="b")))
    configured(entry(Events=["s3:ObjectCreated:Put"]), entry(Events=["s3:ObjectCreated:Copy"]))


def test_entries_without_events_are_malformed() -> None:
    with pytest.raises(MalformedXML):
        configured(entry(Events=[]))


def test_what_is_not_built_says_so() -> None:
    with pytest.raises(NotBuilt):
        configured(entry(Events=["s3:ObjectRestore:Post"]))
    with pytest.raises(NotBuilt):
        functions_of({"EventBridgeConfiguration": {}}, "us-east-1", [])


@pytest.mark.parametrize(
    "configuration",
    [
        {"QueueConfigurations": [{"QueueArn": "arn:aws:sqs:us-east-1:1:q", "Events": []}]},
        {"TopicConfigurations": [{"TopicArn": "arn:aws:sns:us-east-1:1:t", "Events": []}]},
    ],
)
def test_destinations_that_are_not_there_cannot_be_validated(configuration: Any) -> None:
    with pytest.raises(InvalidArgument, match="Unable to validate"):
        functions_of(configuration, "us-east-1", [])


def test_other_tags_are_told_of_in_the_later_form(world: World) -> None:
    """Source: LocalStack's test_s3_notifications_sqs.snapshot.json, test_object_tagging_put_event."""

    async def story() -> None:
        await notified(world, Events=["s3:ObjectTagging:*"])
        await world.put("a/b.jpg", b"x", Tagging="a=b")
        named = {"Bucket": "bucket", "Key": "a/b.jpg"}
        tagging = {"TagSet": [{"Key": "a", "Value": "c"}]}
        await world.call("put_object_tagging", **named, Tagging=tagging)
        await world.call("delete_object_tagging", **named)
        told = [json.loads(each.payload)["Records"][0] for each in await world.deliveries()]
        events = [record["eventName"] for record in told]
        assert sorted(events) == ["ObjectTagging:Delete", "ObjectTagging:Put"]
        etag = hashlib.md5(b"x", usedforsecurity=False).hexdigest()
        for record in told:
            assert record["eventVersion"] == "2.3"
            assert record["s3"]["object"] == {"key": "a/b.jpg", "eTag": etag}

    run(story())


def test_other_lists_and_retentions_are_told_of_in_the_later_form(world: World) -> None:
    """Source: Amazon S3 User Guide, "Event notification types": none where nothing changes."""

    async def story() -> None:
        events = ["s3:ObjectAcl:Put", "s3:ObjectRetention:Put"]
        lock = {"ObjectLockEnabledForBucket": True, "ObjectOwnership": "ObjectWriter"}
        await notified(world, lock, Events=events)
        await world.call("delete_public_access_block", Bucket="bucket")
        await world.put("a/b.jpg", b"x", ACL="private")
        named = {"Bucket": "bucket", "Key": "a/b.jpg"}
        for _ in range(2):
            await world.call("put_object_acl", **named, ACL="public-read")
        until = world.clock.now_ms() + 60_000
        retention = {"Mode": "GOVERNANCE", "RetainUntilDate": until}
        await world.call("put_object_retention", **named, Retention=retention)
        told = [json.loads(each.payload)["Records"][0] for each in await world.deliveries()]
        assert sorted(record["eventName"] for record in told) == [
            "ObjectAcl:Put",
            "ObjectRetention:Put",
        ]
        etag = hashlib.md5(b"x", usedforsecurity=False).hexdigest()
        for record in told:
            assert record["eventVersion"] == "2.3"
            subject = record["s3"]["object"]
            assert (subject.keys(), subject["eTag"]) == ({"key", "eTag", "versionId"}, etag)

    run(story())


async def notified(world: World, made: Any = None, **more: Any) -> None:
    await world.call("create_bucket", Bucket="bucket", **(made or {}))
    world.calls.functions.add(ARN)
    await world.call(
        "put_bucket_notification_configuration",
        Bucket="bucket",
        NotificationConfiguration={"LambdaFunctionConfigurations": [entry(Id="one", **more)]},
    )


def test_a_function_that_s3_may_not_invoke_is_refused(world: World) -> None:
    async def story() -> None:
        await world.call("create_bucket", Bucket="bucket")
        request = {"LambdaFunctionConfigurations": [entry()]}
        with pytest.raises(InvalidArgument, match="Unable to validate") as caught:
            await world.call(
                "put_bucket_notification_configuration",
                Bucket="bucket",
                NotificationConfiguration=request,
            )
        assert caught.value.members == {
            "ArgumentName1": f"{ARN}, null",
            "ArgumentValue1": f"Not authorized to invoke function [{ARN}]",
        }
        name, asked, principal = world.calls.asked[0]
        assert name == "lambda:Invoke"
        assert asked == {"FunctionName": ARN, "InvocationType": "DryRun"}
        assert (principal.arn, principal.source_arn, principal.source_account) == (
            "s3.amazonaws.com",
            "arn:aws:s3:::bucket",
            OWNER,
        )
        await world.call(
            "put_bucket_notification_configuration",
            Bucket="bucket",
            NotificationConfiguration=request,
            SkipDestinationValidation=True,
        )

    run(story())


def test_what_happens_is_told_with_the_commit(world: World) -> None:
    async def story() -> None:
        await notified(world, Events=["s3:ObjectCreated:*", "s3:ObjectRemoved:*"])
        await world.put("a b/ü+.jpg", b"hello")
        (delivery,) = await world.deliveries()
        assert (delivery.target, delivery.source) == (ARN, "s3.amazonaws.com")
        assert delivery.source_arn == "arn:aws:s3:::bucket"
        assert delivery.source_account == OWNER
        (record,) = json.loads(delivery.payload)["Records"]
        sequencer = record["s3"]["object"].pop("sequencer")
        assert int(sequencer, 16) > 0
        owner = record["s3"]["bucket"]["ownerIdentity"].pop("principalId")
        assert owner.startswith("A")
        assert record["responseElements"].pop("x-amz-request-id").startswith("REQUEST")
        assert record["responseElements"].pop("x-amz-id-2")
        assert record == {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": "us-east-1",
            "eventTime": "2026-01-01T00:00:00.000Z",
            "eventName": "ObjectCreated:Put",
            "userIdentity": {"principalId": f"AWS:{OWNER}"},
            "requestParameters": {"sourceIPAddress": "192.0.2.7"},
            "responseElements": {},
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "one",
                "bucket": {
                    "name": "bucket",
                    "ownerIdentity": {},
                    "arn": "arn:aws:s3:::bucket",
                },
                "object": {
                    "key": "a+b/%C3%BC%2B.jpg",
                    "size": 5,
                    "eTag": "5d41402abc4b2a76b9719d911017c592",
                },
            },
        }
        await world.call("delete_object", Bucket="bucket", Key="a b/ü+.jpg")
        removed = json.loads((await world.deliveries())[1].payload)["Records"][0]
        assert removed["eventName"] == "ObjectRemoved:Delete"
        assert removed["s3"]["object"].keys() == {"key", "sequencer"}
        assert removed["s3"]["object"]["sequencer"] > sequencer

    run(story())


def test_copies_and_uploads_are_told_and_refused_writes_are_not(world: World) -> None:
    async def story() -> None:
        await notified(world)
        await world.put("k", b"x")
        with pytest.raises(Exception, match="pre-conditions"):
            await world.put("k", b"x", IfNoneMatch="*")
        await world.call("copy_object", Bucket="bucket", Key="l", CopySource="bucket/k")
        begun = await world.call("create_multipart_upload", Bucket="bucket", Key="m")
        place = {"Bucket": "bucket", "Key": "m", "UploadId": begun["UploadId"]}
        part = await world.call("upload_part", **place, PartNumber=1, Body=b"x")
        await world.call(
            "complete_multipart_upload",
            **place,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
        )
        await world.call("delete_object", Bucket="bucket", Key="k")
        names = [
            json.loads(delivery.payload)["Records"][0]["eventName"]
            for delivery in await world.deliveries()
        ]
        assert names == [
            "ObjectCreated:Put",
            "ObjectCreated:Copy",
            "ObjectCreated:CompleteMultipartUpload",
        ]

    run(story())


def test_an_empty_configuration_ends_notifications(world: World) -> None:
    async def story() -> None:
        await notified(world)
        await world.call(
            "put_bucket_notification_configuration", Bucket="bucket", NotificationConfiguration={}
        )
        await world.put("k")
        assert await world.deliveries() == []
        reply = await world.call("get_bucket_notification_configuration", Bucket="bucket")
        assert reply == {}

    run(story())
