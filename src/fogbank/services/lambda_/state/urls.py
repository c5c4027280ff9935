"""Function URLs: by their ids, and by the function or alias that they belong to."""

from __future__ import annotations

from typing import Final

from fogbank.platform.store.engine import Transaction
from fogbank.services.lambda_.rules import urls
from fogbank.services.lambda_.schema import (
    URL_NAMES,
    URLS,
    FunctionRecord,
    UrlNameRecord,
    UrlRecord,
)

AT_ONCE: Final = 50


async def find_url(tr: Transaction, url_id: str) -> UrlRecord | None:
    """Return a URL by its id, or None."""
    return await URLS.find(tr, url_id)


async def find_url_of(
    tr: Transaction, function: FunctionRecord, qualifier: str
) -> UrlRecord | None:
    """Return the URL of a function or of an alias, or None."""
    name = await URL_NAMES.find(tr, function.key, qualifier)
    return None if name is None else await URLS.find(tr, name.id)


async def require_url_of(tr: Transaction, function: FunctionRecord, qualifier: str) -> UrlRecord:
    """Return the URL of a function or of an alias, or refuse the call."""
    found = await find_url_of(tr, function, qualifier)
    if found is None:
        raise urls.not_found()
    return found


def put_url(tr: Transaction, url: UrlRecord) -> None:
    """Write a URL."""
    URLS.put(tr, url, url.id)
    URL_NAMES.put(tr, UrlNameRecord(url.id), url.key, url.qualifier)


def delete_url(tr: Transaction, url: UrlRecord) -> None:
    """Remove a URL."""
    URLS.delete(tr, url.id)
    URL_NAMES.delete(tr, url.key, url.qualifier)


async def list_urls(
    tr: Transaction, function: FunctionRecord, after: str | None, limit: int
) -> list[UrlRecord]:
    """Return up to ``limit`` URLs of a function in order of their aliases."""
    behind = None if after is None else (after,)
    found: list[UrlRecord] = []
    for _, name in await URL_NAMES.list(tr, function.key, limit=limit, after=behind):
        url = await URLS.find(tr, name.id)
        assert url is not None, "both rows go together"
        found.append(url)
    return found


async def forget_some(tr: Transaction, key: str) -> bool:
    """Remove some of the URLs of a function that is gone; return whether there may be more."""
    found = await URL_NAMES.list(tr, key, limit=AT_ONCE)
    for (qualifier,), name in found:
        URLS.delete(tr, name.id)
        URL_NAMES.delete(tr, key, qualifier)
    return len(found) == AT_ONCE
