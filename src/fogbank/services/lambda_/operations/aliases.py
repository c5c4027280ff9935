"""Operations on aliases: names for versions that can be pointed to others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.base.types import Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.lambda_ import quotas, state
from fogbank.services.lambda_.rules import access, configuration, names, routing, views
from fogbank.services.lambda_.schema import AliasRecord, FunctionRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import lambda_ as shapes


@operation(access=access.on_function("CreateAlias"), domain=names.function_domain)
async def create_alias(call: Call, request: shapes.CreateAliasRequest) -> shapes.AliasConfiguration:
    """Give a version a name, or two versions that share its invocations."""
    named = names.function_name_of(call.scope, request)._replace(qualifier="")
    alias = routing.created_alias(request, call.ids.uuid())
    aliases_max = call.limit(quotas.ALIASES)

    async def body(tr: Transaction) -> None:
        await state.versions.create_alias(tr, named, alias, aliases_max)

    await call.store.transact(body)
    return routing.view_of(named, alias)


@operation(access=access.on_function("UpdateAlias"), domain=names.function_domain)
async def update_alias(call: Call, request: shapes.UpdateAliasRequest) -> shapes.AliasConfiguration:
    """Point an alias to other versions, or describe it otherwise."""
    named = names.function_name_of(call.scope, request)._replace(qualifier="")
    revision = call.ids.uuid()

    async def body(tr: Transaction) -> AliasRecord:
        function = await state.require_function(tr, named)
        before = await state.versions.find_alias(tr, function, request["Name"])
        if before is None:
            raise routing.not_found(named, request["Name"])
        configuration.check_revision(before, request)
        after = routing.changed_alias(before, request, revision)
        if after.version != before.version:
            await state.concurrency.check_alias(tr, function, after)
        await state.versions.change_alias(tr, named, after)
        return after

    return routing.view_of(named, await call.store.transact(body))


@operation(access=access.on_function("GetAlias"), domain=names.function_domain)
async def get_alias(call: Call, request: shapes.GetAliasRequest) -> shapes.AliasConfiguration:
    """Return an alias."""
    named = names.function_name_of(call.scope, request)._replace(qualifier="")

    async def body(tr: Transaction) -> AliasRecord:
        function = await state.require_function(tr, named)
        alias = await state.versions.find_alias(tr, function, request["Name"])
        if alias is None:
            raise routing.no_alias(named, request["Name"])
        return alias

    return routing.view_of(named, await call.store.read(body))


@operation(access=access.on_function("DeleteAlias"), domain=names.function_domain)
async def delete_alias(call: Call, request: shapes.DeleteAliasRequest) -> Wire:
    """Remove an alias with its policy; it is no error if there is none."""
    named = names.function_name_of(call.scope, request)._replace(qualifier="")

    async def body(tr: Transaction) -> FunctionRecord | None:
        function = await state.require_function(tr, named)
        alias = await state.versions.find_alias(tr, function, request["Name"])
        await state.versions.delete_alias(tr, function, request["Name"])
        return None if alias is None else await state.versions.find_of(tr, function, alias.version)

    pointed = await call.store.transact(body)
    if pointed is not None:
        target = views.target_of(named.account, named.region, pointed)
        call.functions.provisions.provision(target, 0, call.facilities)
    return {}


@operation(access=access.on_function("ListAliases"), domain=names.function_domain)
async def list_aliases(
    call: Call, request: shapes.ListAliasesRequest
) -> shapes.ListAliasesResponse:
    """List the aliases of a function, or of one version, in order of name, a page at a time."""
    named = names.function_name_of(call.scope, request)._replace(qualifier="")
    limit: int = min(request.get("MaxItems", quotas.LIST_PAGE), quotas.LIST_PAGE)
    after: str = request.get("Marker", "")
    version: str | None = request.get("FunctionVersion")

    async def body(tr: Transaction) -> list[AliasRecord]:
        function = await state.require_function(tr, named)
        return await state.versions.list_aliases(tr, function)

    found = [
        each
        for each in await call.store.read(body)
        if each.name > after and version in {None, each.version}
    ]
    reply: shapes.ListAliasesResponse = {
        "Aliases": [routing.view_of(named, each) for each in found[:limit]]
    }
    if len(found) > limit:
        reply["NextMarker"] = found[limit - 1].name
    return reply
