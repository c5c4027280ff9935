"""Zip files on their way into the blob store, and the URLs at which they are fetched from it.

Rule: bytes first, reference second: what is refused leaves nothing, and who stores a package refers
to it in a transaction or deletes it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from fogbank.base.errors import ServiceError
from fogbank.contract.call import Call, Facilities
from fogbank.platform.blobs.port import FRAME_BYTES, BlobRef
from fogbank.platform.crypto.locked import LockedKey
from fogbank.platform.runtime.cloud import PACKAGE, lambda_for
from fogbank.platform.runtime.folders import FolderError, Packed
from fogbank.platform.runtime.functions import (
    Package,
    PackageError,
    PackageTooLargeError,
    Tree,
    UnreadableError,
)
from fogbank.services.lambda_ import quotas
from fogbank.services.lambda_.rules import code, downloads, sealing, urls
from fogbank.services.lambda_.rules.code import CodeSource
from fogbank.services.lambda_.rules.downloads import Ticket
from fogbank.services.lambda_.schema import FunctionRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import lambda_ as shapes


class Stored(NamedTuple):
    """A package that has been stored, and checked by unpacking it."""

    sha256: str
    size: int
    unzipped: int
    blob: BlobRef
    lock: LockedKey | None
    """What the blob is sealed with; None: the store's own keys."""
    mark: str = ""
    """Of the folder that it was made of."""


async def store(call: Call, source: CodeSource, runtime: str, root: str, name: str = "") -> Stored:
    """Store a package and unpack it.

    Args:
        call: The call; its caller reads what lies in a bucket.
        source: Where the zip file is.
        runtime: What it is unpacked for; empty: nothing in particular.
        root: Where functions will find it.
        name: The function whose code it is; empty: it is a layer.

    Raises:
        AccessDeniedException: The policy of the KMS key does not let Lambda in.
        InvalidParameterValueException: It cannot be fetched, or cannot be unpacked.
    """
    lock, key = await _find_lock(call, source.kms_key, name)
    try:
        if source.folder:
            packed = await call.facilities.folders.pack(source.folder)
            return await keep(call.facilities, packed, runtime, root)
        content = Packed("", await _chunks_of(call, source))
        return await keep(call.facilities, content, runtime, root, (lock, key))
    except PackageError as error:
        raise code.refused(error) from error
    except FolderError as error:
        raise code.unread(error) from error
    except UnreadableError as error:
        raise sealing.unconfigured(error.error, "Decrypt", PACKAGE) from error


async def keep(
    facilities: Facilities,
    packed: Packed,
    runtime: str,
    root: str,
    seal: tuple[LockedKey | None, bytes | None] = (None, None),
) -> Stored:
    """Store a zip file and unpack it; what cannot be unpacked is not kept.

    Args:
        facilities: The cloud.
        packed: The zip file.
        runtime: What it is unpacked for; empty: nothing in particular.
        root: Where functions will find it.
        seal: What its blob is sealed with, encrypted and plain.

    Raises:
        PackageError: It cannot be unpacked.
        UnreadableError: The key that it is sealed with cannot be opened.
    """
    digest, (lock, key) = hashlib.sha256(), seal
    blob = await facilities.blobs.name()
    size = await facilities.blobs.write(blob, _digested(packed.pieces, digest.update), lock=key)
    tree = Tree((Package(digest.hexdigest(), blob, lock),), runtime, root)
    try:
        unzipped = await facilities.functions.prepare(tree, facilities)
    except BaseException:
        await facilities.blobs.delete(blob)
        raise
    return Stored(digest.hexdigest(), size, unzipped, blob, lock, packed.mark)


async def _find_lock(
    call: Call, kms_key: str, name: str
) -> tuple[LockedKey, bytes] | tuple[None, None]:
    """Return a new key for a zip file, encrypted and plain; None twice: none is asked for.

    Raises:
        AccessDeniedException: The policy of the KMS key does not let Lambda in.
        InvalidParameterValueException: There is no such key, or it cannot be used.
    """
    if not kms_key:
        return None, None
    _, account, region = call.domain.name
    lock = sealing.package_lock(region, account, name, kms_key, b"")
    request = {"KeyId": kms_key, "KeySpec": "AES_256", "EncryptionContext": dict(lock.context)}
    try:
        made = await call.calls.call(
            "kms",
            "GenerateDataKey",
            request,
            principal=lambda_for(account),
            region=region,
            account=account,
        )
    except ServiceError as error:
        raise sealing.unconfigured(error, "GenerateDataKey", PACKAGE) from error
    return lock._replace(wrapped=made["CiphertextBlob"]), made["Plaintext"]


async def opened(call: Call, lock: LockedKey) -> bytes:
    """Return the key of a package for who was given leave to fetch it.

    Raises:
        KMSAccessDeniedException, KMSDisabledException, KMSInvalidStateException,
        KMSNotFoundException: Lambda cannot use the KMS key.
    """
    try:
        return await call.facilities.opened_for(lambda_for(lock.account), lock)
    except ServiceError as error:
        raise sealing.uninvoked(UnreadableError(PACKAGE, error)) from error


async def code_of(
    call: Call, account: str, function: FunctionRecord
) -> shapes.FunctionCodeLocation:
    """Return where a function's package can be had for a while, by who may decrypt it.

    AWS: to others it says ``Error`` (Developer Guide, "Encrypting Lambda .zip deployment packages").
    """
    found: shapes.FunctionCodeLocation = {"RepositoryType": "S3"}
    lock = sealing.find_package_lock(account, call.region, function)
    if lock is not None:
        found["SourceKMSKeyArn"] = lock.owner
        try:
            await call.open_key(lock)
        except ServiceError as error:
            error_code, message = sealing.shown_as(error, PACKAGE)
            found["Error"] = {"ErrorCode": error_code, "Message": message}
            return found
    found["Location"] = location_of(call, account, function.blob, lock)
    return found


async def drop(call: Call, blobs: Sequence[BlobRef]) -> None:
    """Delete packages to which nobody refers after all."""
    for blob in blobs:
        await call.blobs.delete(blob)


async def _digested(
    chunks: AsyncIterator[bytes], update: Callable[[bytes], None]
) -> AsyncIterator[bytes]:
    """Pass chunks on and digest them; refuse a zip file larger than what it may unpack to."""
    left = quotas.UNZIPPED_BYTES_MAX
    async for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise PackageTooLargeError
        await asyncio.to_thread(update, chunk)
        yield chunk


async def _chunks_of(call: Call, source: CodeSource) -> AsyncIterator[bytes]:
    """Return the bytes of a package, read from its bucket as the caller."""
    body: Any = source.content
    if body is None:
        try:
            reply = await call.calls.call(
                "s3", "GetObject", source.get_object, principal=call.principal, region=call.region
            )
        except ServiceError as error:
            raise code.unfetched(error) from error
        body = reply["Body"]
    return _pieces_of(body) if isinstance(body, bytes) else body


async def _pieces_of(content: bytes) -> AsyncIterator[bytes]:
    """Yield bytes a frame at a time."""
    for at in range(0, len(content), FRAME_BYTES):
        yield content[at : at + FRAME_BYTES]


def secret_of(call: Call) -> bytes:
    """Return what URLs of packages are signed with, in every process of this cloud."""
    sealer = call.identity.sealer
    assert sealer is not None, "identity is opened before a call is made"
    return sealer.key_for(downloads.PURPOSE)


def location_of(call: Call, account: str, blob: BlobRef, lock: LockedKey | None = None) -> str:
    """Return a URL at which a package of an account can be fetched for a while."""
    ticket = Ticket(blob, call.clock.now_ms() + downloads.LIFETIME_MS, lock)
    entropy = call.ids.random_bytes(urls.ENTROPY_BYTES)
    secret = secret_of(call)
    return downloads.location_of(account, call.region, ticket, secret, entropy, call.http.url)
