"""Removals by a second factor only (MFA delete): who proved one, and where one must be proved.

Rule: a code that a request brings is taken before anything else is done with it, whether it was needed
or not. It is taken in the account of the caller, which lies in another domain than the bucket: so a
request that fails afterwards has spent it.

Source: Amazon S3 User Guide, "Configuring MFA delete", "Deleting an object from an MFA delete-enabled
bucket"; API Reference, DeleteObjects ("If you provide an invalid token ... the entire Multi-Object
Delete request will fail"). A header without its form: iterate-ch/cyberduck issue 16267.
"""

from __future__ import annotations

from typing import Final

from fogbank.base.errors import AccessDenied
from fogbank.base.types import Request
from fogbank.contract.call import Call
from fogbank.platform.identity.principal import Principal, PrincipalKind
from fogbank.services.s3.errors import InvalidArgument
from fogbank.services.s3.rules.versions import DISABLED, ENABLED
from fogbank.services.s3.schema import BucketRecord

HEADER: Final = "x-amz-mfa"


async def prove(call: Call, request: Request) -> bool:
    """Take the code of an MFA device that a request brings; return whether it brings one.

    Raises:
        InvalidArgument: The header is not a serial number, a space and a code.
        AccessDenied: It is no code of a device of the caller, or was taken before.
    """
    given: str | None = request.get("MFA")
    if given is None:
        return False
    serial, _, code = given.partition(" ")
    if not (serial and code.isascii() and code.isdecimal()):
        raise InvalidArgument(
            "Mfa header is invalid -- the header should be formatted as "
            "{serialNumber}(space){tokenCode}",
            ArgumentName=HEADER,
            ArgumentValue=given,
        )
    await call.identity.require_code(call.principal, serial, code)
    return True


def require(bucket: BucketRecord, *, proved: bool) -> None:
    """Refuse to remove a version, or to change versioning, without a second factor.

    Raises:
        AccessDenied: The bucket asks for one, and none was proved.
    """
    if bucket.mfa_delete == ENABLED and not proved:
        raise AccessDenied("Mfa Authentication must be used for this request")


def mfa_delete_of(
    principal: Principal, bucket: BucketRecord, asked: str | None, *, proved: bool
) -> str:
    """Return what a bucket says of removals after its versioning is put.

    Raises:
        AccessDenied: It changes, and not by the root user of its account with a second factor.
    """
    require(bucket, proved=proved)
    wanted = bucket.mfa_delete if asked is None else asked
    if (wanted == ENABLED) is (bucket.mfa_delete == ENABLED):
        return bucket.mfa_delete
    if principal.kind is not PrincipalKind.ROOT or principal.account != bucket.account:
        raise AccessDenied("This operation may only be performed by the bucket owner")
    if not proved:
        raise AccessDenied("Mfa Authentication must be used for this request")
    return ENABLED if wanted == ENABLED else DISABLED
