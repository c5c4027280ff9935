"""What a request needs to be allowed.

Source: Service Authorization Reference, "Actions defined by Amazon CloudWatch Logs": writing to and
reading from one stream is allowed on the stream, everything else on the group.
"""

from __future__ import annotations

from fogbank.base.types import Request
from fogbank.contract.action import Access, AccessOf, Scope
from fogbank.services.logs import arns


def on_group(operation: str) -> AccessOf:
    """Return the access of an operation on a group, named plainly or by its ARN."""
    action = f"logs:{operation}"

    def access(scope: Scope, request: Request) -> list[Access]:
        return [Access(action, _stream_arn(scope, request, ""))]

    return access


def on_stream(operation: str) -> AccessOf:
    """Return the access of an operation on one stream."""
    action = f"logs:{operation}"

    def access(scope: Scope, request: Request) -> list[Access]:
        return [Access(action, _stream_arn(scope, request, request["logStreamName"]))]

    return access


def on_groups(operation: str) -> AccessOf:
    """Return the access of an operation that lists groups."""
    action = f"logs:{operation}"

    def access(scope: Scope, _request: Request) -> list[Access]:
        return [Access(action, arns.stream_arn(scope.region, scope.account, "", ""))]

    return access


def _stream_arn(scope: Scope, request: Request, stream: str) -> str:
    """Return the ARN of a stream; what the request names as ARN is taken as it stands."""
    named: str = request.get("logGroupName") or request.get("logGroupIdentifier") or ""
    if named.startswith("arn:"):
        return f"{named.removesuffix(':*')}:log-stream:{stream}"
    return arns.stream_arn(scope.region, scope.account, named, stream)
