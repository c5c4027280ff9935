"""Encryption of objects: what is asked for, what is answered, who may read, and what the key opens.

Sources: Amazon S3 User Guide, "Protecting data with encryption", "Specifying server-side encryption
with AWS KMS (SSE-KMS)", "Reducing the cost of SSE-KMS with Amazon S3 Bucket Keys", "Using server-side
encryption with customer-provided keys (SSE-C)", "Blocking or unblocking SSE-C for a general purpose
bucket"; API Reference, PutObject, CopyObject, UploadPart, PutBucketEncryption.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.config import Config as ClientConfig
from botocore.exceptions import ClientError

from fogbank.engines.memory import MemoryBlobs
from fogbank.server.config import Config, S3Settings
from fogbank.testing.cloud import Cloud

SMALL = b"a small body"
LARGE = bytes(range(256)) * 10_000
"""2.4 MiB: a blob of three frames."""
PART = bytes(5 << 20)
KEY = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": bytes(range(32))}
MD5 = base64.b64encode(hashlib.md5(bytes(range(32)), usedforsecurity=False).digest()).decode()
KEY_TEXT = base64.b64encode(bytes(range(32))).decode()


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[int, str]:
    response = error.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def message_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response["Error"]["Message"]


@pytest.fixture
def s3(client: Any) -> Any:
    made = client("s3")
    made.create_bucket(Bucket="photos")
    return made


@pytest.fixture
def kms(client: Any) -> Any:
    return client("kms")


@pytest.fixture
def key(kms: Any) -> str:
    """Return the ARN of a KMS key."""
    return kms.create_key()["KeyMetadata"]["Arn"]


@pytest.fixture
def asked_kms(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list that what KMS is asked for goes into."""
    calls, asked = cloud.app.facilities.calls, []
    original = calls.call

    async def call(service: str, operation: str, *arguments: Any, **named: Any) -> Any:
        asked.append(operation)
        return await original(service, operation, *arguments, **named)

    monkeypatch.setattr(calls, "call", call)
    return asked


def open_to_clients_keys(s3: Any, bucket: str = "photos") -> None:
    set_default(
        s3, bucket, {"SSEAlgorithm": "AES256"}, BlockedEncryptionTypes={"EncryptionType": ["NONE"]}
    )


def set_default(s3: Any, bucket: str, default: dict[str, str], **more: Any) -> None:
    s3.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": default, **more}]
        },
    )


def default_of(s3: Any, bucket: str = "photos") -> dict[str, Any]:
    reply = s3.get_bucket_encryption(Bucket=bucket)
    return reply["ServerSideEncryptionConfiguration"]["Rules"][0]


def read(s3: Any, name: str = "k", **more: Any) -> bytes:
    return s3.get_object(Bucket="photos", Key=name, **more)["Body"].read()


# SSE-S3.


def test_every_answer_says_that_an_object_is_encrypted(s3: Any) -> None:
    """PutObject, "Server-side encryption": since January 2023 every new object is."""
    put = s3.put_object(Bucket="photos", Key="k", Body=SMALL)
    copy = s3.copy_object(Bucket="photos", Key="c", CopySource="photos/k")
    upload = s3.create_multipart_upload(Bucket="photos", Key="m")
    named = {"Bucket": "photos", "Key": "m", "UploadId": upload["UploadId"]}
    part = s3.upload_part(**named, PartNumber=1, Body=SMALL)
    copied = s3.upload_part_copy(**named, PartNumber=2, CopySource="photos/k")
    parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
    done = s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
    head = s3.head_object(Bucket="photos", Key="m")
    got = s3.get_object(Bucket="photos", Key="c")
    for reply in (put, copy, upload, part, copied, done, head, got):
        assert reply["ServerSideEncryption"] == "AES256"
        assert "SSEKMSKeyId" not in reply


def test_a_new_bucket_reports_its_default(s3: Any) -> None:
    assert default_of(s3) == {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
        "BucketKeyEnabled": False,
        "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]},
    }


def test_deleting_the_default_gives_that_of_a_new_bucket_back(s3: Any, key: str) -> None:
    set_default(s3, "photos", {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key})
    assert default_of(s3)["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == key
    s3.delete_bucket_encryption(Bucket="photos")
    assert default_of(s3)["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


def test_older_defaults_report_none_and_take_clients_keys() -> None:
    """User Guide, "Default settings for new S3 buckets FAQ"; "Setting default ... encryption"."""
    older = Config(s3=S3Settings(defaults_before_2023=True))
    with Cloud(config=older, replay=True) as cloud:
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket="photos")
        with pytest.raises(ClientError) as none:
            s3.get_bucket_encryption(Bucket="photos")
        assert code_of(none) == (404, "ServerSideEncryptionConfigurationNotFoundError")
        assert "ServerSideEncryption" not in s3.put_object(Bucket="photos", Key="k", Body=SMALL)
        asked = s3.put_object(Bucket="photos", Key="k", Body=SMALL, ServerSideEncryption="AES256")
        assert asked["ServerSideEncryption"] == "AES256"
        s3.put_object(Bucket="photos", Key="c", Body=SMALL, **KEY)
        set_default(s3, "photos", {"SSEAlgorithm": "AES256"})
        put = s3.put_object(Bucket="photos", Key="k", Body=SMALL)
        assert put["ServerSideEncryption"] == "AES256"


# SSE-KMS.


@pytest.mark.parametrize("body", [b"", SMALL, LARGE])
def test_an_object_under_a_kms_key_comes_back_and_says_which(
    s3: Any, key: str, body: bytes
) -> None:
    asked = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    put = s3.put_object(Bucket="photos", Key="k", Body=body, **asked)
    got = s3.get_object(Bucket="photos", Key="k")
    assert got["Body"].read() == body
    head = s3.head_object(Bucket="photos", Key="k")
    for reply in (put, got, head):
        assert (reply["ServerSideEncryption"], reply["SSEKMSKeyId"]) == ("aws:kms", key)
        assert "BucketKeyEnabled" not in reply
    md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
    assert put["ETag"].strip('"') != md5, "AWS: ETags of SSE-KMS are no digest of the data"
    assert head["ETag"] == put["ETag"]


def test_a_range_under_a_kms_key_is_the_range_of_the_plain_bytes(s3: Any, key: str) -> None:
    asked = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    s3.put_object(Bucket="photos", Key="k", Body=LARGE, **asked)
    for begin, end in ((0, 1), (1_048_570, 1_048_590), (2_000_000, len(LARGE))):
        assert read(s3, Range=f"bytes={begin}-{end - 1}") == LARGE[begin:end]


def test_without_a_key_id_the_key_is_that_of_s3(s3: Any, kms: Any) -> None:
    """PutObject, ``x-amz-server-side-encryption-aws-kms-key-id``: else "the AWS managed key"."""
    put = s3.put_object(Bucket="photos", Key="k", Body=SMALL, ServerSideEncryption="aws:kms")
    described = kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]
    assert put["SSEKMSKeyId"] == described["Arn"]
    assert read(s3) == SMALL


def test_the_default_of_a_bucket_holds_for_puts_copies_and_uploads(s3: Any, key: str) -> None:
    s3.put_object(Bucket="photos", Key="plain", Body=SMALL)
    set_default(s3, "photos", {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key})
    put = s3.put_object(Bucket="photos", Key="k", Body=SMALL)
    large = s3.put_object(Bucket="photos", Key="large", Body=LARGE)
    copy = s3.copy_object(Bucket="photos", Key="c", CopySource="photos/plain")
    upload = s3.create_multipart_upload(Bucket="photos", Key="m")
    named = {"Bucket": "photos", "Key": "m", "UploadId": upload["UploadId"]}
    parts = [
        s3.upload_part(**named, PartNumber=1, Body=PART),
        s3.upload_part_copy(**named, PartNumber=2, CopySource="photos/large")["CopyPartResult"],
    ]
    listed = [{"PartNumber": at, "ETag": part["ETag"]} for at, part in enumerate(parts, start=1)]
    done = s3.complete_multipart_upload(**named, MultipartUpload={"Parts": listed})
    for reply in (put, large, copy, upload, parts[0], done):
        assert (reply["ServerSideEncryption"], reply["SSEKMSKeyId"]) == ("aws:kms", key)
    assert (read(s3), read(s3, "large"), read(s3, "c")) == (SMALL, LARGE, SMALL)
    assert read(s3, "m") == PART + LARGE
    middle = len(PART)
    assert read(s3, "m", Range=f"bytes={middle - 3}-{middle + 9}") == bytes(3) + LARGE[:10]
    assert read(s3, "m", PartNumber=2) == LARGE
    plain = s3.put_object(Bucket="photos", Key="k", Body=SMALL, ServerSideEncryption="AES256")
    assert (plain["ServerSideEncryption"], read(s3)) == ("AES256", SMALL)


def test_a_copy_takes_its_own_encryption_and_not_that_of_its_source(s3: Any, key: str) -> None:
    """CopyObject, "Encryption": the target's request or the target's bucket decides."""
    asked = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    for name, body in (("small", SMALL), ("large", LARGE)):
        s3.put_object(Bucket="photos", Key=name, Body=body, **asked)
        plain = s3.copy_object(Bucket="photos", Key="p", CopySource=f"photos/{name}")
        assert plain["ServerSideEncryption"] == "AES256"
        assert read(s3, "p") == body
        again = s3.copy_object(Bucket="photos", Key="again", CopySource="photos/p", **asked)
        assert (again["SSEKMSKeyId"], read(s3, "again")) == (key, body)
        md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
        assert plain["CopyObjectResult"]["ETag"].strip('"') == md5


def test_an_object_is_copied_onto_itself_to_change_its_encryption(s3: Any, key: str) -> None:
    s3.put_object(Bucket="photos", Key="k", Body=LARGE)
    asked = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    s3.copy_object(Bucket="photos", Key="k", CopySource="photos/k", **asked)
    got = s3.get_object(Bucket="photos", Key="k")
    assert (got["SSEKMSKeyId"], got["Body"].read()) == (key, LARGE)


def test_the_context_binds_the_key_to_the_object(s3: Any, key: str, kms: Any) -> None:
    """User Guide, "Encryption context": the object's ARN, and what the client adds."""
    context = base64.b64encode(json.dumps({"team": "red"}).encode()).decode()
    put = s3.put_object(
        Bucket="photos",
        Key="k",
        Body=SMALL,
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=key,
        SSEKMSEncryptionContext=context,
    )
    assert put["SSEKMSEncryptionContext"] == context
    assert read(s3) == SMALL
    deny(kms, key, "kms:EncryptionContext:team", "red")
    with pytest.raises(ClientError) as denied:
        read(s3)
    assert code_of(denied) == (403, "AccessDenied")


def deny(kms: Any, key: str, condition: str, value: str) -> None:
    """Have a key refuse decryption under a condition."""
    policy = json.loads(kms.get_key_policy(KeyId=key)["Policy"])
    policy["Statement"].append(
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "kms:Decrypt",
            "Resource": "*",
            "Condition": {"StringEquals": {condition: value}},
        }
    )
    kms.put_key_policy(KeyId=key, Policy=json.dumps(policy))


def test_the_arn_of_the_object_is_in_the_context(s3: Any, key: str, kms: Any) -> None:
    asked = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    for name in ("k", "other"):
        s3.put_object(Bucket="photos", Key=name, Body=SMALL, **asked)
    deny(kms, key, "kms:EncryptionContext:aws:s3:arn", "arn:aws:s3:::photos/k")
    assert read(s3, "other") == SMALL
    with pytest.raises(ClientError) as denied:
        read(s3)
    assert code_of(denied) == (403, "AccessDenied")


@pytest.mark.parametrize("shared", [False, True])
def test_a_key_that_cannot_be_used_refuses_reads_and_writes(
    s3: Any, kms: Any, key: str, shared: bool
) -> None:
    """With bucket keys too: what is disabled here is disabled at once."""
    asked = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key, "BucketKeyEnabled": shared}
    s3.put_object(Bucket="photos", Key="k", Body=SMALL, **asked)
    assert read(s3) == SMALL
    kms.disable_key(KeyId=key)
    with pytest.raises(ClientError) as disabled:
        read(s3)
    assert code_of(disabled) == (400, "KMS.DisabledException")
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket="photos", Key="n", Body=SMALL, **asked)
    assert code_of(refused) == (400, "KMS.DisabledException")
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    with pytest.raises(ClientError) as pending:
        read(s3)
    assert code_of(pending) == (400, "KMS.KMSInvalidStateException")


def test_who_has_not_signed_reads_nothing_under_a_kms_key(s3: Any, key: str, cloud: Any) -> None:
    """User Guide, "Using SSE-KMS": requests for such objects "must be signed"."""
    allowed = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::photos/*",
    }
    s3.delete_public_access_block(Bucket="photos")
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    s3.put_bucket_policy(Bucket="photos", Policy=document)
    asked = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    s3.put_object(Bucket="photos", Key="plain", Body=SMALL)
    s3.put_object(Bucket="photos", Key="k", Body=SMALL, **asked)
    nobody = cloud.client("s3", config=ClientConfig(signature_version=UNSIGNED))
    assert nobody.get_object(Bucket="photos", Key="plain")["Body"].read() == SMALL
    with pytest.raises(ClientError) as refused:
        nobody.get_object(Bucket="photos", Key="k")
    assert code_of(refused) == (400, "InvalidArgument")
    assert "AWS Signature Version 4" in message_of(refused)


def test_a_head_needs_the_key_only_for_the_checksum(s3: Any, kms: Any, key: str) -> None:
    """HeadObject, ``x-amz-checksum-mode``: then "you must have permission ... kms:Decrypt"."""
    asked = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    s3.put_object(Bucket="photos", Key="k", Body=SMALL, **asked)
    kms.disable_key(KeyId=key)
    assert s3.head_object(Bucket="photos", Key="k")["SSEKMSKeyId"] == key
    with pytest.raises(ClientError):
        s3.head_object(Bucket="photos", Key="k", ChecksumMode="ENABLED")


def test_a_key_that_is_not_there_or_elsewhere_is_not_found(s3: Any, key: str) -> None:
    for named in ("00000000-0000-4000-8000-000000000000", key.replace("us-east-1", "eu-west-1")):
        with pytest.raises(ClientError) as missing:
            s3.put_object(
                Bucket="photos",
                Key="k",
                Body=SMALL,
                ServerSideEncryption="aws:kms",
                SSEKMSKeyId=named,
            )
        assert code_of(missing) == (400, "KMS.NotFoundException")
        assert ("Invalid arn eu-west-1" in message_of(missing)) == ("eu-west-1" in named)


# DSSE-KMS.


@pytest.mark.parametrize("body", [b"", SMALL, LARGE])
def test_an_object_with_two_layers_comes_back_in_ranges_and_parts(
    s3: Any, key: str, body: bytes
) -> None:
    """User Guide, "Using dual-layer server-side encryption with AWS KMS keys (DSSE-KMS)"."""
    asked = {"ServerSideEncryption": "aws:kms:dsse", "SSEKMSKeyId": key}
    s3.put_object(Bucket="photos", Key="k", Body=body, **asked)
    got = s3.get_object(Bucket="photos", Key="k")
    assert (got["ServerSideEncryption"], got["SSEKMSKeyId"]) == ("aws:kms:dsse", key)
    assert got["Body"].read() == body
    if len(body) > 1_048_600:
        assert read(s3, Range="bytes=1048571-1048599") == body[1_048_571:1_048_600]
    upload = s3.create_multipart_upload(Bucket="photos", Key="m", **asked)
    named = {"Bucket": "photos", "Key": "m", "UploadId": upload["UploadId"]}
    parts = [
        s3.upload_part(**named, PartNumber=at, Body=each) for at, each in ((1, PART), (2, body))
    ]
    listed = [{"PartNumber": at, "ETag": part["ETag"]} for at, part in enumerate(parts, start=1)]
    s3.complete_multipart_upload(**named, MultipartUpload={"Parts": listed})
    assert read(s3, "m") == PART + body
    assert read(s3, "m", Range="bytes=5242877-5242882") == bytes(3) + body[:3]
    s3.copy_object(Bucket="photos", Key="c", CopySource="photos/m")
    assert read(s3, "c") == PART + body


def test_below_the_stores_own_keys_is_a_layer_of_the_objects_key(
    s3: Any, key: str, cloud: Any
) -> None:
    """What the blob store is handed, and seals with its own keys, is encrypted already."""
    s3.put_object(Bucket="photos", Key="plain", Body=LARGE)
    s3.put_object(
        Bucket="photos", Key="k", Body=LARGE, ServerSideEncryption="aws:kms:dsse", SSEKMSKeyId=key
    )
    plain, layered = cloud.engine.blobs._blobs.values()
    assert (plain, len(layered)) == (LARGE, len(LARGE))
    assert not cloud.engine.blobs._locks
    assert all(LARGE[:16] not in layered[at : at + 4_096] for at in range(0, len(LARGE), 4_096))


# Bucket keys.


def test_a_bucket_key_spares_kms_calls_and_says_so(s3: Any, key: str, asked_kms: list[str]) -> None:
    set_default(
        s3, "photos", {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}, BucketKeyEnabled=True
    )
    for name, body in (("a", SMALL), ("b", LARGE)):
        assert s3.put_object(Bucket="photos", Key=name, Body=body)["BucketKeyEnabled"] is True
    assert asked_kms == ["GenerateDataKey"]
    got = s3.get_object(Bucket="photos", Key="b")
    assert (got["Body"].read(), got["BucketKeyEnabled"]) == (LARGE, True)
    assert read(s3, "a") == SMALL
    assert asked_kms == ["GenerateDataKey"]


def test_a_bucket_key_is_used_for_minutes_and_not_for_ever(
    s3: Any, key: str, asked_kms: list[str], cloud: Any
) -> None:
    asked = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key, "BucketKeyEnabled": True}
    s3.put_object(Bucket="photos", Key="k", Body=SMALL, **asked)
    cloud.advance(301_000)
    assert read(s3) == SMALL
    assert read(s3) == SMALL
    assert asked_kms == ["GenerateDataKey", "Decrypt"]


def test_a_bucket_key_opens_nothing_for_whom_kms_does_not_let(
    s3: Any, key: str, cloud: Any
) -> None:
    allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [allowed]}
    reader = cloud.client("s3", credential=cloud.create_user("reader", document))
    asked = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key, "BucketKeyEnabled": True}
    s3.put_object(Bucket="photos", Key="k", Body=SMALL, **asked)
    assert read(s3) == SMALL
    with pytest.raises(ClientError) as denied:
        reader.get_object(Bucket="photos", Key="k")
    assert code_of(denied) == (403, "AccessDenied")
    assert "kms:Decrypt" in message_of(denied)


# What lies in the store.


def test_the_rows_hold_no_byte_of_the_object_and_no_key(s3: Any, cloud: Any, key: str) -> None:
    """With the data directory's keys alone nobody reads an object that has a key of its own."""
    open_to_clients_keys(s3)
    plain, kms_body, customer_body = (
        word * 20 for word in (b"plainly ", b"for kms ", b"for sse-c ")
    )
    s3.put_object(Bucket="photos", Key="plain", Body=plain)
    s3.put_object(
        Bucket="photos", Key="k", Body=kms_body, ServerSideEncryption="aws:kms", SSEKMSKeyId=key
    )
    s3.put_object(Bucket="photos", Key="c", Body=customer_body, **KEY)
    rows = b"".join(cloud.engine.rows.values())
    assert plain in rows, "so the search finds what lies in the rows"
    raw = bytes(range(32))
    for secret in (kms_body, customer_body, raw, base64.b64decode(MD5), KEY_TEXT.encode()):
        assert secret[:16] not in rows


def test_where_nothing_is_encrypted_nothing_is_said_to_be(
    s3: Any, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``encryption.enabled = false``: no header, and who asks for encryption is refused."""
    monkeypatch.setattr(MemoryBlobs, "seals", False)
    put = s3.put_object(Bucket="photos", Key="k", Body=SMALL)
    assert "ServerSideEncryption" not in put
    assert "ServerSideEncryption" not in s3.head_object(Bucket="photos", Key="k")
    for asked in ({"ServerSideEncryption": "AES256"}, {"ServerSideEncryption": "aws:kms"}):
        with pytest.raises(ClientError) as refused:
            s3.put_object(Bucket="photos", Key="n", Body=SMALL, **asked)
        assert code_of(refused) == (400, "InvalidRequest")
        assert "encryption.enabled" in message_of(refused)
    open_to_clients_keys(s3)
    s3.put_object(Bucket="photos", Key="c", Body=SMALL, **KEY)
    assert read(s3, "c", **KEY) == SMALL


# The configuration.


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ([], "MalformedXML"),
        ([{}], "MalformedXML"),
        ([{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}] * 2, "MalformedXML"),
        (
            [
                {
                    "ApplyServerSideEncryptionByDefault": {
                        "SSEAlgorithm": "AES256",
                        "KMSMasterKeyID": "x",
                    }
                }
            ],
            "InvalidArgument",
        ),
    ],
)
def test_a_default_that_makes_no_sense_is_refused(s3: Any, rules: list[Any], code: str) -> None:
    with pytest.raises(ClientError) as refused:
        s3.put_bucket_encryption(
            Bucket="photos", ServerSideEncryptionConfiguration={"Rules": rules}
        )
    assert code_of(refused) == (400, code)


def test_policies_may_ask_for_an_encryption(cloud: Any, s3: Any, key: str) -> None:
    """Service Authorization Reference: ``s3:x-amz-server-side-encryption-aws-kms-key-id`` and kin."""
    deny = {
        "Effect": "Deny",
        "Action": "s3:PutObject",
        "Resource": "*",
        "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": key}},
    }
    allow = {"Effect": "Allow", "Action": ["s3:*", "kms:*"], "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [deny, allow]}
    writer = cloud.client("s3", credential=cloud.create_user("writer", document))
    with pytest.raises(ClientError) as denied:
        writer.put_object(Bucket="photos", Key="k", Body=SMALL)
    assert code_of(denied) == (403, "AccessDenied")
    writer.put_object(
        Bucket="photos", Key="k", Body=SMALL, ServerSideEncryption="aws:kms", SSEKMSKeyId=key
    )
    assert read(s3) == SMALL


def test_who_may_not_write_hears_that_before_anything_else(s3: Any, cloud: Any) -> None:
    denied = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::photos/*",
        "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption": "AES256"}},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [denied]})
    s3.put_bucket_policy(Bucket="photos", Policy=document)
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket="photos", Key="k", Body=SMALL, ServerSideEncryption="AES192")
    assert code_of(refused) == (403, "AccessDenied")
