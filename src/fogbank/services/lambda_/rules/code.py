"""Where a function's code comes from, and what is told when it cannot be used."""

from __future__ import annotations

from typing import Final, NamedTuple

from fogbank.base.errors import NotBuilt, ServiceError
from fogbank.base.types import Request, Wire
from fogbank.platform.runtime.folders import FolderError
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

UNASSUMABLE = "The role defined for the function cannot be assumed by Lambda."


HOT_RELOAD: Final = "hot-reload"
"""The bucket that stands for folders of the machine: as LocalStack has it ("Hot reloading")."""


class CodeSource(NamedTuple):
    """The zip file itself, the GetObject that fetches it, or the folder of the machine."""

    content: bytes | None
    get_object: Wire
    kms_key: str = ""
    """The ARN of the KMS key that it is to be sealed with; empty: none."""
    folder: str = ""


def source_of(
    code: Request,
    operation: str,
    zipped_bytes_max: int,
    *,
    folders: bool = False,
) -> CodeSource:
    """Return where the code of a request lies.

    Args:
        code: What names it.
        operation: The request's.
        zipped_bytes_max: How large a zip file in it may be.
        folders: Whether folders of the machine may be named.

    Raises:
        InvalidParameterValueException: It names none, or two places.
        RequestEntityTooLargeException: The zip file in the request is too large.
    """
    for member, neutral in (("ImageUri", ""), ("S3ObjectStorageMode", "COPY")):
        if code.get(member, neutral) != neutral:
            raise NotBuilt.member("lambda", operation, member)
    content: bytes | None = code.get("ZipFile")
    kms_key: str = code.get("SourceKMSKeyArn", "")
    in_s3 = "S3Bucket" in code or "S3Key" in code
    if content is None and not in_s3:
        raise InvalidParameterValueException("Please provide a source for function code.")
    if content is not None and in_s3:
        raise InvalidParameterValueException(
            "Please do not provide other FunctionCode parameters when providing a ZipFile."
        )
    if content is None:
        return _in_bucket(code, kms_key, folders=folders)
    if len(content) > zipped_bytes_max:
        raise RequestEntityTooLargeException(
            f"Zipped size must be smaller than {zipped_bytes_max} bytes"
        )
    return CodeSource(bytes(content), {}, kms_key)


def _in_bucket(code: Request, kms_key: str, *, folders: bool) -> CodeSource:
    """Return where the code lies that a request has in a bucket, or in a folder of the machine.

    Raises:
        InvalidParameterValueException: Part of it is missing, or does not go together.
    """
    bucket, key = code.get("S3Bucket"), code.get("S3Key")
    if not bucket or not key:
        raise InvalidParameterValueException("Both S3Bucket and S3Key must be provided.")
    if folders and bucket == HOT_RELOAD and key.startswith("/"):
        if kms_key:
            raise InvalidParameterValueException(
                "SourceKMSKeyArn cannot be given for a folder of the machine."
            )
        return CodeSource(None, {}, folder=key)
    request = {"Bucket": bucket, "Key": key}
    if "S3ObjectVersion" in code:
        request["VersionId"] = code["S3ObjectVersion"]
    return CodeSource(None, request, kms_key)


def unfetched(error: ServiceError) -> InvalidParameterValueException:
    """Return what is told when the code could not be read from its bucket."""
    return InvalidParameterValueException(
        f"Error occurred while GetObject. S3 Error Code: {error.code}. "
        f"S3 Error Message: {error.message or _S3_WORDS.get(error.code, '')}"
    )


def unread(error: FolderError) -> InvalidParameterValueException:
    """Return what is told when the code could not be read from its folder."""
    return InvalidParameterValueException(f"Error occurred while reading the code: {error}")


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
