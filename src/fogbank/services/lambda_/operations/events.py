"""Operations on how the events of functions are treated: retries, age, destinations and loops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from fogbank.base.errors import ServiceError
from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.runtime.cloud import Acting, RoleSession, assume_role
from fogbank.platform.runtime.functions import RoleNotAssumableError
from fogbank.platform.store.engine import Transaction
from fogbank.services.lambda_ import arns, quotas, state
from fogbank.services.lambda_.errors import (
    InvalidParameterValueException,
    ResourceNotFoundException,
)
from fogbank.services.lambda_.rules import access, code, events, names
from fogbank.services.lambda_.rules.names import FunctionName
from fogbank.services.lambda_.schema import EventConfigRecord, FunctionRecord
from fogbank.services.lambda_.state import events as told

if TYPE_CHECKING:
    from fogbank.wire.shapes import lambda_ as shapes


@operation(access=access.on_function("PutFunctionEventInvokeConfig"), domain=names.function_domain)
async def put_function_event_invoke_config(
    call: Call, request: shapes.PutFunctionEventInvokeConfigRequest
) -> shapes.FunctionEventInvokeConfig:
    """Say how events of a function, version or alias are treated; what is not said is default."""
    return await _write(call, request, keeps=False)


@operation(
    access=access.on_function("UpdateFunctionEventInvokeConfig"), domain=names.function_domain
)
async def update_function_event_invoke_config(
    call: Call, request: shapes.UpdateFunctionEventInvokeConfigRequest
) -> shapes.FunctionEventInvokeConfig:
    """Change how events of a function, version or alias are treated; what is not said stays."""
    return await _write(call, request, keeps=True)


async def _write(call: Call, request: Request, *, keeps: bool) -> shapes.FunctionEventInvokeConfig:
    """Write a configuration, which keeps what it had, or not."""
    named = names.function_name_of(call.scope, request)
    events.check_asked(request)
    blank = EventConfigRecord(modified_ms=0)
    now_ms = call.clock.now_ms()

    async def found(tr: Transaction) -> tuple[FunctionRecord, str, EventConfigRecord]:
        function = await state.find_function(tr, named.name)
        version = None
        if function is not None:
            version = await state.versions.find_of(tr, function, named.qualifier)
        if function is None or version is None:
            raise ResourceNotFoundException(events.NO_FUNCTION)
        before = await told.find_config(tr, function.key, named.qualifier) if keeps else blank
        if before is None:
            raise events.no_config(named)
        return function, version.role, events.changed_config(before, request, now_ms)

    _, role, wanted = await call.store.read(found)
    await _check_destinations(call, named, role, wanted)

    async def body(tr: Transaction) -> EventConfigRecord:
        function, _, config = await found(tr)
        told.put_config(tr, function, named.qualifier, config)
        return config

    return events.view_of(named, await call.store.transact(body))


async def _check_destinations(
    call: Call, named: FunctionName, role: str, config: EventConfigRecord
) -> None:
    """Refuse destinations that are not there, or that the function's role may not reach.

    AWS: it tries as the role; of a bucket it wants the right to list it beside that to write.
    """
    wanted = events.check_destinations(named, config)
    if not wanted:
        return
    acting = Acting(named.account, named.region, named.arn, named.name, role)
    try:
        session = await assume_role(acting, call.facilities)
    except RoleNotAssumableError as error:
        raise InvalidParameterValueException(code.UNASSUMABLE) from error
    for arn in wanted:
        await _check_destination(call, named, session, arn)


async def _check_destination(
    call: Call, named: FunctionName, session: RoleSession, arn: str
) -> None:
    """Refuse one destination."""
    if arns.find_function(arn) is not None:
        service, asked, action = "lambda", "Invoke", "InvokeFunction"
        request: Wire = {"FunctionName": arn, "InvocationType": "DryRun"}
    else:
        service, asked, action = "s3", "HeadBucket", "ListBucket"
        request = {"Bucket": arn.rpartition(":")[2]}
    region = events.region_of(arn) or named.region
    try:
        await call.calls.call(service, asked, request, principal=session.principal, region=region)
    except ServiceError as error:
        if error.code in {"AccessDenied", "AccessDeniedException", "403"}:
            raise events.unpermitted(action, arn) from error
        raise events.invalid(arn) from error


@operation(access=access.on_function("GetFunctionEventInvokeConfig"), domain=names.function_domain)
async def get_function_event_invoke_config(
    call: Call, request: shapes.GetFunctionEventInvokeConfigRequest
) -> shapes.FunctionEventInvokeConfig:
    """Return how events of a function, version or alias are treated."""
    named = names.function_name_of(call.scope, request)

    async def body(tr: Transaction) -> EventConfigRecord:
        _, config = await _require(tr, named)
        return config

    return events.view_of(named, await call.store.read(body))


async def _require(
    tr: Transaction, named: FunctionName
) -> tuple[FunctionRecord, EventConfigRecord]:
    """Return a function and a configuration of it, or refuse the call."""
    function = await state.find_function(tr, named.name)
    config = None
    if function is not None:
        config = await told.find_config(tr, function.key, named.qualifier)
    if function is None or config is None:
        raise events.no_config(named)
    return function, config


@operation(
    access=access.on_function("DeleteFunctionEventInvokeConfig"), domain=names.function_domain
)
async def delete_function_event_invoke_config(
    call: Call, request: shapes.DeleteFunctionEventInvokeConfigRequest
) -> Wire:
    """Have events of a function, version or alias treated as by default."""
    named = names.function_name_of(call.scope, request)

    async def body(tr: Transaction) -> None:
        function, _ = await _require(tr, named)
        told.delete_config(tr, function, named.qualifier)

    await call.store.transact(body)
    return {}


@operation(
    access=access.on_function("ListFunctionEventInvokeConfigs"), domain=names.function_domain
)
async def list_function_event_invoke_configs(
    call: Call, request: shapes.ListFunctionEventInvokeConfigsRequest
) -> shapes.ListFunctionEventInvokeConfigsResponse:
    """List the configurations of a function, in order of qualifier, a page at a time."""
    named = names.function_name_of(call.scope, request)._replace(qualifier="")
    limit: int = request.get("MaxItems", quotas.LIST_PAGE)
    after: str = request.get("Marker", "")

    async def body(tr: Transaction) -> list[tuple[str, EventConfigRecord]]:
        function = await state.find_function(tr, named.name)
        if function is None:
            raise ResourceNotFoundException(events.NO_FUNCTION)
        return await told.list_configs(tr, function, after, limit + 1)

    found = await call.store.read(body)
    reply: shapes.ListFunctionEventInvokeConfigsResponse = {
        "FunctionEventInvokeConfigs": [
            events.view_of(named._replace(qualifier=qualifier), config)
            for qualifier, config in found[:limit]
        ]
    }
    if len(found) > limit:
        reply["NextMarker"] = found[limit - 1][0]
    return reply


# Loops.


@operation(access=access.on_function("PutFunctionRecursionConfig"), domain=names.function_domain)
async def put_function_recursion_config(
    call: Call, request: shapes.PutFunctionRecursionConfigRequest
) -> shapes.PutFunctionRecursionConfigResponse:
    """Say whether a function that invokes itself again and again is stopped."""
    named = names.function_name_of(call.scope, request)
    chosen = request["RecursiveLoop"]

    async def body(tr: Transaction) -> None:
        before = await state.require_function(tr, named)
        state.put_function(tr, msgspec.structs.replace(before, loops=chosen == "Allow"))

    await call.store.transact(body)
    return {"RecursiveLoop": chosen}


@operation(access=access.on_function("GetFunctionRecursionConfig"), domain=names.function_domain)
async def get_function_recursion_config(
    call: Call, request: shapes.GetFunctionRecursionConfigRequest
) -> shapes.GetFunctionRecursionConfigResponse:
    """Return whether a function that invokes itself again and again is stopped."""
    named = names.function_name_of(call.scope, request)

    async def body(tr: Transaction) -> FunctionRecord:
        return await state.require_function(tr, named)

    function = await call.store.read(body)
    return {"RecursiveLoop": "Allow" if function.loops else "Terminate"}
