from __future__ import annotations

import base64
import hashlib
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

LARGE = bytes(range(256)) * 4_096
"""1 MiB: a blob, and a streamed request."""


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[int, str]:
    response = error.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def status_of(reply: dict[str, Any]) -> int:
    return reply["ResponseMetadata"]["HTTPStatusCode"]


@pytest.fixture
def s3(client: Any) -> Any:
    made = client("s3")
    made.create_bucket(Bucket="photos")
    return made


@pytest.mark.parametrize("content", [b"", b"hello", LARGE], ids=["empty", "small", "large"])
def test_an_object_comes_back_as_it_was_put(s3: Any, content: bytes) -> None:
    put = s3.put_object(Bucket="photos", Key="a/b c", Body=content)
    assert put["ETag"] == f'"{hashlib.md5(content).hexdigest()}"'
    got = s3.get_object(Bucket="photos", Key="a/b c")
    assert got["Body"].read() == content
    assert got["ETag"] == put["ETag"]
    assert got["ContentType"] == "binary/octet-stream"
    assert got["AcceptRanges"] == "bytes"


@pytest.mark.parametrize(
    "algorithm",
    [
        *("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512"),
        *("XXHASH64", "XXHASH3", "XXHASH128"),
    ],
)
@pytest.mark.parametrize("content", [b"hello", LARGE], ids=["small", "large"])
def test_every_checksum_algorithm_goes_in_by_trailer_and_comes_out(
    s3: Any, algorithm: str, content: bytes
) -> None:
    put = s3.put_object(
        Bucket="photos", Key="k", Body=io.BytesIO(content), ChecksumAlgorithm=algorithm
    )
    got = s3.get_object(Bucket="photos", Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == content
    assert got[f"Checksum{algorithm}"] == put[f"Checksum{algorithm}"]
    assert got["ChecksumType"] == "FULL_OBJECT"


def test_a_body_that_is_not_its_checksum_is_refused(s3: Any) -> None:
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket="photos", Key="k", Body=b"hello", ChecksumCRC32="AAAAAA==")
    assert code_of(error) == (400, "BadDigest")
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket="photos", Key="k", Body=b"hello", ChecksumCRC32="nonsense")
    assert code_of(error) == (400, "InvalidRequest")
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket="photos", Key="k", Body=b"hello", ContentMD5="nonsense")
    assert code_of(error) == (400, "InvalidDigest")
    with pytest.raises(ClientError) as error:
        s3.put_object(
            Bucket="photos", Key="k", Body=b"hello", ContentMD5="rL0Y20zC+Fzt72VPzMSk2A=="
        )
    assert code_of(error) == (400, "BadDigest")
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="photos", Key="k")
    assert code_of(error) == (404, "NoSuchKey")


def test_an_md5_is_a_checksum_like_the_others(s3: Any) -> None:
    """SDKs send it as a value that was computed before."""
    value = base64.b64encode(hashlib.md5(b"hello", usedforsecurity=False).digest()).decode()
    put = s3.put_object(Bucket="photos", Key="k", Body=b"hello", ChecksumMD5=value)
    assert (put["ChecksumMD5"], put["ChecksumType"]) == (value, "FULL_OBJECT")
    got = s3.get_object(Bucket="photos", Key="k", ChecksumMode="ENABLED")
    assert got["ChecksumMD5"] == value
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket="photos", Key="k", Body=b"other", ChecksumMD5=value)
    assert code_of(error) == (400, "BadDigest")


def test_a_default_checksum_is_computed_where_none_is_sent(client: Any, s3: Any) -> None:
    quiet = client("s3", config=Config(request_checksum_calculation="when_required"))
    put = quiet.put_object(Bucket="photos", Key="k", Body=b"hello")
    assert "ChecksumCRC64NVME" in put
    head = s3.head_object(Bucket="photos", Key="k", ChecksumMode="ENABLED")
    assert head["ChecksumCRC64NVME"] == put["ChecksumCRC64NVME"]


def test_headers_and_metadata_come_back(s3: Any) -> None:
    expires = datetime(2030, 1, 1, tzinfo=UTC)
    s3.put_object(
        Bucket="photos",
        Key="k",
        Body=b"x",
        ContentType="text/plain",
        CacheControl="max-age=60",
        ContentDisposition="attachment",
        ContentEncoding="gzip",
        ContentLanguage="de",
        Expires=expires,
        Metadata={"one": "1", "two": "a b"},
    )
    head = s3.head_object(Bucket="photos", Key="k")
    assert head["ContentType"] == "text/plain"
    assert head["CacheControl"] == "max-age=60"
    assert head["ContentDisposition"] == "attachment"
    assert head["ContentEncoding"] == "gzip"
    assert head["ContentLanguage"] == "de"
    assert head["Expires"] == expires
    assert head["Metadata"] == {"one": "1", "two": "a b"}
    assert head["LastModified"] == datetime(2026, 1, 1, tzinfo=UTC)


def test_response_parameters_override_headers(s3: Any) -> None:
    s3.put_object(Bucket="photos", Key="k", Body=b"x")
    got = s3.get_object(
        Bucket="photos",
        Key="k",
        ResponseContentType="foo/bar",
        ResponseCacheControl="no-cache",
        ResponseContentDisposition="bla",
        ResponseContentEncoding="aaa",
        ResponseContentLanguage="esperanto",
        ResponseExpires=datetime(2030, 1, 1, tzinfo=UTC),
    )
    assert got["ContentType"] == "foo/bar"
    assert got["CacheControl"] == "no-cache"
    assert got["ContentDisposition"] == "bla"
    assert got["ContentEncoding"] == "aaa"
    assert got["ContentLanguage"] == "esperanto"
    assert got["Expires"] == datetime(2030, 1, 1, tzinfo=UTC)


def test_a_range_is_partial_content(s3: Any) -> None:
    s3.put_object(Bucket="photos", Key="k", Body=LARGE)
    got = s3.get_object(Bucket="photos", Key="k", Range="bytes=5-9")
    assert got["Body"].read() == LARGE[5:10]
    assert got["ContentRange"] == f"bytes 5-9/{len(LARGE)}"
    assert status_of(got) == 206
    head = s3.head_object(Bucket="photos", Key="k", Range="bytes=-3")
    assert status_of(head) == 206
    assert head["ContentRange"] == f"bytes {len(LARGE) - 3}-{len(LARGE) - 1}/{len(LARGE)}"
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="photos", Key="k", Range=f"bytes={len(LARGE)}-")
    assert code_of(error) == (416, "InvalidRange")
    assert error.value.response["Error"]["ActualObjectSize"] == str(len(LARGE))


def test_reads_are_conditional(s3: Any) -> None:
    etag = s3.put_object(Bucket="photos", Key="k", Body=b"x")["ETag"]
    stored = datetime(2026, 1, 1, tzinfo=UTC)
    later, before = stored + timedelta(days=1), stored - timedelta(days=1)
    s3.get_object(Bucket="photos", Key="k", IfMatch=etag, IfUnmodifiedSince=later)
    s3.get_object(Bucket="photos", Key="k", IfNoneMatch='"x"', IfModifiedSince=before)
    for condition in ({"IfNoneMatch": etag}, {"IfModifiedSince": stored}):
        for read in (s3.get_object, s3.head_object):
            with pytest.raises(ClientError) as error:
                read(Bucket="photos", Key="k", **condition)
            assert code_of(error) == (304, "304")
    for condition in ({"IfMatch": '"x"'}, {"IfUnmodifiedSince": before}):
        with pytest.raises(ClientError) as error:
            s3.get_object(Bucket="photos", Key="k", **condition)
        assert code_of(error) == (412, "PreconditionFailed")


def test_a_304_says_which_copy_is_still_good(s3: Any) -> None:
    etag = s3.put_object(Bucket="photos", Key="k", Body=b"x")["ETag"]
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="photos", Key="k", IfNoneMatch=etag)
    headers = error.value.response["ResponseMetadata"]["HTTPHeaders"]
    assert headers["etag"] == etag
    assert headers["last-modified"] == "Thu, 01 Jan 2026 00:00:00 GMT"


def test_writes_are_conditional(s3: Any) -> None:
    etag = s3.put_object(Bucket="photos", Key="k", Body=b"1", IfNoneMatch="*")["ETag"]
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket="photos", Key="k", Body=b"2", IfNoneMatch="*")
    assert code_of(error) == (412, "PreconditionFailed")
    assert error.value.response["Error"]["Condition"] == "If-None-Match"
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket="photos", Key="nothing", Body=b"2", IfMatch=etag)
    assert code_of(error) == (404, "NoSuchKey")
    s3.put_object(Bucket="photos", Key="k", Body=b"2", IfMatch=etag)
    with pytest.raises(ClientError) as error:
        s3.delete_object(Bucket="photos", Key="k", IfMatch=etag)
    assert code_of(error) == (412, "PreconditionFailed")


def test_a_deleted_object_is_gone(s3: Any) -> None:
    s3.put_object(Bucket="photos", Key="k", Body=b"x")
    assert status_of(s3.delete_object(Bucket="photos", Key="k")) == 204
    assert status_of(s3.delete_object(Bucket="photos", Key="k")) == 204
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="photos", Key="k")
    assert code_of(error) == (404, "NoSuchKey")
    with pytest.raises(ClientError) as error:
        s3.head_object(Bucket="photos", Key="k")
    assert code_of(error) == (404, "404")


def test_many_objects_are_deleted_at_once(s3: Any) -> None:
    keys = [f"k{index}" for index in range(5)]
    for key in keys:
        s3.put_object(Bucket="photos", Key=key)
    entries = [{"Key": key} for key in keys]
    reply = s3.delete_objects(Bucket="photos", Delete={"Objects": entries[:3]})
    assert [entry["Key"] for entry in reply["Deleted"]] == keys[:3]
    reply = s3.delete_objects(Bucket="photos", Delete={"Objects": entries[3:], "Quiet": True})
    assert "Deleted" not in reply
    assert s3.list_objects_v2(Bucket="photos")["KeyCount"] == 0
    with pytest.raises(ClientError) as error:
        s3.delete_objects(Bucket="photos", Delete={"Objects": [{"Key": "k"}] * 1001})
    assert code_of(error) == (400, "MalformedXML")


def test_attributes_can_be_asked_for(s3: Any) -> None:
    put = s3.put_object(Bucket="photos", Key="k", Body=b"hello", ChecksumAlgorithm="SHA256")
    got = s3.get_object_attributes(
        Bucket="photos",
        Key="k",
        ObjectAttributes=["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"],
    )
    assert got["ETag"] == put["ETag"].strip('"')
    assert got["Checksum"]["ChecksumSHA256"] == put["ChecksumSHA256"]
    assert got["StorageClass"] == "STANDARD"
    assert got["ObjectSize"] == 5
    assert "ObjectParts" not in got


def test_keys_may_hold_anything(s3: Any) -> None:
    keys = ["ü/é", "a+b", "a%20b", " lead", "tail ", "a//b", "x?y=z#w", "'\"<&>", "\U0001f600"]
    for key in keys:
        s3.put_object(Bucket="photos", Key=key, Body=key.encode())
    for key in keys:
        assert s3.get_object(Bucket="photos", Key=key)["Body"].read() == key.encode()
    listed = [entry["Key"] for entry in s3.list_objects_v2(Bucket="photos")["Contents"]]
    assert listed == sorted(keys, key=lambda key: key.encode())
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket="photos", Key="k" * 1025)
    assert code_of(error) == (400, "KeyTooLongError")


@pytest.mark.parametrize(
    "more",
    [
        {"StorageClass": "GLACIER"},
        {"WebsiteRedirectLocation": "/x"},
    ],
)
def test_what_is_not_built_of_objects_says_so(s3: Any, more: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket="photos", Key="k", Body=b"x", **more)
    assert code_of(error) == (501, "NotImplemented")


def test_metadata_has_at_most_two_kilobytes(s3: Any) -> None:
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket="photos", Key="k", Metadata={"a": "x" * 3_000})
    assert code_of(error) == (400, "MetadataTooLarge")


def test_who_may_not_list_is_not_told_that_a_key_is_missing(client: Any, s3: Any) -> None:
    iam = client("iam")
    iam.create_user(UserName="reader")
    policy = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject",'
        '"Resource":"arn:aws:s3:::photos/*"}]}'
    )
    iam.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=policy)
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    reader = client("s3", access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])
    s3.put_object(Bucket="photos", Key="k", Body=b"x")
    assert reader.get_object(Bucket="photos", Key="k")["Body"].read() == b"x"
    with pytest.raises(ClientError) as error:
        reader.get_object(Bucket="photos", Key="nothing")
    assert code_of(error) == (403, "AccessDenied")
    with pytest.raises(ClientError) as error:
        reader.put_object(Bucket="photos", Key="k", Body=b"y")
    assert code_of(error) == (403, "AccessDenied")
    reply = reader.delete_objects(Bucket="photos", Delete={"Objects": [{"Key": "k"}]})
    assert reply["Errors"][0]["Code"] == "AccessDenied"


def test_the_mode_of_checksums_is_taken_in_small_letters(s3: Any) -> None:
    """The SDK for C++ sends ``x-amz-checksum-mode: enabled`` (pyarrow reads every object so)."""
    s3.put_object(Bucket="photos", Key="k", Body=b"hello", ChecksumAlgorithm="CRC32C")

    def ask(params: dict[str, Any], **_: Any) -> None:
        params["headers"]["x-amz-checksum-mode"] = "enabled"

    s3.meta.events.register("before-call.s3.HeadObject", ask)
    assert s3.head_object(Bucket="photos", Key="k")["ChecksumCRC32C"] == "mnG7TA=="


def test_an_empty_header_of_an_enumeration_asks_for_nothing(s3: Any) -> None:
    """s3fs sends ``x-amz-acl:`` with nothing behind it, which AWS takes."""
    s3.put_object(Bucket="photos", Key="k", Body=b"hello", ACL="", StorageClass="")
    assert s3.get_object(Bucket="photos", Key="k")["Body"].read() == b"hello"
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket="photos", Key="k", Body=b"hello", ACL="none")
    assert code_of(error) == (400, "InvalidArgument")
