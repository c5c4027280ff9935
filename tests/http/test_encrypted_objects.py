"""Objects with keys of their own, through fronts and several stores: nothing of them lies open."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3
from botocore.config import Config
from tests.http.several import BUCKETS, settings, store_of

from fogbank.testing.server import Server

pytestmark = [pytest.mark.http, pytest.mark.slow]

WORD = b"the planted plaintext "
SMALL, LARGE = WORD * 50, WORD * 200_000
PART = WORD * 240_000
CUSTOMER = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": os.urandom(32)}
SOURCE = {f"CopySource{name}": value for name, value in CUSTOMER.items()}


@pytest.fixture(scope="module", params=[(1, 1), (2, 1)], ids=["one store", "two stores"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    stores, fronts = request.param
    more = "[s3]\ndefaults_before_2023 = true\nsignature_v2 = true\n[encryption]\nenabled = true\n"
    folder = tmp_path_factory.mktemp("encrypted") / "data"
    with Server(folder, settings=settings(stores, fronts) + more) as made:
        yield made
        assert made.stop() == 0
        found = [
            str(path)
            for path in folder.rglob("*")
            if path.is_file() and any(word in path.read_bytes() for word in secrets())
        ]
        assert found == []
        done = made.run("check")
        assert done.returncode == 0, done.stdout


def secrets() -> tuple[bytes, ...]:
    key: Any = CUSTOMER["SSECustomerKey"]
    return WORD, key, base64.b64encode(key)


@pytest.fixture(scope="module")
def s3(server: Server) -> Any:
    client = server.client("s3", config=Config(signature_version="s3v4"))
    for bucket in BUCKETS:
        client.create_bucket(Bucket=bucket)
    return client


@pytest.fixture(scope="module")
def key(server: Server) -> str:
    return server.client("kms").create_key()["KeyMetadata"]["Arn"]


def asked(kind: str, key: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a write and a read say for an encryption."""
    if kind == "customer":
        return dict(CUSTOMER), dict(CUSTOMER)
    more: dict[str, Any] = {"BucketKeyEnabled": True} if kind == "shared" else {}
    algorithm = "aws:kms:dsse" if kind == "dsse" else "aws:kms"
    return {"ServerSideEncryption": algorithm, "SSEKMSKeyId": key, **more}, {}


def completion(kind: str) -> dict[str, str]:
    """Return what completing an upload says: a client's key in the texts of the wire."""
    if kind != "customer":
        return {}
    key: Any = CUSTOMER["SSECustomerKey"]
    md5 = hashlib.md5(key, usedforsecurity=False).digest()
    texts = (base64.b64encode(each).decode() for each in (key, md5))
    return dict(
        zip(("SSECustomerKey", "SSECustomerKeyMD5"), texts, strict=True),
        SSECustomerAlgorithm="AES256",
    )


KINDS = ("kms", "shared", "dsse", "customer")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bucket", BUCKETS[:2])
def test_bytes_come_back_through_every_process(s3: Any, key: str, kind: str, bucket: str) -> None:
    write, read = asked(kind, key)
    for name, body in (("small", SMALL), ("large", LARGE)):
        s3.put_object(Bucket=bucket, Key=f"{kind}/{name}", Body=body, **write)
        place = {"Bucket": bucket, "Key": f"{kind}/{name}"}
        assert s3.get_object(**place, **read)["Body"].read() == body
        begin, end = len(body) // 2, len(body) // 2 + 999
        part = s3.get_object(**place, **read, Range=f"bytes={begin}-{end}")
        assert part["Body"].read() == body[begin : end + 1]
    upload = s3.create_multipart_upload(Bucket=bucket, Key=f"{kind}/parts", **write)
    named = {"Bucket": bucket, "Key": f"{kind}/parts", "UploadId": upload["UploadId"]}
    listed = [
        {
            "PartNumber": at,
            "ETag": s3.upload_part(**named, PartNumber=at, Body=body, **read)["ETag"],
        }
        for at, body in ((1, PART), (2, SMALL))
    ]
    s3.complete_multipart_upload(**named, MultipartUpload={"Parts": listed}, **completion(kind))
    got = s3.get_object(Bucket=bucket, Key=f"{kind}/parts", **read)
    assert got["Body"].read() == PART + SMALL


@pytest.mark.parametrize("kind", KINDS)
def test_copies_cross_buckets_and_stores(s3: Any, key: str, kind: str) -> None:
    write, read = asked(kind, key)
    origin = next(bucket for bucket in BUCKETS if store_of(bucket) == 0)
    target = next(bucket for bucket in BUCKETS if store_of(bucket) == 1)
    s3.put_object(Bucket=origin, Key=kind, Body=LARGE, **write)
    source = SOURCE if kind == "customer" else {}
    named = {"Bucket": origin, "Key": kind}
    s3.copy_object(Bucket=target, Key=kind, CopySource=named, **source, **write)
    assert s3.get_object(Bucket=target, Key=kind, **read)["Body"].read() == LARGE


def test_a_large_form_streams_into_an_encrypted_object(s3: Any, key: str, server: Server) -> None:
    bucket = BUCKETS[0]
    fields = {"x-amz-server-side-encryption": "aws:kms"}
    fields["x-amz-server-side-encryption-aws-kms-key-id"] = key
    conditions = [{name: value} for name, value in fields.items()]
    post = s3.generate_presigned_post(bucket, "form", Fields=fields, Conditions=conditions)
    form = {**post["fields"], "file": ("a.txt", LARGE)}
    answer = urllib3.request("POST", f"{server.endpoint}/{bucket}", fields=form)
    assert answer.status == 204
    got = s3.get_object(Bucket=bucket, Key="form")
    assert (got["Body"].read(), got["SSEKMSKeyId"]) == (LARGE, key)


def test_a_client_of_version_2_is_served_by_a_front(server: Server, s3: Any) -> None:
    older = server.client("s3", config=Config(signature_version="s3"))
    customer = server.client("s3", config=Config(signature_version="s3"))
    digest = hashlib.md5(LARGE, usedforsecurity=False).hexdigest()
    older.put_object(Bucket=BUCKETS[0], Key="older", Body=LARGE, **CUSTOMER)
    got = customer.get_object(Bucket=BUCKETS[0], Key="older", **CUSTOMER)["Body"].read()
    assert hashlib.md5(got, usedforsecurity=False).hexdigest() == digest
