"""Operations on functions: their code and their configuration.

A function is usable as soon as CreateFunction has answered: its package was unpacked and checked
and its role was assumed before anything was stored. An environment of an old revision finishes what
it does and ends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from fogbank.base.errors import Full, ServiceError, Throttled
from fogbank.base.types import Request
from fogbank.contract.call import Call
from fogbank.contract.operation import BodyLimit, operation
from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.runtime.functions import (
    OPT,
    TASK,
    Package,
    RoleNotAssumableError,
    Tree,
)
from fogbank.platform.store.engine import Transaction
from fogbank.services.lambda_ import options, quotas, state
from fogbank.services.lambda_.arns import LATEST
from fogbank.services.lambda_.errors import InvalidParameterValueException
from fogbank.services.lambda_.rules import (
    access,
    code,
    configuration,
    events,
    layers,
    names,
    sealing,
    views,
)
from fogbank.services.lambda_.rules.code import CodeSource
from fogbank.services.lambda_.rules.names import FunctionName
from fogbank.services.lambda_.rules.sealing import Sealing
from fogbank.services.lambda_.schema import FunctionRecord
from fogbank.services.lambda_.state import reloading
from fogbank.services.lambda_.state.layers import NONE_FOUND, Found
from fogbank.services.lambda_.state.versions import Limits

if TYPE_CHECKING:
    from fogbank.wire.shapes import lambda_ as shapes

_UNHONOURED: Final[dict[str, Any]] = {
    "VpcConfig": {"SubnetIds": [], "SecurityGroupIds": []},
    "FileSystemConfigs": [],
    "ImageConfig": {},
    "SnapStart": {"ApplyOn": "None"},
    "CapacityProviderConfig": None,
    "DurableConfig": None,
    "RuntimeConfig": None,
    "AcceleratorConfig": None,
}


@operation(
    access=access.create_function,
    domain=names.function_domain,
    unhonoured={
        **_UNHONOURED,
        "PackageType": "Zip",
        "PublishTo": None,
        "CodeSigningConfigArn": "",
        "TenancyConfig": None,
    },
    body=BodyLimit(quotas.CODE_REQUEST_BYTES),
)
async def create_function(
    call: Call, request: shapes.CreateFunctionRequest
) -> shapes.FunctionConfiguration:
    """Create a function from a zip file in the request or in a bucket."""
    named = names.new_name_of(call.scope, request)
    configuration.check_runtime(request, call.functions, call.functions.architecture)
    configuration.check_sizes(request, call.limit)
    configuration.check_tracing(request, allowed=call.chosen(options.TRACE_WITHOUT_XRAY))
    events.check_dead_letters(request)
    configuration.check_role(request["Role"], call.account)
    blank = FunctionRecord(
        name=named.name,
        revision=call.ids.uuid(),
        deployment=call.ids.uuid(),
        runtime=request.get("Runtime", ""),
        handler=request.get("Handler", ""),
        role=request["Role"],
        code_sha256="",
        code_size=0,
        blob_incarnation=0,
        blob_number=0,
        architecture=call.functions.architecture,
        modified_ms=call.clock.now_ms(),
        tags=configuration.tags_of(request),
        id=call.ids.uuid(),
    )
    wanted = configuration.configured(blank, request)
    source = _source_of(call, request["Code"])
    layers.wanted_of(request, call.region)
    await call.store.read(lambda tr: state.require_none(tr, named.name))
    await _check_assumable(call, named, wanted)
    stored = await state.packages.store(call, source, wanted.runtime, TASK, named.name)
    sealed: Sealing | None = None
    publish = _publishing(call, request)
    found = NONE_FOUND

    async def body(tr: Transaction) -> tuple[FunctionRecord, list[BlobRef]]:
        uses, spare = await state.layers.attach(tr, found)
        function = reloading.with_code(wanted, stored, source.folder)
        made = msgspec.structs.replace(function, layers=uses)
        made = sealing.sealed_function(made, sealed)
        layers.check_size(made.unzipped_size, uses)
        await state.create_function(tr, made, call.limit(quotas.CODE_STORAGE_BYTES))
        return await publish(tr, made), spare

    try:
        found = await _gather(call, request, wanted.runtime) or NONE_FOUND
        sealed = await state.sealing.find_sealing(call, named, blank, request)
        told, spare = await call.store.transact(body)
    except (ServiceError, Throttled, Full):
        await state.packages.drop(call, (stored.blob, *found.copies))
        await state.sealing.discard(call, blank, sealed)
        raise
    await state.packages.drop(call, spare)
    return await _told(call, named, told, views.CREATED)


async def _told(
    call: Call,
    named: FunctionName,
    function: FunctionRecord,
    told_state: shapes.FunctionConfiguration,
) -> shapes.FunctionConfiguration:
    """Return a function's configuration for the caller, under the ARN that the request named."""
    view = views.configuration_view(named, function, told_state)
    return await state.sealing.told(call, named.account, function, view)


def _publishing(
    call: Call, request: Request
) -> Callable[[Transaction, FunctionRecord], Awaitable[FunctionRecord]]:
    """Return what publishes a function as the request asks, and answers what is to be told."""
    revision = call.ids.uuid()
    limits = Limits(call.limit(quotas.VERSIONS), call.limit(quotas.CODE_STORAGE_BYTES))

    async def publish(tr: Transaction, function: FunctionRecord) -> FunctionRecord:
        if not request.get("Publish"):
            return function
        version, _ = await state.versions.publish(
            tr, function, revision, function.description, limits
        )
        return version

    return publish


async def _check_assumable(call: Call, named: FunctionName, function: FunctionRecord) -> None:
    """Refuse a role that Lambda cannot assume."""
    target = views.target_of(named.account, named.region, function)
    try:
        await call.functions.check_role(target, call.facilities)
    except RoleNotAssumableError as error:
        raise InvalidParameterValueException(code.UNASSUMABLE) from error


def _source_of(call: Call, given: Request) -> CodeSource:
    """Return where the code of a request lies."""
    return code.source_of(
        given,
        call.operation,
        call.limit(quotas.ZIPPED_BYTES),
        folders=call.facilities.folders.are_allowed,
    )


async def _gather(call: Call, request: Request, runtime: str) -> Found | None:
    """Return the layers that a request asks for, unpacked; None: it says nothing of them.

    Raises:
        InvalidParameterValueException: There cannot be such layers.
    """
    wanted = layers.wanted_of(request, call.region)
    if wanted is None:
        return None
    found = await state.layers.gather(call, wanted)
    together = tuple(Package(use.code_sha256, use.blob) for use in found.uses)
    try:
        if together and sum(use.unzipped_size for use in found.uses) <= quotas.UNZIPPED_BYTES_MAX:
            await call.functions.prepare(Tree(together, runtime, OPT), call.facilities)
    except BaseException:
        await state.packages.drop(call, found.copies)
        raise
    return found


@operation(access=access.on_function("GetFunction"), domain=names.function_domain)
async def get_function(
    call: Call, request: shapes.GetFunctionRequest
) -> shapes.GetFunctionResponse:
    """Return a function's configuration and tags, and where its package can be had for a while."""
    named = names.function_name_of(call.scope, request)

    async def body(tr: Transaction) -> tuple[FunctionRecord, FunctionRecord]:
        found = await state.versions.require_version(tr, named)
        return found, await state.require_function(tr, named)

    found, function = await call.store.read(body)
    reply: shapes.GetFunctionResponse = {
        "Configuration": await _told(call, named, found, views.ACTIVE),
        "Code": await state.packages.code_of(call, named.account, found),
    }
    if function.tags:
        reply["Tags"] = function.tags
    if function.reserved >= 0:
        reply["Concurrency"] = {"ReservedConcurrentExecutions": function.reserved}
    return reply


@operation(access=access.on_function("GetFunctionConfiguration"), domain=names.function_domain)
async def get_function_configuration(
    call: Call, request: shapes.GetFunctionConfigurationRequest
) -> shapes.FunctionConfiguration:
    """Return a function's configuration."""
    named = names.function_name_of(call.scope, request)
    return await _told(call, named, await _require(call, named), views.ACTIVE)


async def _require(call: Call, named: FunctionName) -> FunctionRecord:
    """Return a version of a function, or refuse the call."""

    async def body(tr: Transaction) -> FunctionRecord:
        return await state.versions.require_version(tr, named)

    return await call.store.read(body)


@operation(
    access=access.on_function("UpdateFunctionCode"),
    domain=names.function_domain,
    unhonoured={"PublishTo": None},
    body=BodyLimit(quotas.CODE_REQUEST_BYTES),
)
async def update_function_code(
    call: Call, request: shapes.UpdateFunctionCodeRequest
) -> shapes.FunctionConfiguration:
    """Give a function other code, or only say what it would be (``DryRun``)."""
    named = names.function_name_of(call.scope, request)._replace(qualifier="")
    configuration.check_architecture(request, call.functions.architecture)
    source = _source_of(call, request)
    now = await _require(call, named)
    configuration.check_revision(now, request)
    stored = await state.packages.store(call, source, now.runtime, TASK, named.name)
    if request.get("DryRun"):
        await state.packages.drop(call, (stored.blob,))
        layers.check_size(stored.unzipped, now.layers)
        tried = reloading.with_code(now, stored, source.folder)
        return await _told(call, named, tried, views.ACTIVE)
    revision, deployment = call.ids.uuid(), call.ids.uuid()
    now_ms = call.clock.now_ms()
    publish = _publishing(call, request)

    async def body(tr: Transaction) -> FunctionRecord:
        before = await state.require_function(tr, named)
        configuration.check_revision(before, request)
        after = msgspec.structs.replace(
            reloading.with_code(before, stored, source.folder),
            revision=revision,
            deployment=deployment,
            modified_ms=now_ms,
        )
        layers.check_size(after.unzipped_size, after.layers)
        await state.change_code(tr, before, after, call.limit(quotas.CODE_STORAGE_BYTES))
        return await publish(tr, after)

    try:
        told = await call.store.transact(body)
    except (ServiceError, Throttled, Full):
        await state.packages.drop(call, (stored.blob,))
        raise
    await call.functions.retire(named.arn, deployment, LATEST)
    if told.version != LATEST:
        return await _told(call, named._replace(qualifier=told.version), told, views.CREATED)
    return await _told(call, named, told, views.UPDATED)


@operation(
    access=access.update_configuration,
    domain=names.function_domain,
    unhonoured=_UNHONOURED,
)
async def update_function_configuration(
    call: Call, request: shapes.UpdateFunctionConfigurationRequest
) -> shapes.FunctionConfiguration:
    """Change how a function runs."""
    named = names.function_name_of(call.scope, request)._replace(qualifier="")
    configuration.check_sizes(request, call.limit)
    configuration.check_tracing(request, allowed=call.chosen(options.TRACE_WITHOUT_XRAY))
    events.check_dead_letters(request)
    if "Runtime" in request:
        configuration.check_available(request["Runtime"], call.functions)
    now = await _require(call, named)
    wanted = configuration.configured(now, request)
    if "Role" in request:
        configuration.check_role(request["Role"], named.account)
        await _check_assumable(call, named, wanted)
    sealed = await state.sealing.find_sealing(call, named, now, request)
    found: Found | None = None
    revision, deployment = call.ids.uuid(), call.ids.uuid()
    now_ms = call.clock.now_ms()

    async def body(tr: Transaction) -> tuple[FunctionRecord, list[BlobRef]]:
        before = await state.require_function(tr, named)
        configuration.check_revision(before, request)
        sealing.require_same(named, now, before)
        after, spare = await _layered(tr, configuration.configured(before, request), found)
        after = msgspec.structs.replace(
            sealing.sealed_function(after, sealed),
            revision=revision,
            deployment=deployment,
            modified_ms=now_ms,
        )
        await state.grants.change(tr, before, after)
        state.put_function(tr, after)
        return after, spare

    try:
        found = await _gather(call, request, wanted.runtime)
        function, spare = await call.store.transact(body)
    except (ServiceError, Throttled, Full):
        await state.packages.drop(call, () if found is None else found.copies)
        await state.sealing.discard(call, now, sealed)
        raise
    await state.packages.drop(call, spare)
    await call.functions.retire(named.arn, deployment, LATEST)
    return await _told(call, named, function, views.UPDATED)


async def _layered(
    tr: Transaction, function: FunctionRecord, found: Found | None
) -> tuple[FunctionRecord, list[BlobRef]]:
    """Return a function with other layers, and blobs that nobody needs; None: it keeps its own."""
    if found is None:
        return function, []
    uses, spare = await state.layers.attach(tr, found)
    await state.layers.release_uses(tr, function.layers)
    layers.check_size(function.unzipped_size, uses)
    return msgspec.structs.replace(function, layers=uses), spare


@operation(access=access.on_function("DeleteFunction"), domain=names.function_domain)
async def delete_function(
    call: Call, request: shapes.DeleteFunctionRequest
) -> shapes.DeleteFunctionResponse:
    """Delete a function with its policy, code and versions, or one version; its log stays.

    AWS: it is no error if there is no such version.
    """
    named = names.function_name_of(call.scope, request)
    names.check_deletable(named)
    now_ms = call.clock.now_ms()

    async def body(tr: Transaction) -> None:
        if not named.qualifier:
            await state.delete_function(tr, named, now_ms)
            return
        function = await state.require_function(tr, named._replace(qualifier=""))
        await state.versions.delete_version(tr, function, named.qualifier)

    await call.store.transact(body)
    await call.functions.retire(named.arn, version=named.qualifier)
    return {"StatusCode": 204}


@operation(access=access.list_functions, unhonoured={"MasterRegion": None})
async def list_functions(
    call: Call, request: shapes.ListFunctionsRequest
) -> shapes.ListFunctionsResponse:
    """List functions in order of name, a page at a time."""
    limit: int = min(request.get("MaxItems", quotas.LIST_PAGE), quotas.LIST_PAGE)
    after, _, number = (request.get("Marker") or "").partition(":")
    every = "FunctionVersion" in request

    async def body(tr: Transaction) -> list[FunctionRecord]:
        if every:
            return await state.list_with_versions(tr, after, int(number or 0), limit + 1)
        return await state.list_functions(tr, after or None, limit + 1)

    found = await call.store.read(body)
    reply: shapes.ListFunctionsResponse = {
        "Functions": [
            await state.sealing.told(
                call,
                call.account,
                each,
                views.listed_view(call.scope, each, each.version if every else ""),
            )
            for each in found[:limit]
        ]
    }
    if len(found) > limit:
        last = found[limit - 1]
        ending = f":{0 if last.version == LATEST else last.version}" if every else ""
        reply["NextMarker"] = last.name + ending
    return reply
