"""Durable records of S3, and where they lie.

Rule: a bucket's records lie in the domain ``("s3", name)`` under the bucket's id, so that a bucket
of the same name created later sees nothing of the old. Names and each account's list of buckets lie
in the directory of global names.

Theory: ``objects`` holds the current version of every key and nothing large, so that a listing
reads only what it shows. Small bodies lie beside it in ``bodies``, large ones in the blob store.
Versions that are not current, and delete markers, lie in ``versions`` (key, order), the newest
first; a key has a row in ``objects`` if its newest version is an object, and that row is it. The id
of a version holds its order; where a ``null`` version lies in ``versions``, ``nulls`` says its order. A multipart object is a *manifest*: the rows of its parts stay where UploadPart
wrote them and own their blobs; the manifest counts the objects that refer to them and indexes their
sizes in chunks, so that completing ten thousand parts copies no byte and a range reads one chunk.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from fogbank.contract.facet import OriginRule
from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.iam.bound import BoundName
from fogbank.platform.store.records import Record, Table
from fogbank.services.s3.schema.logs import LOG_BATCHES, LOG_LINES, LOG_TIMERS
from fogbank.services.s3.schema.metrics import MEASURED, MEASURES, METRICS

SERVICE: Final = "s3"


class Headers(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """The system headers that are stored with an object and given back."""

    content_type: str = ""
    cache_control: str = ""
    content_disposition: str = ""
    content_encoding: str = ""
    content_language: str = ""
    expires_ms: int | None = None


class Checksum(msgspec.Struct, frozen=True, array_like=True):
    """A checksum of an object or part."""

    algorithm: str
    """As the model names it, such as ``CRC64NVME`` or ``XXHASH3``."""
    value: bytes
    parts: int = 0
    """0: of the bytes (FULL_OBJECT); otherwise of so many parts' checksums (COMPOSITE)."""


class Tag(msgspec.Struct, frozen=True, array_like=True):
    """A tag of a bucket, an object or an upload."""

    key: str
    value: str


class ObjectKey(msgspec.Struct, frozen=True, array_like=True):
    """How the key of an object that has one of its own is had again; the key itself lies nowhere."""

    kms_key: str = ""
    """The ARN of the KMS key that has it; empty: the client has it."""
    wrapped: bytes = b""
    """It, encrypted by the KMS key, or by the bucket key."""
    bucket_key: bytes = b""
    """The bucket key, encrypted by the KMS key; empty: there is none."""
    context: dict[str, str] = {}
    """What the client added to the encryption context."""
    verifier: bytes = b""
    """Of a client's key: a salt, and what follows from both."""


class BucketEncryption(msgspec.Struct, frozen=True, array_like=True):
    """How objects are encrypted whose writers do not say."""

    algorithm: str
    """``AES256``, ``aws:kms`` or ``aws:kms:dsse``."""
    kms_key: str = ""
    """As it was named; empty: the AWS managed key of S3."""
    bucket_key: bool = False
    """Whether KMS is asked for one key of the bucket, instead of one for each object."""
    blocked: tuple[str, ...] = ()
    """What writers may not ask for: ``SSE-C``."""


class ObjectLock(msgspec.Struct, frozen=True, array_like=True):
    """That a bucket has Object Lock, and the retention of its new versions; no mode: none."""

    mode: str = ""
    """``GOVERNANCE`` or ``COMPLIANCE``."""
    days: int = 0
    years: int = 0
    """Of the two one is given."""


class Protection(msgspec.Struct, frozen=True, array_like=True):
    """What keeps a version from being removed."""

    mode: str = ""
    """``GOVERNANCE`` or ``COMPLIANCE``; nothing: no retention."""
    until_ms: int = 0
    legal_hold: str = ""
    """``ON``, ``OFF``, or nothing if there never was one."""


ENFORCED: Final = "BucketOwnerEnforced"
"""The ownership of a bucket in which access control lists do not count."""


class Grant(msgspec.Struct, frozen=True, array_like=True):
    """One grant of an access control list."""

    grantee: str
    """A canonical user id, or the URI of a group."""
    permission: str
    """``READ``, ``WRITE``, ``READ_ACP``, ``WRITE_ACP`` or ``FULL_CONTROL``."""


Acl = tuple[Grant, ...]


class AccessBlock(msgspec.Struct, frozen=True, array_like=True):
    """What of public access is blocked."""

    block_acls: bool = True
    """ACLs that let the public in are refused."""
    ignore_acls: bool = True
    """What ACLs grant to the public does not count."""
    block_policy: bool = True
    """Policies that let the public in are refused."""
    restrict: bool = True
    """A policy that lets the public in lets nobody in but the owner's account and services."""


class NameRecord(Record, frozen=True, array_like=True, tag="s3.name/1"):
    """Directory, (name): whose a bucket name is."""

    account: str
    bucket_id: bytes
    region: str
    location: str
    created_ms: int
    active: bool
    """False while the bucket is being created."""
    object_lock: bool = False
    """Whether the bucket is made with Object Lock."""
    ownership: str = ENFORCED
    acl: Acl | None = None
    access_block: AccessBlock | None = AccessBlock()
    """This and the two above: what the bucket is made with."""
    account_block: AccessBlock | None = None
    account_block_version: int = 0
    """What its account blocked, and when that was put, as it was when the name was reserved."""
    tags: tuple[Tag, ...] = ()
    """What the bucket is tagged with from the start."""


class AccountBucketRecord(Record, frozen=True, array_like=True, tag="s3.account_bucket/1"):
    """Directory, (account, name): the account's list of buckets."""

    bucket_id: bytes
    region: str
    created_ms: int
    active: bool


class AccountRecord(Record, frozen=True, array_like=True, tag="s3.account/1"):
    """Directory, (account): what an account has."""

    buckets: int
    access_block: AccessBlock | None = None
    """What of public access to all of its buckets and access points is blocked."""
    access_block_version: int = 0
    """How often that was put: buckets have copies, of which the newest counts."""


class BucketRecord(Record, frozen=True, array_like=True, tag="s3.bucket/1"):
    """(): the bucket that has the name of the domain now."""

    bucket_id: bytes
    name: str
    account: str
    region: str
    location: str
    """The LocationConstraint as given: empty for us-east-1, ``EU`` for a bucket created so."""
    created_ms: int
    deleting: bool = False
    """Set in the transaction that found it empty: from then on there is no such bucket."""
    notifies: bool = False
    """Whether it has a notification configuration: spares a read per write."""
    versioning: str = ""
    """``Enabled``, ``Suspended``, or nothing if versioning was never enabled."""
    encryption: BucketEncryption | None = None
    """Its default encryption, if that was put."""
    object_lock: ObjectLock | None = None
    """None: its versions can be removed."""
    ownership: str = ENFORCED
    """Who owns objects, and whether ACLs count; empty: no such configuration, ``ObjectWriter``."""
    acl: Acl | None = None
    """None: only the owner has a grant, FULL_CONTROL."""
    access_block: AccessBlock | None = AccessBlock()
    has_policy: bool = False
    policy_public: bool = False
    """Whether its policy lets the public in."""
    foreign: bool = False
    """Whether an object was ever of another account than the bucket."""
    expires: bool = False
    """Whether it has a lifecycle configuration."""
    requester_pays: bool = False
    """Whether other accounts pay for what they ask of it."""
    policy_version: int = 0
    """How often a policy was put: this record says all that decisions remembered are held to."""
    account_block: AccessBlock | None = None
    account_block_version: int = 0
    """A copy of what its account blocks (``AccountRecord``)."""
    logs: bool = False
    """Whether records of its requests are kept: spares who has none everything."""
    mfa_delete: str = ""
    """``Enabled``: versions go by a second factor only; ``Disabled``, or nothing if it never was."""
    abac: bool = False
    """Whether its tags are condition keys (attribute-based access control)."""
    metrics: int = 0
    """How many metrics configurations it has: spares who has none everything."""


class ObjectRecord(Record, frozen=True, array_like=True, kw_only=True, tag="s3.object/1"):
    """(bucket id, key): the current version; (bucket id, key, order): one that is not."""

    etag: str
    """Without quotes: MD5 in hexadecimal, or that of the parts' digests and ``-<parts>``."""
    size: int
    modified_ms: int
    sequencer: int
    """Orders the events of one key."""
    checksum: Checksum | None = None
    headers: Headers = Headers()
    metadata: dict[str, str] = {}  # noqa: RUF012 (msgspec copies defaults)
    inline: bool = False
    """The body lies in ``bodies`` at (bucket id, key, order)."""
    blob: BlobRef | None = None
    manifest: str = ""
    """The id of the upload whose parts are the body."""
    parts_count: int = 0
    """Parts as GetObject?partNumber counts them; 0 if it was not uploaded in parts."""
    version_id: str = ""
    """Empty is the ``null`` version."""
    order: int = 0
    """The place among the versions of the key; the newest has the smallest."""
    delete_marker: bool = False
    """It says that the key was deleted: no body, and never in ``objects``."""
    tags: tuple[Tag, ...] = ()
    """In order of their keys."""
    encryption: str = ""
    """``AES256``, ``aws:kms``, ``aws:kms:dsse``, ``SSE-C``; empty: written before there was any, or
    where nothing is encrypted at rest."""
    object_key: ObjectKey | None = None
    """Of an object that the store's own keys do not open."""
    protection: Protection | None = None
    owner: str = ""
    """The account that owns it; empty: the bucket's."""
    acl: Acl | None = None
    """None: only the owner has a grant, FULL_CONTROL."""


class BodyRecord(Record, frozen=True, array_like=True, tag="s3.body/1"):
    """(bucket id, key, order): the bytes of a small object."""

    content: bytes


class UploadRecord(Record, frozen=True, array_like=True, kw_only=True, tag="s3.upload/1"):
    """(bucket id, key, upload id): a multipart upload under way."""

    created_ms: int
    initiator_arn: str
    initiator_id: str
    headers: Headers
    metadata: dict[str, str]
    algorithm: str = ""
    """The checksum algorithm the client chose; empty if it chose none."""
    composite: bool = False
    completing: str = ""
    """The id of the request that is completing the upload; a new part takes it away."""
    tags: tuple[Tag, ...] = ()
    encryption: str = ""
    object_key: ObjectKey | None = None
    protection: Protection | None = None
    """This and the three above: as the object will have them."""
    owner: str = ""
    """The account that will own the object; empty: the bucket's."""
    acl: Acl | None = None
    initiator: str = ""
    """The account that began it; empty: the bucket's."""


class PartRecord(Record, frozen=True, array_like=True, kw_only=True, tag="s3.part/1"):
    """(bucket id, upload id, number): a part; it owns its blob, completed or not."""

    etag: str
    size: int
    modified_ms: int
    checksum: Checksum
    blob: BlobRef | None
    """None if it has no bytes."""


class ManifestChunk(msgspec.Struct, frozen=True, array_like=True):
    """Where one row of ``manifest_parts`` ends."""

    parts_end: int
    """Index of the first part behind it."""
    bytes_end: int
    """Offset in the object of the first byte behind it."""


class ManifestRecord(Record, frozen=True, array_like=True, kw_only=True, tag="s3.manifest/1"):
    """(bucket id, upload id): the body that a completed upload's parts make up."""

    references: int
    """Objects that have this body; at 0 the parts are removed."""
    chunks: tuple[ManifestChunk, ...]


class ManifestPart(msgspec.Struct, frozen=True, array_like=True):
    """One part of a manifest."""

    number: int
    size: int
    blob: BlobRef | None
    checksum: bytes


class ManifestPartsRecord(Record, frozen=True, array_like=True, tag="s3.manifest_parts/1"):
    """(bucket id, upload id, chunk): some parts of a manifest, in order."""

    parts: tuple[ManifestPart, ...]


class CompletedRecord(Record, frozen=True, array_like=True, kw_only=True, tag="s3.completed/1"):
    """(bucket id, upload id or token): an upload or a rename was done; repeats are answered."""

    key: str
    etag: str
    checksum: Checksum | None
    parts: bytes
    """Digest of the part list that was completed, or of the rename."""
    version_id: str = ""
    """Of the object, as it was answered."""
    encryption: str = ""
    kms_key: str = ""
    bucket_key: bool = False


class NullRecord(Record, frozen=True, array_like=True, tag="s3.null/1"):
    """(bucket id, key): where among the versions that are not current the ``null`` one lies."""

    order: int


class FilterRule(msgspec.Struct, frozen=True, array_like=True):
    """Which keys a notification is about."""

    prefix: str = ""
    suffix: str = ""


class FunctionNotification(msgspec.Struct, frozen=True, array_like=True):
    """Events that are sent to a function."""

    id: str
    function_arn: str
    events: tuple[str, ...]
    rule: FilterRule
    rule_names: tuple[str, ...] = ()
    """Which of prefix and suffix the configuration named, in its order."""


class NotificationRecord(Record, frozen=True, array_like=True, tag="s3.notification/1"):
    """(bucket id): the notification configuration of a bucket."""

    functions: tuple[FunctionNotification, ...]


class CorsRecord(Record, frozen=True, array_like=True, tag="s3.cors/1"):
    """(bucket id): the CORS configuration of a bucket."""

    rules: tuple[OriginRule, ...]


class TagsRecord(Record, frozen=True, array_like=True, tag="s3.tags/1"):
    """(bucket id): the tags of a bucket, by key."""

    tags: tuple[Tag, ...]


class PolicyRecord(Record, frozen=True, array_like=True, tag="s3.policy/1"):
    """(bucket id): the policy of a bucket."""

    document: str
    """JSON, as it was put."""
    bound: tuple[BoundName, ...] = ()
    """Whom its names of users and roles meant then."""


class LifecycleRule(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A rule of a lifecycle configuration."""

    id: str
    enabled: bool
    form: str
    """How the filter was written: ``prefix`` (beside the rule, before there were filters),
    ``filter`` (one condition or none), ``and``."""
    prefix: str | None = None
    tags: tuple[Tag, ...] = ()
    larger_than: int | None = None
    smaller_than: int | None = None
    days: int | None = None
    """Of a current version, from when it was written."""
    date_ms: int | None = None
    """From when on current versions expire, whatever their age."""
    lone_markers: bool | None = None
    """Whether delete markers go behind which nothing is left."""
    noncurrent_days: int | None = None
    """Of other versions, from when they were replaced."""
    noncurrent_kept: int | None = None
    """So many of them stay, the newest."""
    upload_days: int | None = None


class LifecycleRecord(Record, frozen=True, array_like=True, tag="s3.lifecycle/1"):
    """(bucket id): the lifecycle configuration of a bucket."""

    rules: tuple[LifecycleRule, ...]
    minimum_size: str
    due_ms: int
    """When its rules are applied next; a timer set for another time is an old one."""


class LifecycleRunRecord(Record, frozen=True, array_like=True, tag="s3.lifecycle_run/1"):
    """(bucket id): rules are being applied; how far that is."""

    at_ms: int
    """The time that ages are counted to."""
    stage: int = 0
    key: str = ""
    order: int = 0
    """With the key: the last version that was looked at."""
    upload_id: str = ""
    rank: int = 0
    """How many versions of the key that are not current were before the next one."""
    since_ms: int = 0
    """When the last one was written: since then the next is not current."""


class LoggingRecord(Record, frozen=True, array_like=True, kw_only=True, tag="s3.logging/1"):
    """(bucket id): the logging configuration of a bucket."""

    target: str
    """The bucket that records are delivered to."""
    prefix: str
    grants: Acl = ()
    """Who may reach the objects that are delivered, beside the target's owner."""
    partition: str = ""
    """``EventTime`` or ``DeliveryTime``; empty: keys have no more than the prefix."""
    says_simple: bool = False
    """Whether the configuration named that form of keys."""


class PointRecord(Record, frozen=True, array_like=True, kw_only=True, tag="s3.point/1"):
    """Directory, (account, region, name): an access point."""

    bucket: str
    bucket_id: bytes
    """It leads to this bucket, and to no other that has the name later."""
    bucket_account: str
    created_ms: int
    alias: str
    vpc: str = ""
    """The only VPC that it lets in; empty: it is open to the Internet."""
    block: AccessBlock = AccessBlock()
    policy: str = ""
    bound: tuple[BoundName, ...] = ()
    """Whom the policy's names of users and roles meant when it was put."""
    policy_public: bool = False
    """Whether the policy lets the public in."""
    tags: tuple[Tag, ...] = ()


class PointNameRecord(Record, frozen=True, array_like=True, tag="s3.point_name/1"):
    """Directory, (alias): the access point that has it."""

    account: str
    region: str
    name: str


class PointListRecord(Record, frozen=True, array_like=True, tag="s3.point_list/1"):
    """Directory, (bucket id, account, name): a bucket has an access point."""


class PointCountRecord(Record, frozen=True, array_like=True, tag="s3.point_count/1"):
    """Directory, (account, region): how many access points an account has there."""

    points: int


class TaskRecord(Record, frozen=True, array_like=True, kw_only=True, tag="s3.task/1"):
    """Payload of the work list: a piece of work that a transaction left to be done."""

    kind: str
    """``create``, ``delete``, ``sweep_bucket``, ``sweep_upload``, ``lifecycle``, ``block``, ``logs``,
    ``measure``."""
    bucket_id: bytes
    name: str
    account: str = ""
    upload_id: str = ""
    parts: tuple[int, ...] | None = None
    """For ``sweep_upload``: only these parts, not all."""


BUCKET: Final = Table(SERVICE, 0x01, BucketRecord, remembered=1_024)
OBJECTS: Final = Table(SERVICE, 0x02, ObjectRecord)
BODIES: Final = Table(SERVICE, 0x03, BodyRecord)
UPLOADS: Final = Table(SERVICE, 0x04, UploadRecord)
PARTS: Final = Table(SERVICE, 0x05, PartRecord)
MANIFESTS: Final = Table(SERVICE, 0x06, ManifestRecord)
MANIFEST_PARTS: Final = Table(SERVICE, 0x07, ManifestPartsRecord)
COMPLETED: Final = Table(SERVICE, 0x08, CompletedRecord)
NOTIFICATIONS: Final = Table(SERVICE, 0x09, NotificationRecord)
CORS: Final = Table(SERVICE, 0x0A, CorsRecord)
VERSIONS: Final = Table(SERVICE, 0x0B, ObjectRecord)
NULLS: Final = Table(SERVICE, 0x0C, NullRecord)
TAGS: Final = Table(SERVICE, 0x0D, TagsRecord)
POLICIES: Final = Table(SERVICE, 0x18, PolicyRecord, remembered=1_024)
LIFECYCLE: Final = Table(SERVICE, 0x0E, LifecycleRecord)
LIFECYCLE_RUNS: Final = Table(SERVICE, 0x0F, LifecycleRunRecord)
NAMES: Final = Table(SERVICE, 0x10, NameRecord)
ACCOUNT_BUCKETS: Final = Table(SERVICE, 0x11, AccountBucketRecord)
ACCOUNTS: Final = Table(SERVICE, 0x12, AccountRecord)

POINTS: Final = Table(SERVICE, 0x13, PointRecord)
POINT_NAMES: Final = Table(SERVICE, 0x14, PointNameRecord)
POINT_LISTS: Final = Table(SERVICE, 0x15, PointListRecord)
POINT_COUNTS: Final = Table(SERVICE, 0x16, PointCountRecord)

LOGGING: Final = Table(SERVICE, 0x19, LoggingRecord)

CONFIGURATIONS: Final[tuple[Table[Any], ...]] = (
    *(NOTIFICATIONS, CORS, TAGS, POLICIES),
    *(LIFECYCLE, LIFECYCLE_RUNS),
    *(LOGGING, LOG_TIMERS, LOG_BATCHES),
    MEASURES,
)
"""One record each at (bucket id), which goes when the bucket goes (``state.configurations``)."""

TABLES: Final[tuple[Table[Any], ...]] = (
    BUCKET,
    OBJECTS,
    BODIES,
    UPLOADS,
    PARTS,
    MANIFESTS,
    MANIFEST_PARTS,
    COMPLETED,
    VERSIONS,
    NULLS,
    NAMES,
    ACCOUNT_BUCKETS,
    ACCOUNTS,
    POINTS,
    POINT_NAMES,
    POINT_LISTS,
    POINT_COUNTS,
    LOG_LINES,
    METRICS,
    MEASURED,
    *CONFIGURATIONS,
)
