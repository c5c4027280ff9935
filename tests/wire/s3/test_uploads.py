from __future__ import annotations

import io
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

PART = b"p" * (5 << 20)


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[int, str]:
    response = error.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


@pytest.fixture
def s3(client: Any) -> Any:
    made = client("s3")
    made.create_bucket(Bucket="photos")
    return made


def begun(s3: Any, *parts: bytes, **more: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    upload = s3.create_multipart_upload(Bucket="photos", Key="k", **more)
    place = {"Bucket": "photos", "Key": "k", "UploadId": upload["UploadId"]}
    listed = []
    for number, part in enumerate(parts, start=1):
        reply = s3.upload_part(**place, PartNumber=number, Body=part)
        listed.append({"PartNumber": number, "ETag": reply["ETag"]})
    return place, listed


def test_parts_become_one_object(s3: Any) -> None:
    place, parts = begun(s3, PART, b"end", ContentType="text/plain", Metadata={"a": "1"})
    done = s3.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})
    assert done["Bucket"] == "photos"
    assert done["Key"] == "k"
    assert done["ETag"].endswith('-2"')
    assert done["ChecksumType"] == "FULL_OBJECT"
    again = s3.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})
    assert again["ETag"] == done["ETag"]
    got = s3.get_object(Bucket="photos", Key="k")
    assert got["Body"].read() == PART + b"end"
    assert got["ContentType"] == "text/plain"
    part = s3.get_object(Bucket="photos", Key="k", PartNumber=2)
    assert part["Body"].read() == b"end"
    assert part["PartsCount"] == 2
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="photos", Key="k", PartNumber=3)
    assert code_of(error) == (416, "InvalidPartNumber")


def test_transfers_of_boto3_work(s3: Any) -> None:
    content = bytes(range(256)) * (12 << 12)
    config = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
    s3.upload_fileobj(io.BytesIO(content), "photos", "k", Config=config)
    target = io.BytesIO()
    s3.download_fileobj("photos", "k", target, Config=config)
    assert target.getvalue() == content
    s3.copy({"Bucket": "photos", "Key": "k"}, "photos", "l", Config=config)
    assert s3.get_object(Bucket="photos", Key="l")["Body"].read() == content


def test_part_lists_that_make_no_object_are_refused(s3: Any) -> None:
    place, parts = begun(s3, b"small", b"end")

    def refused(listed: list[dict[str, Any]], **more: Any) -> tuple[int, str]:
        with pytest.raises(ClientError) as error:
            s3.complete_multipart_upload(**place, MultipartUpload={"Parts": listed}, **more)
        return code_of(error)

    assert refused(parts) == (400, "EntityTooSmall")
    assert refused(parts[::-1]) == (400, "InvalidPartOrder")
    assert refused([{"PartNumber": 9, "ETag": "x"}]) == (400, "InvalidPart")
    assert refused(parts[:1], MpuObjectSize=1) == (400, "InvalidRequest")
    with pytest.raises(ClientError) as error:
        s3.complete_multipart_upload(**place)
    assert code_of(error) == (400, "MalformedXML")


def test_uploads_and_their_parts_are_listed_until_they_end(s3: Any) -> None:
    place, _ = begun(s3, b"one", b"two", ChecksumAlgorithm="CRC32")
    (upload,) = s3.list_multipart_uploads(Bucket="photos")["Uploads"]
    assert upload["UploadId"] == place["UploadId"]
    assert upload["ChecksumType"] == "COMPOSITE"
    pages = s3.get_paginator("list_parts").paginate(**place, PaginationConfig={"PageSize": 1})
    assert [part["Size"] for page in pages for part in page["Parts"]] == [3, 3]
    listed = s3.list_parts(**place)
    assert listed["ChecksumAlgorithm"] == "CRC32"
    assert "ChecksumCRC32" in listed["Parts"][0]
    s3.abort_multipart_upload(**place)
    with pytest.raises(ClientError) as error:
        s3.list_parts(**place)
    assert code_of(error) == (404, "NoSuchUpload")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="photos")


def test_a_part_has_a_number_from_1_to_10000(s3: Any) -> None:
    place, _ = begun(s3)
    for number in (0, 10_001):
        with pytest.raises(ClientError) as error:
            s3.upload_part(**place, PartNumber=number, Body=b"x")
        assert code_of(error) == (400, "InvalidArgument")


@pytest.mark.parametrize(
    "algorithm",
    [
        *("CRC32", "CRC32C", "SHA1", "SHA256", "SHA512", "XXHASH64", "XXHASH3", "XXHASH128"),
    ],
)
def test_a_composite_checksum_is_that_of_the_parts(s3: Any, algorithm: str) -> None:
    member = f"Checksum{algorithm}"
    upload = s3.create_multipart_upload(Bucket="photos", Key="k", ChecksumAlgorithm=algorithm)
    place = {"Bucket": "photos", "Key": "k", "UploadId": upload["UploadId"]}
    part = s3.upload_part(**place, PartNumber=1, Body=b"x", ChecksumAlgorithm=algorithm)
    listed = [{"PartNumber": 1, "ETag": part["ETag"], member: part[member]}]
    done = s3.complete_multipart_upload(**place, MultipartUpload={"Parts": listed})
    assert done["ChecksumType"] == "COMPOSITE"
    assert done[member].endswith("-1")
    attributes = s3.get_object_attributes(
        Bucket="photos", Key="k", ObjectAttributes=["Checksum", "ObjectParts"]
    )
    assert attributes["ObjectParts"]["TotalPartsCount"] == 1
    assert attributes["ObjectParts"]["Parts"][0][member] == part[member]


@pytest.mark.parametrize("algorithm", ["SHA512", "MD5", "XXHASH64", "XXHASH3", "XXHASH128"])
def test_what_does_not_combine_is_no_checksum_of_a_whole_upload(s3: Any, algorithm: str) -> None:
    with pytest.raises(ClientError) as error:
        s3.create_multipart_upload(
            Bucket="photos", Key="k", ChecksumAlgorithm=algorithm, ChecksumType="FULL_OBJECT"
        )
    assert code_of(error) == (400, "InvalidRequest")


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME"])
def test_a_full_object_checksum_is_that_of_the_bytes(s3: Any, algorithm: str) -> None:
    member = f"Checksum{algorithm}"
    whole = s3.put_object(Bucket="photos", Key="l", Body=PART + b"x", ChecksumAlgorithm=algorithm)
    upload = s3.create_multipart_upload(
        Bucket="photos", Key="k", ChecksumAlgorithm=algorithm, ChecksumType="FULL_OBJECT"
    )
    place = {"Bucket": "photos", "Key": "k", "UploadId": upload["UploadId"]}
    listed = []
    for number, body in enumerate((PART, b"x"), start=1):
        part = s3.upload_part(**place, PartNumber=number, Body=body, ChecksumAlgorithm=algorithm)
        listed.append({"PartNumber": number, "ETag": part["ETag"]})
    done = s3.complete_multipart_upload(
        **place,
        MultipartUpload={"Parts": listed},
        ChecksumType="FULL_OBJECT",
        **{member: whole[member]},
    )
    assert done[member] == whole[member]
