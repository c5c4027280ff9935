"""Hot reload: a function whose code is a folder of the machine runs what the folder has now.

Rule: the function is durable with the code that it ran last, and runs that where the folder cannot be
read, may not be any more, or has nothing that can be unpacked; the server's log says so. What a look
finds changed is stored as UpdateFunctionCode stores code; environments of the code before end.
"""

from __future__ import annotations

import logging

import msgspec

from fogbank.base.errors import ServiceError
from fogbank.contract.call import Facilities
from fogbank.platform.blobs import rows
from fogbank.platform.runtime.folders import FolderError
from fogbank.platform.runtime.functions import TASK, PackageError
from fogbank.platform.store.engine import Transaction
from fogbank.services.lambda_ import arns, quotas
from fogbank.services.lambda_.arns import LATEST
from fogbank.services.lambda_.rules import layers, names
from fogbank.services.lambda_.schema import FUNCTIONS, FunctionRecord
from fogbank.services.lambda_.state import accounts, packages
from fogbank.services.lambda_.state.packages import Stored
from fogbank.services.lambda_.state.runs import Runnable

log = logging.getLogger("fogbank.functions")


def with_code(function: FunctionRecord, stored: Stored, folder: str) -> FunctionRecord:
    """Return a function with other code, and where it is written; empty: nowhere here."""
    return msgspec.structs.replace(
        function,
        code_sha256=stored.sha256,
        code_size=stored.size,
        blob_incarnation=stored.blob.incarnation,
        blob_number=stored.blob.number,
        unzipped_size=stored.unzipped,
        code_kms_key="" if stored.lock is None else stored.lock.owner,
        code_lock=b"" if stored.lock is None else stored.lock.wrapped,
        folder=folder,
        folder_mark=stored.mark,
    )


async def current(facilities: Facilities, account: str, region: str, found: Runnable) -> Runnable:
    """Return what is to run, which has a folder, with the code that the folder has now."""
    version = found.version
    try:
        mark = await facilities.folders.look(version.folder)
        if mark == version.folder_mark:
            return found
        return found._replace(version=await _reload(facilities, account, region, version))
    except (FolderError, PackageError, ServiceError) as error:
        arn = arns.function_arn(region, account, version.name)
        log.warning("HOT RELOAD: %s runs what it ran last: %s", arn, error)
        return found


async def _reload(
    facilities: Facilities, account: str, region: str, seen: FunctionRecord
) -> FunctionRecord:
    """Take the code of a function's folder; return the function as it is to run.

    Raises:
        FolderError: The folder cannot be read.
        PackageError: What it has cannot be unpacked.
        ServiceError: It has more than a function and its layers may have.
    """
    packed = await facilities.folders.pack(seen.folder)
    stored = await packages.keep(facilities, packed, seen.runtime, TASK)
    deployment, revision = facilities.ids.uuid(), facilities.ids.uuid()
    now_ms = facilities.clock.now_ms()
    code_bytes_max = facilities.quotas.value(quotas.CODE_STORAGE_BYTES)

    async def body(tr: Transaction) -> FunctionRecord | None:
        before = await FUNCTIONS.find(tr, seen.name)
        if before is None or before.deployment != seen.deployment:
            return None  # somebody else has changed it, or has taken the same code before us
        if before.code_sha256 == stored.sha256:  # touched, and the same: environments stay
            FUNCTIONS.put(tr, msgspec.structs.replace(before, folder_mark=stored.mark), seen.name)
            return None
        after = msgspec.structs.replace(
            with_code(before, stored, before.folder),
            revision=revision,
            deployment=deployment,
            modified_ms=now_ms,
        )
        layers.check_size(after.unzipped_size, after.layers)
        await accounts.store_code(tr, after.code_size, code_bytes_max, before.code_size)
        rows.attach(tr, after.blob, after.code_size)
        await rows.release(tr, before.blob)
        FUNCTIONS.put(tr, after, after.name)
        return after

    store = facilities.placement.store_of(names.domain_of(account, region))
    try:
        after = await store.transact(body)
    except BaseException:
        await facilities.blobs.delete(stored.blob)
        raise
    if after is None:
        await facilities.blobs.delete(stored.blob)
        return await store.read(lambda tr: FUNCTIONS.find(tr, seen.name)) or seen
    arn = arns.function_arn(region, account, seen.name)
    log.warning("HOT RELOAD: %s runs what %s has now", arn, seen.folder)
    await facilities.functions.retire(arn, deployment, LATEST)
    return after
