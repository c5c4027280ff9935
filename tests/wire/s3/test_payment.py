"""Requester Pays: who asks says that it pays, and is told that it does.

Source: Amazon S3 User Guide, "Using Requester Pays general purpose buckets for storage transfers and
usage"; answers of AWS recorded by LocalStack (tests/aws/services/s3/test_s3.snapshot.json,
test_s3_request_payer).
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from fogbank.services.s3.rules.payment import PAYABLE, SILENT
from fogbank.testing.cloud import Cloud
from fogbank.wire.http import HttpRequest
from fogbank.wire.model import load

CAT = {"Bucket": "photos", "Key": "cat"}
PAYS = {"RequestPayer": "requester"}


@pytest.fixture
def s3(client: Any) -> Any:
    """Return the client of an owner that lets everyone in and has them pay."""
    made = client("s3")
    made.create_bucket(Bucket="photos")
    made.put_object(**CAT, Body=b"x")
    made.delete_public_access_block(Bucket="photos")
    arn = "arn:aws:s3:::photos"
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    made.put_bucket_policy(Bucket="photos", Policy=policy)
    pay(made, "Requester")
    return made


@pytest.fixture
def other(cloud: Cloud, s3: Any) -> Any:
    assert s3
    return cloud.client("s3", credential=cloud.create_account("other"))


def pay(s3: Any, payer: str) -> None:
    s3.put_bucket_request_payment(Bucket="photos", RequestPaymentConfiguration={"Payer": payer})


def test_the_payer_is_put_and_found(s3: Any, refusal: Any) -> None:
    assert s3.get_bucket_request_payment(Bucket="photos")["Payer"] == "Requester"
    pay(s3, "BucketOwner")
    assert s3.get_bucket_request_payment(Bucket="photos")["Payer"] == "BucketOwner"
    assert refusal(lambda: pay(s3, "Me"))[0] == "MalformedXML"
    s3.create_bucket(Bucket="new")
    assert s3.get_bucket_request_payment(Bucket="new")["Payer"] == "BucketOwner"


def test_another_account_says_that_it_pays_and_is_told_so(
    s3: Any, other: Any, refusal: Any
) -> None:
    body = {**CAT, "Body": b"y"}
    some = {"Bucket": "photos", "Delete": {"Objects": [{"Key": "dog"}]}}
    other.create_bucket(Bucket="mine")
    copy = {"Bucket": "mine", "Key": "copy", "CopySource": "photos/cat"}
    for call, given in (
        (other.get_object, CAT),
        (other.put_object, body),
        (other.list_objects_v2, {"Bucket": "photos"}),
        (other.delete_objects, some),
        (other.copy_object, copy),
    ):
        assert refusal(call, **given)[0] == "AccessDenied"
        assert call(**given, **PAYS)["RequestCharged"] == "requester"
    assert refusal(other.get_object_tagging, **CAT)[0] == "AccessDenied"
    assert "RequestCharged" not in other.get_object_tagging(**CAT, **PAYS)
    assert "RequestCharged" not in s3.get_object(**CAT)
    assert "RequestCharged" not in s3.get_object(**CAT, **PAYS)
    pay(s3, "BucketOwner")
    assert "RequestCharged" not in other.get_object(**CAT, **PAYS)


def test_nobody_pays_anonymously(s3: Any, cloud: Cloud) -> None:
    headers = {"host": "localhost", "x-amz-request-payer": "requester"}
    reply, _ = cloud.handle(HttpRequest("GET", "/photos/cat", "", headers))
    assert reply.status == 403
    pay(s3, "BucketOwner")
    reply, _ = cloud.handle(HttpRequest("GET", "/photos/cat", "", headers))
    assert reply.status == 200


def test_every_operation_in_which_a_request_can_pay_is_one() -> None:
    """Those that are not built are refused before."""
    model, built = load("s3"), PAYABLE
    named = {
        operation.name: operation
        for operation in model.by_function.values()
        if operation.input is not None and "RequestPayer" in operation.input.members
    }
    unbuilt = {
        *("DeleteObjectAnnotation", "GetObjectAnnotation", "GetObjectTorrent"),
        *("ListObjectAnnotations", "PutObjectAnnotation", "RestoreObject"),
        "UpdateObjectEncryption",
    }
    assert built == named.keys() - unbuilt
    for name in built:
        output = named[name].output
        assert output is not None
        assert ("RequestCharged" in output.members) is (name not in SILENT)
