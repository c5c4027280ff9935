"""Buckets: the directory of names, the record in the bucket's own domain, and how both agree.

Theory: creating and deleting a bucket change two domains, so each is a chain of transactions that
may be repeated at any link. Create: the name is reserved (not active, with a task that finishes the
chain), the bucket's record is written, the name becomes active. Delete: the transaction that finds
the bucket empty marks it and leaves a task; from then on no write can slip in; then the name is
forgotten, then the record removed and the range left to the sweep.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from fogbank.base.errors import AccessDenied
from fogbank.base.types import Request
from fogbank.contract.call import Call
from fogbank.platform.store.engine import DIRECTORY, Placement, Transaction
from fogbank.services.s3.errors import (
    BucketAlreadyExists,
    BucketNotEmpty,
    InvalidBucketOwnerAWSAccountID,
    NoSuchBucket,
    PermanentRedirect,
    TooManyBuckets,
)
from fogbank.services.s3.rules.access import domain_of
from fogbank.services.s3.rules.names import bucket_url
from fogbank.services.s3.rules.payment import PAYABLE, REQUESTER, SILENT
from fogbank.services.s3.rules.retention import check_versioning
from fogbank.services.s3.schema import (
    ACCOUNT_BUCKETS,
    ACCOUNTS,
    BUCKET,
    CONFIGURATIONS,
    NAMES,
    OBJECTS,
    TAGS,
    VERSIONS,
    AccountBucketRecord,
    AccountRecord,
    BucketEncryption,
    BucketRecord,
    NameRecord,
    ObjectLock,
    TagsRecord,
    TaskRecord,
)
from fogbank.services.s3.state.tasks import READ_GRACE_MS, WORKFLOW_GRACE_MS, put_task

_ACCOUNT_DIGITS = 12
REGION: Final = "x-amz-bucket-region"
"""The header that says where a bucket is, even to who may not enter it."""


class Reserved(NamedTuple):
    """A name as the directory has it after asking for it."""

    name: str
    record: NameRecord


async def find_bucket(tr: Transaction) -> BucketRecord | None:
    """Return the bucket that has the domain's name, or None; one being deleted is none."""
    record = await BUCKET.find(tr)
    return None if record is None or record.deleting else record


async def require_bucket(tr: Transaction, call: Call, request: Request) -> BucketRecord:
    """Return the request's bucket.

    Raises:
        NoSuchBucket: There is none.
        PermanentRedirect: It lies in another region than the one that was asked.
        AccessDenied: It is another account's, or not the expected one's.
    """
    record = await require_named(tr, call, request["Bucket"], request.get("ExpectedBucketOwner"))
    check_bucket_region(call, record)
    charge_requester(tr, call, request, record)
    return record


def charge_requester(tr: Transaction, call: Call, request: Request, bucket: BucketRecord) -> None:
    """Charge another account for its request, if it says that it will pay.

    Source: Amazon S3 User Guide, "Using Requester Pays general purpose buckets for storage
    transfers and usage": nobody asks anonymously, and the answer says who is charged.

    Raises:
        AccessDenied: It does not say so.
    """
    if call.account == bucket.account or call.operation not in PAYABLE:
        return
    charged = bucket.requester_pays
    if charged and (not call.account or request.get("RequestPayer") != REQUESTER):
        raise AccessDenied("Access Denied")
    says_so = charged and call.operation not in SILENT
    call.remark(tr.domain, {"RequestCharged": REQUESTER} if says_so else {})


def put_payer(tr: Transaction, bucket: BucketRecord, *, requester_pays: bool) -> None:
    """Say whether other accounts pay for what they ask of a bucket."""
    BUCKET.put(tr, msgspec.structs.replace(bucket, requester_pays=requester_pays))


def check_bucket_region(call: Call, bucket: BucketRecord) -> None:
    """Refuse to serve a bucket to a request that was made to another region.

    Every region is served under one address, so the region that was asked is the one that was
    signed for (or, without a signature, the one that the host names).

    Raises:
        PermanentRedirect: With the endpoint to use, and the region in ``x-amz-bucket-region``,
            by which SDKs repeat the request rightly.
    """
    if not call.scope.reaches(bucket.region):
        url = bucket_url(call.http, bucket.name, bucket.region)
        error = PermanentRedirect(Endpoint=url.partition("//")[2], Bucket=bucket.name)
        error.headers[REGION] = bucket.region
        raise error


async def require_named(
    tr: Transaction, call: Call, name: str, expected_owner: str | None
) -> BucketRecord:
    """Return the bucket of the domain's name, whatever its region; see ``require_bucket``."""
    if expected_owner is not None and not _is_account(expected_owner):
        raise InvalidBucketOwnerAWSAccountID(
            "The value of the expected bucket owner parameter must be an AWS Account ID... "
            f"[{expected_owner}]"
        )
    record = await find_bucket(tr)
    if record is None:
        raise NoSuchBucket(BucketName=name)
    if expected_owner not in (None, record.account):
        denied = AccessDenied("Access Denied")
        # AWS: who may not enter a bucket still hears where it is (API Reference, HeadBucket).
        denied.headers[REGION] = record.region
        raise denied
    plain = record.account == call.account and not (record.has_policy or record.foreign)
    call.confirm(tr.domain, record, plain=plain)
    if record.logs or record.metrics:
        call.logged = (*call.logged, tr.domain)
    return record


async def settle_bucket(tr: Transaction, call: Call, request: Request) -> None:
    """Look at the request's bucket before it is decided what of it the caller may reach.

    Raises:
        NoSuchBucket: There is none.
    """
    record = await find_bucket(tr)
    if record is None:
        raise NoSuchBucket(BucketName=request["Bucket"])
    if record.account != call.account or record.has_policy or record.foreign:
        call.settle(tr.domain)


def put_bucket(tr: Transaction, bucket: BucketRecord) -> None:
    """Write the record of a bucket."""
    BUCKET.put(tr, bucket)


def _is_account(text: str) -> bool:
    """Return whether a text has the form of an account id."""
    return len(text) == _ACCOUNT_DIGITS and text.isascii() and text.isalnum()


async def reserve_name(
    tr: Transaction, name: str, wanted: NameRecord, buckets_max: int
) -> Reserved:
    """Reserve a name in the directory, or return how the account has it already.

    Raises:
        BucketAlreadyExists: Another account has it.
        TooManyBuckets: The account has as many buckets as it may.
    """
    record = await NAMES.find(tr, name)
    if record is not None:
        if record.account != wanted.account:
            raise BucketAlreadyExists(BucketName=name)
        return Reserved(name, record)
    account = await find_account(tr, wanted.account)
    if account.buckets >= buckets_max:
        raise TooManyBuckets
    wanted = msgspec.structs.replace(
        wanted,
        account_block=account.access_block,
        account_block_version=account.access_block_version,
    )
    NAMES.put(tr, wanted, name)
    _list_bucket(tr, name, wanted)
    ACCOUNTS.put(tr, msgspec.structs.replace(account, buckets=account.buckets + 1), wanted.account)
    task = TaskRecord(kind="create", bucket_id=wanted.bucket_id, name=name, account=wanted.account)
    put_task(tr, task, now_ms=wanted.created_ms, delay_ms=WORKFLOW_GRACE_MS)
    return Reserved(name, wanted)


async def find_account(tr: Transaction, account: str) -> AccountRecord:
    """Return what an account has."""
    return await ACCOUNTS.find(tr, account) or AccountRecord(0)


def _list_bucket(tr: Transaction, name: str, record: NameRecord) -> None:
    """Write the entry of the account's list that goes with a name."""
    entry = AccountBucketRecord(record.bucket_id, record.region, record.created_ms, record.active)
    ACCOUNT_BUCKETS.put(tr, entry, record.account, name)


async def finish_creation(placement: Placement, reserved: Reserved, now_ms: int) -> None:
    """Write the bucket's record and make its name active; may be repeated."""
    name, record = reserved

    async def open_bucket(tr: Transaction) -> None:
        there = await BUCKET.find(tr)
        if there is not None and there.bucket_id == record.bucket_id:
            return
        if there is not None:
            # The name is ours, so the bucket that had it before only waits for this step.
            _retire(tr, there, now_ms)
        BUCKET.put(tr, _bucket_of(name, record))
        if record.tags:
            TAGS.put(tr, TagsRecord(record.tags), record.bucket_id)

    async def activate(tr: Transaction) -> AccountRecord:
        current = await NAMES.find(tr, name)
        account = await find_account(tr, record.account)
        if current is None or current.bucket_id != record.bucket_id or current.active:
            return account
        active = msgspec.structs.replace(current, active=True)
        NAMES.put(tr, active, name)
        _list_bucket(tr, name, active)
        return account

    await placement.store_of(domain_of(name)).transact(open_bucket)
    account = await placement.store_of(DIRECTORY).transact(activate)
    if account.access_block_version > record.account_block_version:
        # It was put since the name was reserved, perhaps before there was a bucket to tell.
        await copy_block(placement, name, account)


async def copy_block(placement: Placement, name: str, account: AccountRecord) -> None:
    """Have a bucket know what of public access its account blocks, if it knows an older state."""

    async def body(tr: Transaction) -> None:
        bucket = await find_bucket(tr)
        if bucket is None or bucket.account_block_version >= account.access_block_version:
            return
        told = msgspec.structs.replace(
            bucket,
            account_block=account.access_block,
            account_block_version=account.access_block_version,
        )
        BUCKET.put(tr, told)

    await placement.store_of(domain_of(name)).transact(body)


def _bucket_of(name: str, record: NameRecord) -> BucketRecord:
    """Return the record of a new bucket."""
    return BucketRecord(
        bucket_id=record.bucket_id,
        name=name,
        account=record.account,
        region=record.region,
        location=record.location,
        created_ms=record.created_ms,
        versioning="Enabled" if record.object_lock else "",
        object_lock=ObjectLock() if record.object_lock else None,
        ownership=record.ownership,
        acl=record.acl,
        access_block=record.access_block,
        account_block=record.account_block,
        account_block_version=record.account_block_version,
    )


async def find_reserved(tr: Transaction, name: str, bucket_id: bytes) -> Reserved | None:
    """Return a name that is still reserved for a bucket and not active yet, or None."""
    record = await NAMES.find(tr, name)
    if record is None or record.bucket_id != bucket_id or record.active:
        return None
    return Reserved(name, record)


async def mark_deleting(tr: Transaction, bucket: BucketRecord, now_ms: int) -> None:
    """Mark a bucket as deleted in the transaction that finds it empty.

    Raises:
        BucketNotEmpty: It holds objects, versions or delete markers.
    """
    if await OBJECTS.list(tr, bucket.bucket_id, limit=1):
        raise BucketNotEmpty(BucketName=bucket.name)
    if await VERSIONS.list(tr, bucket.bucket_id, limit=1):
        raise BucketNotEmpty(
            "The bucket you tried to delete is not empty. You must delete all versions in the "
            "bucket.",
            BucketName=bucket.name,
        )
    BUCKET.put(tr, msgspec.structs.replace(bucket, deleting=True))
    task = TaskRecord(
        kind="delete", bucket_id=bucket.bucket_id, name=bucket.name, account=bucket.account
    )
    put_task(tr, task, now_ms=now_ms, delay_ms=WORKFLOW_GRACE_MS)


def put_versioning(tr: Transaction, bucket: BucketRecord, status: str, mfa_delete: str) -> None:
    """Enable or suspend the versioning of a bucket, and removals by a second factor only."""
    check_versioning(bucket, status)
    BUCKET.put(tr, msgspec.structs.replace(bucket, versioning=status, mfa_delete=mfa_delete))


def put_encryption(
    tr: Transaction, bucket: BucketRecord, encryption: BucketEncryption | None
) -> None:
    """Change the default encryption of a bucket; None is what a new bucket has."""
    BUCKET.put(tr, msgspec.structs.replace(bucket, encryption=encryption))


def put_object_lock(tr: Transaction, bucket: BucketRecord, lock: ObjectLock) -> None:
    """Give a bucket Object Lock, or another default retention; it never loses it again."""
    assert bucket.versioning == "Enabled"
    BUCKET.put(tr, msgspec.structs.replace(bucket, object_lock=lock))


async def finish_deletion(placement: Placement, task: TaskRecord, now_ms: int) -> None:
    """Forget the name of a bucket marked as deleted, then its record; may be repeated."""
    name, bucket_id = task.name, task.bucket_id

    async def forget_name(tr: Transaction) -> None:
        record = await NAMES.find(tr, name)
        if record is None or record.bucket_id != bucket_id:
            return
        NAMES.delete(tr, name)
        ACCOUNT_BUCKETS.delete(tr, record.account, name)
        account = await find_account(tr, record.account)
        fewer = msgspec.structs.replace(account, buckets=max(account.buckets - 1, 0))
        ACCOUNTS.put(tr, fewer, record.account)

    async def remove_record(tr: Transaction) -> None:
        there = await BUCKET.find(tr)
        if there is None or there.bucket_id != bucket_id:
            return
        _retire(tr, there, now_ms)

    await placement.store_of(DIRECTORY).transact(forget_name)
    await placement.store_of(domain_of(name)).transact(remove_record)


def _retire(tr: Transaction, bucket: BucketRecord, now_ms: int) -> None:
    """Remove the record of a bucket marked as deleted; what is under its id is swept."""
    assert bucket.deleting, "a bucket in use is not removed"
    BUCKET.delete(tr)
    for table in CONFIGURATIONS:
        table.delete(tr, bucket.bucket_id)
    sweep = TaskRecord(kind="sweep_bucket", bucket_id=bucket.bucket_id, name=bucket.name)
    put_task(tr, sweep, now_ms=now_ms, delay_ms=READ_GRACE_MS)


async def list_names(
    tr: Transaction, account: str, after: str, limit: int
) -> list[tuple[str, AccountBucketRecord]]:
    """Return up to ``limit`` entries of an account's list of buckets behind a name, in order."""
    rows = await ACCOUNT_BUCKETS.list(tr, account, limit=limit, after=(after,) if after else None)
    return [(str(key[0]), record) for key, record in rows]
