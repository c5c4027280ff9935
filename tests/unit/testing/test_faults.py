from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from fogbank.testing.cloud import Cloud

ONE_TRY = Config(retries={"total_max_attempts": 1}, read_timeout=3)


@pytest.fixture
def s3(fogbank: Cloud) -> Any:
    client = boto3.client("s3", config=ONE_TRY)
    client.create_bucket(Bucket="troubled")
    return client


def put(s3: Any) -> None:
    s3.put_object(Bucket="troubled", Key="x", Body=b"x")


def keys(s3: Any) -> list[str]:
    return [each["Key"] for each in s3.list_objects_v2(Bucket="troubled").get("Contents", [])]


def test_throttling_is_in_the_words_of_the_service(fogbank: Cloud, s3: Any) -> None:
    fogbank.faults.throttle("s3", "PutObject")
    fogbank.faults.throttle("lambda", "list_functions")
    with pytest.raises(ClientError, match=r"\(SlowDown\)"):
        put(s3)
    with pytest.raises(ClientError, match=r"\(TooManyRequestsException\)"):
        boto3.client("lambda", config=ONE_TRY).list_functions()
    put(s3)
    assert keys(s3) == ["x"]


def test_an_operation_that_fails_does_nothing(fogbank: Cloud, s3: Any) -> None:
    fogbank.faults.fail("s3", "put_object", code="InternalError", status=500, message="Oh.")
    with pytest.raises(ClientError, match=r"\(InternalError\).*: Oh\.") as failed:
        put(s3)
    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert keys(s3) == []


def test_an_error_has_the_status_of_its_model(fogbank: Cloud) -> None:
    fogbank.faults.fail("s3", "GetObject", code="NoSuchKey")
    with pytest.raises(boto3.client("s3").exceptions.NoSuchKey) as failed:
        boto3.client("s3").get_object(Bucket="b", Key="k")
    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_a_slow_call_takes_virtual_time(fogbank: Cloud, s3: Any) -> None:
    before_ms = fogbank.clock.now_ms()
    fogbank.faults.slow("s3", "PutObject", ms=2_999)
    put(s3)
    assert fogbank.clock.now_ms() - before_ms == 2_999


def test_a_call_slower_than_its_client_has_run_all_the_same(fogbank: Cloud, s3: Any) -> None:
    fogbank.faults.slow("s3", "PutObject", ms=3_000)
    with pytest.raises(ReadTimeoutError):
        put(s3)
    assert keys(s3) == ["x"]


def test_the_clouds_own_clients_time_out_as_well(fogbank: Cloud) -> None:
    fogbank.faults.slow("s3", "ListBuckets", ms=60_000)
    with pytest.raises(ReadTimeoutError):
        fogbank.client("s3").list_buckets()


def test_a_lost_reply_leaves_the_write(fogbank: Cloud, s3: Any) -> None:
    fogbank.faults.lose_reply("s3", "PutObject")
    with pytest.raises(ConnectionClosedError):
        put(s3)
    assert keys(s3) == ["x"]


def test_faults_come_in_their_order_and_can_be_forgotten(fogbank: Cloud, s3: Any) -> None:
    fogbank.faults.fail("s3", "PutObject", code="First")
    fogbank.faults.fail("s3", "PutObject", code="Second", times=2)
    assert fogbank.faults.waiting == {"s3:put_object": 3}
    codes = []
    for _ in range(2):
        with pytest.raises(ClientError) as failed:
            put(s3)
        codes.append(failed.value.response["Error"]["Code"])
    assert codes == ["First", "Second"]
    fogbank.faults.clear()
    put(s3)


def test_who_may_not_call_meets_no_fault(fogbank: Cloud, s3: Any) -> None:
    fogbank.faults.fail("s3", "PutObject", code="Broken")
    with fogbank.acting_as(fogbank.create_user("nobody")):
        stranger = boto3.client("s3", config=ONE_TRY)
    with pytest.raises(ClientError, match="AccessDenied"):
        put(stranger)
    assert fogbank.faults.waiting == {"s3:put_object": 1}


def test_a_fault_of_nothing_is_refused(fogbank: Cloud) -> None:
    with pytest.raises(ValueError, match="no service simpledb"):
        fogbank.faults.throttle("simpledb", "Select")
    with pytest.raises(ValueError, match="s3 has no operation Select"):
        fogbank.faults.throttle("s3", "Select")
