"""Ciphertexts: any change is refused, and so is any other context."""

from __future__ import annotations

import os
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.services.kms.errors import InvalidCiphertextException
from fogbank.services.kms.rules import ciphertexts
from fogbank.services.kms.rules.ciphertexts import Header, canonical, find_header, opened, sealed

SECRET = bytes(range(32))
HEADER = Header("111122223333", "1234abcd-12ab-34cd-56ef-1234567890ab", 7)
CONTEXT = {"aws:s3:arn": "arn:aws:s3:::bucket/key", "é": "ü"}
contexts = st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=3)


def seal(plaintext: bytes = b"plain", context: dict[str, str] = CONTEXT) -> bytes:
    return sealed(SECRET, HEADER, plaintext, context, os.urandom)


@given(st.binary(max_size=4096), contexts)
def test_what_was_sealed_opens_under_its_context(plaintext: bytes, context: dict[str, str]) -> None:
    blob = seal(plaintext, context)
    assert find_header(blob) == HEADER
    assert opened(SECRET, blob, dict(reversed(context.items()))) == plaintext


@given(st.data())
def test_no_bit_can_be_changed(data: st.DataObject) -> None:
    blob = bytearray(seal())
    bit = data.draw(st.integers(0, len(blob) * 8 - 1))
    blob[bit // 8] ^= 1 << bit % 8
    with pytest.raises(InvalidCiphertextException):
        opened(SECRET, bytes(blob), CONTEXT)


@given(st.integers(0, 200))
def test_nothing_can_be_cut_off(keep: int) -> None:
    blob = seal()
    cut = blob[: min(keep, len(blob) - 1)]
    if find_header(cut) is not None:
        with pytest.raises(InvalidCiphertextException):
            opened(SECRET, cut, CONTEXT)


@given(contexts, contexts)
def test_no_two_contexts_have_one_form(one: dict[str, str], other: dict[str, str]) -> None:
    assert (canonical(one) == canonical(other)) is (one == other)
    if one != other:
        with pytest.raises(InvalidCiphertextException):
            opened(SECRET, seal(b"x", one), other)


def test_texts_of_a_context_do_not_run_into_each_other() -> None:
    alike = [{"ab": "c"}, {"a": "bc"}, {"a": "b", "c": ""}, {"abc": ""}, {"": "abc"}, {}]
    assert all(canonical(one) != canonical(other) for one, other in combinations(alike, 2))


def test_another_secret_opens_nothing() -> None:
    with pytest.raises(InvalidCiphertextException):
        opened(bytes(32), seal(), CONTEXT)


def test_each_ciphertext_is_made_with_a_salt_and_a_nonce_of_its_own() -> None:
    drawn: list[int] = []

    def draw(count: int) -> bytes:
        drawn.append(count)
        return os.urandom(count)

    blobs = {sealed(SECRET, HEADER, b"x", {}, draw) for _ in range(8)}
    assert len(blobs) == 8
    assert drawn == [16, 12] * 8


@pytest.mark.parametrize("blob", [b"", b"\x01", bytes(100), b"\x02" + bytes(99)])
def test_what_is_no_ciphertext_names_no_key(blob: bytes) -> None:
    assert find_header(blob) is None


def test_an_account_that_cannot_be_is_none() -> None:
    blob = bytearray(seal())
    blob[1:6] = b"\xff" * 5
    assert find_header(bytes(blob)) is None


def test_the_largest_plaintext_fits_the_largest_ciphertext() -> None:
    """Source: API Reference, Decrypt, ``CiphertextBlob``: at most 6,144 bytes."""
    assert len(seal(b"x" * 4096)) <= 6144
    assert ciphertexts.canonical({}) == b""
