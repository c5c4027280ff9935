"""Requests that no SDK makes: what browsers and holders of a URL send."""

from __future__ import annotations

from collections.abc import Mapping

from fogbank.testing.cloud import Cloud
from fogbank.wire.http import HttpRequest


def ask(
    cloud: Cloud, method: str, url: str, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """Return status and body of the answer to a request without a body."""
    host, _, rest = url.partition("//")[2].partition("/")
    path, _, query = rest.partition("?")
    sent = {name.lower(): value for name, value in (headers or {}).items()}
    reply = cloud.run(
        cloud.app.dispatcher.handle(HttpRequest(method, f"/{path}", query, {"host": host, **sent}))
    )
    body = reply.body
    if isinstance(body, bytes):
        return reply.status, body
    return reply.status, cloud.run(_joined(body))


async def _joined(pieces: object) -> bytes:
    return b"".join([piece async for piece in pieces])  # type: ignore[attr-defined]


def get(cloud: Cloud, url: str) -> tuple[int, bytes]:
    """Return status and body of a GET."""
    return ask(cloud, "GET", url)
