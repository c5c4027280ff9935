from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.services.s3.errors import BadDigest, InvalidDigest, InvalidRequest
from fogbank.services.s3.rules.checksums import (
    DEFAULT,
    Digests,
    Expected,
    checksum_members,
    checksum_value,
    combined_of,
    composite_of,
    expected_of,
    upload_kind,
)
from fogbank.services.s3.schema import Checksum
from fogbank.wire.checksums import digest_of, text_of

CRCS = ("CRC32", "CRC32C", "CRC64NVME")


def value(algorithm: str, data: bytes) -> str:
    return text_of(digest_of(algorithm, data))


def verified(
    request: dict[str, str], data: bytes, headers: dict[str, str] | None = None
) -> Digests:
    digests = Digests(expected_of(request, headers or {}))
    digests.update(data)
    digests.verify({name: text for name, text in (headers or {}).items() if "checksum" in name})
    return digests


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_a_checksum_in_a_header_is_verified_and_kept(algorithm: str) -> None:
    request = {f"Checksum{algorithm}": value(algorithm, b"hello")}
    assert verified(request, b"hello").checksum.algorithm == algorithm
    with pytest.raises(BadDigest, match=algorithm):
        verified(request, b"jello")


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA256"])
def test_a_checksum_in_a_trailer_is_verified_and_kept(algorithm: str) -> None:
    name = f"x-amz-checksum-{algorithm.lower()}"
    request = {"ChecksumAlgorithm": algorithm}
    digests = Digests(expected_of(request, {"x-amz-trailer": name}))
    digests.update(b"hello")
    digests.verify({name: value(algorithm, b"hello")})
    with pytest.raises(BadDigest):
        digests.verify({name: value(algorithm, b"jello")})
    with pytest.raises(InvalidRequest):
        digests.verify({})
    with pytest.raises(InvalidRequest):
        digests.verify({name: "?"})


def test_a_default_checksum_is_computed_where_none_is_sent() -> None:
    assert verified({}, b"hello").checksum == Checksum(DEFAULT, digest_of(DEFAULT, b"hello"))


def test_content_md5_is_verified() -> None:
    good = base64.b64encode(hashlib.md5(b"hello").digest()).decode()
    assert verified({"ContentMD5": good}, b"hello").etag == hashlib.md5(b"hello").hexdigest()
    with pytest.raises(BadDigest):
        verified({"ContentMD5": good}, b"jello")
    for bad in ("", "x", "YWJj"):
        with pytest.raises(InvalidDigest):
            verified({"ContentMD5": bad}, b"hello")


@pytest.mark.parametrize(
    ("request_members", "trailer"),
    [
        ({"ChecksumCRC32": "AAAAAA==", "ChecksumSHA1": "x"}, ""),
        ({"ChecksumCRC32": "AAAAAA=="}, "x-amz-checksum-crc32"),
        ({"ChecksumCRC32": "AAAA"}, ""),
        ({"ChecksumCRC32": "?"}, ""),
        ({"ChecksumAlgorithm": "SHA256"}, ""),
        ({"ChecksumAlgorithm": "SHA256", "ChecksumCRC32": "AAAAAA=="}, ""),
        ({}, "x-amz-checksum-crc32, x-amz-checksum-sha1"),
        ({}, "x-amz-checksum-rot13"),
    ],
)
def test_checksum_headers_that_contradict_each_other_are_refused(
    request_members: dict[str, str], trailer: str
) -> None:
    with pytest.raises(InvalidRequest):
        expected_of(request_members, {"x-amz-trailer": trailer})


def test_the_algorithm_of_an_upload_is_kept_beside_the_one_that_was_sent() -> None:
    request = {"ChecksumCRC32": value("CRC32", b"hello")}
    digests = Digests(expected_of(request, {}, "SHA256"))
    digests.update(b"hello")
    digests.verify({})
    assert digests.checksum.algorithm == "SHA256"
    assert digests.given_checksum() == Checksum("CRC32", digest_of("CRC32", b"hello"))


@given(st.sampled_from(CRCS), st.lists(st.binary(max_size=40), max_size=5))
def test_crcs_of_parts_combine_to_the_crc_of_the_whole(algorithm: str, parts: list[bytes]) -> None:
    pairs = [(digest_of(algorithm, part), len(part)) for part in parts]
    assert combined_of(algorithm, pairs).value == digest_of(algorithm, b"".join(parts))


def test_a_composite_checksum_says_of_how_many_parts_it_is() -> None:
    # ceph/s3-tests, test_multipart_checksum_sha256.
    part = base64.b64decode("arcu6553sHVAiX4MjW0j7I7vD4w6R+Gz9Ok0Q9lTa+0=")
    checksum = composite_of("SHA256", [part])
    text = "Ok6Cs5b96ux6+MWQkJO7UBT5sKPBeXBLwvj/hK89smg="
    assert checksum_members(checksum) == {
        "ChecksumSHA256": f"{text}-1",
        "ChecksumType": "COMPOSITE",
    }
    assert checksum_value(checksum) == {"ChecksumSHA256": f"{text}-1"}
    bare = Checksum(checksum.algorithm, checksum.value)
    assert checksum_value(bare) == {"ChecksumSHA256": text}


@pytest.mark.parametrize(
    ("algorithm", "kind", "composite"),
    [
        ("CRC32", None, True),
        ("CRC32", "FULL_OBJECT", False),
        ("CRC64NVME", None, False),
        ("SHA256", "COMPOSITE", True),
    ],
)
def test_an_upload_has_a_type_of_checksum(
    algorithm: str, kind: str | None, *, composite: bool
) -> None:
    request = {"ChecksumAlgorithm": algorithm} | ({"ChecksumType": kind} if kind else {})
    assert upload_kind(request) == (algorithm, composite)


@pytest.mark.parametrize(
    "request_members",
    [
        {"ChecksumType": "COMPOSITE"},
        {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "COMPOSITE"},
        {"ChecksumAlgorithm": "SHA1", "ChecksumType": "FULL_OBJECT"},
        {"ChecksumAlgorithm": "CRC16"},
    ],
)
def test_types_that_an_algorithm_cannot_have_are_refused(request_members: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        upload_kind(request_members)


def test_an_expected_trailer_has_a_name_only_while_its_value_is_to_come() -> None:
    assert Expected("CRC32").trailing == ""
    assert Expected("CRC32", "CRC32").trailing == "x-amz-checksum-crc32"
    assert Expected("CRC32", "CRC32", b"1234").trailing == ""
