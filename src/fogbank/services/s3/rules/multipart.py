"""Multipart uploads: which part lists complete one, and what comes out.

Source: Amazon S3 API Reference, CompleteMultipartUpload; User Guide, "Uploading and copying objects
using multipart upload"; messages from answers recorded by LocalStack (test_s3.snapshot.json).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import msgspec

from fogbank.base.types import Request
from fogbank.services.s3.errors import (
    BadDigest,
    EntityTooLarge,
    EntityTooSmall,
    InvalidArgument,
    InvalidPart,
    InvalidPartNumber,
    InvalidPartOrder,
    InvalidRequest,
    MalformedXML,
)
from fogbank.services.s3.quotas import OBJECT_BYTES_MAX, PART_BYTES_MIN, PARTS_MAX
from fogbank.services.s3.rules.checksums import (
    DEFAULT,
    MEMBERS,
    combined_of,
    composite_of,
    kind_of,
)
from fogbank.services.s3.schema import (
    Checksum,
    ManifestChunk,
    ManifestPart,
    ManifestRecord,
    PartRecord,
    UploadRecord,
)
from fogbank.wire.checksums import text_of

CHUNK_PARTS: Final = 500
"""Parts in one row of a manifest: about 30 kB."""


class Listed(NamedTuple):
    """A part as the client lists it to complete an upload."""

    number: int
    etag: str
    checksums: Mapping[str, str]
    """Algorithms to Base64, as given."""


class Assembled(NamedTuple):
    """What an upload's parts make up."""

    etag: str
    size: int
    checksum: Checksum
    parts: tuple[ManifestPart, ...]
    dropped: tuple[int, ...]
    """Parts that were uploaded and not listed."""


def check_part_number(number: int) -> None:
    """Refuse part numbers outside 1 to 10,000."""
    if not 1 <= number <= PARTS_MAX:
        raise InvalidArgument(
            f"Part number must be an integer between 1 and {PARTS_MAX}, inclusive",
            ArgumentName="partNumber",
            ArgumentValue=number,
        )


def check_part_checksum(upload: UploadRecord, given: str) -> None:
    """Refuse a part whose checksum is not by the algorithm that the upload was created with."""
    if upload.algorithm and given != upload.algorithm:
        raise InvalidRequest(
            "Checksum Type mismatch occurred, expected checksum Type: "
            f"{upload.algorithm.lower()}, actual checksum Type: {given.lower() or 'null'}"
        )


def listed_parts(request: Request) -> tuple[Listed, ...]:
    """Return the parts that the request lists.

    Raises:
        MalformedXML: There is no list, or an entry lacks its number or entity tag.
        InvalidRequest: The list is empty.
        InvalidPartOrder: Numbers descend.
    """
    document = request.get("MultipartUpload")
    if document is None:
        raise MalformedXML
    entries: list[Request] = document.get("Parts") or []
    if not entries:
        raise InvalidRequest("You must specify at least one part")
    if len(entries) > PARTS_MAX:
        raise MalformedXML
    listed: list[Listed] = []
    for entry in entries:
        if "PartNumber" not in entry or "ETag" not in entry:
            raise MalformedXML
        checksums = {
            name.removeprefix("Checksum"): value
            for name, value in entry.items()
            if name.startswith("Checksum") and value is not None
        }
        etag = entry["ETag"].strip().strip('"')
        listed.append(Listed(entry["PartNumber"], etag, checksums))
    if any(one.number > other.number for one, other in pairwise(listed)):
        raise InvalidPartOrder(UploadId=request["UploadId"])
    # Of entries with one number the last counts, as of parts that are uploaded again
    # (ceph/s3-tests, test_multipart_resend_first_finishes_last).
    return tuple({part.number: part for part in listed}.values())


def digest_of(listed: Sequence[Listed]) -> bytes:
    """Return a digest of a part list, to recognise a repeated request."""
    plain = [(part.number, part.etag) for part in listed]
    return hashlib.sha256(msgspec.msgpack.encode(plain)).digest()


def assemble(
    upload_id: str,
    upload: UploadRecord,
    listed: Sequence[Listed],
    parts: Mapping[int, PartRecord],
) -> Assembled:
    """Return what the listed parts make up.

    Raises:
        InvalidPart: One was not uploaded, or is another.
        EntityTooSmall: One that is not the last is smaller than 5 MiB.
        EntityTooLarge: Together they are larger than an object may be.
    """
    found: list[PartRecord] = []
    for at, part in enumerate(listed, start=1):
        record = parts.get(part.number)
        if record is None or not _is_listed(upload, part, record):
            raise InvalidPart(UploadId=upload_id, PartNumber=part.number, ETag=part.etag)
        if at < len(listed) and record.size < PART_BYTES_MIN:
            raise EntityTooSmall(
                ProposedSize=record.size,
                MinSizeAllowed=PART_BYTES_MIN,
                PartNumber=part.number,
                ETag=part.etag,
            )
        found.append(record)
    size = sum(record.size for record in found)
    if size > OBJECT_BYTES_MAX:
        raise EntityTooLarge(ProposedSize=size, MaxSizeAllowed=OBJECT_BYTES_MAX)
    numbers = {part.number for part in listed}
    return Assembled(
        etag=_etag_of(found),
        size=size,
        checksum=_checksum_of(upload, found),
        parts=tuple(
            ManifestPart(part.number, record.size, record.blob, record.checksum.value)
            for part, record in zip(listed, found, strict=True)
        ),
        dropped=tuple(number for number in parts if number not in numbers),
    )


def _is_listed(upload: UploadRecord, part: Listed, record: PartRecord) -> bool:
    """Return whether a stored part is the one that was listed."""
    if part.etag != record.etag:
        return False
    # AWS also refuses a COMPOSITE upload's part without its checksum; here it may be left out,
    # as other servers of S3 and ceph/s3-tests have it: the stored one was verified.
    for algorithm, text in part.checksums.items():
        if algorithm != upload.algorithm or text != text_of(record.checksum.value):
            return False
    return True


def _etag_of(parts: Sequence[PartRecord]) -> str:
    """Return the entity tag of a multipart object."""
    joined = b"".join(bytes.fromhex(part.etag) for part in parts)
    return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(parts)}"


def _checksum_of(upload: UploadRecord, parts: Sequence[PartRecord]) -> Checksum:
    """Return the checksum of a multipart object."""
    algorithm = upload.algorithm or DEFAULT
    assert all(part.checksum.algorithm == algorithm for part in parts)
    if upload.composite:
        return composite_of(algorithm, [part.checksum.value for part in parts])
    return combined_of(algorithm, ((part.checksum.value, part.size) for part in parts))


def check_completion(request: Request, upload: UploadRecord, assembled: Assembled) -> None:
    """Refuse an object that is not the one the client expects.

    Raises:
        InvalidRequest: Its size or the type of its checksum is another.
        BadDigest: Its checksum is another.
    """
    kind = request.get("ChecksumType")
    ours = kind_of(assembled.checksum) if upload.algorithm else "null"
    if kind is not None and kind != ours:
        raise InvalidRequest(
            f"The upload was created using the {ours} checksum mode. The complete request must use "
            "the same checksum mode."
        )
    size = request.get("MpuObjectSize")
    if size is not None and size != assembled.size:
        raise InvalidRequest(
            f"The provided 'x-amz-mp-object-size' header value {size} does not match what was "
            f"computed: {assembled.size}"
        )
    checksum = assembled.checksum
    plain = text_of(checksum.value)
    right = {plain, f"{plain}-{checksum.parts}"} if checksum.parts else {plain}
    for algorithm, member in MEMBERS.items():
        given = request.get(member)
        if given is not None and (algorithm != checksum.algorithm or given not in right):
            raise BadDigest(
                f"The {algorithm.lower()} you specified did not match the calculated checksum."
            )


def chunks_of(parts: Sequence[ManifestPart]) -> tuple[ManifestChunk, ...]:
    """Return where the rows of a manifest end."""
    chunks: list[ManifestChunk] = []
    offset = 0
    for at in range(0, len(parts), CHUNK_PARTS):
        row = parts[at : at + CHUNK_PARTS]
        offset += sum(part.size for part in row)
        chunks.append(ManifestChunk(at + len(row), offset))
    return tuple(chunks)


def chunk_of(manifest: ManifestRecord, place: int) -> int:
    """Return the row that holds the part at a place, counted from 0."""
    return next(index for index, chunk in enumerate(manifest.chunks) if place < chunk.parts_end)


def no_such_part(number: int, parts_count: int) -> InvalidPartNumber:
    """Return the error for a part that the object does not have."""
    return InvalidPartNumber(PartNumberRequested=number, ActualPartCount=parts_count)
