"""Where a function's code comes from, and what is told when it cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fogbank.base.errors import NotBuilt, ServiceError
from fogbank.base.types import Wire
from fogbank.platform.runtime.functions import (
    PackageEmptyError,
    PackageError,
    PackageTooLargeError,
)
from fogbank.services.lambda_ import quotas
from fogbank.services.lambda_.errors import (
    InvalidParameterValueException,
    RequestEntityTooLargeException,
)

if TYPE_CHECKING:
    from fogbank.wire.shapes import lambda_ as shapes

UNASSUMABLE = "The role defined for the function cannot be assumed by Lambda."


class CodeSource(NamedTuple):
    """The zip file itself, or the GetObject that fetches it."""

    content: bytes | None
    get_object: Wire


def source_of(
    code: shapes.FunctionCode | shapes.UpdateFunctionCodeRequest,
    operation: str,
    zipped_bytes_max: int,
) -> CodeSource:
    """Return where the code of a request lies.

    Raises:
        InvalidParameterValueException: It names none, or two places.
        RequestEntityTooLargeException: The zip file in the request is too large.
    """
    for member, neutral in (
        ("ImageUri", ""),
        ("SourceKMSKeyArn", ""),
        ("S3ObjectStorageMode", "COPY"),
    ):
        if code.get(member, neutral) != neutral:
            raise NotBuilt.member("lambda", operation, member)
    content: bytes | None = code.get("ZipFile")
    in_s3 = "S3Bucket" in code or "S3Key" in code
    if content is None and not in_s3:
        raise InvalidParameterValueException("Please provide a source for function code.")
    if content is not None and in_s3:
        raise InvalidParameterValueException(
            "Please do not provide other FunctionCode parameters when providing a ZipFile."
        )
    if content is None:
        bucket, key = code.get("S3Bucket"), code.get("S3Key")
        if not bucket or not key:
            raise InvalidParameterValueException("Both S3Bucket and S3Key must be provided.")
        request = {"Bucket": bucket, "Key": key}
        if "S3ObjectVersion" in code:
            request["VersionId"] = code["S3ObjectVersion"]
        return CodeSource(None, request)
    if len(content) > zipped_bytes_max:
        raise RequestEntityTooLargeException(
            f"Zipped size must be smaller than {zipped_bytes_max} bytes"
        )
    return CodeSource(bytes(content), {})


def unfetched(error: ServiceError) -> InvalidParameterValueException:
    """Return what is told when the code could not be read from its bucket."""
    return InvalidParameterValueException(
        f"Error occurred while GetObject. S3 Error Code: {error.code}. "
        f"S3 Error Message: {error.message or _S3_WORDS.get(error.code, '')}"
    )


_S3_WORDS = {
    "NoSuchBucket": "The specified bucket does not exist",
    "NoSuchKey": "The specified key does not exist.",
}


def refused(error: PackageError) -> InvalidParameterValueException:
    """Return what is told when the code cannot be unpacked."""
    if isinstance(error, PackageTooLargeError):
        return InvalidParameterValueException(
            f"Unzipped size must be smaller than {quotas.UNZIPPED_BYTES_MAX} bytes"
        )
    if isinstance(error, PackageEmptyError):
        return InvalidParameterValueException("Uploaded file must be a non-empty zip")
    return InvalidParameterValueException(
        "Could not unzip uploaded file. Please check your file, then try to upload again."
    )
