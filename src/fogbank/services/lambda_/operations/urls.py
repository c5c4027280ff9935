"""Operations on function URLs: an address at which a function or an alias is called over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.lambda_ import quotas, state
from fogbank.services.lambda_.rules import access, names, urls
from fogbank.services.lambda_.rules.names import FunctionName
from fogbank.services.lambda_.schema import FunctionRecord, UrlRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import lambda_ as shapes


_MARK: Final = "@"
"""Before the alias in a marker: that of the function itself is empty, which is no marker."""


def _named(call: Call, request: Request) -> FunctionName:
    """Return the function or alias that is meant."""
    named = names.function_name_of(call.scope, request)
    urls.check_named(named)
    return named


async def _require(tr: Transaction, named: FunctionName) -> tuple[FunctionRecord, UrlRecord]:
    """Return a function and its URL, or refuse the call."""
    function = await state.find_function(tr, named.name)
    if function is None:
        raise urls.not_found()
    return function, await state.urls.require_url_of(tr, function, named.qualifier)


@operation(access=access.on_url("CreateFunctionUrlConfig"), domain=names.function_domain)
async def create_function_url_config(
    call: Call, request: shapes.CreateFunctionUrlConfigRequest
) -> shapes.CreateFunctionUrlConfigResponse:
    """Give a function or an alias an address of its own."""
    named = _named(call, request)
    now_ms = call.clock.now_ms()
    blank = UrlRecord(
        id=urls.id_of(named.account, call.ids.random_bytes(urls.ENTROPY_BYTES)),
        function=named.name,
        key="",
        qualifier=named.qualifier,
        auth=request["AuthType"],
        mode=urls.BUFFERED,
        created_ms=now_ms,
        modified_ms=now_ms,
    )
    url = urls.configured(blank, request, now_ms)

    async def body(tr: Transaction) -> None:
        function = await state.find_function(tr, named.name)
        if function is None:
            raise urls.no_function()
        if named.qualifier:
            await state.versions.require_qualified(tr, function, named)
        if await state.urls.find_url_of(tr, function, named.qualifier) is not None:
            raise urls.exists(named)
        state.urls.put_url(tr, msgspec.structs.replace(url, key=function.key))

    await call.store.transact(body)
    view = urls.view_of(named, url, call.http.url)
    del view["LastModifiedTime"]
    return view


@operation(access=access.on_url("UpdateFunctionUrlConfig"), domain=names.function_domain)
async def update_function_url_config(
    call: Call, request: shapes.UpdateFunctionUrlConfigRequest
) -> shapes.UpdateFunctionUrlConfigResponse:
    """Change who may call a URL, from which pages, and how its answers come."""
    named = _named(call, request)
    now_ms = call.clock.now_ms()

    async def body(tr: Transaction) -> UrlRecord:
        _, before = await _require(tr, named)
        after = urls.configured(before, request, now_ms)
        state.urls.put_url(tr, after)
        return after

    return urls.view_of(named, await call.store.transact(body), call.http.url)


@operation(access=access.on_url("GetFunctionUrlConfig"), domain=names.function_domain)
async def get_function_url_config(
    call: Call, request: shapes.GetFunctionUrlConfigRequest
) -> shapes.GetFunctionUrlConfigResponse:
    """Return the URL of a function or of an alias."""
    named = _named(call, request)

    async def body(tr: Transaction) -> UrlRecord:
        return (await _require(tr, named))[1]

    return urls.view_of(named, await call.store.read(body), call.http.url)


@operation(access=access.on_url("DeleteFunctionUrlConfig"), domain=names.function_domain)
async def delete_function_url_config(
    call: Call, request: shapes.DeleteFunctionUrlConfigRequest
) -> Wire:
    """Take the URL of a function or of an alias away, for good: a new one has another address."""
    named = _named(call, request)

    async def body(tr: Transaction) -> None:
        state.urls.delete_url(tr, (await _require(tr, named))[1])

    await call.store.transact(body)
    return {}


@operation(access=access.on_url("ListFunctionUrlConfigs"), domain=names.function_domain)
async def list_function_url_configs(
    call: Call, request: shapes.ListFunctionUrlConfigsRequest
) -> shapes.ListFunctionUrlConfigsResponse:
    """List the URLs of a function and of its aliases, a page at a time."""
    named = names.function_name_of(call.scope, request)._replace(qualifier="")
    limit: int = min(request.get("MaxItems", quotas.LIST_PAGE), quotas.LIST_PAGE)
    marker: str = request.get("Marker", "")

    async def body(tr: Transaction) -> list[UrlRecord]:
        function = await state.find_function(tr, named.name)
        if function is None:
            raise urls.no_function()
        after = marker.removeprefix(_MARK) if marker else None
        return await state.urls.list_urls(tr, function, after, limit + 1)

    found = await call.store.read(body)
    reply: shapes.ListFunctionUrlConfigsResponse = {
        "FunctionUrlConfigs": [urls.view_of(named, url, call.http.url) for url in found[:limit]]
    }
    if len(found) > limit:
        reply["NextMarker"] = f"{_MARK}{found[limit - 1].qualifier}"
    return reply
