"""Server access logs: what a record says, where records go, and who may be asked to keep them.

Source: Amazon S3 User Guide, "Amazon S3 server access log format", "Enabling Amazon S3 server access
logging", "Amazon S3 key format for log objects" ; API Reference, PutBucketLogging, PartitionedPrefix.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

from fogbank.base.types import Wire
from fogbank.contract.call import Call
from fogbank.contract.request_log import AUTHENTICATIONS, RequestFacts, signature_version_of
from fogbank.services.s3.rules.acls import owner_id
from fogbank.services.s3.rules.notifications import EXPIRED_DELETE, EXPIRED_MARKER
from fogbank.services.s3.schema import BucketRecord, Grant, LoggingRecord
from fogbank.wire.codec.rest_xml import host_id_of

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes

PRINCIPAL: Final = "logging.s3.amazonaws.com"
LIFECYCLE: Final = "AmazonS3"
"""Who asks for what lifecycle rules do, as records name it."""
BATCH_DELETE: Final = "BATCH.DELETE.OBJECT"
COPY_SOURCES: Final[Mapping[str, str]] = {
    "CopyObject": "REST.COPY.OBJECT_GET",
    "UploadPartCopy": "REST.COPY.PART_GET",
}
"""By operation: what the record of the object that it reads is called."""
EXPIRED: Final[Mapping[str, str]] = {
    EXPIRED_DELETE: "S3.EXPIRE.OBJECT",
    EXPIRED_MARKER: "S3.CREATE.DELETEMARKER",
}
"""By event: what the record of an end that a lifecycle rule made is called."""
UPLOAD_ABORTED: Final = "S3.DELETE.UPLOAD"
EVENT_TIME: Final = "EventTime"
DELIVERY_TIME: Final = "DeliveryTime"
SIMPLE: Final = ""
_NONE: Final = "-"
_REQUEST_ID_CHARACTERS: Final = 16
_KINDS: Final[Mapping[str, str]] = {
    "AbortMultipartUpload": "UPLOAD",
    "CompleteMultipartUpload": "UPLOAD",
    "CopyObject": "OBJECT",
    "CreateBucket": "BUCKET",
    "CreateMultipartUpload": "UPLOADS",
    "DeleteBucket": "BUCKET",
    "DeleteObject": "OBJECT",
    "DeleteObjectTagging": "OBJECT_TAGGING",
    "DeleteObjects": "MULTI_OBJECT_DELETE",
    "GetBucketLogging": "LOGGING_STATUS",
    "GetBucketPolicy": "BUCKETPOLICY",
    "GetBucketPolicyStatus": "BUCKETPOLICYSTATUS",
    "GetObject": "OBJECT",
    "GetObjectAttributes": "OBJECT_ATTRIBUTES",
    "GetObjectLegalHold": "OBJECT_LOCK_LEGALHOLD",
    "GetObjectLockConfiguration": "OBJECT_LOCK_CONFIGURATION",
    "GetObjectRetention": "OBJECT_LOCK_RETENTION",
    "GetObjectTagging": "OBJECT_TAGGING",
    "HeadBucket": "BUCKET",
    "HeadObject": "OBJECT",
    "ListMultipartUploads": "UPLOADS",
    "ListObjectVersions": "BUCKETVERSIONS",
    "ListObjects": "BUCKET",
    "ListObjectsV2": "BUCKET",
    "ListParts": "UPLOAD",
    "PutBucketLogging": "LOGGING_STATUS",
    "PutBucketPolicy": "BUCKETPOLICY",
    "DeleteBucketPolicy": "BUCKETPOLICY",
    "PutObject": "OBJECT",
    "PutObjectLegalHold": "OBJECT_LOCK_LEGALHOLD",
    "PutObjectLockConfiguration": "OBJECT_LOCK_CONFIGURATION",
    "PutObjectRetention": "OBJECT_LOCK_RETENTION",
    "PutObjectTagging": "OBJECT_TAGGING",
    "RenameObject": "OBJECT",
    "RestoreObject": "OBJECT",
    "UploadPart": "PART",
    "UploadPartCopy": "PART",
}
_COPIES: Final = frozenset(("CopyObject", "UploadPartCopy"))
_VERBS: Final = ("Get", "Put", "Delete", "List")
_SAFE: Final = "/-_.~"
_GRANT_MEMBERS: Final = {"FULL_CONTROL": "GrantFullControl", "READ": "GrantRead"}


class Deed(NamedTuple):
    """What has a record of its own, beside that of the request which it was part of."""

    name: str
    """As records name operations."""
    key: str
    version_id: str = ""
    status: int = 0
    error_code: str = ""
    object_size: int | None = None
    bytes_sent: int = 0


def facts_of(call: Call, deed: Deed, now_ms: int) -> RequestFacts:
    """Return what is known of a deed that was part of a call.

    AWS: of a batch's deletions and of a copy's source less is recorded than of the request itself.
    """
    http, principal = call.http, call.principal
    signed = call.access_context.find("s3:signatureversion")
    form = call.access_context.find("s3:authtype")
    return RequestFacts(
        time_ms=now_ms,
        request_id=call.request_id,
        operation="",
        method="",
        key=deed.key,
        uri="",
        status=deed.status,
        source_ip=http.source_ip,
        account=principal.account,
        requester=principal.arn,
        is_root=principal.kind == "root",
        error_code=deed.error_code,
        bytes_sent=deed.bytes_sent,
        object_size=deed.object_size,
        micros=None,
        referer="",
        user_agent=http.user_agent,
        version_id=deed.version_id,
        signature_version=signature_version_of(str(signed or "")),
        authentication=AUTHENTICATIONS.get(str(form or ""), ""),
        host=http.host,
        tls=http.tls,
        point=call.points[0].arn if call.points else "",
    )


def expired_facts(deed: Deed, time_ms: int, run: str) -> RequestFacts:
    """Return what is known of what a lifecycle rule did: nobody asked for it.

    The same run does a thing once: its request id follows from both.

    AWS: the requester is S3 itself (User Guide, "Logging S3 Lifecycle", "Lifecycle and logging").
    """
    named = f"{run}\0{deed.name}\0{deed.key}\0{deed.version_id}"
    return RequestFacts(
        time_ms=time_ms,
        request_id=sha256(named.encode()).hexdigest()[:_REQUEST_ID_CHARACTERS].upper(),
        operation="",
        method="",
        key=deed.key,
        uri="",
        status=0,
        source_ip="",
        account="",
        requester=LIFECYCLE,
        is_root=False,
        error_code="",
        bytes_sent=0,
        object_size=deed.object_size,
        micros=None,
        referer="",
        user_agent="",
        version_id=deed.version_id,
        signature_version="",
        authentication="",
        host="",
        tls="",
        point="",
    )


def line_of(bucket: BucketRecord, facts: RequestFacts, name: str = "") -> str:
    """Return a record, without the end of its line.

    Args:
        bucket: Whose log it is for.
        facts: What is known.
        name: What its operation is called; nothing: as the request's is.
    """
    millis = _NONE if facts.micros is None else str(facts.micros // 1000)
    fields = (
        owner_id(bucket.account),
        bucket.name,
        _time(facts.time_ms),
        facts.source_ip or _NONE,
        _requester(facts),
        facts.request_id,
        name or operation_of(facts),
        quote(facts.key, safe=_SAFE) or _NONE,
        _quoted(facts.uri),
        str(facts.status or _NONE),
        facts.error_code or _NONE,
        str(facts.bytes_sent or _NONE),
        _NONE if facts.object_size is None else str(facts.object_size),
        millis,
        millis,
        _quoted(facts.referer),
        _quoted(facts.user_agent),
        quote(facts.version_id, safe=_SAFE) or _NONE,
        host_id_of(facts.request_id),
        facts.signature_version or _NONE,
        _NONE,
        facts.authentication or _NONE,
        quote(facts.host, safe=f"{_SAFE}:[]") or _NONE,
        f"TLSv{facts.tls}" if facts.tls else _NONE,
        facts.point or _NONE,
        _NONE,
        _NONE,
    )
    return " ".join(fields)


def _time(time_ms: int) -> str:
    """Return a time as records have it."""
    return f"[{datetime.fromtimestamp(time_ms / 1000, UTC):%d/%b/%Y:%H:%M:%S +0000}]"


def _requester(facts: RequestFacts) -> str:
    """Return who asked: an account by its canonical user id, anybody else by ARN."""
    if not facts.account:
        return facts.requester or _NONE
    return owner_id(facts.account) if facts.is_root else facts.requester


def operation_of(facts: RequestFacts) -> str:
    """Return the operation as records name it: ``REST.METHOD.RESOURCE``."""
    method = "COPY" if facts.operation in _COPIES else facts.method
    return f"REST.{method}.{_kind_of(facts.operation)}"


def _kind_of(operation: str) -> str:
    """Return the type of resource that an operation is about."""
    known = _KINDS.get(operation)
    if known is not None:
        return known
    name = next((operation.removeprefix(verb) for verb in _VERBS if operation.startswith(verb)), "")
    name = name.removeprefix("Bucket").removeprefix("Object").removesuffix("Configuration")
    words = "".join(f"_{each}" if each.isupper() else each for each in name).strip("_")
    return words.upper() or "OBJECT"


def _quoted(text: str) -> str:
    """Return a text that a client chose, in quotes, on one line and without another quote."""
    legible = "".join(
        each if each.isprintable() and each != '"' else quote(each, safe="") for each in text
    )
    return f'"{legible}"' if legible else '"-"'


def key_of(
    record: LoggingRecord, bucket: BucketRecord, event_ms: int, now_ms: int, unique: str
) -> str:
    """Return the key of the object that a batch of records becomes.

    Args:
        record: The configuration.
        bucket: Whose records they are.
        event_ms: When the first of the requests came.
        now_ms: When they are delivered.
        unique: What no other batch has.
    """
    if record.partition == SIMPLE:
        return f"{record.prefix}{_stamp(now_ms)}-{unique}"
    by_event = record.partition == EVENT_TIME
    at = datetime.fromtimestamp((event_ms if by_event else now_ms) / 1000, UTC)
    stamp = f"{at:%Y-%m-%d}-00-00-00" if by_event else _stamp(now_ms)
    source = f"{bucket.account}/{bucket.region}/{bucket.name}"
    return f"{record.prefix}{source}/{at:%Y/%m/%d}/{stamp}-{unique}"


def _stamp(time_ms: int) -> str:
    """Return a time as keys have it."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d-%H-%M-%S}"


def day_of(time_ms: int) -> int:
    """Return the day, counted, of a time."""
    return time_ms // 86_400_000


def format_of(wanted: Wire) -> str:
    """Return the form of keys that a configuration asks for: what parts them, or ``SIMPLE``."""
    form: Wire = wanted.get("TargetObjectKeyFormat") or {}
    partitioned: Wire | None = form.get("PartitionedPrefix")
    if partitioned is None:
        return SIMPLE
    # AWS: "PartitionedPrefix defaults to EventTime delivery" (API Reference, PartitionedPrefix).
    return str(partitioned.get("PartitionDateSource") or EVENT_TIME)


def shown(record: LoggingRecord, grants: list[shapes.TargetGrant]) -> shapes.LoggingEnabled:
    """Return a configuration as GetBucketLogging answers it."""
    enabled: shapes.LoggingEnabled = {
        "TargetBucket": record.target,
        "TargetPrefix": record.prefix,
    }
    if grants:
        enabled["TargetGrants"] = grants
    if record.partition != SIMPLE:
        source: shapes.PartitionedPrefix = {}
        source["PartitionDateSource"] = (
            "EventTime" if record.partition == EVENT_TIME else "DeliveryTime"
        )
        enabled["TargetObjectKeyFormat"] = {"PartitionedPrefix": source}
    elif record.says_simple:
        enabled["TargetObjectKeyFormat"] = {"SimplePrefix": {}}
    return enabled


def grant_members(grants: Iterable[Grant]) -> dict[str, str]:
    """Return the members of PutObject that give log objects what a configuration grants.

    Of an object nobody has WRITE: AWS ignores such a grant.
    """
    found: dict[str, list[str]] = {}
    for grant in grants:
        member = _GRANT_MEMBERS.get(grant.permission)
        if member is not None:
            kind = "uri" if ":" in grant.grantee else "id"
            found.setdefault(member, []).append(f'{kind}="{grant.grantee}"')
    return {member: ", ".join(named) for member, named in found.items()}
