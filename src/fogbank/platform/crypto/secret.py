"""What opens a keyring: the secret, of which kind, and how it is told.

Rule: this is all of encryption that the supervisor knows. It finds the secret and passes it on; who
opens the keyring with it checks the whole file. So nothing here ciphers or needs a library that does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from fogbank.base.errors import Corrupt

KEY_BYTES: Final = 32
FILE: Final = "file"
PASSPHRASE: Final = "passphrase"  # noqa: S105 (the name of a kind)
MAGIC: Final = b"fogbank keyring 1\n"
"""How the file of a keyring begins."""

Draw = Callable[[int], bytes]


class KeyRefused(Exception):
    """There is no key, or it is another one; the message says what to do. Nothing was changed."""


class Secret(msgspec.Struct, frozen=True):
    """What opens a keyring: the bytes of a root key, or a passphrase in UTF-8."""

    kind: str
    value: bytes

    def __repr__(self) -> str:
        """Return of what kind it is, and not what it is."""
        return f"Secret({self.kind})"


class Scrypt(msgspec.Struct, frozen=True):
    """How a passphrase becomes a key; the default takes 128 MiB and about half a second."""

    salt: bytes = b""
    cost: int = 17
    """The binary logarithm of the parameter N."""
    block: int = 8
    lanes: int = 1


def no_draw(_count: int) -> bytes:
    """Refuse to draw: who reads, or writes plain, needs no salt."""
    raise AssertionError("plain writes need no salt")


class _InTheOpen(msgspec.Struct, frozen=True):
    """What the line of JSON of a keyring says to everybody."""

    kind: str


_decode_open = msgspec.json.Decoder(_InTheOpen).decode


def kind_told(raw: bytes) -> str:
    """Return by what a keyring says that it is sealed: ``file`` or ``passphrase``.

    Raises:
        Corrupt: It says nothing of the kind.
    """
    try:
        kind = _decode_open(raw.removeprefix(MAGIC).partition(b"\n")[0]).kind
    except msgspec.DecodeError as error:
        raise Corrupt(f"the keyring is not what was written: {error}") from error
    if not raw.startswith(MAGIC) or kind not in {FILE, PASSPHRASE}:
        raise Corrupt("the keyring is not what was written")
    return kind
