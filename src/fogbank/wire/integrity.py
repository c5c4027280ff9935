"""Whether a document of S3 is the one that its client sent: Content-MD5 and ``x-amz-checksum-*``.

Rule: what a client says about its document holds or the document is refused, whichever operation
it is for; where the model says that a client must say something, one that says nothing is refused.
Bodies that are streamed are not documents: the service computes their checksums as they pass.

Source: S3 API reference, "Error responses"; S3 user guide, "Checking object integrity".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from fogbank.wire.checksums import digest_of, find_digest, text_of
from fogbank.wire.errors import BadDigest, InvalidDigest, InvalidRequest
from fogbank.wire.http import HttpRequest
from fogbank.wire.model import OperationModel

CHECKSUM_PREFIX: Final = "x-amz-checksum-"
_MD5: Final = "content-md5"
_NO_VALUES: Final = frozenset(f"{CHECKSUM_PREFIX}{name}" for name in ("algorithm", "mode", "type"))
"""Headers of the prefix that carry no checksum."""


def document_check_of(operation: OperationModel) -> Callable[[HttpRequest], None] | None:
    """Return what refuses an operation's document that is not as its client says.

    None if the operation takes no document. The function raises ``InvalidRequest`` where a
    checksum is missing or is none, ``InvalidDigest`` where Content-MD5 is none, and ``BadDigest``
    where one is another than the document's.
    """
    shape = operation.input
    if shape is None or shape.payload is None or operation.streaming_input is not None:
        return None
    settings = operation.service.settings
    required = bool(operation.checksum.get("requestChecksumRequired"))
    required = required and operation.name not in settings.checksum_optional
    # A checksum that is a member is about something else: CompleteMultipartUpload's, the object.
    members = {ref.wire_name.lower() for ref in shape.members.values() if ref.location == "header"}
    skipped = _NO_VALUES | {name for name in members if name.startswith(CHECKSUM_PREFIX)}

    def check(request: HttpRequest) -> None:
        headers = request.headers
        md5 = headers.get(_MD5)
        if md5 is not None:
            _check_md5(md5, request.body)
        named = [
            name for name in headers if name.startswith(CHECKSUM_PREFIX) and name not in skipped
        ]
        if named:
            _check_checksum(named, headers, request.body)
        elif required and md5 is None:
            # AWS: recorded in versitygw issue 1040 (2025); before 2022 it named Content-MD5 alone.
            raise InvalidRequest(
                "Missing required header for this request: Content-MD5 OR x-amz-checksum-*"
            )

    return check


def _check_md5(text: str, body: bytes) -> None:
    """Refuse a document of another MD5."""
    expected = find_digest("MD5", text)
    if expected is None:
        raise InvalidDigest(
            "The Content-MD5 you specified was invalid.", **{"Content-MD5": text[:256]}
        )
    computed = digest_of("MD5", body)
    if computed != expected:
        raise BadDigest(
            "The Content-MD5 you specified did not match what we received.",
            ExpectedDigest=expected.hex(),
            CalculatedDigest=text_of(computed),
        )


def _check_checksum(named: list[str], headers: Mapping[str, str], body: bytes) -> None:
    """Refuse a document of another checksum."""
    if len(named) > 1:
        raise InvalidRequest(
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        )
    algorithm = named[0].removeprefix(CHECKSUM_PREFIX).upper()
    computed = digest_of(algorithm, body)
    expected = find_digest(algorithm, headers[named[0]])
    if expected is None:
        raise InvalidRequest(f"Value for {named[0]} header is invalid.")
    if computed != expected:
        raise BadDigest(f"The {algorithm} you specified did not match the calculated checksum.")
