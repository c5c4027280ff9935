"""Signature version 2 of S3, where an operator has turned it on; it is off by default.

Source: Amazon S3 User Guide, "Signing and authenticating REST requests (AWS signature version 2)".
"""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import formatdate
from typing import Any
from urllib.parse import quote, urlsplit
from xml.etree.ElementTree import fromstring

import pytest
from botocore.auth import HmacV1Auth
from botocore.config import Config as ClientConfig
from botocore.exceptions import ClientError

from fogbank.server.config import Config, S3Settings
from fogbank.testing.cloud import Cloud
from fogbank.wire import sigv2
from fogbank.wire.http import HttpRequest

V2 = ClientConfig(signature_version="s3")
V2_QUERY = ClientConfig(signature_version="s3-query")
LARGE = bytes(range(256)) * 2_000


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    with Cloud(config=Config(s3=S3Settings(signature_v2=True)), replay=True) as made:
        monkeypatch.setattr(
            HmacV1Auth,
            "_get_date",
            lambda _self: formatdate(made.clock.now_ms() / 1000, usegmt=True),
        )
        yield made


@pytest.fixture
def s3(cloud: Cloud) -> Any:
    made = cloud.client("s3", config=V2)
    made.create_bucket(Bucket="photos")
    return made


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[int, str]:
    response = error.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def test_it_is_refused_unless_it_was_turned_on(client: Any) -> None:
    with Cloud(replay=True) as cloud:
        for config in (V2, V2_QUERY):
            with pytest.raises(ClientError) as refused:
                cloud.client("s3", config=config).list_buckets()
            assert code_of(refused) == (400, "InvalidRequest")


def test_a_client_of_version_2_does_what_one_of_version_4_does(s3: Any) -> None:
    key = "a b/ü+&?"
    s3.put_object(
        Bucket="photos",
        Key=key,
        Body=LARGE,
        ContentType="text/plain",
        Metadata={"a": "b  c", "camera": "x"},
    )
    got = s3.get_object(Bucket="photos", Key=key, ResponseContentType="text/html; charset=x")
    assert (got["Body"].read(), got["ContentType"]) == (LARGE, "text/html; charset=x")
    upload = s3.create_multipart_upload(Bucket="photos", Key=key)
    named = {"Bucket": "photos", "Key": key, "UploadId": upload["UploadId"]}
    part = s3.upload_part(**named, PartNumber=1, Body=b"part")
    parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
    s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
    assert [each["Key"] for each in s3.list_objects_v2(Bucket="photos")["Contents"]] == [key]
    s3.put_object_tagging(
        Bucket="photos", Key=key, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]}
    )
    s3.delete_objects(Bucket="photos", Delete={"Objects": [{"Key": key}]})
    assert "Contents" not in s3.list_objects_v2(Bucket="photos")


def fetch(cloud: Cloud, url: str) -> tuple[int, bytes]:
    parts = urlsplit(url)
    request = HttpRequest("GET", parts.path, parts.query, {"host": parts.netloc})
    reply, body = cloud.handle(request)
    return reply.status, body


def test_a_presigned_url_is_good_until_it_expires(s3: Any, cloud: Cloud) -> None:
    s3.put_object(Bucket="photos", Key="a b", Body=b"bytes")
    asked = {"Bucket": "photos", "Key": "a b", "ResponseContentType": "text/x"}
    client = cloud.client("s3", config=V2_QUERY)
    far = client.generate_presigned_url("get_object", asked, ExpiresIn=4_000_000_000)
    assert "AWSAccessKeyId=" in far
    assert fetch(cloud, far) == (200, b"bytes")
    status, body = fetch(cloud, far.replace("Expires=", "Expires=1"))
    assert (status, fromstring(body).findtext("Code")) == (403, "SignatureDoesNotMatch")
    status, body = fetch(cloud, far.replace("text%2Fx", "text%2Fy"))
    assert (status, fromstring(body).findtext("Code")) == (403, "SignatureDoesNotMatch")
    query = "AWSAccessKeyId={}&Expires={}".format(cloud.account.access_key_id, "1000000000")
    over = HttpRequest("GET", "/photos/a%20b", query, {"host": "localhost:4566"})
    text = sigv2.strings_to_sign(over, "", "1000000000")[0]
    over.query += f"&Signature={quote(sigv2.signature_of(cloud.account.secret_access_key, text))}"
    status, body = fetch(cloud, f"http://localhost:4566{over.path}?{over.query}")
    assert (status, fromstring(body).findtext("Message")) == (403, "Request has expired")
    status, body = fetch(cloud, far.replace("Expires=", "Expires=x"))
    assert (status, fromstring(body).findtext("Code")) == (403, "AccessDenied")


def answer(cloud: Cloud, **headers: str) -> tuple[int, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    reply, body = cloud.handle(
        HttpRequest("GET", "/photos", "", {"host": "localhost:4566", **named})
    )
    return reply.status, fromstring(body).findtext("Code") or ""


def test_claims_that_do_not_hold_hear_why(s3: Any, cloud: Cloud) -> None:
    now = formatdate(cloud.clock.now_ms() / 1000, usegmt=True)
    key_id = cloud.account.access_key_id
    wrong = f"AWS {key_id}:AAAAAAAAAAAAAAAAAAAAAAAAAAA="
    assert answer(cloud, authorization=wrong, date=now) == (403, "SignatureDoesNotMatch")
    stranger = "AWS AKIA00000000EXAMPLE0:AAAAAAAAAAAAAAAAAAAAAAAAAAA="
    assert answer(cloud, authorization=stranger, date=now) == (403, "InvalidAccessKeyId")
    assert answer(cloud, authorization="AWS HAHAHA", date=now) == (400, "InvalidArgument")
    assert answer(cloud, authorization="", date=now) == (403, "AccessDenied"), "that is nobody"
    for date in ("", "Bad Date", "Tue, 07 Jul 1950 21:53:04 GMT"):
        assert answer(cloud, authorization=wrong, x_amz_date=date) == (403, "AccessDenied")
    assert answer(cloud, authorization=wrong) == (403, "AccessDenied")
    for date in ("Tue, 07 Jul 2010 21:53:04 GMT", "Tue, 07 Jul 9999 21:53:04 GMT"):
        skewed = answer(cloud, authorization=wrong, x_amz_date=date)
        assert skewed == (403, "RequestTimeTooSkewed")


def test_policies_see_the_version_of_the_signature(s3: Any, cloud: Cloud) -> None:
    allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    denied = {
        "Effect": "Deny",
        "Action": "s3:*",
        "Resource": "*",
        "Condition": {"StringEquals": {"s3:signatureversion": "AWS"}},
    }
    user = cloud.create_user("u", {"Version": "2012-10-17", "Statement": [allowed, denied]})
    cloud.client("s3", credential=user).list_objects_v2(Bucket="photos")
    with pytest.raises(ClientError) as refused:
        cloud.client("s3", credential=user, config=V2).list_objects_v2(Bucket="photos")
    assert code_of(refused) == (403, "AccessDenied")
