"""Server access logs through sockets, fronts and several stores, and over the death of a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.http.several import BUCKETS, settings, store_of, wait_until

from fogbank.testing.server import Server

pytestmark = [pytest.mark.http, pytest.mark.slow]

POLICY = {
    "Effect": "Allow",
    "Principal": {"Service": "logging.s3.amazonaws.com"},
    "Action": "s3:PutObject",
    "Resource": "arn:aws:s3:::logs/*",
}


@pytest.fixture(params=[(1, 0), (2, 1)], ids=["alone", "two stores"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    stores, fronts = request.param
    more = '[quotas]\n"s3.log_delivery_s" = 3\n'
    folder = tmp_path_factory.mktemp("logs") / "data"
    with Server(folder, settings=settings(stores, fronts) + more) as made:
        yield made


def lines_of(s3: Any) -> list[str]:
    """Return the records that have been delivered."""
    listed = s3.list_objects_v2(Bucket="logs").get("Contents", [])
    texts = [s3.get_object(Bucket="logs", Key=each["Key"])["Body"].read() for each in listed]
    return [line for text in texts for line in text.decode().splitlines()]


def test_what_was_answered_is_in_the_log_although_the_server_was_killed(server: Server) -> None:
    s3 = server.client("s3")
    assert {store_of(bucket) for bucket in BUCKETS} == {0, 1}
    document = json.dumps({"Version": "2012-10-17", "Statement": [POLICY]})
    s3.create_bucket(Bucket="logs")
    s3.put_bucket_policy(Bucket="logs", Policy=document)
    enabled = {"LoggingEnabled": {"TargetBucket": "logs", "TargetPrefix": ""}}
    for bucket in BUCKETS:
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus=enabled)
        s3.put_object(Bucket=bucket, Key="k", Body=b"x" * 100_000)
        assert len(s3.get_object(Bucket=bucket, Key="k")["Body"].read()) == 100_000
        with pytest.raises(ClientError, match="NoSuchKey"):
            s3.get_object(Bucket=bucket, Key="none")
    server.kill()
    server.start()
    s3 = server.client("s3")
    said = {f"{bucket} {at}" for bucket in BUCKETS for at in range(3)}
    wanted = ("REST.PUT.OBJECT k ", "REST.GET.OBJECT k ", "REST.GET.OBJECT none ")

    def all_there() -> bool:
        lines = lines_of(s3)
        return said == {
            f"{bucket} {at}"
            for bucket in BUCKETS
            for at, words in enumerate(wanted)
            if any(f" {bucket} " in line and words in line for line in lines)
        }

    wait_until("every record", all_there)
    lines = lines_of(s3)
    assert len(lines) == len(set(lines)) == 3 * len(BUCKETS)


def test_copies_and_batches_are_in_the_logs_of_all_their_buckets(server: Server) -> None:
    s3 = server.client("s3")
    here = BUCKETS[0]
    there = next(each for each in BUCKETS if store_of(each) != store_of(here))
    document = json.dumps({"Version": "2012-10-17", "Statement": [POLICY]})
    s3.create_bucket(Bucket="logs")
    s3.put_bucket_policy(Bucket="logs", Policy=document)
    for bucket in (here, there):
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key="source", Body=b"x" * 100_000)
    enabled = {"LoggingEnabled": {"TargetBucket": "logs", "TargetPrefix": ""}}
    for bucket in (here, there):
        s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus=enabled)
    for bucket, other in ((here, there), (there, here)):
        s3.copy_object(Bucket=other, Key="copy", CopySource=f"{bucket}/source")
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "gone"}]})
    server.kill()
    server.start()
    s3 = server.client("s3")
    names = (
        *("REST.COPY.OBJECT_GET source ", "REST.COPY.OBJECT copy "),
        *("REST.POST.MULTI_OBJECT_DELETE ", "BATCH.DELETE.OBJECT gone "),
    )
    wanted = {(bucket, name) for bucket in (here, there) for name in names}

    def all_there() -> bool:
        lines = lines_of(s3)
        return wanted == {
            (bucket, name)
            for bucket, name in wanted
            if any(f" {bucket} " in line and name in line for line in lines)
        }

    wait_until("every record", all_there)
    lines = lines_of(s3)
    assert len(lines) == len(set(lines)) == len(wanted)
