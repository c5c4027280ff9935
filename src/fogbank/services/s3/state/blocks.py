"""What of public access an account blocks, in force at each of its buckets.

Rule: the account's record lies in the directory, and each bucket has a copy of it, so that deciding
about a bucket reads the bucket alone. A copy has the version of what it is a copy of: the newest stays,
whoever comes late. Buckets that are being made find it when they become active
(``buckets.finish_creation``).
"""

from __future__ import annotations

from typing import Final

import msgspec

from fogbank.platform.store.engine import DIRECTORY, Placement, Transaction
from fogbank.services.s3.schema import ACCOUNTS, AccessBlock, AccountRecord, TaskRecord
from fogbank.services.s3.state import buckets
from fogbank.services.s3.state.tasks import WORKFLOW_GRACE_MS, put_task

_NAMES_PER_READ: Final = 250


async def put_block(tr: Transaction, account: str, block: AccessBlock | None, now_ms: int) -> None:
    """Say what an account blocks, None: nothing; leave it to be told to its buckets."""
    there = await buckets.find_account(tr, account)
    said = msgspec.structs.replace(
        there, access_block=block, access_block_version=there.access_block_version + 1
    )
    ACCOUNTS.put(tr, said, account)
    task = TaskRecord(kind="block", bucket_id=account.encode(), name="", account=account)
    put_task(tr, task, now_ms=now_ms, delay_ms=WORKFLOW_GRACE_MS)


async def spread(placement: Placement, account: str) -> None:
    """Tell each bucket of an account what the account blocks; may be repeated."""
    directory, after = placement.store_of(DIRECTORY), ""
    while True:

        async def body(tr: Transaction, after: str = after) -> tuple[AccountRecord, list[str]]:
            found = await buckets.list_names(tr, account, after, _NAMES_PER_READ)
            return await buckets.find_account(tr, account), [name for name, _ in found]

        said, names = await directory.read(body)
        for name in names:
            await buckets.copy_block(placement, name, said)
        if len(names) < _NAMES_PER_READ:
            return
        after = names[-1]
