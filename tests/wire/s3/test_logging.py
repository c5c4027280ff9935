"""Server access logs: configured, kept, and delivered to the bucket that they are for.

Source: Amazon S3 User Guide, "Logging requests with server access logging", "Amazon S3 server access log
format", "Permissions for log delivery"; API Reference, PutBucketLogging, PartitionedPrefix; messages
from answers recorded by LocalStack (tests/aws/services/s3/test_s3_api.snapshot.json).
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from fogbank.base.arn import canonical_user_id
from fogbank.services.s3.rules.access import domain_of
from fogbank.services.s3.schema.logs import LOG_LINES
from fogbank.services.s3.state.buckets import find_bucket
from fogbank.testing.cloud import Cloud

LATER_MS = 400_000
SERVICE = {"Service": "logging.s3.amazonaws.com"}
FIELD = re.compile(r'\[[^\]]*\]|"[^"]*"|\S+')
NAMES = (
    *("owner", "bucket", "time", "ip", "requester", "request", "operation", "key", "uri"),
    *("status", "error", "sent", "size", "total", "turn", "referer", "agent", "version"),
    *("host_id", "signature", "cipher", "auth", "host", "tls", "point", "acl", "region"),
)
UNSAID = ("uri", "sent", "size", "total", "turn", "referer", "cipher", "tls", "point", "acl")


def allowing(**condition: Any) -> str:
    """Return the policy that AWS's page has for the target of a log."""
    said: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": SERVICE,
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::logs/*",
    }
    if condition:
        said["Condition"] = condition
    return json.dumps({"Version": "2012-10-17", "Statement": [said]})


def configure(s3: Any, prefix: str = "p/", **more: Any) -> None:
    enabled = {"TargetBucket": "logs", "TargetPrefix": prefix, **more}
    s3.put_bucket_logging(Bucket="photos", BucketLoggingStatus={"LoggingEnabled": enabled})


@pytest.fixture
def s3(client: Any) -> Any:
    """Return a client of two buckets: one whose requests are recorded in the other."""
    made = client("s3")
    for name in ("photos", "logs"):
        made.create_bucket(Bucket=name)
    made.put_bucket_policy(Bucket="logs", Policy=allowing())
    return made


def objects_of(s3: Any) -> dict[str, str]:
    """Return what was delivered: text by key."""
    listed = s3.list_objects_v2(Bucket="logs").get("Contents", [])
    return {
        each["Key"]: s3.get_object(Bucket="logs", Key=each["Key"])["Body"].read().decode()
        for each in listed
    }


def delivered(cloud: Cloud, s3: Any) -> list[dict[str, str]]:
    """Return the records that are delivered in time, field by field."""
    cloud.advance(LATER_MS)
    cloud.settle()
    lines = [line for text in objects_of(s3).values() for line in text.splitlines()]
    rows = [FIELD.findall(line) for line in lines]
    assert {len(row) for row in rows} <= {len(NAMES)}
    return [dict(zip(NAMES, row, strict=True)) for row in rows]


def test_a_configuration_is_put_found_and_removed(s3: Any) -> None:
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket="photos")
    configure(s3)
    found = s3.get_bucket_logging(Bucket="photos")["LoggingEnabled"]
    assert found == {"TargetBucket": "logs", "TargetPrefix": "p/"}
    for form in (
        {"SimplePrefix": {}},
        {"PartitionedPrefix": {"PartitionDateSource": "DeliveryTime"}},
        {"PartitionedPrefix": {"PartitionDateSource": "EventTime"}},
    ):
        configure(s3, TargetObjectKeyFormat=form)
        found = s3.get_bucket_logging(Bucket="photos")["LoggingEnabled"]
        assert found["TargetObjectKeyFormat"] == form
    s3.put_bucket_logging(Bucket="photos", BucketLoggingStatus={})
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket="photos")
    with pytest.raises(ClientError, match="NoSuchBucket"):
        s3.get_bucket_logging(Bucket="nobody")


def test_a_request_is_recorded_field_by_field(cloud: Cloud, s3: Any) -> None:
    configure(s3)
    s3.put_object(Bucket="photos", Key='a b"ü', Body=b"xyz")
    cloud.advance(1_000)
    got = s3.get_object(Bucket="photos", Key='a b"ü', Range="bytes=0-1")
    got["Body"].read()
    account = cloud.account.principal.account
    put, get = sorted(delivered(cloud, s3), key=lambda row: row["time"])
    assert {key: put[key] for key in ("operation", "status", "size", "sent")} == {
        "operation": "REST.PUT.OBJECT",
        "status": "200",
        "size": "3",
        "sent": "-",
    }
    asked = got["ResponseMetadata"]
    assert get.pop("agent").startswith('"Boto3/')
    assert get.pop("total").isdigit()
    assert get.pop("turn").isdigit()
    assert get == {
        "owner": canonical_user_id(account),
        "bucket": "photos",
        "time": "[01/Jan/2026:00:00:01 +0000]",
        "ip": "127.0.0.1",
        "requester": canonical_user_id(account),
        "request": asked["RequestId"],
        "operation": "REST.GET.OBJECT",
        "key": "a%20b%22%C3%BC",
        "uri": '"GET /photos/a%20b%22%C3%BC HTTP/1.1"',
        "status": "206",
        "error": "-",
        "sent": "2",
        "size": "3",
        "referer": '"-"',
        "version": "-",
        "host_id": asked["HostId"],
        "signature": "SigV4",
        "cipher": "-",
        "auth": "AuthHeader",
        "host": "127.0.0.1:4566",
        "tls": "-",
        "point": "-",
        "acl": "-",
        "region": "-",
    }


def test_what_a_client_writes_into_headers_stays_in_its_field(
    cloud: Cloud, s3: Any, client: Any
) -> None:
    configure(s3)
    rude = client("s3", config=Config(user_agent='x" REST.GET.OBJECT\ty'))
    rude.head_bucket(Bucket="photos")
    (row,) = delivered(cloud, s3)
    assert row["agent"].startswith('"x%22 REST.GET.OBJECT%09y')


def test_refused_requests_are_recorded_whoever_asked(
    cloud: Cloud, s3: Any, limited: Any, anonymous: Any, other: Any, refusal: Any
) -> None:
    configure(s3)
    nobody = limited({"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"})
    strangers = cloud.client("s3", credential=other)
    for who in (nobody, anonymous, strangers):
        refusal(who.get_object, Bucket="photos", Key="k")
    refusal(s3.get_object, Bucket="photos", Key="k", VersionId="null")
    forger = cloud.client("s3", secret_key="x" * 40)
    refusal(forger.put_object, Bucket="photos", Key="k", Body=b"")
    rows = delivered(cloud, s3)
    account = cloud.account.principal.account
    (forged,) = [row for row in rows if row["error"] == "SignatureDoesNotMatch"]
    rows.remove(forged)
    assert (forged["requester"], forged["operation"], forged["key"]) == (
        "-",
        "REST.PUT.OBJECT",
        "k",
    )
    said = {(row["requester"], row["status"], row["error"], row["version"]) for row in rows}
    assert said == {
        (f"arn:aws:iam::{account}:user/user0", "403", "AccessDenied", "-"),
        ("-", "403", "AccessDenied", "-"),
        (canonical_user_id(other.principal.account), "403", "AccessDenied", "-"),
        (canonical_user_id(account), "404", "NoSuchVersion", "null"),
    }


@pytest.mark.parametrize(
    ("method", "given", "operation"),
    [
        ("list_objects_v2", {}, "REST.GET.BUCKET"),
        ("head_bucket", {}, "REST.HEAD.BUCKET"),
        ("get_bucket_versioning", {}, "REST.GET.VERSIONING"),
        ("get_bucket_logging", {}, "REST.GET.LOGGING_STATUS"),
        ("get_bucket_acl", {}, "REST.GET.ACL"),
        ("get_bucket_location", {}, "REST.GET.LOCATION"),
        ("get_bucket_encryption", {}, "REST.GET.ENCRYPTION"),
        ("get_public_access_block", {}, "REST.GET.PUBLIC_ACCESS_BLOCK"),
        ("delete_object", {"Key": "k"}, "REST.DELETE.OBJECT"),
        ("create_multipart_upload", {"Key": "k"}, "REST.POST.UPLOADS"),
        ("list_multipart_uploads", {}, "REST.GET.UPLOADS"),
        (
            "copy_object",
            {"Key": "c", "CopySource": "logs/source"},
            "REST.COPY.OBJECT",
        ),
    ],
)
def test_operations_go_by_the_names_that_logs_have(
    method: str, given: Any, operation: str, cloud: Cloud, s3: Any
) -> None:
    s3.put_object(Bucket="logs", Key="source", Body=b"x")
    configure(s3)
    getattr(s3, method)(Bucket="photos", **given)
    s3.delete_object(Bucket="logs", Key="source")
    assert [row["operation"] for row in delivered(cloud, s3)] == [operation]


def test_each_object_of_a_batch_of_removals_has_a_record(
    cloud: Cloud, s3: Any, limited: Any
) -> None:
    """User Guide, "Amazon S3 server access log format": BATCH.DELETE.OBJECT."""
    s3.put_bucket_versioning(Bucket="photos", VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket="photos", Key="a b", Body=b"x")["VersionId"]
    configure(s3)
    keys = [{"Key": "a b", "VersionId": version}, {"Key": "none"}, {"Key": "kept"}]
    allow = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    deny = {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::photos/kept"}
    asked = limited(allow, deny).delete_objects(Bucket="photos", Delete={"Objects": keys})
    first, *rows = sorted(delivered(cloud, s3), key=lambda row: row["operation"], reverse=True)
    assert first["operation"] == "REST.POST.MULTI_OBJECT_DELETE"
    assert {row["operation"] for row in rows} == {"BATCH.DELETE.OBJECT"}
    assert [(row["key"], row["version"], row["status"], row["error"]) for row in rows] == [
        ("a%20b", version, "204", "-"),
        ("none", "-", "204", "-"),
        ("kept", "-", "403", "AccessDenied"),
    ]
    told = asked["ResponseMetadata"]["RequestId"]
    for row in rows:
        assert (row["request"], row["requester"]) == (told, first["requester"])
        assert (row["signature"], row["auth"]) == ("SigV4", "AuthHeader")
        assert {row[name].strip('"') for name in UNSAID} == {"-"}


def test_more_removals_than_one_transaction_takes_have_a_record_each(cloud: Cloud, s3: Any) -> None:
    configure(s3)
    keys = [{"Key": f"k{at:03}"} for at in range(120)]
    s3.delete_objects(Bucket="photos", Delete={"Objects": keys})
    rows = [row for row in delivered(cloud, s3) if row["operation"] == "BATCH.DELETE.OBJECT"]
    assert [row["key"] for row in rows] == [each["Key"] for each in keys]


@pytest.mark.parametrize("source", ["photos", "films"])
@pytest.mark.parametrize("part", [False, True])
def test_what_a_copy_reads_has_a_record_in_the_log_of_its_bucket(
    source: str, cloud: Cloud, s3: Any, *, part: bool
) -> None:
    """User Guide, "Custom access log information": a copy is a GET and a PUT, with a record each."""
    s3.create_bucket(Bucket="films")
    s3.put_object(Bucket=source, Key="so urce", Body=b"xyz")
    enabled = {"TargetBucket": "logs", "TargetPrefix": ""}
    s3.put_bucket_logging(Bucket=source, BucketLoggingStatus={"LoggingEnabled": enabled})
    named = {"Bucket": "photos", "Key": "copy", "CopySource": {"Bucket": source, "Key": "so urce"}}
    if part:
        upload = s3.create_multipart_upload(Bucket="photos", Key="copy")["UploadId"]
        asked = s3.upload_part_copy(**named, PartNumber=1, UploadId=upload)
    else:
        asked = s3.copy_object(**named)
    name = "REST.COPY.PART_GET" if part else "REST.COPY.OBJECT_GET"
    rows = {row["operation"]: row for row in delivered(cloud, s3)}
    row = rows.pop(name)
    own = {"REST.COPY.PART", "REST.POST.UPLOADS"} if part else {"REST.COPY.OBJECT"}
    assert rows.keys() == (own if source == "photos" else set())
    assert (row["bucket"], row["key"], row["status"]) == (source, "so%20urce", "200")
    assert (row["size"], row["sent"]) == ("3", "3")
    assert row["request"] == asked["ResponseMetadata"]["RequestId"]


def test_what_lifecycle_rules_do_has_records(cloud: Cloud, s3: Any) -> None:
    """User Guide, "Lifecycle and other bucket configurations": logging."""
    s3.put_object(Bucket="photos", Key="gone", Body=b"x")
    s3.put_bucket_versioning(Bucket="photos", VersioningConfiguration={"Status": "Enabled"})
    old = s3.put_object(Bucket="photos", Key="k", Body=b"x")["VersionId"]
    s3.put_object(Bucket="photos", Key="k", Body=b"y")
    s3.create_multipart_upload(Bucket="photos", Key="upload")
    rule = {
        "ID": "r",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "Expiration": {"Days": 1},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }
    s3.put_bucket_lifecycle_configuration(Bucket="photos", LifecycleConfiguration={"Rules": [rule]})
    configure(s3)
    cloud.advance(2 * 86_400_000)
    cloud.settle()
    rows = delivered(cloud, s3)
    assert {(row["operation"], row["key"]) for row in rows} == {
        ("S3.EXPIRE.OBJECT", "k"),
        ("S3.CREATE.DELETEMARKER", "k"),
        ("S3.CREATE.DELETEMARKER", "gone"),
        ("S3.DELETE.UPLOAD", "upload"),
    }
    assert {row["version"] for row in rows if row["operation"] == "S3.EXPIRE.OBJECT"} == {old}
    assert {row["requester"] for row in rows} == {"AmazonS3"}
    assert len({row["request"] for row in rows}) == len(rows)
    for row in rows:
        assert {row[name].strip('"') for name in (*UNSAID, "ip", "status", "agent")} == {"-"}


def test_only_buckets_that_say_so_keep_records(cloud: Cloud, s3: Any, refusal: Any) -> None:
    s3.put_object(Bucket="photos", Key="before", Body=b"x")
    configure(s3)
    s3.put_object(Bucket="photos", Key="during", Body=b"x")
    rows = delivered(cloud, s3)
    assert [row["key"] for row in rows] == ["during"]
    s3.put_bucket_logging(Bucket="photos", BucketLoggingStatus={})
    s3.put_object(Bucket="photos", Key="after", Body=b"x")
    s3.delete_objects(Bucket="photos", Delete={"Objects": [{"Key": "none"}]})
    s3.copy_object(Bucket="photos", Key="copy", CopySource="photos/after")
    refusal(s3.get_object, Bucket="photos", Key="none")
    refusal(cloud.client("s3", secret_key="x" * 40).get_object, Bucket="photos", Key="forged")
    assert waiting(cloud, bucket_id_of(cloud)) == 0
    assert [row["key"] for row in delivered(cloud, s3)] == ["during"]


def bucket_id_of(cloud: Cloud) -> bytes:
    store = cloud.app.facilities.placement.store_of(domain_of("photos"))
    found = cloud.run(store.read(find_bucket))
    assert found is not None
    return found.bucket_id


def waiting(cloud: Cloud, bucket_id: bytes) -> int:
    """Return how many records wait under a bucket's id, whether that stands or not."""
    store = cloud.app.facilities.placement.store_of(domain_of("photos"))
    return len(cloud.run(store.read(lambda tr: LOG_LINES.list(tr, bucket_id, limit=10))))


def test_what_waits_when_logging_is_turned_off_is_dropped(cloud: Cloud, s3: Any) -> None:
    configure(s3)
    s3.put_object(Bucket="photos", Key="during", Body=b"x")
    assert waiting(cloud, bucket_id_of(cloud)) == 1
    s3.put_bucket_logging(Bucket="photos", BucketLoggingStatus={})
    cloud.advance(LATER_MS)
    cloud.settle()
    assert waiting(cloud, bucket_id_of(cloud)) == 0
    configure(s3)
    assert delivered(cloud, s3) == []


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        ({"SimplePrefix": {}}, r"p/2026-01-02-00-04-00-[0-9A-Z]{16}"),
        (
            {"PartitionedPrefix": {"PartitionDateSource": "DeliveryTime"}},
            r"p/\d{12}/us-east-1/photos/2026/01/02/2026-01-02-00-04-00-[0-9A-Z]{16}",
        ),
        (
            {"PartitionedPrefix": {}},
            r"p/\d{12}/us-east-1/photos/2026/01/0[12]/2026-01-0[12]-00-00-00-[0-9A-Z]{16}",
        ),
    ],
)
def test_objects_are_named_as_the_configuration_has_it(
    form: Any, pattern: str, cloud: Cloud, s3: Any
) -> None:
    configure(s3, TargetObjectKeyFormat=form)
    cloud.advance(86_400_000 - 60_000)
    s3.put_object(Bucket="photos", Key="late", Body=b"x")
    cloud.advance(120_000)
    s3.put_object(Bucket="photos", Key="early", Body=b"x")
    cloud.advance(LATER_MS)
    cloud.settle()
    found = objects_of(s3)
    assert all(re.fullmatch(pattern, key) for key in found), list(found)
    days = {key.rpartition("/")[0][-2:]: text.count("\n") for key, text in found.items()}
    assert days == (
        {"01": 1, "02": 1} if form == {"PartitionedPrefix": {}} else {next(iter(days)): 2}
    )


def test_more_records_than_one_object_has_become_several(
    cloud: Cloud, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fogbank.services.s3.state.logs.LINES_PER_BATCH", 2)
    configure(s3)
    for at in range(5):
        cloud.advance(1)
        s3.put_object(Bucket="photos", Key=f"k{at}", Body=b"x")
    assert sorted(row["key"] for row in delivered(cloud, s3)) == [f"k{at}" for at in range(5)]
    assert len(objects_of(s3)) == 3


def test_a_delivery_that_was_cut_short_writes_the_same_object_again(
    cloud: Cloud, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(s3)
    s3.put_object(Bucket="photos", Key="k", Body=b"x")
    put, failed = cloud.app.dispatcher.call, []

    async def broken(*given: Any, **more: Any) -> Any:
        answer = await put(*given, **more)
        if not failed:
            failed.append(answer)
            raise ConnectionError("after the object was written")
        return answer

    monkeypatch.setattr(cloud.app.dispatcher, "call", broken)
    cloud.advance(LATER_MS)
    cloud.settle()
    monkeypatch.undo()
    rows = delivered(cloud, s3)
    assert failed
    assert [row["key"] for row in rows] == ["k"]
    assert len(objects_of(s3)) == 1


def test_a_target_that_is_none_is_refused(
    s3: Any, client: Any, cloud: Cloud, other: Any, refusal: Any
) -> None:
    def put(target: str, **more: Any) -> tuple[str, str]:
        enabled = {"TargetBucket": target, "TargetPrefix": "", **more}
        status = {"LoggingEnabled": enabled}
        return refusal(s3.put_bucket_logging, Bucket="photos", BucketLoggingStatus=status)

    code = "InvalidTargetBucketForLogging"
    assert put("none") == (code, "The target bucket for logging does not exist")
    cloud.client("s3", credential=other).create_bucket(Bucket="theirs")
    assert put("theirs") == (
        code,
        "The owner for the bucket to be logged and the target bucket must be the same.",
    )
    client("s3", region="eu-west-1").create_bucket(
        Bucket="far", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    assert put("far") == (
        "CrossLocationLoggingProhibitted",
        "Cross S3 location logging not allowed. ",
    )
    assert put("photos")[0] == code
    grant = {"Grantee": {"Type": "CanonicalUser", "ID": "0" * 64}, "Permission": "READ"}
    assert put("logs", TargetGrants=[grant])[0] == "InvalidArgument"
    mine = canonical_user_id(cloud.account.principal.account)
    grant["Grantee"] = {"Type": "CanonicalUser", "ID": mine}
    assert put("logs", TargetGrants=[grant])[0] == "AccessControlListNotSupported"


@pytest.mark.parametrize("source", ["photos", "films"])
def test_the_targets_policy_says_whose_records_it_takes(
    source: str, s3: Any, cloud: Cloud, refusal: Any
) -> None:
    account = cloud.account.principal.account
    condition = {
        "ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{source}"},
        "StringEquals": {"aws:SourceAccount": account},
    }
    s3.put_bucket_policy(Bucket="logs", Policy=allowing(**condition))
    if source == "films":
        with pytest.raises(ClientError, match="InvalidTargetBucketForLogging"):
            configure(s3)
        return
    configure(s3)
    s3.head_bucket(Bucket="photos")
    assert len(delivered(cloud, s3)) == 1


def test_a_policy_for_the_prefix_alone_is_taken_and_lets_nothing_in(cloud: Cloud, s3: Any) -> None:
    policy = allowing().replace("logs/*", "logs/p/")
    s3.put_bucket_policy(Bucket="logs", Policy=policy)
    configure(s3)
    s3.head_bucket(Bucket="photos")
    assert delivered(cloud, s3) == []


def test_what_the_target_refuses_later_is_not_delivered(cloud: Cloud, s3: Any) -> None:
    configure(s3)
    s3.head_bucket(Bucket="photos")
    s3.delete_bucket_policy(Bucket="logs")
    assert delivered(cloud, s3) == []
    s3.put_bucket_policy(Bucket="logs", Policy=allowing())
    s3.list_objects_v2(Bucket="photos")
    assert [row["operation"] for row in delivered(cloud, s3)] == ["REST.GET.BUCKET"]


def test_a_list_lets_records_in_too_and_their_objects_have_the_grants(
    s3: Any, cloud: Cloud, other: Any
) -> None:
    s3.delete_bucket_policy(Bucket="logs")
    s3.put_bucket_ownership_controls(
        Bucket="logs", OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    )
    with pytest.raises(ClientError, match="WRITE and READ_ACP"):
        configure(s3)
    s3.put_bucket_acl(Bucket="logs", ACL="log-delivery-write")
    stranger = canonical_user_id(other.principal.account)
    grants = [{"Grantee": {"Type": "CanonicalUser", "ID": stranger}, "Permission": "READ"}]
    configure(s3, TargetGrants=grants)
    assert s3.get_bucket_logging(Bucket="photos")["LoggingEnabled"]["TargetGrants"] == grants
    s3.head_bucket(Bucket="photos")
    assert len(delivered(cloud, s3)) == 2
    (key,) = objects_of(s3)
    theirs = cloud.client("s3", credential=other)
    assert theirs.get_object(Bucket="logs", Key=key)["Body"].read()
    owner = s3.get_object_acl(Bucket="logs", Key=key)["Owner"]["ID"]
    assert owner == canonical_user_id(cloud.account.principal.account)


def test_the_records_of_a_bucket_go_with_it(cloud: Cloud, s3: Any) -> None:
    configure(s3)
    s3.head_bucket(Bucket="photos")
    bucket_id = bucket_id_of(cloud)
    s3.delete_bucket(Bucket="photos")
    assert waiting(cloud, bucket_id) == 1
    cloud.advance(3_600_000)
    cloud.settle()
    assert waiting(cloud, bucket_id) == 0
    s3.create_bucket(Bucket="photos")
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket="photos")
    assert delivered(cloud, s3) == []
