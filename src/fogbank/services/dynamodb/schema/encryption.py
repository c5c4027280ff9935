"""How the items of a table are sealed, beside what seals every row of the store."""

from __future__ import annotations

import msgspec

from fogbank.platform.crypto.sealer import BodySealer
from fogbank.platform.store.records import Record, Table

ENABLED = "ENABLED"
UPDATING = "UPDATING"


class TableKey(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A key under which items of a table are sealed; fields are only added at the end."""

    number: int
    """By which what is sealed names it."""
    wrapped: bytes
    """The key as the KMS key has encrypted it."""
    kms_key: str
    """The ARN of that; empty: ``wrapped`` is the key itself."""


class SealingRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.sealing/1"):
    """How far what was written before a table had its key has been sealed."""

    next_key: bytes = b""
    """Where within the items, or within the history, it goes on."""
    in_history: bool = False
    """Whether all items are sealed, and the history is next."""


class EncryptionRecord(msgspec.Struct, frozen=True, array_like=True, kw_only=True, dict=True):
    """What seals the items of a table; fields are only added at the end, with a default.

    One that was opened has its sealer with it, in memory and nowhere else: it is no field.
    """

    kms_key: str = ""
    """The ARN of the KMS key; empty: it is one that AWS owns, which is what seals every row."""
    keys: tuple[TableKey, ...] = ()
    active: int = 0
    """The number of the key for what is written; 0: it is written plain."""
    grant: str = ""
    """The id of the grant by which the service may use the KMS key for itself."""
    is_managed: bool = False
    """Whether the KMS key is the account's ``alias/aws/dynamodb``."""
    status: str = ENABLED
    """``UPDATING`` while what was written before is sealed."""
    inaccessible_ms: int = 0
    """When it was found that the KMS key cannot be used; 0: it can."""
    changes_ms: tuple[int, ...] = ()
    """When the KMS key was changed lately."""

    @property
    def sealer(self) -> BodySealer:
        """Return what seals and opens, of a record that was opened."""
        sealer = vars(self).get("sealer_")
        assert isinstance(sealer, BodySealer), "a table's key is opened before its items are"
        return sealer

    def with_sealer(self, sealer: BodySealer) -> EncryptionRecord:
        """Return this record, opened."""
        opened = msgspec.structs.replace(self)
        msgspec.structs.force_setattr(opened, "sealer_", sealer)
        return opened


SEALINGS = Table("dynamodb", 0x0F, SealingRecord)
"""id of the table"""
