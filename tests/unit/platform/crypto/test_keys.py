"""Subkeys and series: nonces only grow, and no two series share a subkey."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from fogbank.base.errors import Corrupt
from fogbank.base.ids import Ids
from fogbank.platform.crypto.keys import BLOBS, LOG, ROWS, DataKeys, Series, subkey, unsealed
from fogbank.platform.crypto.secret import no_draw

KEY = bytes(range(32))
SALT = bytes(range(16))


def series_of(keys: DataKeys) -> Series:
    series = keys.series(ROWS)
    assert series is not None
    return series


def test_a_subkey_is_the_first_block_of_hkdf_expand() -> None:
    for purpose in (ROWS, LOG, BLOBS):
        expand = HKDFExpand(SHA256(), 32, purpose + SALT)
        assert subkey(KEY, purpose, SALT) == expand.derive(KEY)
    assert len({subkey(KEY, purpose, SALT) for purpose in (ROWS, LOG, BLOBS)}) == 3


def test_a_series_seals_at_no_place_twice_and_at_none_below() -> None:
    series = series_of(DataKeys({1: KEY}, active=1, draw=Ids.seeded(1).random_bytes))
    series.seal(5, b"body", b"about")
    for place in (5, 4, 0):
        with pytest.raises(AssertionError, match="a nonce is never used twice"):
            series.seal(place, b"body", b"about")
    series.seal(6, b"body", b"about")


def test_what_was_sealed_opens_only_at_its_place_and_about_the_same() -> None:
    keys = DataKeys({1: KEY}, active=1, draw=Ids.seeded(1).random_bytes)
    series = series_of(keys)
    sealed = series.seal(7, b"body", b"about")
    cipher = keys.cipher(series.key_id, ROWS, series.salt)
    assert unsealed(cipher, 7, sealed, b"about") == b"body"
    for place, raw, about in (
        (8, sealed, b"about"),
        (7, sealed, b"else"),
        (7, sealed[:-1], b"about"),
        (7, bytes([sealed[0] ^ 1]) + sealed[1:], b"about"),
        (7, b"", b"about"),
    ):
        with pytest.raises(Corrupt):
            unsealed(cipher, place, raw, about)
    with pytest.raises(Corrupt):
        unsealed(keys.cipher(1, LOG, series.salt), 7, sealed, b"about")


def test_every_series_draws_a_salt_of_its_own() -> None:
    keys = DataKeys({1: KEY}, active=1, draw=Ids.seeded(1).random_bytes)
    assert len({series_of(keys).salt for _ in range(100)}) == 100


def test_without_an_active_key_new_writes_stay_plain_and_old_ones_open() -> None:
    sealed = series_of(DataKeys({1: KEY}, active=1, draw=lambda _: SALT)).seal(0, b"body", b"")
    keys = DataKeys({1: KEY}, active=None, draw=no_draw)
    assert keys.series(ROWS) is None
    assert unsealed(keys.cipher(1, ROWS, SALT), 0, sealed, b"") == b"body"
    with pytest.raises(Corrupt, match="data key 2"):
        keys.cipher(2, ROWS, SALT)


def test_keys_do_not_print_themselves() -> None:
    assert KEY.hex() not in repr(DataKeys({1: KEY}, active=1, draw=no_draw))
    assert repr(KEY) not in repr(DataKeys({1: KEY}, active=1, draw=no_draw))
