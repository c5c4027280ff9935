"""What KMS keeps, and under which numbers.

A key lies by id, the versions of its material beside it: the newest encrypts, each of them decrypts
what it has encrypted. Aliases lie by name and, as marks, by key; grants by key, and as marks by who
holds them and by who may retire them.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fogbank.platform.iam.bound import Bound
from fogbank.platform.store.records import Record, Table

ENABLED: Final = "Enabled"
DISABLED: Final = "Disabled"
PENDING_DELETION: Final = "PendingDeletion"
CUSTOMER: Final = "CUSTOMER"
AWS: Final = "AWS"


class KeyRecord(Record, frozen=True, array_like=True, kw_only=True, tag="kms.key/1"):
    """A key: everything but its material."""

    id: str
    created_ms: int
    description: str
    spec: str
    usage: str
    manager: str
    policy: str
    """JSON."""
    material: int
    """The number of the material that encrypts."""
    state: str = ENABLED
    bound: Bound = ()
    """Whom the users and roles of the policy were when it was put."""
    tags: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    deletion_ms: int = 0
    """When it is deleted; 0: it is not to be."""
    window_days: int = 0
    """How many days were left to think better of it."""
    rotation_days: int = 0
    """After how many days its material changes; 0: it does not."""
    rotation_ms: int = 0
    """When it changes next."""
    on_demand: int = 0
    """How often it was changed on demand."""
    grants: int = 0
    """How many grants it has."""

    @property
    def enabled(self) -> bool:
        """Return whether the key can be used."""
        return self.state == ENABLED


class MaterialRecord(Record, frozen=True, array_like=True, kw_only=True, tag="kms.material/1"):
    """One version of a key's material. It is never shown: not in an answer, a log or a trace."""

    secret: bytes
    id: str
    """64 hexadecimal digits, which are no function of the secret."""
    created_ms: int
    kind: str = ""
    """``AUTOMATIC`` or ``ON_DEMAND``: why it came; empty: with the key."""

    def __repr__(self) -> str:
        """Return which material it is, and not what it is."""
        return f"MaterialRecord({self.id[:8]})"


class AliasRecord(Record, frozen=True, array_like=True, kw_only=True, tag="kms.alias/1"):
    """A name of a key."""

    name: str
    """With its prefix ``alias/``."""
    key_id: str
    created_ms: int
    updated_ms: int


class GrantRecord(Record, frozen=True, array_like=True, kw_only=True, tag="kms.grant/1"):
    """Leave for one principal to use a key."""

    id: str
    key_id: str
    name: str
    created_ms: int
    grantee: str
    retiring: str
    issuer: str
    """The account in which it was made."""
    operations: tuple[str, ...]
    secret: bytes
    """What its tokens are proved with."""
    equals: dict[str, str] | None = None
    """The encryption context that requests must have; None: any."""
    subset: dict[str, str] | None = None
    """What the encryption context of requests must hold; None: nothing."""
    bound: Bound = ()
    """Whom the grantee and the retiring principal were when it was made."""

    def __repr__(self) -> str:
        """Return which grant it is, and not how its tokens are proved."""
        return f"GrantRecord({self.id[:8]})"


class MarkRecord(Record, frozen=True, array_like=True, tag="kms.mark/1"):
    """Its key says everything."""


class CountRecord(Record, frozen=True, array_like=True, tag="kms.count/1"):
    """How many keys stand in an account and region."""

    keys: int


KEYS = Table("kms", 0x01, KeyRecord)
"""key id"""
MATERIALS = Table("kms", 0x02, MaterialRecord)
"""key id, number"""
ALIASES = Table("kms", 0x03, AliasRecord)
"""name"""
KEY_ALIASES = Table("kms", 0x04, MarkRecord)
"""key id, name"""
GRANTS = Table("kms", 0x05, GrantRecord)
"""key id, grant id"""
BY_GRANTEE = Table("kms", 0x06, MarkRecord)
"""key id, grantee principal, grant id"""
BY_RETIRING = Table("kms", 0x07, MarkRecord)
"""retiring principal, key id, grant id"""
COUNTS = Table("kms", 0x08, CountRecord)
"""nothing: one for all keys"""
TABLES = (KEYS, MATERIALS, ALIASES, KEY_ALIASES, GRANTS, BY_GRANTEE, BY_RETIRING, COUNTS)
