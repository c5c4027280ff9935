"""What imports and exports ask of S3 and CloudWatch Logs, in the name of who asked for them.

Rule: everything goes through operations and is decided on when it is asked for, as the caller's own
request would be: a right that was withdrawn since is missed. Policies hear that DynamoDB asks
(``aws:ViaAWSService``).

Source: Amazon DynamoDB Developer Guide, "Requesting a table import in DynamoDB: Setting up IAM
permissions"; IAM User Guide, "Forward access sessions".
"""

from __future__ import annotations

from typing import Any, Final

from fogbank.base.errors import ServiceError
from fogbank.base.types import Wire
from fogbank.contract.call import Facilities
from fogbank.platform.identity.principal import Principal

_VIA: Final = "dynamodb"
_SHOWN: Final = {"s3": ("S3", "Amazon S3"), "logs": ("CloudWatchLogs", "AWSLogs")}
_EXISTS: Final = "ResourceAlreadyExistsException"


class Refused(Exception):
    """A service has refused what an import or an export needs of it: it fails.

    Args:
        service: Which.
        error: What it said.
    """

    def __init__(self, service: str, error: ServiceError) -> None:
        short, name = _SHOWN[service]
        self.code = f"{short}{error.code}"
        # AWS: its messages have the numbers of the request as well (Developer Guide, "Import
        # format quotas and validation: The specified bucket does not exist").
        self.message = f"{error.message} (Service: {name}; Error Code: {error.code})"
        super().__init__(self.message)


class Asker:
    """Asks in somebody's name.

    Args:
        facilities: The way to other services.
        principal: Who asked for the import or the export.
        region: Where.
    """

    def __init__(self, facilities: Facilities, principal: Principal, region: str) -> None:
        self._facilities = facilities
        self._principal = principal
        self._region = region

    async def ask(self, service: str, operation: str, request: Wire) -> Wire:
        """Return the answer of an operation.

        Raises:
            Refused: It is an error.
            Weather: It has to be asked again.
        """
        try:
            return await self._facilities.calls.call(
                service,
                operation,
                request,
                principal=self._principal,
                region=self._region,
                via=_VIA,
            )
        except ServiceError as error:
            raise Refused(service, error) from error

    async def body(self, request: Wire) -> bytes:
        """Return what GetObject answers, whole: it asks for a range that may be held."""
        reply = await self.ask("s3", "GetObject", request)
        body: Any = reply.get("Body", b"")
        if isinstance(body, bytes):
            return body
        return b"".join([chunk async for chunk in body])

    async def make(self, operation: str, request: Wire) -> None:
        """Make something of CloudWatch Logs that may stand already."""
        try:
            await self.ask("logs", operation, request)
        except Refused as refused:
            if not refused.code.endswith(_EXISTS):
                raise
