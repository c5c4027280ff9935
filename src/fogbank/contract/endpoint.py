"""Front doors of a service that are not the AWS API (websites, function URLs)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from fogbank.contract.call import Facilities


class Endpoint(NamedTuple):
    """Serves requests whose host or path the service recognises as its own."""

    name: str
    matches: Callable[[str, str], bool]
    """(host, path) -> whether this front door answers."""
    serve: Callable[[Facilities, Any], Awaitable[Any]]
    """(facilities, request) -> reply, both of ``wire.http``."""
