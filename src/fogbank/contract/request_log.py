"""What a service may know of an HTTP request that it keeps a record of, or measures.

Rule: the record is made by the gateway, which alone knows how a request was answered, and kept by the
service in the domain of the resource that was asked for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from fogbank.contract.action import Point
from fogbank.contract.call import Facilities
from fogbank.platform.store.engine import Domain, Store, Transaction


class RequestFacts(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A request and how it was answered; what is not known is empty."""

    time_ms: int
    request_id: str
    operation: str
    """Empty if it named none."""
    method: str
    key: str
    uri: str
    """The first line of the request."""
    status: int
    """0: it has none of its own."""
    source_ip: str
    account: str
    """The caller's; empty: nobody, or a service."""
    requester: str
    """The caller's ARN."""
    is_root: bool
    error_code: str
    bytes_sent: int
    object_size: int | None
    micros: int | None
    """How long it took."""
    referer: str
    user_agent: str
    version_id: str
    signature_version: str
    """``SigV4`` or ``SigV2``."""
    authentication: str
    """``AuthHeader`` or ``QueryString``."""
    host: str
    tls: str
    """Such as ``1.3``."""
    point: str
    """The ARN of the access point that it came through."""
    bytes_received: int = 0
    """Of its body, as its head says."""
    whole_micros: int | None = None
    """How long it took with all of its answer; None: that is not over."""


AUTHENTICATIONS: Final = {"REST-HEADER": "AuthHeader", "REST-QUERY-STRING": "QueryString"}
"""By the condition key ``s3:authType``: how a log names the form of a signature."""


def signature_version_of(algorithm: str) -> str:
    """Return how a log names the version of a signature; nothing for none."""
    if not algorithm:
        return ""
    return "SigV4" if algorithm.startswith("AWS4") else "SigV2"


Keep = Callable[[Transaction, RequestFacts, Facilities], Awaitable[bool]]
Measure = Callable[[Store, RequestFacts, Facilities], Awaitable[None]]


class RequestLogs(NamedTuple):
    """Resources of the service may keep logs of their requests.

    ``domain`` gives the domain of the resource that the labels of a path name, or the first of the
    access points of the request; None if they name none. ``keep`` keeps a record in a transaction of
    it, if the resource has a log, and says whether its requests are measured. ``measure`` then counts one,
    once all of its answer has left. Operations say by ``Call.logged`` whether either is the case.
    """

    domain: Callable[[Mapping[str, str], Sequence[Point]], Domain | None]
    keep: Keep
    measure: Measure
