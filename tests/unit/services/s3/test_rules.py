from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.platform.store import tuples
from fogbank.services.s3.errors import (
    IllegalLocationConstraintException,
    InvalidArgument,
    InvalidBucketName,
    InvalidLocationConstraint,
    InvalidRange,
    InvalidRequest,
    KeyTooLongError,
    MetadataTooLarge,
    NoSuchKey,
    NotModified,
    PreconditionFailed,
)
from fogbank.services.s3.rules import conditions
from fogbank.services.s3.rules.access import domain_of
from fogbank.services.s3.rules.copying import (
    CopySource,
    check_copy,
    copy_range_of,
    copy_source_of,
)
from fogbank.services.s3.rules.metadata import (
    header_members,
    headers_of,
    metadata_member,
    metadata_of,
    overrides_of,
)
from fogbank.services.s3.rules.names import check_bucket_name, check_key, region_of
from fogbank.services.s3.rules.ranges import span_of
from fogbank.services.s3.schema import OBJECTS, UPLOADS, ObjectRecord

NOW = 1_767_225_600_000
RECORD = ObjectRecord(etag="abc", size=3, modified_ms=NOW - 5_000, sequencer=1)


@pytest.mark.parametrize("name", ["abc", "a-b", "a.b.c", "1bucket", "a" * 63, "a--b", "x1.y2"])
def test_legal_bucket_names_pass(name: str) -> None:
    check_bucket_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "ab",
        "a" * 64,
        "Abc",
        "a_b",
        "-abc",
        "abc-",
        "a..b",
        "a.-b",
        "a-.b",
        ".abc",
        "192.168.5.4",
        "xn--abc",
        "sthree-abc",
        "abc-s3alias",
        "abc--ol-s3",
        "abc--x-s3",
        "abc.mrap",
        "b\n",
        "bücket",
        "abc\n",
    ],
)
def test_illegal_bucket_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidBucketName):
        check_bucket_name(name)


def test_us_east_1_creates_buckets_anywhere_and_others_at_home() -> None:
    assert region_of(None, "us-east-1") == "us-east-1"
    assert region_of("eu-central-1", "us-east-1") == "eu-central-1"
    assert region_of("EU", "us-east-1") == "eu-west-1"
    assert region_of("eu-west-1", "eu-west-1") == "eu-west-1"
    with pytest.raises(IllegalLocationConstraintException, match="unspecified"):
        region_of(None, "eu-west-1")
    with pytest.raises(IllegalLocationConstraintException, match="eu-west-2"):
        region_of("eu-west-2", "eu-west-1")
    for nowhere in ("us-east-1", "nowhere", ""):
        with pytest.raises(InvalidLocationConstraint):
            region_of(nowhere, "us-east-1")


def test_keys_have_at_most_1024_bytes_of_utf8() -> None:
    check_key("é" * 512)
    with pytest.raises(KeyTooLongError):
        check_key("é" * 512 + "x")


@given(st.text(min_size=1, max_size=1024).filter(lambda key: len(key.encode()) <= 1024))
def test_every_legal_key_fits_a_key_of_the_store(key: str) -> None:
    domain = domain_of("b" * 63)
    assert len(OBJECTS.key(domain, bytes(8), key)) <= 1_900
    assert len(UPLOADS.key(domain, bytes(8), key, "u" * 64)) <= 1_900


@given(st.lists(st.text(max_size=12), max_size=8))
def test_keys_lie_in_the_order_of_their_utf8_bytes(keys: list[str]) -> None:
    packed = sorted(keys, key=lambda key: tuples.pack(bytes(8), key))
    assert packed == sorted(keys, key=lambda key: key.encode())


@pytest.mark.parametrize(
    ("header", "begin", "end", "partial"),
    [
        (None, 0, 10, False),
        ("bytes=0-4", 0, 5, True),
        ("bytes=3-", 3, 10, True),
        ("bytes=-4", 6, 10, True),
        ("bytes=-40", 0, 10, True),
        ("bytes=5-500", 5, 10, True),
        ("bytes=0-1,3-4", 0, 10, False),
        ("bytes=4-1", 0, 10, False),
        ("bytes=-", 0, 10, False),
        ("lines=1-2", 0, 10, False),
        ("bytes=a-b", 0, 10, False),
        ("", 0, 10, False),
    ],
)
def test_a_range_is_what_it_says_or_is_ignored(
    header: str | None, begin: int, end: int, *, partial: bool
) -> None:
    span = span_of(header, 10)
    assert (span.begin, span.end, span.partial) == (begin, end, partial)


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0)])
def test_a_range_behind_the_end_cannot_be_satisfied(header: str, size: int) -> None:
    with pytest.raises(InvalidRange):
        span_of(header, size)


def check_read(**request: object) -> None:
    conditions.check_read(dict(request), RECORD, NOW)


def test_conditions_of_reads_are_asked_in_the_order_of_rfc_9110() -> None:
    check_read(IfMatch='"abc"', IfUnmodifiedSince=NOW - 60_000)
    check_read(IfMatch="*")
    check_read(IfNoneMatch='"x"', IfModifiedSince=NOW - 1_000)
    check_read(IfModifiedSince=NOW + 60_000)
    check_read(IfModifiedSince=NOW - 60_000)
    check_read(IfUnmodifiedSince=RECORD.modified_ms)
    for request in ({"IfMatch": "x"}, {"IfUnmodifiedSince": NOW - 60_000}):
        with pytest.raises(PreconditionFailed):
            check_read(**request)
    for request in (
        {"IfNoneMatch": 'W/"abc"'},
        {"IfNoneMatch": '"x", "abc"'},
        {"IfNoneMatch": "*"},
        {"IfModifiedSince": RECORD.modified_ms},
        {"IfMatch": "abc", "IfNoneMatch": "abc"},
    ):
        with pytest.raises(NotModified):
            check_read(**request)


def test_conditions_of_writes_look_at_what_is_replaced() -> None:
    conditions.check_write({}, None)
    conditions.check_write({"Key": "k", "IfMatch": "abc"}, RECORD)
    conditions.check_write({"Key": "k", "IfNoneMatch": "*"}, None)
    conditions.check_write({"Key": "k", "IfNoneMatch": "x"}, RECORD)
    with pytest.raises(NoSuchKey):
        conditions.check_write({"Key": "k", "IfMatch": "abc"}, None)
    for request in ({"IfMatch": "x"}, {"IfNoneMatch": "*"}, {"IfNoneMatch": '"abc"'}):
        with pytest.raises(PreconditionFailed):
            conditions.check_write(request, RECORD)


def test_conditions_of_removals_refuse_another_object_only() -> None:
    conditions.check_delete(None, "x", 1, 2)
    conditions.check_delete(RECORD, "abc", RECORD.modified_ms, 3)
    for etag, modified, size in (("x", None, None), (None, 1, None), (None, None, 4)):
        with pytest.raises(PreconditionFailed):
            conditions.check_delete(RECORD, etag, modified, size)


def test_conditions_on_the_source_of_a_copy_fail_with_412() -> None:
    conditions.check_copy_source({"CopySourceIfMatch": "abc"}, RECORD, NOW)
    for request in (
        {"CopySourceIfMatch": "x"},
        {"CopySourceIfNoneMatch": "abc"},
        {"CopySourceIfUnmodifiedSince": NOW - 60_000},
        {"CopySourceIfModifiedSince": NOW - 1_000},
    ):
        with pytest.raises(PreconditionFailed):
            conditions.check_copy_source(request, RECORD, NOW)


@pytest.mark.parametrize(
    ("header", "source"),
    [
        ("b/k", CopySource("b", "k")),
        ("/b/k/l", CopySource("b", "k/l")),
        ("b/a%20b%2Bc%3FversionId=1", CopySource("b", "a b+c?versionId=1")),
        ("b/k+l", CopySource("b", "k+l")),
        ("b/k?versionId=null", CopySource("b", "k", "null")),
    ],
)
def test_a_copy_source_is_decoded(header: str, source: CopySource) -> None:
    assert copy_source_of(header) == source


@pytest.mark.parametrize("header", ["", "b", "b/", "/b", "//k"])
def test_a_copy_source_without_bucket_or_key_is_refused(header: str) -> None:
    with pytest.raises(InvalidArgument, match="sourcebucket/sourcekey"):
        copy_source_of(header)


def test_a_version_that_cannot_be_is_no_source_of_a_copy() -> None:
    with pytest.raises(InvalidArgument, match="Invalid version id specified"):
        copy_source_of("b/k?versionId=7")


def test_a_copy_onto_itself_must_change_something() -> None:
    request = {"Bucket": "b", "Key": "k"}
    with pytest.raises(InvalidRequest, match="This copy request is illegal"):
        check_copy(request, CopySource("b", "k"))
    check_copy(request, CopySource("b", "l"))
    check_copy(request | {"MetadataDirective": "REPLACE"}, CopySource("b", "k"))
    check_copy(request | {"StorageClass": "STANDARD"}, CopySource("b", "k"))


def test_a_range_of_a_copy_lies_inside_of_the_source() -> None:
    assert copy_range_of(None, 9) == (0, 9)
    assert copy_range_of("bytes=2-4", 9) == (2, 5)
    for header in ("bytes=0-9", "0-2", "bytes=3", "bytes=a-b", "bytes=1-", "bytes=0-2,3-5"):
        with pytest.raises(InvalidArgument):
            copy_range_of(header, 9)
    with pytest.raises(InvalidRequest):
        copy_range_of("bytes=9-10", 9)


def test_system_headers_come_back_and_a_type_is_never_missing() -> None:
    headers = headers_of({"CacheControl": "no-cache", "Expires": NOW})
    assert header_members(headers) == {
        "ContentType": "binary/octet-stream",
        "CacheControl": "no-cache",
        "Expires": NOW,
    }


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("gzip", "gzip"),
        ("deflate, gzip", "deflate, gzip"),
        ("gzip, aws-chunked", "gzip"),
        ("aws-chunked,gzip", "gzip"),
        ("aws-chunked", ""),
        ("aws-chunked, aws-chunked", ""),
    ],
)
def test_the_framing_of_the_request_is_no_encoding_of_the_object(sent: str, kept: str) -> None:
    assert headers_of({"ContentEncoding": sent}).content_encoding == kept


def test_metadata_is_decoded_when_it_comes_and_encoded_when_it_leaves() -> None:
    stored = metadata_of({"Metadata": {"Name": "=?UTF-8?B?w6kgYQ==?=", "plain": "x y"}})
    assert stored == {"name": "é a", "plain": "x y"}
    sent = metadata_member(stored)
    assert sent["plain"] == "x y"
    assert sent["name"].isascii()
    assert metadata_of({"Metadata": sent}) == stored


@given(st.dictionaries(st.sampled_from(["a", "b"]), st.text(max_size=60)))
def test_metadata_that_leaves_fits_into_a_header(metadata: dict[str, str]) -> None:
    for value in metadata_member(metadata).values():
        assert value.isascii()
        assert "\n" not in value
        assert "\r" not in value


def test_metadata_has_at_most_two_kilobytes() -> None:
    metadata_of({"Metadata": {"a": "x" * 2_047}})
    with pytest.raises(MetadataTooLarge):
        metadata_of({"Metadata": {"a": "x" * 2_048}})


def test_response_parameters_override_headers_for_callers_with_a_name() -> None:
    request = {"ResponseContentType": "text/plain", "ResponseExpires": NOW}
    assert overrides_of(request, anonymous=False) == {"ContentType": "text/plain", "Expires": NOW}
    with pytest.raises(InvalidRequest):
        overrides_of(request, anonymous=True)
    with pytest.raises(InvalidArgument):
        overrides_of({"ResponseContentType": "\u4e00"}, anonymous=False)
