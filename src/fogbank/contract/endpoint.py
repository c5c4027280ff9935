"""Front doors of a service that are not the AWS API (function URLs, later websites and stages).

Rule: a front door has names of its own, ``NAME.LABEL.REGION.SUFFIX``, and whatever is asked there is
its service's to answer. The gateway finds it, carries the request to the process that owns its domain,
takes its body whole, and proves who signed it if the service asks; the service decides everything else
and answers in HTTP.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from fogbank.contract.call import Call
from fogbank.contract.operation import BodyLimit
from fogbank.platform.store.engine import Domain
from fogbank.wire.http import HttpReply, HttpRequest


class Knock(Protocol):
    """A request at a front door."""

    @property
    def name(self) -> str:
        """Return whom it is for: the first label of the host."""
        ...

    @property
    def request(self) -> HttpRequest:
        """Return the request, its body whole."""
        ...

    @property
    def path(self) -> str:
        """Return the path behind the door, as it was sent."""
        ...

    @property
    def call(self) -> Call:
        """Return the call of nobody in particular: in the account of whose door it is."""
        ...

    async def prove(self) -> Call | None:
        """Return the call of who signed the request, or None if nobody did.

        Raises:
            ServiceError: The signature does not hold, in the words of the service's API.
        """
        ...


class Endpoint(NamedTuple):
    """A kind of front door."""

    name: str
    """What is asked there, as operations are named: ``InvokeFunctionUrl``."""
    label: str
    """The label of its host names, and where a host is a bare address the begin of its paths:
    ``/LABEL/REGION/NAME/``."""
    place: Callable[[str, str], tuple[str, Domain] | None]
    """(region, name) -> account and domain of the door, or None if there can be none."""
    serve: Callable[[Knock], Awaitable[HttpReply]]
    body: BodyLimit
