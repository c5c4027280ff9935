"""The keyring: whoever has file and secret has the keys, and nobody else."""

from __future__ import annotations

import pytest

from fogbank.base.errors import Corrupt
from fogbank.base.ids import Ids
from fogbank.platform.crypto.keyring import (
    DataKey,
    data_keys,
    kind_of,
    open_keyring,
    seal_keyring,
    with_new_key,
)
from fogbank.platform.crypto.keys import ROWS
from fogbank.platform.crypto.secret import KeyRefused, Scrypt, Secret

ROOT = Secret("file", bytes(range(32)))
WORDS = Secret("passphrase", b"correct horse battery")
CHEAP = Scrypt(cost=4)
KEYS = [DataKey(1, 1_000, b"k" * 32), DataKey(2, 2_000, b"l" * 32)]


def counting(count: int) -> bytes:
    """Draw the same bytes always: only for golden bytes."""
    return bytes(range(count))


def test_a_keyring_opens_with_its_secret_and_with_no_other() -> None:
    for secret, other in (
        (ROOT, Secret("file", bytes(32))),
        (WORDS, Secret("passphrase", b"incorrect horse battery")),
    ):
        raw = seal_keyring(KEYS, secret, Ids.seeded(1).random_bytes, CHEAP)
        assert kind_of(raw) == secret.kind
        assert open_keyring(raw, secret) == KEYS
        with pytest.raises(KeyRefused, match="is not the one that sealed"):
            open_keyring(raw, other)
        with pytest.raises(KeyRefused, match="is needed"):
            open_keyring(raw, None)
        with pytest.raises(KeyRefused, match="another kind of secret"):
            open_keyring(raw, WORDS if secret is ROOT else ROOT)


def test_neither_keys_nor_secret_lie_in_the_file() -> None:
    for secret in (ROOT, WORDS):
        raw = seal_keyring(KEYS, secret, Ids.seeded(1).random_bytes, CHEAP)
        for hidden in (secret.value, b"k" * 32, b"l" * 32):
            assert hidden not in raw
            assert hidden.hex().encode() not in raw


def test_every_changed_byte_of_a_keyring_is_found() -> None:
    raw = seal_keyring(KEYS, ROOT, Ids.seeded(1).random_bytes)
    for at in range(len(raw)):
        with pytest.raises(Corrupt):
            open_keyring(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :], ROOT)
        with pytest.raises(Corrupt):
            open_keyring(raw[:at], ROOT)


def test_the_same_keys_are_never_sealed_with_the_same_subkey_twice() -> None:
    draw = Ids.seeded(1).random_bytes
    one, other = (seal_keyring(KEYS, ROOT, draw) for _ in range(2))
    assert one != other
    assert open_keyring(one, ROOT) == open_keyring(other, ROOT)


def test_a_new_key_seals_new_writes_and_the_old_ones_stay() -> None:
    draw = Ids.seeded(1).random_bytes
    keys = with_new_key(KEYS, draw, 3_000)
    assert keys[:2] == KEYS
    assert (keys[2].id, keys[2].made_ms, len(keys[2].key)) == (3, 3_000, 32)
    opened = data_keys(keys, draw, enabled=True)
    series = opened.series(ROWS)
    assert series is not None
    assert series.key_id == 3
    assert opened.export() == {key.id: key.key for key in keys}
    assert data_keys(keys, draw, enabled=False).series(ROWS) is None


def test_a_short_passphrase_is_refused() -> None:
    with pytest.raises(KeyRefused, match="at least 12"):
        seal_keyring(KEYS, Secret("passphrase", b"short"), Ids.seeded(1).random_bytes, CHEAP)


def test_secrets_do_not_print_themselves() -> None:
    assert "horse" not in repr(WORDS)
    assert "kkk" not in repr(KEYS)


def test_the_bytes_of_a_keyring_do_not_change_between_versions() -> None:
    assert seal_keyring(KEYS, ROOT, counting) == GOLDEN
    assert seal_keyring(KEYS[:1], WORDS, counting, CHEAP) == GOLDEN_PASSPHRASE
    assert open_keyring(GOLDEN, ROOT) == KEYS
    assert open_keyring(GOLDEN_PASSPHRASE, WORDS) == KEYS[:1]


GOLDEN = (
    b'fogbank keyring 1\n{"kind":"file","scrypt":null,"salt":"AAECAwQFBgcICQoLDA0ODw=="'
    b',"sealed":"cLcRO38l5a6BBndIyOoAwPJu+Z5TQ0yCnAKuUBoIqp1CuBR8Tp/C9gJ4o0rm+7XYQn2bT'
    b'5OF5udcdUi8VhEJLrdTxGmtVKqXakjv413WRfo7ZhM3ANAkhfjM095/lMw="}\n6e674d0b\n'
)
GOLDEN_PASSPHRASE = (
    b'fogbank keyring 1\n{"kind":"passphrase","scrypt":{"salt":"AAECAwQFBgcICQoLDA0ODw='
    b'=","cost":4,"block":8,"lanes":1},"salt":"AAECAwQFBgcICQoLDA0ODw==","sealed":"YCh'
    b'F0fD32sFVr448Jw2eLTxd1Vtes+6n/xzBRQTEle2u7U41QIwm2WCgA6Mp0UzRJMCC9fOmbaA="}\n63ce'
    b"59d9\n"
)
