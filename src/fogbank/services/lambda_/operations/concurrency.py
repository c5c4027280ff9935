"""Operations on concurrency: what is reserved for a function, and what is provisioned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from fogbank.base.types import Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.runtime.functions import Target
from fogbank.platform.store.engine import Transaction
from fogbank.services.lambda_ import arns, quotas, state
from fogbank.services.lambda_.arns import LATEST
from fogbank.services.lambda_.rules import access, concurrency, names, routing, views
from fogbank.services.lambda_.rules.concurrency import Limits
from fogbank.services.lambda_.rules.names import FunctionName
from fogbank.services.lambda_.schema import AliasRecord, FunctionRecord, ProvisionedRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import lambda_ as shapes


def _limits(call: Call) -> Limits:
    """Return what an account may have."""
    return Limits(call.limit(quotas.CONCURRENCY), call.limit(quotas.UNRESERVED_MIN))


@operation(access=access.on_function("PutFunctionConcurrency"), domain=names.function_domain)
async def put_function_concurrency(
    call: Call, request: shapes.PutFunctionConcurrencyRequest
) -> shapes.Concurrency:
    """Reserve concurrency for a function, which cannot have more then; 0 stops it."""
    named = names.function_name_of(call.scope, request)
    concurrency.check_unqualified(named)
    reserved = request["ReservedConcurrentExecutions"]

    async def body(tr: Transaction) -> None:
        before = await state.require_function(tr, named._replace(qualifier=LATEST))
        held = await state.accounts.find_held(tr)
        after = concurrency.reserved_function(before, reserved, held, _limits(call))
        await state.concurrency.put_held(tr, before, after)

    await call.store.transact(body)
    return {"ReservedConcurrentExecutions": reserved}


@operation(access=access.on_function("GetFunctionConcurrency"), domain=names.function_domain)
async def get_function_concurrency(
    call: Call, request: shapes.GetFunctionConcurrencyRequest
) -> shapes.GetFunctionConcurrencyResponse:
    """Return what is reserved for a function, if anything is."""
    named = names.function_name_of(call.scope, request)._replace(qualifier="")

    async def body(tr: Transaction) -> FunctionRecord:
        return await state.require_function(tr, named)

    function = await call.store.read(body)
    if function.reserved < 0:
        return {}
    return {"ReservedConcurrentExecutions": function.reserved}


@operation(access=access.on_function("DeleteFunctionConcurrency"), domain=names.function_domain)
async def delete_function_concurrency(
    call: Call, request: shapes.DeleteFunctionConcurrencyRequest
) -> Wire:
    """Give what is reserved for a function back to all."""
    named = names.function_name_of(call.scope, request)
    concurrency.check_unqualified(named)

    async def body(tr: Transaction) -> None:
        before = await state.require_function(tr, named)
        after = msgspec.structs.replace(before, reserved=-1)
        await state.concurrency.put_held(tr, before, after)

    await call.store.transact(body)
    return {}


# Provisioned.


async def _require_qualified(
    tr: Transaction, named: FunctionName
) -> tuple[FunctionRecord, FunctionRecord]:
    """Return a function, and the version that a request on what is provisioned means.

    Raises:
        ResourceNotFoundException: There is no such version, or no such alias, in other words.
    """
    function = await state.find_function(tr, named.name)
    if function is None:
        raise _missing(named)
    await state.versions.require_qualified(tr, function, named)
    version = await state.versions.find_of(tr, function, named.qualifier)
    if version is None:
        raise _missing(named)
    return function, version


def _missing(named: FunctionName) -> Exception:
    """Return the error that there is nothing of that name; AWS has words for each kind."""
    if routing.is_alias(named.qualifier):
        return routing.no_alias(named, named.qualifier)
    return named.not_found


@operation(
    access=access.on_function("PutProvisionedConcurrencyConfig"), domain=names.function_domain
)
async def put_provisioned_concurrency_config(
    call: Call, request: shapes.PutProvisionedConcurrencyConfigRequest
) -> shapes.PutProvisionedConcurrencyConfigResponse:
    """Have environments of a version, or of what an alias points to, stand ready."""
    named = names.function_name_of(call.scope, request)
    concurrency.check_published(named.qualifier or LATEST)
    count = request["ProvisionedConcurrentExecutions"]
    record = ProvisionedRecord(count=count, modified_ms=call.clock.now_ms())

    async def body(tr: Transaction) -> None:
        function, version = await _require_qualified(tr, named)
        concurrency.check_published(version.version)
        found = await state.versions.find_qualified(tr, function, named.qualifier)
        alias = named.qualifier if isinstance(found, AliasRecord) else ""
        await state.concurrency.check_single(tr, function, version.version, alias)
        await state.concurrency.provision(tr, function, named.qualifier, record, _limits(call))

    await call.store.transact(body)
    return {
        "RequestedProvisionedConcurrentExecutions": count,
        "AvailableProvisionedConcurrentExecutions": 0,
        "AllocatedProvisionedConcurrentExecutions": 0,
        "Status": "IN_PROGRESS",
        "LastModified": views.moment_of(record.modified_ms),
    }


@operation(
    access=access.on_function("GetProvisionedConcurrencyConfig"), domain=names.function_domain
)
async def get_provisioned_concurrency_config(
    call: Call, request: shapes.GetProvisionedConcurrencyConfigRequest
) -> shapes.GetProvisionedConcurrencyConfigResponse:
    """Return what is provisioned of a version or alias, and what of it stands ready."""
    named = names.function_name_of(call.scope, request)
    concurrency.check_qualified(named)

    async def body(tr: Transaction) -> tuple[ProvisionedRecord, Target]:
        function, version = await _require_qualified(tr, named)
        key = function.key
        record = await state.concurrency.find_provisioned(tr, key, named.qualifier)
        if record is None:
            raise concurrency.no_config()
        return record, views.target_of(named.account, named.region, version)

    return _view(call, *await call.store.read(body))


def _view(
    call: Call, record: ProvisionedRecord, target: Target
) -> shapes.GetProvisionedConcurrencyConfigResponse:
    """Return what is provisioned, as the wire has it."""
    stands = call.functions.provisions.standing(target, record.count)
    return concurrency.view_of(stands, views.moment_of(record.modified_ms))


@operation(
    access=access.on_function("DeleteProvisionedConcurrencyConfig"), domain=names.function_domain
)
async def delete_provisioned_concurrency_config(
    call: Call, request: shapes.DeleteProvisionedConcurrencyConfigRequest
) -> Wire:
    """Let what is provisioned of a version or alias end; it is no error if nothing is."""
    named = names.function_name_of(call.scope, request)
    concurrency.check_qualified(named)

    async def body(tr: Transaction) -> Target:
        function, version = await _require_qualified(tr, named)
        await state.concurrency.unprovision(tr, function, named.qualifier)
        return views.target_of(named.account, named.region, version)

    call.functions.provisions.provision(await call.store.transact(body), 0, call.facilities)
    return {}


@operation(
    access=access.on_function("ListProvisionedConcurrencyConfigs"), domain=names.function_domain
)
async def list_provisioned_concurrency_configs(
    call: Call, request: shapes.ListProvisionedConcurrencyConfigsRequest
) -> shapes.ListProvisionedConcurrencyConfigsResponse:
    """List what is provisioned of a function, in order of version and alias, a page at a time."""
    named = names.function_name_of(call.scope, request)._replace(qualifier="")
    limit: int = request.get("MaxItems", quotas.LIST_PAGE)
    after: str = request.get("Marker", "")

    async def body(tr: Transaction) -> list[tuple[str, ProvisionedRecord, Target]]:
        function = await state.require_function(tr, named)
        found: list[tuple[str, ProvisionedRecord, Target]] = []
        for qualifier, record in await state.concurrency.list_provisioned(
            tr, function, after, limit + 1
        ):
            version = await state.versions.find_of(tr, function, qualifier)
            assert version is not None, "what is provisioned goes with its version"
            target = views.target_of(named.account, named.region, version)
            found.append((qualifier, record, target))
        return found

    found = await call.store.read(body)
    reply: shapes.ListProvisionedConcurrencyConfigsResponse = {
        "ProvisionedConcurrencyConfigs": [
            {
                "FunctionArn": arns.function_arn(
                    named.region, named.account, named.name, qualifier
                ),
                **_view(call, record, target),
            }
            for qualifier, record, target in found[:limit]
        ]
    }
    if len(found) > limit:
        reply["NextMarker"] = found[limit - 1][0]
    return reply
