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
        (
            "SHA512",
            (
                "d9e6762dd1c8eaf6d61b3c6192fc408d4d6d5f1176d0c29169bc24e71c3f274a"
                "d27fcd5811b313d681f7e55ec02d73d499c95455b6b5bb503acf574fba8ffe85"
            ),
        ),
        # Computed with the library of xxHash's author.
        ("XXHASH64", "8cb841db40e6ae83"),
    ],
)
def test_nine_digits_have_the_published_checksum(algorithm: str, expected: str) -> None:
    assert digest_of(algorithm, b"123456789").hex() == expected
    hasher = hasher_of(algorithm)
    for byte in b"123456789":
        hasher.update(bytes([byte]))
    assert hasher.digest().hex() == expected


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("XXHASH64", "ef46db3751d8e999"),
        ("XXHASH3", "2d06800538d394c2"),
        ("XXHASH128", "99aa06d3014798d86001c324468d497f"),
    ],
)
def test_nothing_has_the_hash_that_xxhash_publishes(algorithm: str, expected: str) -> None:
    """The specification of xxHash; digests may be asked for again."""
    hasher = hasher_of(algorithm)
    assert (hasher.digest().hex(), hasher.digest().hex()) == (expected, expected)
    pieces = hasher_of(algorithm)
    for piece in (b"1234", b"", b"56789" * 100):
        pieces.update(piece)
    assert pieces.digest() == digest_of(algorithm, b"1234" + b"56789" * 100)


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
