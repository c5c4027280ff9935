"""Checksums: known values, and CRCs of parts against the CRC of the whole."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fogbank.wire.checksums import (
    combined,
    composite,
    digest_of,
    find_digest,
    full_object,
    hasher_of,
    header_of,
    multipart_etag,
    text_of,
)
from fogbank.wire.errors import InvalidRequest

CRCS = ("CRC32", "CRC32C", "CRC64NVME")


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        # The check values of the catalogue of parametrised CRC algorithms.
        ("CRC32", "cbf43926"),
        ("CRC32C", "e3069283"),
        ("CRC64NVME", "ae8b14860a799888"),
        ("MD5", "25f9e794323b453885f5181f1b624d0b"),
        ("SHA1", "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
        ("SHA256", "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"),
    ],
)
def test_nine_digits_have_the_published_checksum(algorithm: str, expected: str) -> None:
    assert digest_of(algorithm, b"123456789").hex() == expected
    hasher = hasher_of(algorithm)
    for byte in b"123456789":
        hasher.update(bytes([byte]))
    assert hasher.digest().hex() == expected


@pytest.mark.parametrize("algorithm", CRCS)
@settings(max_examples=30, deadline=None)
@given(parts=st.lists(st.binary(max_size=200), max_size=6))
def test_crcs_of_parts_combine_into_the_crc_of_the_whole(
    algorithm: str, parts: list[bytes]
) -> None:
    told = [(digest_of(algorithm, part), len(part)) for part in parts]
    assert full_object(algorithm, told) == digest_of(algorithm, b"".join(parts))


@pytest.mark.parametrize("algorithm", CRCS)
def test_combining_costs_nothing_for_large_parts(algorithm: str) -> None:
    zeros = bytes(8 << 20)
    first = digest_of(algorithm, b"head")
    got = combined(algorithm, first, digest_of(algorithm, zeros), len(zeros))
    assert got == digest_of(algorithm, b"head" + zeros)


def test_a_composite_is_the_checksum_of_the_digests_and_their_number() -> None:
    digests = [digest_of("SHA256", b"one"), digest_of("SHA256", b"two")]
    assert composite("SHA256", digests) == f"{text_of(digest_of('SHA256', b''.join(digests)))}-2"


def test_a_multipart_entity_tag_is_the_md5_of_the_md5s() -> None:
    digests = [digest_of("MD5", b"one"), digest_of("MD5", b"two")]
    assert multipart_etag(digests) == f"{digest_of('MD5', b''.join(digests)).hex()}-2"


def test_only_a_text_of_the_right_length_is_a_digest() -> None:
    assert find_digest("CRC32", "y/Q5Jg==") == bytes.fromhex("cbf43926")
    for text in ("", "y/Q5", "not base64", "y/Q5Jg", "AAAAAAAAAAA="):
        assert find_digest("CRC32", text) is None


def test_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        hasher_of("CRC16")
    assert header_of("CRC64NVME") == "x-amz-checksum-crc64nvme"
