from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.base.errors import Corrupt
from fogbank.platform.store.seal import SEAL_BYTES, check_of, seal, unseal

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
    from awscrt.checksums import crc32c  # noqa: PLC0415

    body = b"\x01value"
    with pytest.raises(Corrupt):
        unseal(KEY, body + crc32c(KEY + body).to_bytes(4))


def test_the_bytes_of_a_sealed_value_do_not_change_between_versions() -> None:
    assert seal(b"key", b"value").hex() == "00" + b"value".hex() + "07c60363"
