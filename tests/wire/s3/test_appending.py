"""Appends over the wire: PutObject with ``WriteOffsetBytes``, of objects under every encryption."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from botocore.exceptions import ClientError

SMALL = b"a small body"
LARGE = bytes(range(256)) * 1_024
CLIENTS = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": bytes(range(32))}
UNDER: tuple[dict[str, Any], ...] = (
    {"ServerSideEncryption": "aws:kms"},
    {"ServerSideEncryption": "aws:kms", "BucketKeyEnabled": True},
    {"ServerSideEncryption": "aws:kms:dsse"},
    CLIENTS,
)


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[int, str]:
    response = error.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


@pytest.fixture
def s3(client: Any) -> Any:
    made = client("s3")
    made.create_bucket(Bucket="photos")
    made.put_bucket_encryption(
        Bucket="photos",
        ServerSideEncryptionConfiguration={
            "Rules": [
                {
                    "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
                    "BlockedEncryptionTypes": {"EncryptionType": ["NONE"]},
                }
            ]
        },
    )
    return made


def test_an_object_grows_at_its_end_and_nowhere_else(s3: Any) -> None:
    named = {"Bucket": "photos", "Key": "log"}
    begun = s3.put_object(**named, Body=b"one\n", WriteOffsetBytes=0)
    assert "Size" not in begun
    reply = s3.put_object(**named, Body=b"two\n", WriteOffsetBytes=4)
    assert reply["Size"] == 8
    assert reply["ServerSideEncryption"] == "AES256"
    assert reply["ETag"] != begun["ETag"]
    for offset in (0, 4, 9):
        with pytest.raises(ClientError) as error:
            s3.put_object(**named, Body=b"x", WriteOffsetBytes=offset)
        assert code_of(error) == (400, "InvalidWriteOffset")
    assert s3.get_object(**named)["Body"].read() == b"one\ntwo\n"
    s3.put_bucket_versioning(Bucket="photos", VersioningConfiguration={"Status": "Enabled"})
    with pytest.raises(ClientError) as error:
        s3.put_object(**named, Body=b"x", WriteOffsetBytes=8)
    assert code_of(error) == (501, "NotImplemented")
    assert s3.get_object(**named)["Body"].read() == b"one\ntwo\n"


def test_what_is_put_behind_has_the_key_of_what_is_there(s3: Any) -> None:
    for number, (under, first) in enumerate(product(UNDER, (SMALL, LARGE))):
        named = {"Bucket": "photos", "Key": f"k{number}"}
        brought = CLIENTS if under is CLIENTS else {}
        s3.put_object(**named, Body=first, **under)
        whole = first
        for more in (b"more", LARGE, b"end"):
            reply = s3.put_object(**named, Body=more, WriteOffsetBytes=len(whole), **brought)
            whole += more
            assert reply["Size"] == len(whole)
            assert reply.get("ServerSideEncryption") == under.get("ServerSideEncryption")
        assert s3.get_object(**named, **brought)["Body"].read() == whole
        tail = s3.get_object(**named, Range="bytes=-5", **brought)
        assert tail["Body"].read() == whole[-5:]
        with pytest.raises(ClientError) as error:
            s3.put_object(
                **named, Body=b"x", WriteOffsetBytes=len(whole), ServerSideEncryption="AES256"
            )
        assert code_of(error) == (400, "EncryptionTypeMismatch")


def test_who_may_not_use_the_key_puts_nothing_behind(s3: Any, client: Any) -> None:
    kms = client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    named = {"Bucket": "photos", "Key": "k"}
    s3.put_object(**named, Body=SMALL, ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    kms.disable_key(KeyId=key)
    with pytest.raises(ClientError) as error:
        s3.put_object(**named, Body=b"x", WriteOffsetBytes=len(SMALL))
    assert code_of(error) == (400, "KMS.DisabledException")
    kms.enable_key(KeyId=key)
    assert s3.get_object(**named)["Body"].read() == SMALL
