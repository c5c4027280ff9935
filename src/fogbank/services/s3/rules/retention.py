"""Object Lock: what protects a version, what may change that, and what may not.

Theory: a version is protected until a time (its *retention*, in one of two modes) and as long as a
legal hold is on. Nobody removes a protected version, and nobody shortens a COMPLIANCE retention or
makes it less, not even the root of the account; a GOVERNANCE one yields to who may bypass it and
says so. A retention may always be made longer.

Source: Amazon S3 User Guide, "Locking objects with Object Lock"; API Reference,
PutObjectLockConfiguration, PutObjectRetention, PutObjectLegalHold; messages from answers recorded
by LocalStack (tests/aws/services/s3/test_s3.snapshot.json, TestS3ObjectLock*).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypedDict

from fogbank.base.errors import AccessDenied, NotBuilt
from fogbank.base.types import Request
from fogbank.contract.action import ContextValue
from fogbank.services.s3.errors import (
    InvalidArgument,
    InvalidBucketState,
    InvalidRequest,
    InvalidRetentionPeriod,
    MalformedXML,
)
from fogbank.services.s3.schema import BucketRecord, ObjectLock, ObjectRecord, Protection
from fogbank.wire.timestamps import iso_seconds

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes

GOVERNANCE: Final = "GOVERNANCE"
COMPLIANCE: Final = "COMPLIANCE"
ON: Final = "ON"
DAYS_MAX: Final = 36_500
YEARS_MAX: Final = 100
BYPASS: Final = "x-amz-bypass-governance-retention"
_DAY_MS: Final = 24 * 3_600_000
_DAYS_A_YEAR: Final = 365
_MODE: Final = "x-amz-object-lock-mode"
_UNTIL: Final = "x-amz-object-lock-retain-until-date"
_MISSING: Final = "Bucket is missing Object Lock Configuration"
_EVENT_HOLDS: Final = "fogbank has not built event holds of s3's Object Lock"
_UNPROTECTED: Final = Protection()


# Of buckets.


def object_lock_of(configuration: Request) -> ObjectLock:
    """Return what a configuration says, checked.

    Raises:
        MalformedXML: It does not enable Object Lock, or its rule says nothing or too much.
        InvalidRetentionPeriod: The default retention is of no days, or of too many.
    """
    if "ObjectLockEnabled" not in configuration:
        raise MalformedXML
    rule: Request | None = configuration.get("Rule")
    if rule is None:
        return ObjectLock()
    default: Request = rule.get("DefaultRetention") or {}
    if default.get("DefaultEventHold"):
        raise NotBuilt(_EVENT_HOLDS)
    days, years = default.get("Days"), default.get("Years")
    if "Mode" not in default or (days is None) is (years is None):
        raise MalformedXML
    lock = ObjectLock(default["Mode"], days or 0, years or 0)
    if not (0 < lock.days <= DAYS_MAX or 0 < lock.years <= YEARS_MAX):
        raise InvalidRetentionPeriod
    return lock


def object_lock_view(lock: ObjectLock) -> shapes.ObjectLockConfiguration:
    """Return the configuration of a bucket as it is answered."""
    view: shapes.ObjectLockConfiguration = {"ObjectLockEnabled": "Enabled"}
    if lock.mode:
        default: shapes.DefaultRetention = {"Mode": lock.mode}
        if lock.days:
            default["Days"] = lock.days
        else:
            default["Years"] = lock.years
        view["Rule"] = {"DefaultRetention": default}
    return view


def check_lockable(bucket: BucketRecord) -> None:
    """Refuse Object Lock to a bucket that does not keep versions.

    Raises:
        InvalidBucketState: It does not.
    """
    if bucket.versioning != "Enabled":
        raise InvalidBucketState(
            "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
        )


def check_versioning(bucket: BucketRecord, status: str) -> None:
    """Refuse to suspend the versioning of a bucket with Object Lock.

    Raises:
        InvalidBucketState: It is asked for.
    """
    if bucket.object_lock is not None and status != "Enabled":
        raise InvalidBucketState(
            "An Object Lock configuration is present on this bucket, so the versioning state "
            "cannot be changed."
        )


def require_object_lock(bucket: BucketRecord) -> None:
    """Refuse a bucket without Object Lock.

    Raises:
        InvalidRequest: It has none.
    """
    if bucket.object_lock is None:
        raise InvalidRequest(_MISSING)


def check_bypass(bucket: BucketRecord, request: Request) -> None:
    """Refuse to bypass what a bucket cannot have, whether the header says true or false.

    Raises:
        InvalidArgument: It has no Object Lock.
    """
    if bucket.object_lock is None and "BypassGovernanceRetention" in request:
        raise InvalidArgument(
            f"{BYPASS} is only applicable to Object Lock enabled buckets.", ArgumentName=BYPASS
        )


# Of new versions.


def asked_protection(request: Request, now_ms: int) -> Protection | None:
    """Return the protection that the headers of a request give a new object; None if they do not.

    Raises:
        InvalidArgument: There is a mode without a date or a date without a mode, or it is past.
    """
    mode: str = request.get("ObjectLockMode") or ""
    until_ms: int | None = request.get("ObjectLockRetainUntilDate")
    hold: str = request.get("ObjectLockLegalHoldStatus") or ""
    if not (mode or until_ms is not None or hold):
        return None
    if bool(mode) is (until_ms is None):
        raise InvalidArgument(
            f"{_UNTIL} and {_MODE} must both be supplied", ArgumentName=_UNTIL if mode else _MODE
        )
    if until_ms is not None:
        _check_future(until_ms, now_ms, _UNTIL)
    return Protection(mode, until_ms or 0, hold)


def new_protection(
    asked: Protection | None, bucket: BucketRecord, now_ms: int
) -> Protection | None:
    """Return the protection of a new version: what was asked for, and the bucket's default.

    Raises:
        InvalidRequest: The bucket has no Object Lock.
    """
    lock = bucket.object_lock
    if lock is None:
        if asked is not None:
            raise InvalidRequest(_MISSING)
        return None
    if not lock.mode or (asked is not None and asked.mode):
        return asked
    days = lock.days or lock.years * _DAYS_A_YEAR
    hold = "" if asked is None else asked.legal_hold
    return Protection(lock.mode, now_ms + days * _DAY_MS, hold)


def check_digest(protection: Protection | None, http_headers: Mapping[str, str]) -> None:
    """Refuse a protected object whose bytes the client gives no digest of.

    Raises:
        InvalidRequest: There is none.
    """
    if protection is None or "content-md5" in http_headers or "x-amz-trailer" in http_headers:
        return
    if not any(name.startswith("x-amz-checksum-") for name in http_headers):
        raise InvalidRequest(
            "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with "
            "Object Lock parameters"
        )


# Of versions that are there.


def check_removal(record: ObjectRecord, now_ms: int, *, bypasses: bool) -> None:
    """Refuse to remove a protected version.

    Args:
        record: The version.
        now_ms: When.
        bypasses: Whether who removes it may bypass a GOVERNANCE retention, and wants to.

    Raises:
        AccessDenied: It is protected.
    """
    if is_protected(record, now_ms, bypasses=bypasses):
        raise _denied()


def is_protected(record: ObjectRecord, now_ms: int, *, bypasses: bool = False) -> bool:
    """Return whether a version may not be removed."""
    found = record.protection
    if found is None:
        return False
    yields = bypasses and found.mode == GOVERNANCE
    return found.legal_hold == ON or (found.until_ms > now_ms and not yields)


def retained(record: ObjectRecord, given: Request, now_ms: int, *, bypasses: bool) -> Protection:
    """Return the protection of a version with another retention; an empty one removes it.

    Raises:
        MalformedXML: It has a mode without a date or a date without a mode.
        InvalidArgument: Its date is past.
        AccessDenied: It is less than the one that is there, and that does not yield.
    """
    if ("Mode" in given) is not ("RetainUntilDate" in given):
        raise MalformedXML
    if given.get("EventHold") or given.get("EventHoldDuration"):
        raise NotBuilt(_EVENT_HOLDS)
    mode: str = given.get("Mode", "")
    until_ms: int = given.get("RetainUntilDate", 0)
    if mode:
        _check_future(until_ms, now_ms, "RetainUntilDate")
    old = record.protection or _UNPROTECTED
    less = mode != old.mode or until_ms < old.until_ms
    if old.until_ms > now_ms and less and not (bypasses and old.mode == GOVERNANCE):
        raise _denied()
    return Protection(mode, until_ms, old.legal_hold)


def _check_future(until_ms: int, now_ms: int, argument: str) -> None:
    """Refuse a retention that is over already."""
    if until_ms <= now_ms:
        raise InvalidArgument(
            "The retain until date must be in the future!",
            ArgumentName=argument,
            ArgumentValue=iso_seconds(until_ms),
        )


def held(record: ObjectRecord, status: str) -> Protection:
    """Return the protection of a version with a legal hold that is ``ON`` or ``OFF``."""
    old = record.protection or _UNPROTECTED
    return Protection(old.mode, old.until_ms, status)


def _denied() -> AccessDenied:
    """Return the error for what a protection forbids."""
    return AccessDenied("Access Denied because object protected by object lock.")


# What is said of it.


class RetentionMembers(TypedDict, total=False):
    """What GetObject and HeadObject say of a retention."""

    ObjectLockMode: str
    ObjectLockRetainUntilDate: int


def retention_members(protection: Protection) -> RetentionMembers:
    """Return what GetObject and HeadObject say of a retention, if there is one."""
    if not protection.mode:
        return {}
    return {
        "ObjectLockMode": protection.mode,
        "ObjectLockRetainUntilDate": protection.until_ms,
    }


def condition_keys(request: Request, now_ms: int) -> dict[str, ContextValue]:
    """Return the condition keys of the protection that a request asks for.

    AWS: the remaining days let a policy bound a retention (User Guide, "Object Lock
    considerations", "Setting limits on retention periods with a bucket policy").
    """
    given: Request = request.get("Retention") or {}
    mode: str | None = request.get("ObjectLockMode") or given.get("Mode")
    until_ms: int | None = request.get("ObjectLockRetainUntilDate") or given.get("RetainUntilDate")
    hold: Request = request.get("LegalHold") or {}
    status: str | None = request.get("ObjectLockLegalHoldStatus") or hold.get("Status")
    keys: dict[str, ContextValue] = {}
    if mode:
        keys["s3:object-lock-mode"] = mode
    if until_ms:
        keys["s3:object-lock-retain-until-date"] = iso_seconds(until_ms)
        days = -((now_ms - until_ms) // _DAY_MS)
        keys["s3:object-lock-remaining-retention-days"] = str(days)
    if status:
        keys["s3:object-lock-legal-hold"] = status
    return keys
