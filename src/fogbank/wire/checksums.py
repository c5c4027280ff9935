"""The checksums of S3, incremental, and their combination over parts.

Rule: a hasher takes bytes and gives a digest as bytes; on the wire a digest is base64. CRCs of
parts combine into the CRC of the whole without reading it (a *full object* checksum); the other
algorithms give a *composite*: the checksum of the parts' digests, and a dash and their number.

Theory: appending n zero bytes to a message multiplies its CRC register, a polynomial over GF(2),
by x^(8n) modulo the generator; a CRC is linear, so ``crc(a+b) = shift(crc(a), len(b)) ^ crc(b)``
(zlib's ``crc32_combine``).

Source: S3 user guide, "Checking object integrity".
"""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode
from binascii import Error, a2b_base64
from collections.abc import Callable, Iterable
from typing import Protocol, cast

from awscrt import checksums as crt

from fogbank.wire.errors import InvalidRequest

Buffer = bytes | bytearray | memoryview


class Hasher(Protocol):
    """An incremental checksum."""

    def update(self, data: Buffer, /) -> None:
        """Add bytes."""
        ...

    def digest(self) -> bytes:
        """Return the checksum of everything added so far."""
        ...


class _Crc:
    """An incremental CRC."""

    __slots__ = ("_step", "_value", "_width")

    def __init__(self, step: Callable[[Buffer, int], int], width: int) -> None:
        self._step = step
        self._width = width
        self._value = 0

    def update(self, data: Buffer, /) -> None:
        """Add bytes."""
        self._value = self._step(data, self._value)

    def digest(self) -> bytes:
        """Return the CRC, most significant byte first."""
        return self._value.to_bytes(self._width, "big")


class _XxHash:
    """An incremental xxHash, whose digest can be asked for more than once."""

    __slots__ = ("_digest", "_hash")

    def __init__(self, made: crt.XXHash) -> None:
        self._hash = made
        self._digest: bytes | None = None

    def update(self, data: Buffer, /) -> None:
        """Add bytes; none come behind a digest."""
        assert self._digest is None, "a digest is of everything"
        # Its binding takes bytes that nobody can change, and no view of others.
        self._hash.update(data if isinstance(data, bytes) else bytes(data))

    def digest(self) -> bytes:
        """Return the hash in its canonical form: most significant byte first."""
        if self._digest is None:
            self._digest = self._hash.finalize()
        return self._digest


def crc32(data: Buffer, value: int = 0) -> int:
    """Return the CRC-32 of ISO-HDLC, continued from ``value``."""
    return zlib.crc32(data, value)


def crc32c(data: Buffer, value: int = 0) -> int:
    """Return the CRC-32C of Castagnoli, continued from ``value``."""
    return crt.crc32c(cast("bytes", data), value)


def crc64nvme(data: Buffer, value: int = 0) -> int:
    """Return the CRC-64/NVME, continued from ``value``."""
    return crt.crc64nvme(cast("bytes", data), value)


def _md5() -> Hasher:
    return hashlib.md5(usedforsecurity=False)


def _sha1() -> Hasher:
    return hashlib.sha1(usedforsecurity=False)


_HASHERS: dict[str, Callable[[], Hasher]] = {
    "CRC32": lambda: _Crc(crc32, 4),
    "CRC32C": lambda: _Crc(crc32c, 4),
    "CRC64NVME": lambda: _Crc(crc64nvme, 8),
    "SHA1": _sha1,
    "SHA256": hashlib.sha256,
    "SHA512": hashlib.sha512,
    "MD5": _md5,
    "XXHASH64": lambda: _XxHash(crt.XXHash.new_xxhash64()),
    "XXHASH3": lambda: _XxHash(crt.XXHash.new_xxhash3_64()),
    "XXHASH128": lambda: _XxHash(crt.XXHash.new_xxhash3_128()),
}
_DIGEST_BYTES = {
    "CRC32": 4,
    "CRC32C": 4,
    "CRC64NVME": 8,
    "SHA1": 20,
    "SHA256": 32,
    "SHA512": 64,
    "MD5": 16,
    "XXHASH64": 8,
    "XXHASH3": 8,
    "XXHASH128": 16,
}
_COMBINE: dict[str, Callable[[int, int, int], int]] = {
    "CRC32": crt.combine_crc32,
    "CRC32C": crt.combine_crc32c,
    "CRC64NVME": crt.combine_crc64nvme,
}
"""From two CRCs and the length of the second part to the CRC of both: a microsecond each."""

ALGORITHMS = tuple(_DIGEST_BYTES)
"""The algorithms of ``x-amz-checksum-*``: all of the model's."""
LINEAR = frozenset(_COMBINE)
"""Those whose checksums of parts combine into that of the whole."""


def header_of(algorithm: str) -> str:
    """Return the header that carries a checksum."""
    return f"x-amz-checksum-{algorithm.lower()}"


def hasher_of(algorithm: str) -> Hasher:
    """Return a fresh hasher.

    Raises:
        InvalidRequest: There is no such algorithm.
    """
    make = _HASHERS.get(algorithm)
    if make is None:
        raise InvalidRequest(
            "Checksum algorithm provided is unsupported. Please try again with any of the valid "
            f"types: [{', '.join(ALGORITHMS)}]"
        )
    return make()


def digest_of(algorithm: str, data: Buffer) -> bytes:
    """Return the checksum of bytes at hand."""
    hasher = hasher_of(algorithm)
    hasher.update(data)
    return hasher.digest()


def text_of(digest: bytes) -> str:
    """Return a digest as it stands on the wire."""
    return b64encode(digest).decode("ascii")


def find_digest(algorithm: str, text: str) -> bytes | None:
    """Return the digest that a text on the wire stands for, or None if it cannot be one."""
    try:
        digest = a2b_base64(text, strict_mode=True)
    except (Error, ValueError):
        return None
    return digest if len(digest) == _DIGEST_BYTES.get(algorithm) else None


def combined(algorithm: str, first: bytes, second: bytes, second_length: int) -> bytes:
    """Return the CRC of a concatenation from the CRCs of its two parts.

    Args:
        algorithm: One of the CRCs.
        first: The CRC of the first part.
        second: The CRC of the second part.
        second_length: How many bytes the second part has.
    """
    combine = _COMBINE[algorithm]
    register = combine(int.from_bytes(first, "big"), int.from_bytes(second, "big"), second_length)
    return register.to_bytes(_DIGEST_BYTES[algorithm], "big")


def full_object(algorithm: str, parts: Iterable[tuple[bytes, int]]) -> bytes:
    """Return the CRC of a whole object from the CRCs and lengths of its parts in order."""
    whole = bytes(_DIGEST_BYTES[algorithm])
    for digest, length in parts:
        whole = combined(algorithm, whole, digest, length)
    return whole


def composite(algorithm: str, parts: Iterable[bytes]) -> str:
    """Return the checksum of checksums of parts, as it stands on the wire."""
    digests = list(parts)
    return f"{text_of(digest_of(algorithm, b''.join(digests)))}-{len(digests)}"


def multipart_etag(parts: Iterable[bytes]) -> str:
    """Return the entity tag of a multipart object from the MD5 digests of its parts."""
    digests = list(parts)
    return f"{digest_of('MD5', b''.join(digests)).hex()}-{len(digests)}"
