"""The sealed entries of an encrypted blob file, and what opens and seals its frames.

Each file has a series of ``platform/crypto/keys.py`` of its own, under a fresh salt, so that writing
a name again after a failure seals with another subkey. Its places: frame i at 2 i, the entry of
frame i at 2 i + 1, the footer at 2**64. A frame is sealed about the blob and place it was *first*
written to, its *origin*, and the entry says which, with origin's key id and salt and the frame's
tag; the entry is sealed about the blob and place where it stands. So a kernel can copy a frame into
another blob, and only its entry is made anew. The bytes of a frame are as long encrypted as plain.

A file may be *locked*: its series is of a key that its reader brings, and the id of a data key is
that of none. Whoever has only the keyring sees checks, and no byte; no rotation concerns it.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple, Self, cast

from awscrt.checksums import crc32c

from fogbank.base.errors import Corrupt
from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.crypto.keys import (
    BLOBS,
    LOCKED,
    SALT_BYTES,
    TAG_BYTES,
    Cipher,
    Opens,
    Series,
    unsealed,
)

_ENTRY: Final = struct.Struct(f">IHQQI{SALT_BYTES}s{TAG_BYTES}s")
ENTRY_BYTES: Final = _ENTRY.size + TAG_BYTES
_BLOCK: Final = struct.Struct(f">I{SALT_BYTES}s{TAG_BYTES}s")  # data key, salt, tag of the footer
BLOCK_BYTES: Final = _BLOCK.size
_PLACE: Final = struct.Struct(">HQQ")
_FOOTER_PLACE: Final = 1 << 64
_ORIGINS_MAX: Final = 64
"""So many ciphers of other blobs are kept while a file is read."""


def place_of(ref: BlobRef, index: int) -> bytes:
    """Return the name of a frame's place in all blobs."""
    return _PLACE.pack(ref.incarnation, ref.number, index)


def mask_of(ref: BlobRef, index: int) -> int:
    """Return what the check of a frame is mixed with."""
    return crc32c(place_of(ref, index))


class Entry(NamedTuple):
    """What the table says of one frame."""

    check: int
    """The CRC-32C of its bytes as they lie in the file, mixed with the mask of its place."""
    from_incarnation: int
    """The place it was first written to."""
    from_number: int
    from_index: int
    key_id: int
    salt: bytes
    tag: bytes

    def about(self) -> bytes:
        """Return what the frame is sealed about."""
        return _PLACE.pack(self.from_incarnation, self.from_number, self.from_index)

    def moved(self, check: int) -> Self:
        """Return the entry of a copy, at a place with another mask."""
        return self._replace(check=check)


class FileSealer:
    """Seals the frames, entries and footer of one file, in order."""

    def __init__(self, series: Series, ref: BlobRef) -> None:
        self._series = series
        self._ref = ref

    def seal(self, index: int, frame: bytes | memoryview) -> tuple[memoryview, Entry]:
        """Return the bytes of a frame as they shall lie in the file, and its entry."""
        series, ref = self._series, self._ref
        sealed = memoryview(series.seal(2 * index, frame, place_of(ref, index)))
        body, tag = sealed[:-TAG_BYTES], bytes(sealed[-TAG_BYTES:])
        check = crc32c(cast("bytes", body)) ^ mask_of(ref, index)
        entry = Entry(check, ref.incarnation, ref.number, index, series.key_id, series.salt, tag)
        return body, entry

    def entry(self, index: int, entry: Entry) -> bytes:
        """Return the bytes of an entry, sealed about its place."""
        raw = _ENTRY.pack(*entry)
        return raw + self._series.seal(2 * index + 1, b"", place_of(self._ref, index) + raw)

    def block(self, footer: bytes) -> bytes:
        """Return what stands before a footer."""
        series = self._series
        return _BLOCK.pack(series.key_id, series.salt, series.seal(_FOOTER_PLACE, b"", footer))


class FileOpener:
    """Opens the entries and frames of one file.

    Raises:
        Corrupt: The footer is not the one that was written.
    """

    def __init__(self, keys: Opens, ref: BlobRef, block: bytes, footer: bytes) -> None:
        key_id, salt, tag = cast("tuple[int, bytes, bytes]", _BLOCK.unpack(block))
        self.key_id = key_id
        self.series = (key_id, salt)
        """Data key id and salt of the series that the file was written with."""
        self._keys = keys
        self._ref = ref
        self._cipher = keys.cipher(key_id, BLOBS, salt)
        self._origins: dict[tuple[int, bytes], Cipher] = {(key_id, salt): self._cipher}
        unsealed(self._cipher, _FOOTER_PLACE, tag, footer)

    def entry(self, index: int, raw: bytes) -> Entry:
        """Return an entry; raise ``Corrupt`` if it is not the one of this place."""
        if len(raw) != ENTRY_BYTES:
            raise Corrupt("an entry is cut off")
        about = place_of(self._ref, index) + raw[: _ENTRY.size]
        unsealed(self._cipher, 2 * index + 1, raw[_ENTRY.size :], about)
        return Entry(*_ENTRY.unpack_from(raw))

    def frame(self, entry: Entry, data: memoryview) -> bytes:
        """Return a frame whose bytes end in room for a tag; raise ``Corrupt`` if it is damaged."""
        data[-TAG_BYTES:] = entry.tag
        origin = (entry.key_id, entry.salt)
        cipher = self._origins.get(origin)
        if cipher is None:
            if len(self._origins) >= _ORIGINS_MAX:
                self._origins.clear()
            cipher = self._origins[origin] = self._keys.cipher(entry.key_id, BLOBS, entry.salt)
        return unsealed(cipher, 2 * entry.from_index, data, entry.about())


def is_locked(block: bytes) -> bool:
    """Return whether the file that ends in a block was sealed with a key that no keyring has."""
    return int.from_bytes(block[:4]) == LOCKED


def key_in(raw: bytes) -> int:
    """Return the data key that an entry names."""
    return cast("int", _ENTRY.unpack_from(raw)[4])


def series_in(raw: bytes, entries: int) -> set[tuple[int, bytes]]:
    """Return data key ids and salts of the series that some entries name; they are not verified."""
    found = (Entry(*_ENTRY.unpack_from(raw, ENTRY_BYTES * index)) for index in range(entries))
    return {(entry.key_id, entry.salt) for entry in found}


def check_in(raw: bytes) -> int:
    """Return the check of an entry that nobody has a key for, mask and all."""
    return int.from_bytes(raw[:4])
