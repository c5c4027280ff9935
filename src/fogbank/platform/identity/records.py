"""Durable records of accounts, users, roles, groups, policies and keys.

Everything of an account lies in its IAM domain; names are keyed in lower case, because they are
unique without regard to case. The directory of global names holds the list of accounts, and the
access keys whose id does not say its account.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from fogbank.base.arn import AWS
from fogbank.platform.iam.bound import Bound, BoundName
from fogbank.platform.store.engine import Domain
from fogbank.platform.store.records import Record, Table

Pairs = tuple[tuple[str, str], ...]


def iam_domain(account: str) -> Domain:
    """Return the domain of an account's users, roles, policies and keys."""
    return Domain("iam", account)


class AccountRecord(Record, frozen=True, array_like=True, tag="iam.account/1"):
    """An account, in its own domain."""

    account: str
    name: str
    created_ms: int
    root_keys: tuple[str, ...] = ()
    """Access key ids of the root user."""
    alias: str = ""
    partition: str = AWS
    """The one whose regions it has."""
    mfa: tuple[str, ...] = ()
    """Names of the MFA devices of the root user."""


class AccessKeyRecord(Record, frozen=True, array_like=True, tag="iam.access-key/1"):
    """A long-term access key."""

    key_id: str
    secret: str
    user: str
    """The user's name; empty for the root user."""
    user_id: str
    """The user's unique id; empty for the root user."""
    created_ms: int
    active: bool = True

    def __repr__(self) -> str:
        return f"AccessKeyRecord({self.key_id!r}, {self.user!r}, active={self.active})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("key_id", self.key_id)]


class UserRecord(Record, frozen=True, array_like=True, tag="iam.user/1"):
    """A user with its inline policies (name, document) and attached policies (ARNs)."""

    name: str
    path: str
    unique_id: str
    created_ms: int
    inline: Pairs = ()
    attached: tuple[str, ...] = ()
    tags: Pairs = ()
    access_keys: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    """Names of its groups."""
    boundary: str = ""
    """The ARN of the managed policy that bounds its permissions, or ''."""
    mfa: tuple[str, ...] = ()
    """Names of its MFA devices."""


class RoleRecord(Record, frozen=True, array_like=True, tag="iam.role/1"):
    """A role: who may assume it, for how long, and what it may do."""

    name: str
    path: str
    unique_id: str
    created_ms: int
    trust: str
    """The trust policy's document."""
    description: str = ""
    session_s_max: int = 3600
    inline: Pairs = ()
    attached: tuple[str, ...] = ()
    tags: Pairs = ()
    bound: Pairs = ()
    """ARNs of the trust policy with the unique ids they had when it was put."""
    boundary: str = ""
    """The ARN of the managed policy that bounds its permissions, or ''."""

    @property
    def trusted(self) -> Bound:
        """Return whom the trust policy's names mean."""
        return tuple(BoundName(*pair) for pair in self.bound)


class GroupRecord(Record, frozen=True, array_like=True, tag="iam.group/1"):
    """A group of users."""

    name: str
    path: str
    unique_id: str
    created_ms: int
    inline: Pairs = ()
    attached: tuple[str, ...] = ()


class PolicyVersion(msgspec.Struct, frozen=True, array_like=True):
    """One version of a managed policy."""

    version_id: str
    document: str
    created_ms: int


class PolicyRecord(Record, frozen=True, array_like=True, tag="iam.policy/1"):
    """A customer managed policy."""

    name: str
    path: str
    unique_id: str
    created_ms: int
    updated_ms: int
    versions: tuple[PolicyVersion, ...]
    default: str
    """The id of the version in force."""
    last_number: int
    """The number of the newest version; never reused."""
    description: str = ""
    tags: Pairs = ()

    def version(self, version_id: str) -> PolicyVersion | None:
        """Return a version, or None."""
        for version in self.versions:
            if version.version_id == version_id:
                return version
        return None


class AttachmentRecord(Record, frozen=True, array_like=True, tag="iam.attachment/1"):
    """That a policy is attached to a user, role or group, or bounds a user or role."""

    kind: str
    """``user``, ``role`` or ``group``; ``boundary-user`` or ``boundary-role`` for a bound."""
    name: str
    unique_id: str


class MembershipRecord(Record, frozen=True, array_like=True, tag="iam.membership/1"):
    """That a user is in a group."""

    user: str


class MfaDeviceRecord(Record, frozen=True, array_like=True, tag="iam.mfa-device/1"):
    """A virtual MFA device, of a user or of nobody yet."""

    name: str
    path: str
    seed: bytes
    created_ms: int
    tags: Pairs = ()
    user: str = ""
    """The name of the user that has it; empty for the root user, and if nobody has it."""
    holder: str = ""
    """The unique id of who has it; the account's id for the root user."""
    enabled_ms: int = 0
    spent: int = -1
    """The newest step whose code was taken: no code of it or of one before is."""
    skew: int = 0
    """How many steps its clock is ahead."""
    failures: int = 0
    failing: int = 0
    """How many wrong codes came, in which period."""

    def __repr__(self) -> str:
        return f"MfaDeviceRecord({self.name!r}, {self.user!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("name", self.name)]


class EpochRecord(Record, frozen=True, array_like=True, tag="iam.epoch/1"):
    """How often an account changed, for caches of other processes."""

    number: int


class KeyAccountRecord(Record, frozen=True, array_like=True, tag="iam.key-account/1"):
    """In the directory: the account of an access key whose id does not say it."""

    account: str


class AccountEntryRecord(Record, frozen=True, array_like=True, tag="iam.account-entry/1"):
    """In the directory: an account by its id."""

    account: str
    name: str
    created_ms: int
    active: bool
    """False until the account's own record stands."""


class AccountNameRecord(Record, frozen=True, array_like=True, tag="iam.account-name/1"):
    """In the directory: the account of a name."""

    account: str


class MasterKeyRecord(Record, frozen=True, array_like=True, tag="iam.master-key/1"):
    """The key under which session tokens are authenticated."""

    key: bytes

    def __repr__(self) -> str:
        return "MasterKeyRecord()"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


ACCOUNTS: Final = Table("iam", 0x01, AccountRecord)
ACCESS_KEYS: Final = Table("iam", 0x02, AccessKeyRecord)
USERS: Final = Table("iam", 0x03, UserRecord)
ROLES: Final = Table("iam", 0x04, RoleRecord)
GROUPS: Final = Table("iam", 0x05, GroupRecord)
POLICIES: Final = Table("iam", 0x06, PolicyRecord)
ATTACHMENTS: Final = Table("iam", 0x07, AttachmentRecord)
"""At (policy ARN, kind, name)."""
MEMBERSHIPS: Final = Table("iam", 0x08, MembershipRecord)
"""At (group, user)."""
EPOCHS: Final = Table("iam", 0x09, EpochRecord)
MFA_DEVICES: Final = Table("iam", 0x0A, MfaDeviceRecord)
KEY_ACCOUNTS: Final = Table("iam", 0x20, KeyAccountRecord)
ACCOUNT_ENTRIES: Final = Table("iam", 0x21, AccountEntryRecord)
ACCOUNT_NAMES: Final = Table("iam", 0x22, AccountNameRecord)

TABLES: Final[tuple[Table[Any], ...]] = (
    *(ACCOUNTS, ACCESS_KEYS, USERS, ROLES, GROUPS, POLICIES, ATTACHMENTS, MEMBERSHIPS, EPOCHS),
    MFA_DEVICES,
    *(KEY_ACCOUNTS, ACCOUNT_ENTRIES, ACCOUNT_NAMES),
)
