"""Operations on functions: their code and their configuration.

A function is usable as soon as CreateFunction has answered: its package was unpacked and checked
and its role was assumed before anything was stored. An environment of an old revision finishes what
it does and ends.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from fogbank.base.errors import Full, ServiceError, Throttled
from fogbank.contract.call import Call
from fogbank.contract.operation import BodyLimit, operation
from fogbank.platform.blobs.port import FRAME_BYTES, BlobRef
from fogbank.platform.runtime.functions import (
    Package,
    PackageError,
    PackageTooLargeError,
    RoleNotAssumableError,
)
from fogbank.platform.store.engine import Transaction
from fogbank.services.lambda_ import quotas, state
from fogbank.services.lambda_.arns import LATEST
from fogbank.services.lambda_.errors import InvalidParameterValueException
from fogbank.services.lambda_.rules import access, code, configuration, names, views
from fogbank.services.lambda_.rules.code import CodeSource
from fogbank.services.lambda_.rules.names import FunctionName
from fogbank.services.lambda_.schema import FunctionRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import lambda_ as shapes

_UNHONOURED: Final[dict[str, Any]] = {
    "VpcConfig": {"SubnetIds": [], "SecurityGroupIds": []},
    "DeadLetterConfig": {},
    "KMSKeyArn": "",
    "TracingConfig": {"Mode": "PassThrough"},
    "Layers": [],
    "FileSystemConfigs": [],
    "ImageConfig": {},
    "SnapStart": {"ApplyOn": "None"},
    "CapacityProviderConfig": None,
    "DurableConfig": None,
    "RuntimeConfig": None,
    "AcceleratorConfig": None,
}


class _Stored(NamedTuple):
    """A deployment package that has been stored, and checked by unpacking it."""

    sha256: str
    size: int
    blob: BlobRef


@operation(
    access=access.create_function,
    domain=names.function_domain,
    unhonoured={
        **_UNHONOURED,
        "PackageType": "Zip",
        "Publish": False,
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
    configuration.check_sizes(request)
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
    )
    wanted = configuration.configured(blank, request, call.operation)
    source = code.source_of(request["Code"], call.operation, call.limit(quotas.ZIPPED_BYTES))
    await call.store.read(lambda tr: state.require_none(tr, named.name))
    await _check_assumable(call, named, wanted)
    stored = await _store(call, source, wanted.runtime)
    function = _with_code(wanted, stored)

    async def body(tr: Transaction) -> None:
        await state.create_function(tr, function)

    try:
        await call.store.transact(body)
    except (ServiceError, Throttled, Full):
        await call.blobs.delete(stored.blob)
        raise
    return views.configuration_view(named, function, views.CREATED)


async def _check_assumable(call: Call, named: FunctionName, function: FunctionRecord) -> None:
    """Refuse a role that Lambda cannot assume."""
    target = views.target_of(named.account, named.region, function)
    try:
        await call.functions.check_role(target, call.facilities)
    except RoleNotAssumableError as error:
        raise InvalidParameterValueException(code.UNASSUMABLE) from error


def _with_code(function: FunctionRecord, stored: _Stored) -> FunctionRecord:
    """Return a function with other code."""
    return msgspec.structs.replace(
        function,
        code_sha256=stored.sha256,
        code_size=stored.size,
        blob_incarnation=stored.blob.incarnation,
        blob_number=stored.blob.number,
    )


async def _store(call: Call, source: CodeSource, runtime: str) -> _Stored:
    """Store a deployment package and unpack it; nothing remains of one that is refused."""
    digest = hashlib.sha256()
    blob = await call.blobs.name()
    chunks = await _chunks_of(call, source)
    size = await call.blobs.write(blob, _digested(chunks, digest.update))
    package = Package(digest.hexdigest(), blob)
    try:
        await call.functions.prepare(package, runtime, call.facilities)
    except BaseException as error:
        await call.blobs.delete(blob)
        if isinstance(error, PackageError):
            raise code.refused(error) from error
        raise
    return _Stored(package.sha256, size, blob)


async def _digested(
    chunks: AsyncIterator[bytes], update: Callable[[bytes], None]
) -> AsyncIterator[bytes]:
    """Pass chunks on and digest them; refuse a zip file larger than what it may unpack to."""
    left = quotas.UNZIPPED_BYTES_MAX
    async for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise code.refused(PackageTooLargeError())
        await asyncio.to_thread(update, chunk)
        yield chunk


async def _chunks_of(call: Call, source: CodeSource) -> AsyncIterator[bytes]:
    """Return the bytes of a deployment package, read from its bucket as the caller."""
    body: Any = source.content
    if body is None:
        try:
            reply = await call.calls.call(
                "s3", "GetObject", source.get_object, principal=call.principal, region=call.region
            )
        except ServiceError as error:
            raise code.unfetched(error) from error
        body = reply["Body"]
    return _pieces_of(body) if isinstance(body, bytes) else body


async def _pieces_of(content: bytes) -> AsyncIterator[bytes]:
    """Yield bytes a frame at a time."""
    for at in range(0, len(content), FRAME_BYTES):
        yield content[at : at + FRAME_BYTES]


@operation(access=access.on_function("GetFunction"), domain=names.function_domain)
async def get_function(
    call: Call, request: shapes.GetFunctionRequest
) -> shapes.GetFunctionResponse:
    """Return a function's configuration and tags.

    Differs from AWS: there is no ``Code.Location`` from which to download the package yet.
    """
    named = names.function_name_of(call.scope, request)
    function = await _require(call, named)
    reply: shapes.GetFunctionResponse = {
        "Configuration": views.configuration_view(named, function, views.ACTIVE),
        "Code": {"RepositoryType": "S3"},
    }
    if function.tags:
        reply["Tags"] = function.tags
    return reply


@operation(access=access.on_function("GetFunctionConfiguration"), domain=names.function_domain)
async def get_function_configuration(
    call: Call, request: shapes.GetFunctionConfigurationRequest
) -> shapes.FunctionConfiguration:
    """Return a function's configuration."""
    named = names.function_name_of(call.scope, request)
    return views.configuration_view(named, await _require(call, named), views.ACTIVE)


async def _require(call: Call, named: FunctionName) -> FunctionRecord:
    """Return a function or refuse the call."""

    async def body(tr: Transaction) -> FunctionRecord:
        return await state.require_function(tr, named)

    return await call.store.read(body)


@operation(
    access=access.on_function("UpdateFunctionCode"),
    domain=names.function_domain,
    unhonoured={"Publish": False, "PublishTo": None, "DryRun": False},
    body=BodyLimit(quotas.CODE_REQUEST_BYTES),
)
async def update_function_code(
    call: Call, request: shapes.UpdateFunctionCodeRequest
) -> shapes.FunctionConfiguration:
    """Give a function other code."""
    named = names.function_name_of(call.scope, request)._replace(qualifier="")
    configuration.check_architecture(request, call.functions.architecture)
    source = code.source_of(request, call.operation, call.limit(quotas.ZIPPED_BYTES))
    now = await _require(call, named)
    configuration.check_revision(now, request)
    stored = await _store(call, source, now.runtime)
    revision, deployment = call.ids.uuid(), call.ids.uuid()
    now_ms = call.clock.now_ms()

    async def body(tr: Transaction) -> FunctionRecord:
        before = await state.require_function(tr, named)
        configuration.check_revision(before, request)
        after = msgspec.structs.replace(
            _with_code(before, stored),
            revision=revision,
            deployment=deployment,
            modified_ms=now_ms,
        )
        await state.change_code(tr, before, after)
        return after

    try:
        function = await call.store.transact(body)
    except (ServiceError, Throttled, Full):
        await call.blobs.delete(stored.blob)
        raise
    await call.functions.retire(named.arn, deployment)
    return views.configuration_view(named, function, views.UPDATED)


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
    configuration.check_sizes(request)
    if "Runtime" in request:
        configuration.check_available(request["Runtime"], call.functions)
    if "Role" in request:
        configuration.check_role(request["Role"], named.account)
        wanted = configuration.configured(await _require(call, named), request, call.operation)
        await _check_assumable(call, named, wanted)
    revision, deployment = call.ids.uuid(), call.ids.uuid()
    now_ms = call.clock.now_ms()

    async def body(tr: Transaction) -> FunctionRecord:
        before = await state.require_function(tr, named)
        configuration.check_revision(before, request)
        after = msgspec.structs.replace(
            configuration.configured(before, request, call.operation),
            revision=revision,
            deployment=deployment,
            modified_ms=now_ms,
        )
        state.put_function(tr, after)
        return after

    function = await call.store.transact(body)
    await call.functions.retire(named.arn, deployment)
    return views.configuration_view(named, function, views.UPDATED)


@operation(access=access.on_function("DeleteFunction"), domain=names.function_domain)
async def delete_function(
    call: Call, request: shapes.DeleteFunctionRequest
) -> shapes.DeleteFunctionResponse:
    """Delete a function with its policy and code; its log stays."""
    named = names.function_name_of(call.scope, request)
    if named.qualifier == LATEST:
        raise InvalidParameterValueException(
            "$LATEST version cannot be deleted without deleting the function."
        )

    async def body(tr: Transaction) -> None:
        await state.delete_function(tr, named)

    await call.store.transact(body)
    await call.functions.retire(named.arn)
    return {"StatusCode": 204}


@operation(access=access.list_functions, unhonoured={"MasterRegion": None})
async def list_functions(
    call: Call, request: shapes.ListFunctionsRequest
) -> shapes.ListFunctionsResponse:
    """List functions in order of name, a page at a time."""
    limit: int = min(request.get("MaxItems", quotas.LIST_PAGE), quotas.LIST_PAGE)
    after: str | None = request.get("Marker") or None

    async def body(tr: Transaction) -> list[FunctionRecord]:
        return await state.list_functions(tr, after, limit + 1)

    found = await call.store.read(body)
    qualifier = LATEST if request.get("FunctionVersion") else ""
    reply: shapes.ListFunctionsResponse = {
        "Functions": [views.listed_view(call.scope, each, qualifier) for each in found[:limit]]
    }
    if len(found) > limit:
        reply["NextMarker"] = found[limit - 1].name
    return reply
