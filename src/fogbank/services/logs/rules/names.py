"""Which group and stream a request means, and which names there may be."""

from __future__ import annotations

from fogbank.base.types import Request
from fogbank.contract.action import Scope
from fogbank.services.logs import arns, quotas
from fogbank.services.logs.errors import InvalidParameterException, ResourceNotFoundException

NO_GROUP = "The specified log group does not exist."
NO_STREAM = "The specified log stream does not exist."


def group_name_of(scope: Scope, request: Request) -> str:
    """Return the name of the group that a request means, by its name or its identifier."""
    name: str | None = request.get("logGroupName")
    identifier: str | None = request.get("logGroupIdentifier")
    if name is not None and identifier is not None:
        # AWS: the words of LocalStack's validated test_describe_log_streams_with_log_group_id...
        raise InvalidParameterException(
            "LogGroup name and LogGroup ARN are mutually exclusive parameters."
        )
    if name is not None:
        return name
    if identifier is None:
        raise InvalidParameterException("Either LogGroup name or LogGroup ARN must be specified.")
    if not identifier.startswith("arn:"):
        return identifier
    found = arns.find_group_name(identifier, scope.region, scope.account)
    if found is None:
        raise ResourceNotFoundException(NO_GROUP)
    return found


def check_stream_name(name: str) -> None:
    """Refuse a stream name that no key has room for."""
    if len(name.encode()) > quotas.STREAM_NAME_BYTES_MAX:
        raise InvalidParameterException(
            "Invalid LogGroup or LogStream, both must have length less than or equal to 512."
        )
