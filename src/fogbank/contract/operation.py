"""The ``@operation`` decorator: an async function becomes an operation of its service.

The function is named as boto3 names it and takes ``(call, request)``; decoding, constraint checks,
authorisation, throttling, audit and metrics happened before it, encoding happens after. It holds
only what the model cannot know.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from fogbank.base.errors import ServiceError
from fogbank.contract.action import AccessOf, DomainOf
from fogbank.contract.call import Call
from fogbank.contract.quota import Quota

Function = Callable[[Call, Any], Awaitable[Mapping[str, Any]]]
"""Takes the call and the decoded request, a dict by wire names; answers with another.

Both are annotated with the generated types of ``wire/shapes``, so that a name which no model has
is an error of types.
"""
F = TypeVar("F", bound=Function)

ANY = object()
"""In ``unhonoured``: every value is neutral (the member asks for nothing that we could refuse)."""


class BodyLimit(NamedTuple):
    """How long the body of a request may be that its operation takes as one value."""

    quota: Quota
    """Bytes as they come off the wire."""
    refusal: Callable[[int, int], ServiceError] | None = None
    """From the size and the limit to the error; what the service's front says unless given."""


class Operation(NamedTuple):
    """What a function declares about itself beyond its model."""

    function: Function
    access: AccessOf | None
    domain: DomainOf | None
    unhonoured: Mapping[str, Any]
    body: BodyLimit | None
    reply: Quota | None = None
    begun: bool = False


def operation(
    *,
    access: AccessOf | None = None,
    domain: DomainOf | None = None,
    unhonoured: Mapping[str, Any] | None = None,
    body: BodyLimit | None = None,
    reply: Quota | None = None,
    begun: bool = False,
) -> Callable[[F], F]:
    """Make a function an operation.

    Args:
        access: Pure function from (scope, request) to the accesses that must all be allowed. The
            default is ``<prefix>:<Operation>`` on ``*``. An empty list means that the operation
            needs no permission (``sts:GetCallerIdentity``); it still needs a valid signature
            unless the model marks it ``authtype: none``.
        domain: Pure function from (scope, request) to the domain of ``call.store``; the default is
            (service, account, region).
        unhonoured: Modelled input members that are not acted on yet, each with its neutral value:
            a value, a frozenset of values, or ``ANY``. The gateway refuses a request that carries
            another value, with NotImplemented.
        body: How long its requests may be, where that is not the service's usual limit. Streamed
            bodies are the operation's own to bound.
        reply: How many bytes its replies may have, where that is a megabyte or more and they are
            made at once: the gateway makes room for them before it runs.
        begun: The function is not written yet: clients hear NotImplemented, the ledger says begun.
    """

    def declare(function: F) -> F:
        declared = Operation(function, access, domain, unhonoured or {}, body, reply, begun)
        function.__operation__ = declared  # pyright: ignore[reportFunctionMemberAccess]
        return function

    return declare


def declared_of(function: object) -> Operation | None:
    """Return what ``@operation`` declared on a function, or None."""
    return getattr(function, "__operation__", None)
