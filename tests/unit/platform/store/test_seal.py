from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.base.errors import Corrupt
from fogbank.platform.crypto.keys import ROWS, Cipher, DataKeys, Series
from fogbank.platform.crypto.secret import KeyRefused
from fogbank.platform.store.seal import (
    SEAL_BYTES,
    SEALED_BYTES,
    check_of,
    seal,
    seal_with,
    unseal,
)

KEY = b"\x02domain\x04key"


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_a_sealed_value_opens_at_its_key(key: bytes, body: bytes) -> None:
    raw = seal(key, body)
    assert len(raw) == len(body) + SEAL_BYTES
    assert unseal(key, raw) == body
    assert check_of(raw) == int.from_bytes(raw[-4:])


def test_every_changed_bit_is_found() -> None:
    raw = seal(KEY, b"value")
    for at in range(len(raw)):
        for bit in range(8):
            changed = bytearray(raw)
            changed[at] ^= 1 << bit
            with pytest.raises(Corrupt):
                unseal(KEY, bytes(changed))


def test_every_cut_is_found() -> None:
    raw = seal(KEY, b"value")
    for size in range(len(raw)):
        with pytest.raises(Corrupt):
            unseal(KEY, raw[:size])
    with pytest.raises(Corrupt):
        unseal(KEY, raw + b"\0")


def test_a_value_at_another_key_is_damage() -> None:
    with pytest.raises(Corrupt, match="another"):
        unseal(b"another", seal(KEY, b"value"))


def test_a_scheme_that_is_not_known_is_refused() -> None:
    from awscrt.checksums import crc32c  # noqa: PLC0415 (only this test needs it)

    body = b"\x02value" + bytes(50)
    with pytest.raises(Corrupt):
        unseal(KEY, body + crc32c(KEY + body).to_bytes(4))


DATA_KEYS = DataKeys({3: bytes(range(32))}, active=3, draw=lambda count: bytes(range(count)))


def series() -> Series:
    made = DATA_KEYS.series(ROWS)
    assert made is not None
    return made


def cipher_of(row_key: int) -> Cipher:
    assert row_key == 7
    return DATA_KEYS.cipher(3, ROWS, bytes(range(16)))


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_an_encrypted_value_opens_at_its_key(key: bytes, body: bytes) -> None:
    raw = seal_with(series(), 7, key, body)
    assert len(raw) == len(body) + SEALED_BYTES
    assert unseal(key, raw, cipher_of) == body
    assert check_of(raw) == int.from_bytes(raw[-4:])


def test_every_changed_bit_and_every_cut_of_an_encrypted_value_is_found() -> None:
    raw = seal_with(series(), 7, KEY, b"value")
    ciphers: dict[int, Cipher] = {7: cipher_of(7)}

    def found(row_key: int) -> Cipher:
        if row_key not in ciphers:
            raise Corrupt("there is no such row key")
        return ciphers[row_key]

    for at in range(len(raw)):
        for bit in range(8):
            changed = bytearray(raw)
            changed[at] ^= 1 << bit
            with pytest.raises(Corrupt):
                unseal(KEY, bytes(changed), found)
        with pytest.raises(Corrupt):
            unseal(KEY, raw[:at], found)
    with pytest.raises(Corrupt, match="another"):
        unseal(b"another", raw, found)


def test_an_encrypted_value_does_not_open_without_a_key() -> None:
    with pytest.raises(KeyRefused, match="there is no key"):
        unseal(KEY, seal_with(series(), 7, KEY, b"value"))


def test_two_values_of_a_series_never_share_a_nonce() -> None:
    one = series()
    assert len({seal_with(one, 7, KEY, b"value")[:9] for _ in range(1_000)}) == 1_000


def test_the_bytes_of_an_encrypted_value_do_not_change_between_versions() -> None:
    raw = seal_with(series(), 7, b"key", b"value")
    assert raw.hex() == "0100000007000000005751bbe1326dcbce4170b8cc8830e149d63235ee24"
    assert unseal(b"key", raw, cipher_of) == b"value"


def test_the_bytes_of_a_sealed_value_do_not_change_between_versions() -> None:
    assert seal(b"key", b"value").hex() == "00" + b"value".hex() + "07c60363"
