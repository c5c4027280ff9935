"""Checksums of objects and parts: which are asked for, whether they hold, how parts combine.

Theory: every object has a checksum. A client may name one of ten algorithms and send the value in
a header or behind the body, in a trailer; where it sends none, CRC-64/NVME is computed. CRCs are
linear, so the checksum of a whole follows from those of its parts and their lengths (FULL_OBJECT);
digests are not, so a multipart object carries the digest of its parts' digests (COMPOSITE).

Source: Amazon S3 User Guide, "Checking object integrity in Amazon S3"; messages from answers
recorded by LocalStack (tests/aws/services/s3/test_s3.snapshot.json).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypedDict, cast

from fogbank.base.types import Request
from fogbank.services.s3.errors import BadDigest, InvalidDigest, InvalidRequest
from fogbank.services.s3.schema import Checksum
from fogbank.wire.checksums import (
    ALGORITHMS,
    LINEAR,
    Buffer,
    Hasher,
    digest_of,
    find_digest,
    full_object,
    hasher_of,
    header_of,
    text_of,
)

DEFAULT: Final = "CRC64NVME"
FULL_OBJECT: Final = "FULL_OBJECT"
COMPOSITE: Final = "COMPOSITE"
MEMBERS: Final[Mapping[str, str]] = {
    "CRC32": "ChecksumCRC32",
    "CRC32C": "ChecksumCRC32C",
    "CRC64NVME": "ChecksumCRC64NVME",
    "SHA1": "ChecksumSHA1",
    "SHA256": "ChecksumSHA256",
    "SHA512": "ChecksumSHA512",
    "MD5": "ChecksumMD5",
    "XXHASH64": "ChecksumXXHASH64",
    "XXHASH3": "ChecksumXXHASH3",
    "XXHASH128": "ChecksumXXHASH128",
}
"""The members of requests and replies that carry a checksum."""
_HEADER_PREFIX: Final = "x-amz-checksum-"
_MD5: Final = "MD5"
_SINGLE: Final = (
    "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
)


class Expected(NamedTuple):
    """What the bytes of a body must come to, and what is to be computed of them."""

    stored: str
    """The algorithm whose value is kept."""
    given: str = ""
    """The algorithm the client sent a value of; empty if none."""
    value: bytes | None = None
    """That value; None if it comes in the trailer."""
    md5: bytes | None = None

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Return the algorithms to compute."""
        return (self.stored, self.given) if self.given not in ("", self.stored) else (self.stored,)

    @property
    def trailing(self) -> str:
        """Return the name of the trailer that brings the value, or nothing."""
        waits = self.given and self.value is None
        return header_of(self.given) if waits else ""


def expected_of(request: Request, http_headers: Mapping[str, str], stored: str = "") -> Expected:
    """Return what the body of a request must come to.

    Args:
        request: PutObject or UploadPart.
        http_headers: The HTTP headers: trailers are announced there.
        stored: The algorithm whose value is kept whatever the client sends.

    Raises:
        InvalidRequest: The checksum headers contradict each other or make no sense.
        InvalidDigest: Content-MD5 is no digest.
    """
    given, value = _given_value(request)
    trailing = _trailing_algorithm(http_headers.get("x-amz-trailer", ""))
    if trailing and given:
        raise InvalidRequest(_SINGLE)
    named: str = request.get("ChecksumAlgorithm") or ""
    if named and not (given or trailing):
        raise InvalidRequest(
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or "
            "x-amz-trailer headers were found."
        )
    given = given or trailing
    if named and named != given:
        raise InvalidRequest("Value for x-amz-sdk-checksum-algorithm header is invalid.")
    return Expected(stored or given or DEFAULT, given, value, _md5_of(request.get("ContentMD5")))


def _given_value(request: Request) -> tuple[str, bytes | None]:
    """Return the algorithm and value of the checksum header, if there is one."""
    given = [(name, member) for name, member in MEMBERS.items() if member in request]
    if len(given) > 1:
        raise InvalidRequest(_SINGLE)
    if not given:
        return "", None
    name, member = given[0]
    return name, value_of(name, request[member])


def _trailing_algorithm(announced: str) -> str:
    """Return the algorithm of the checksum that the trailer will bring, if any."""
    if not announced:
        return ""
    names = [name.strip().lower() for name in announced.split(",")]
    given = [name for name in names if name.startswith(_HEADER_PREFIX)]
    found = [name for name in ALGORITHMS if header_of(name) in given]
    if len(given) > 1:
        raise InvalidRequest(_SINGLE)
    if len(found) < len(given):
        raise InvalidRequest("The value specified in the x-amz-trailer header is not supported")
    return found[0] if found else ""


def value_of(algorithm: str, text: str) -> bytes:
    """Return the bytes of a checksum on the wire.

    Raises:
        InvalidRequest: It is not the Base64 of so many bytes.
    """
    value = find_digest(algorithm, text)
    if value is None:
        raise InvalidRequest(f"Value for {header_of(algorithm)} header is invalid.")
    return value


def _md5_of(text: str | None) -> bytes | None:
    """Return the digest that Content-MD5 gives."""
    if text is None:
        return None
    digest = find_digest("MD5", text)
    if digest is None:
        raise InvalidDigest(**{"Content-MD5": text})
    return digest


class _Told(NamedTuple):
    """A digest that was computed elsewhere, in a hasher's place."""

    value: bytes

    def update(self, data: Buffer, /) -> None:
        """Refuse: what was told is complete."""
        raise AssertionError(f"{len(memoryview(data))} bytes come behind the end")

    def digest(self) -> bytes:
        """Return it."""
        return self.value


class Digests:
    """All that is computed over one body: MD5 for the entity tag, and the checksums.

    Args:
        expected: What the body must come to.
        told: Digests by algorithm that were computed already; None: of nothing yet.
        size: Of how many bytes.
    """

    __slots__ = ("_expected", "_hashers", "size")

    def __init__(
        self, expected: Expected, told: Mapping[str, bytes] | None = None, size: int = 0
    ) -> None:
        self._expected = expected
        self._hashers: dict[str, Hasher] = {
            name: hasher_of(name) if told is None else _Told(told[name])
            for name in (_MD5, *expected.algorithms)
        }
        self.size = size

    def update(self, data: Buffer) -> None:
        """Take the next bytes; may run on another thread than the loop's."""
        for hasher in self._hashers.values():
            hasher.update(data)
        self.size += len(data)

    @property
    def etag(self) -> str:
        """Return the MD5 of what was taken, in hexadecimal."""
        return self._hashers[_MD5].digest().hex()

    @property
    def checksum(self) -> Checksum:
        """Return the checksum that is kept."""
        stored = self._expected.stored
        return Checksum(stored, self._hashers[stored].digest())

    def given_checksum(self) -> Checksum | None:
        """Return the checksum by the algorithm that the client used, if it used one."""
        given = self._expected.given
        return Checksum(given, self._hashers[given].digest()) if given else None

    def verify(self, trailers: Mapping[str, str]) -> None:
        """Refuse bytes that are not what the client said.

        Raises:
            BadDigest: Content-MD5 or a checksum is another.
            InvalidRequest: The trailer that was announced did not come, or is no checksum.
        """
        expected = self._expected
        md5 = self._hashers[_MD5].digest()
        if expected.md5 is not None and expected.md5 != md5:
            raise BadDigest(ExpectedDigest=expected.md5.hex(), CalculatedDigest=text_of(md5))
        if not expected.given:
            return
        value = expected.value
        if value is None:
            value = value_of(expected.given, trailers.get(expected.trailing, ""))
        if value != self._hashers[expected.given].digest():
            raise BadDigest(
                f"The {expected.given} you specified did not match the calculated checksum."
            )


def upload_kind(request: Request) -> tuple[str, bool]:
    """Return the algorithm ('' if none) of a new upload, and whether its checksum is COMPOSITE.

    Raises:
        InvalidRequest: Algorithm and type do not go together.
    """
    algorithm: str = request.get("ChecksumAlgorithm") or ""
    kind: str = request.get("ChecksumType") or ""
    if not algorithm:
        if kind:
            raise InvalidRequest(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm "
                "header."
            )
        return "", False
    if algorithm not in ALGORITHMS:
        raise InvalidRequest(
            "Checksum algorithm provided is unsupported. Please try again with any of the valid "
            f"types: [{', '.join(ALGORITHMS)}]"
        )
    if not kind:
        return algorithm, algorithm != DEFAULT
    impossible = algorithm == DEFAULT if kind == COMPOSITE else algorithm not in LINEAR
    if impossible:
        raise InvalidRequest(
            f"The {kind} checksum type cannot be used with the {algorithm.lower()} checksum "
            "algorithm."
        )
    return algorithm, kind == COMPOSITE


def composite_of(algorithm: str, values: Sequence[bytes]) -> Checksum:
    """Return the checksum of parts' checksums."""
    return Checksum(algorithm, digest_of(algorithm, b"".join(values)), len(values))


def combined_of(algorithm: str, parts: Iterable[tuple[bytes, int]]) -> Checksum:
    """Return the checksum of the whole from (checksum, size in bytes) of its parts in order."""
    return Checksum(algorithm, full_object(algorithm, parts))


class ChecksumValue(TypedDict, total=False):
    """The members of a reply that give the value of a checksum: one of them, or none."""

    ChecksumCRC32: str
    ChecksumCRC32C: str
    ChecksumCRC64NVME: str
    ChecksumSHA1: str
    ChecksumSHA256: str
    ChecksumSHA512: str
    ChecksumMD5: str
    ChecksumXXHASH64: str
    ChecksumXXHASH3: str
    ChecksumXXHASH128: str


class ChecksumMembers(ChecksumValue, total=False):
    """The members of a reply that give a checksum and how it was put together."""

    ChecksumType: str


def checksum_value(checksum: Checksum | None) -> ChecksumValue:
    """Return the member of a reply that gives a checksum, if there is one."""
    if checksum is None:
        return {}
    text = text_of(checksum.value)
    if checksum.parts:
        text = f"{text}-{checksum.parts}"
    return cast("ChecksumValue", {MEMBERS[checksum.algorithm]: text})


def checksum_members(checksum: Checksum | None) -> ChecksumMembers:
    """Return the members of a reply that give a checksum and its kind, if there is one."""
    if checksum is None:
        return {}
    return {**checksum_value(checksum), "ChecksumType": kind_of(checksum)}


def kind_of(checksum: Checksum) -> str:
    """Return ``COMPOSITE`` or ``FULL_OBJECT``."""
    return COMPOSITE if checksum.parts else FULL_OBJECT
