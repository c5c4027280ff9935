"""Items of tables whose key KMS has: sealed where they become records, opened where they are shown.

Rule: what a sealed record says in the clear is its size, where its body lies, and a digest instead of
its partition key. Sealed attributes go as they are through streams, history and backups; a table of
another key gets them opened and sealed anew (``items.plain_of``, ``items.kept_of``).

Theory: the attributes of a record are MessagePack, of which a map or bytes are the first byte; sealed
ones are an extension of it, so that a table may have both while it is being sealed. The places of
items tell their sort keys, which have to order, and digests of their partition keys: AWS too keeps some
sort keys in the clear (KMS Developer Guide, "How Amazon DynamoDB uses AWS KMS").
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import msgspec

from fogbank.services.dynamodb.schema import TableRecord
from fogbank.services.dynamodb.schema.encryption import EncryptionRecord

ITEM: Final = b"fogbank dynamodb item"
ENTRY: Final = b"fogbank dynamodb entry"
KEYS: Final = b"fogbank dynamodb keys"
GUARD_BYTES: Final = 32
_GUARD: Final = b"fogbank guard"
_CODE: Final = 1
_EXTENSIONS: Final = frozenset(b"\xc7\xc8\xc9\xd4\xd5\xd6\xd7\xd8")
"""The first bytes of extensions in MessagePack."""
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(msgspec.msgpack.Ext).decode


def about_of(table_id: str) -> bytes:
    """Return what everything that is sealed of a table is about."""
    return bytes.fromhex(table_id.replace("-", ""))


def seals(table: TableRecord) -> bool:
    """Return whether what is written to a table is sealed; the table was opened."""
    return table.sse is not None and table.sse.active != 0


def is_sealed(raw: msgspec.Raw) -> bool:
    """Return whether stored attributes are sealed."""
    return memoryview(raw)[0] in _EXTENSIONS


def sealed(sse: EncryptionRecord, purpose: bytes, body: bytes, where: bytes) -> msgspec.Raw:
    """Return a body as it is stored; see ``BodySealer.seal``."""
    return msgspec.Raw(_encode(msgspec.msgpack.Ext(_CODE, sse.sealer.seal(purpose, body, where))))


def opened(sse: EncryptionRecord, purpose: bytes, raw: msgspec.Raw) -> bytes:
    """Return a body that was sealed.

    Raises:
        Corrupt: It is not what was stored.
    """
    return sse.sealer.open(purpose, bytes(_decode(raw).data))


def is_current(sse: EncryptionRecord, raw: msgspec.Raw) -> bool:
    """Return whether a stored body is sealed with the key for new ones."""
    return is_sealed(raw) and sse.sealer.is_current(bytes(_decode(raw).data))


def guard_of(table: TableRecord, partition: bytes) -> bytes:
    """Return what a sealed record says of its partition key: it is compared whole, and tells nothing."""
    return blake2b(partition, digest_size=GUARD_BYTES, key=table.digest_key, person=_GUARD).digest()
