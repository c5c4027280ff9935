"""Bytes of objects and parts on their way into the store and out of it.

Rule: nothing is held whole because it is large. Bytes are hashed in frames on their way to the blob
store, beside the write and off the loop; what is refused at the end (a digest, a signature, a
length) leaves nothing behind.

Theory: a blob is named, written and made durable before the transaction that refers to it, so a
crash leaves an orphan (which the platform sweeps) and never a torn object. A reader has opened a
blob once its first frame is out; a blob removed before that shows as ``Corrupt``, and the operation
looks at the record again.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Final, NamedTuple

from fogbank.base.errors import Conflict, ServiceError, TransactionTooLarge
from fogbank.base.lane import Lane
from fogbank.platform.blobs.frames import chained, frames_of
from fogbank.platform.blobs.port import (
    FRAME_BYTES,
    INLINE_BYTES_MAX,
    LOOP_HASH_BYTES_MAX,
    BlobRef,
    Blobs,
    BlobSource,
    Chunk,
    Wanted,
)
from fogbank.platform.crypto.layer import Layer
from fogbank.services.s3.errors import EntityTooLarge, IncompleteBody
from fogbank.services.s3.quotas import PUT_BYTES_MAX
from fogbank.services.s3.rules.checksums import Digests, Expected
from fogbank.services.s3.schema import Checksum
from fogbank.wire.http import BodyStream

_LAYER_NAME: Final = struct.Struct(">QQ")
_NO_TRAILERS: Final[Mapping[str, str]] = {}
REFUSALS: Final = (ServiceError, Conflict, TransactionTooLarge)
"""What a transaction raises when it certainly has not committed."""


class Body(NamedTuple):
    """Bytes that have been taken in: inline, or durable in a blob that nothing refers to yet."""

    size: int
    etag: str
    checksum: Checksum
    given: Checksum | None
    """By the algorithm that the client used, if it used one."""
    inline: bytes | None
    blob: BlobRef | None


def is_long(source: bytes | BodyStream) -> bool:
    """Return whether a body is worth a look at the request before it is taken."""
    if isinstance(source, bytes):
        return len(source) > INLINE_BYTES_MAX
    return source.length is None or source.length > INLINE_BYTES_MAX


class Keeping(NamedTuple):
    """How the bytes of a body are kept."""

    inline: bool = True
    """A small body may lie in a record."""
    lock: bytes | None = None
    """What seals its blob in the place of the store's own keys."""
    layered: bool = False
    """What ``lock`` encrypts is sealed with the store's own keys as well."""


ANYHOW: Final = Keeping()


async def take(
    blobs: Blobs, source: bytes | BodyStream, expected: Expected, keeping: Keeping = ANYHOW
) -> Body:
    """Take in the body of a request and verify it.

    Args:
        blobs: Where large bodies go.
        source: The bytes, or the stream of them.
        expected: What they must come to.
        keeping: How they are kept; a small body that is to lie in a record is in the clear.

    Raises:
        EntityTooLarge: It is larger than one request may carry.
        IncompleteBody: It is shorter than promised.
        BadDigest: It is not what the client said.
        ServiceError: The stream broke off or its signature does not hold.
    """
    digests = Digests(expected)
    if isinstance(source, bytes):
        if _fits(len(source), keeping):
            return _in_record(source, digests, _NO_TRAILERS)
        return await _take_frames(blobs, _once(source), digests, _NO_TRAILERS, keeping)
    length = source.length
    if length is not None and length > PUT_BYTES_MAX:
        raise EntityTooLarge(ProposedSize=length, MaxSizeAllowed=PUT_BYTES_MAX)
    if isinstance(source, BlobSource) and not keeping.layered:
        return await _kept(blobs, source, length, expected, keeping)
    frames = _checked(frames_of(source), length)
    if is_long(source) and length is not None:
        return await _write(blobs, frames, digests, _Trailers(source), keeping)
    return await _take_frames(blobs, frames, digests, _Trailers(source), keeping)


async def _kept(
    blobs: Blobs, source: BlobSource, length: int | None, expected: Expected, keeping: Keeping
) -> Body:
    """Have a body kept by the process that has it, and verify it; see ``take``."""
    ref = await blobs.name()
    inline_bytes_max = INLINE_BYTES_MAX if keeping.inline else 0
    wanted = Wanted(ref, expected.algorithms, inline_bytes_max, PUT_BYTES_MAX)
    try:
        kept = await source.keep(wanted, keeping.lock)
        _check_size(kept.size, length)
        digests = Digests(expected, kept.digests, kept.size)
        digests.verify(kept.trailers)
    except BaseException:
        await blobs.delete(ref)
        raise
    return _body_of(digests, kept.inline, ref if kept.inline is None else None)


def _check_size(size: int, length: int | None) -> None:
    """Refuse more than one request may carry, and less than was promised."""
    if size > PUT_BYTES_MAX:
        raise EntityTooLarge(ProposedSize=size, MaxSizeAllowed=PUT_BYTES_MAX)
    if length is not None and size != length:
        raise IncompleteBody


async def take_copy(
    blobs: Blobs, pieces: AsyncIterator[Chunk], expected: Expected, keeping: Keeping = ANYHOW
) -> Body:
    """Take in bytes that come from another object; see ``take``."""
    return await _take_frames(blobs, pieces, Digests(expected), _NO_TRAILERS, keeping)


async def digest(pieces: AsyncIterator[Chunk], expected: Expected) -> tuple[str, Checksum]:
    """Return the entity tag and checksum of bytes that stay where they are."""
    digests = Digests(expected)
    hashing: Lane[Chunk] = Lane(digests.update)
    async for _ in _hashed(pieces, digests, hashing):
        pass
    await hashing.end()
    return digests.etag, digests.checksum


class _Trailers(Mapping[str, str]):
    """The trailers of a stream, looked up when it has ended."""

    __slots__ = ("_stream",)

    def __init__(self, stream: BodyStream) -> None:
        self._stream = stream

    def _found(self) -> Mapping[str, str]:
        return getattr(self._stream, "trailers", None) or _NO_TRAILERS

    def __getitem__(self, name: str) -> str:
        return self._found()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found())

    def __len__(self) -> int:
        return len(self._found())


async def _take_frames(
    blobs: Blobs,
    frames: AsyncIterator[Chunk],
    digests: Digests,
    trailers: Mapping[str, str],
    keeping: Keeping,
) -> Body:
    """Keep a small body, write a large one to a fresh blob; verify either."""
    head: list[Chunk] = []
    size = 0
    async for frame in frames:
        head.append(frame)
        size += len(frame)
        if size > INLINE_BYTES_MAX:
            break
    if _fits(size, keeping):
        return _in_record(b"".join(head), digests, trailers)
    return await _write(blobs, chained(head, frames), digests, trailers, keeping)


def _fits(size: int, keeping: Keeping) -> bool:
    """Return whether a body lies in a record."""
    return size <= INLINE_BYTES_MAX and (keeping.inline or not size)


def _in_record(whole: bytes, digests: Digests, trailers: Mapping[str, str]) -> Body:
    """Return a small body, verified."""
    digests.update(whole)
    digests.verify(trailers)
    return _body_of(digests, whole, None)


async def _write(
    blobs: Blobs,
    frames: AsyncIterator[Chunk],
    digests: Digests,
    trailers: Mapping[str, str],
    keeping: Keeping,
) -> Body:
    """Write a body to a fresh blob, hash it beside, and verify it."""
    ref = await blobs.name()
    hashing: Lane[Chunk] = Lane(digests.update)
    try:
        hashed = _hashed(frames, digests, hashing)
        if keeping.layered:
            assert keeping.lock is not None
            await blobs.write(ref, layered(hashed, keeping.lock, ref))
        else:
            await blobs.write(ref, hashed, lock=keeping.lock)
        await hashing.end()
        digests.verify(trailers)
    except BaseException:
        await blobs.delete(ref)
        raise
    return _body_of(digests, None, ref)


def _body_of(digests: Digests, inline: bytes | None, blob: BlobRef | None) -> Body:
    """Return what was taken in."""
    return Body(
        digests.size, digests.etag, digests.checksum, digests.given_checksum(), inline, blob
    )


async def _once(whole: bytes) -> AsyncIterator[bytes]:
    """Yield bytes that are there already, in frames."""
    for at in range(0, len(whole), FRAME_BYTES):
        yield whole[at : at + FRAME_BYTES]


async def _checked(frames: AsyncIterator[Chunk], length: int | None) -> AsyncIterator[Chunk]:
    """Yield frames; refuse more than one request may carry, and less than was promised."""
    size = 0
    async for frame in frames:
        size += len(frame)
        if size > PUT_BYTES_MAX:
            raise EntityTooLarge(ProposedSize=size, MaxSizeAllowed=PUT_BYTES_MAX)
        yield frame
    if length is not None and size != length:
        raise IncompleteBody


async def _hashed(
    frames: AsyncIterator[Chunk], digests: Digests, hashing: Lane[Chunk]
) -> AsyncIterator[Chunk]:
    """Yield frames and have each hashed while it is being written, and while the next ones come.

    MD5 takes longer than anything else that is done with a frame: it must never wait for bytes. Who
    asked for the frames waits for the end of it.
    """
    async for frame in frames:
        if len(frame) <= LOOP_HASH_BYTES_MAX:
            await hashing.end()
            digests.update(frame)
        else:
            await hashing.put(frame)
        yield frame


async def layered(
    pieces: AsyncIterator[Chunk], key: bytes, ref: BlobRef, begin: int = 0
) -> AsyncIterator[bytes]:
    """Yield the pieces of a blob on the other side of their second layer.

    Args:
        pieces: In order.
        key: The key of the object.
        ref: The blob.
        begin: The offset of the first piece in it.
    """
    layer = Layer(key, _LAYER_NAME.pack(*ref), begin)
    async for piece in pieces:
        yield layer.update(piece)


async def discard(blobs: Blobs, body: Body) -> None:
    """Delete the blob of a body that nothing will refer to."""
    if body.blob is not None:
        await blobs.delete(body.blob)


async def opened(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Read the first piece, so that its blob is open, and return an iterator of all of them.

    Raises:
        Corrupt: The blob is gone or damaged.
    """
    first = await anext(pieces, b"")
    return chained([first], pieces) if first else _once(b"")
