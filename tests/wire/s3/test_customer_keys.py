"""Objects under keys that their clients bring: SSE-C.

Sources: Amazon S3 User Guide, "Using server-side encryption with customer-provided keys (SSE-C)",
"Blocking or unblocking SSE-C for a general purpose bucket"; API Reference, PutObject, UploadPart.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.handlers import sse_md5
from tests.wire.s3.test_encryption import (
    KEY,
    KEY_TEXT,
    LARGE,
    MD5,
    PART,
    SMALL,
    code_of,
    message_of,
    open_to_clients_keys,
    read,
)

OTHER = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": bytes(range(1, 33))}
KEY_TEXTS = {
    "SSECustomerAlgorithm": "AES256",
    "SSECustomerKey": KEY_TEXT,
    "SSECustomerKeyMD5": MD5,
}
OTHER_TEXTS = {
    "SSECustomerAlgorithm": "AES256",
    "SSECustomerKey": base64.b64encode(bytes(range(1, 33))).decode(),
    "SSECustomerKeyMD5": base64.b64encode(
        hashlib.md5(bytes(range(1, 33)), usedforsecurity=False).digest()
    ).decode(),
}
"""As they are on the wire: boto3 makes them so for some operations only."""
SOURCE = {f"CopySource{name}": value for name, value in KEY.items()}


@pytest.fixture
def s3(client: Any) -> Any:
    made = client("s3")
    made.create_bucket(Bucket="photos")
    return made


def test_a_new_bucket_refuses_clients_keys_until_it_is_told(s3: Any) -> None:
    with pytest.raises(ClientError) as blocked:
        s3.put_object(Bucket="photos", Key="k", Body=SMALL, **KEY)
    assert code_of(blocked) == (403, "AccessDenied")
    open_to_clients_keys(s3)
    assert s3.put_object(Bucket="photos", Key="k", Body=SMALL, **KEY)["SSECustomerKeyMD5"] == MD5


@pytest.mark.parametrize("body", [b"", SMALL, LARGE])
def test_a_clients_key_is_needed_for_every_read(s3: Any, body: bytes) -> None:
    open_to_clients_keys(s3)
    put = s3.put_object(Bucket="photos", Key="k", Body=body, **KEY)
    got = s3.get_object(Bucket="photos", Key="k", **KEY)
    assert got["Body"].read() == body
    head = s3.head_object(Bucket="photos", Key="k", **KEY)
    for reply in (put, got, head):
        assert (reply["SSECustomerAlgorithm"], reply["SSECustomerKeyMD5"]) == ("AES256", MD5)
        assert "ServerSideEncryption" not in reply
    for operation in (s3.get_object, s3.head_object):
        with pytest.raises(ClientError) as missing:
            operation(Bucket="photos", Key="k")
        assert code_of(missing)[0] == 400
        with pytest.raises(ClientError) as wrong:
            operation(Bucket="photos", Key="k", **OTHER)
        assert code_of(wrong)[0] == 403
    s3.put_object(Bucket="photos", Key="plain", Body=body)
    with pytest.raises(ClientError) as needless:
        s3.get_object(Bucket="photos", Key="plain", **KEY)
    assert code_of(needless) == (400, "InvalidRequest")


def test_a_copy_brings_the_key_of_its_source_and_its_own(s3: Any) -> None:
    open_to_clients_keys(s3)
    s3.put_object(Bucket="photos", Key="k", Body=LARGE, **KEY)
    with pytest.raises(ClientError) as missing:
        s3.copy_object(Bucket="photos", Key="c", CopySource="photos/k")
    assert code_of(missing) == (400, "InvalidRequest")
    s3.copy_object(Bucket="photos", Key="c", CopySource="photos/k", **SOURCE, **OTHER)
    assert read(s3, "c", **OTHER) == LARGE
    s3.copy_object(Bucket="photos", Key="p", CopySource="photos/k", **SOURCE)
    assert read(s3, "p") == LARGE


def test_policies_may_ask_for_a_clients_key(s3: Any, cloud: Any) -> None:
    """User Guide, "Using ... SSE-C": ``s3:x-amz-server-side-encryption-customer-algorithm``."""
    open_to_clients_keys(s3)
    needed = {"s3:x-amz-server-side-encryption-customer-algorithm": "true"}
    statements = [
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
        {
            "Effect": "Deny",
            "Action": "s3:PutObject",
            "Resource": "*",
            "Condition": {"Null": needed},
        },
    ]
    writer = cloud.client(
        "s3", credential=cloud.create_user("w", {"Version": "2012-10-17", "Statement": statements})
    )
    with pytest.raises(ClientError) as denied:
        writer.put_object(Bucket="photos", Key="k", Body=SMALL)
    assert code_of(denied) == (403, "AccessDenied")
    writer.put_object(Bucket="photos", Key="k", Body=SMALL, **KEY)


def test_every_part_of_an_upload_brings_its_key(s3: Any) -> None:
    open_to_clients_keys(s3)
    upload = s3.create_multipart_upload(
        Bucket="photos", Key="m", ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT", **KEY
    )
    named = {"Bucket": "photos", "Key": "m", "UploadId": upload["UploadId"]}
    with pytest.raises(ClientError) as missing:
        s3.upload_part(**named, PartNumber=1, Body=PART)
    assert code_of(missing) == (400, "InvalidRequest")
    with pytest.raises(ClientError) as wrong:
        s3.upload_part(**named, PartNumber=1, Body=PART, **OTHER)
    assert code_of(wrong) == (400, "InvalidArgument")
    parts = [
        s3.upload_part(**named, PartNumber=at, Body=body, **KEY)
        for at, body in ((1, PART), (2, LARGE))
    ]
    listed = [{"PartNumber": at, "ETag": part["ETag"]} for at, part in enumerate(parts, start=1)]
    for operation in (s3.list_parts, s3.complete_multipart_upload):
        more = {} if operation == s3.list_parts else {"MultipartUpload": {"Parts": listed}}
        with pytest.raises(ClientError) as wrong:
            operation(**named, **more, **OTHER_TEXTS)
        assert code_of(wrong) == (400, "InvalidArgument")
    with pytest.raises(ClientError) as missing:
        s3.complete_multipart_upload(**named, MultipartUpload={"Parts": listed})
    assert code_of(missing) == (400, "InvalidRequest"), "it has a checksum algorithm"
    s3.complete_multipart_upload(**named, MultipartUpload={"Parts": listed}, **KEY_TEXTS)
    assert read(s3, "m", **KEY) == PART + LARGE
    assert read(s3, "m", PartNumber=2, **KEY) == LARGE
    with pytest.raises(ClientError):
        read(s3, "m")


def headers(**values: str) -> dict[str, str]:
    """Return raw members of a client's key."""
    return {f"SSECustomer{name}": value for name, value in values.items()}


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        (headers(Key=KEY_TEXT, KeyMD5=MD5), "InvalidArgument", "valid encryption algorithm"),
        (headers(Algorithm="AES256"), "InvalidArgument", "appropriate secret key"),
        (headers(Algorithm="AES256", Key=KEY_TEXT), "InvalidArgument", "MD5 of the secret key"),
        (headers(Algorithm="AES256", Key="c2hvcnQ=", KeyMD5=MD5), "InvalidArgument", "invalid for"),
        (
            headers(Algorithm="AES256", Key="no base64", KeyMD5=MD5),
            "InvalidArgument",
            "invalid for",
        ),
        (
            headers(Algorithm="AES256", Key=KEY_TEXT, KeyMD5="AAAAAAAAAAAAAAAAAAAAAA=="),
            "InvalidArgument",
            "did not match the hash",
        ),
        (
            headers(Algorithm="AES192", Key=KEY_TEXT, KeyMD5=MD5),
            "InvalidEncryptionAlgorithmError",
            "AES256",
        ),
        (
            {
                **headers(Algorithm="AES256", Key=KEY_TEXT, KeyMD5=MD5),
                "ServerSideEncryption": "AES256",
            },
            "InvalidArgument",
            "incompatible",
        ),
        ({"ServerSideEncryption": "aes:kms"}, "InvalidArgument", "not supported"),
        ({"SSEKMSKeyId": "x"}, "InvalidArgument", "requires HTTP header"),
        (
            {"ServerSideEncryption": "aws:kms", "SSEKMSEncryptionContext": "W10="},
            "InvalidArgument",
            "string-string map",
        ),
    ],
)
def test_headers_that_make_no_sense_are_refused(
    raw_s3: Any, given: dict[str, str], code: str, words: str
) -> None:
    with pytest.raises(ClientError) as refused:
        raw_s3.put_object(Bucket="photos", Key="k", Body=SMALL, **given)
    assert code_of(refused) == (400, code)
    assert words in message_of(refused)


@pytest.fixture
def raw_s3(s3: Any) -> Any:
    """Return a client that sends a client's key as it is given."""
    s3.meta.events.unregister("before-parameter-build.s3.PutObject", sse_md5)
    return s3
