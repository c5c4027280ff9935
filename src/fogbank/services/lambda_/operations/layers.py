"""Operations on layers: zip files of their own, in versions that functions lay under ``/opt``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from fogbank.base.errors import Full, ServiceError, Throttled
from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import BodyLimit, operation
from fogbank.platform.iam.bound import BoundPolicy, with_ids
from fogbank.platform.identity.bound import gone
from fogbank.platform.runtime.functions import OPT
from fogbank.platform.store.engine import Transaction
from fogbank.services.lambda_ import quotas, state
from fogbank.services.lambda_.rules import access, code, layers, policies
from fogbank.services.lambda_.rules.layers import LayerName
from fogbank.services.lambda_.schema import LayerPolicyRecord, LayerVersionRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import lambda_ as shapes

_SOUGHT_MAX: Final = 500
"""Versions of one page of a listing that are looked at; what is behind them is the next page's."""


@operation(
    access=access.on_layer("PublishLayerVersion"),
    domain=layers.domain_of,
    body=BodyLimit(quotas.CODE_REQUEST_BYTES),
)
async def publish_layer_version(
    call: Call, request: shapes.PublishLayerVersionRequest
) -> shapes.PublishLayerVersionResponse:
    """Keep a zip file, in the request or in a bucket, as the next version of a layer."""
    named = layers.layer_of(call.scope, request)
    runtimes = layers.runtimes_of(request)
    source = code.source_of(request["Content"], call.operation, call.limit(quotas.ZIPPED_BYTES))
    stored = await state.packages.store(call, source, "", OPT)
    version = LayerVersionRecord(
        number=0,
        code_sha256=stored.sha256,
        code_size=stored.size,
        unzipped_size=stored.unzipped,
        blob_incarnation=stored.blob.incarnation,
        blob_number=stored.blob.number,
        created_ms=call.clock.now_ms(),
        description=request.get("Description", ""),
        license=request.get("LicenseInfo", ""),
        runtimes=runtimes,
        architectures=tuple(request.get("CompatibleArchitectures", ())),
    )

    code_bytes_max = call.limit(quotas.CODE_STORAGE_BYTES)

    async def body(tr: Transaction) -> LayerVersionRecord:
        return await state.layers.publish(tr, named.name, version, code_bytes_max)

    try:
        published = await call.store.transact(body)
    except (ServiceError, Throttled, Full):
        await state.packages.drop(call, (stored.blob,))
        raise
    return _told(call, named, published)


def _told(
    call: Call, named: LayerName, version: LayerVersionRecord
) -> shapes.GetLayerVersionResponse:
    """Return a version with where its content can be had for a while."""
    location = state.packages.location_of(call, named.account, version.blob)
    return layers.version_view(named, version, location)


@operation(access=access.on_layer_version("GetLayerVersion"), domain=layers.domain_of)
async def get_layer_version(
    call: Call, request: shapes.GetLayerVersionRequest
) -> shapes.GetLayerVersionResponse:
    """Return a version of a layer, and where its content can be had for a while."""
    return await _get(call, _version_of(call, request))


@operation(access=access.get_layer_version_by_arn, domain=layers.arn_domain)
async def get_layer_version_by_arn(
    call: Call, request: shapes.GetLayerVersionByArnRequest
) -> shapes.GetLayerVersionResponse:
    """Return a version of a layer by its ARN."""
    named = layers.find_named(request["Arn"])
    if named is None:
        raise layers.not_found()
    return await _get(call, layers.require_reachable(named, call.region))


async def _get(call: Call, named: LayerName) -> shapes.GetLayerVersionResponse:
    """Return a version, or refuse the call."""
    version = await call.store.read(lambda tr: state.layers.require_version(tr, named))
    return _told(call, named, version)


def _version_of(call: Call, request: Request) -> LayerName:
    """Return the version that a request names."""
    return layers.require_reachable(layers.name_of(call.scope, request), call.region)


@operation(access=access.on_layer_version("DeleteLayerVersion"), domain=layers.domain_of)
async def delete_layer_version(call: Call, request: shapes.DeleteLayerVersionRequest) -> Wire:
    """Delete a version of a layer, which may be gone; functions that use it go on using it."""
    named = _version_of(call, request)
    await call.store.transact(lambda tr: state.layers.delete_version(tr, named))
    return {}


@operation(access=access.list_layer_versions, domain=layers.domain_of)
async def list_layer_versions(
    call: Call, request: shapes.ListLayerVersionsRequest
) -> shapes.ListLayerVersionsResponse:
    """List the versions of a layer, the newest first, a page at a time.

    A marker is the number before which the page begins.
    """
    named = layers.layer_of(call.scope, request)
    limit = request.get("MaxItems", quotas.LIST_PAGE)
    before = int(request.get("Marker") or 0)
    suits = layers.sought_of(request)

    async def body(tr: Transaction) -> list[LayerVersionRecord]:
        return await state.layers.list_versions(tr, named.name, before, _SOUGHT_MAX + 1)

    looked_at = await call.store.read(body)
    found = [each for each in looked_at[:_SOUGHT_MAX] if suits(each)]
    reply: shapes.ListLayerVersionsResponse = {
        "LayerVersions": [layers.listed_view(named, each) for each in found[:limit]]
    }
    if len(found) > limit:
        reply["NextMarker"] = str(found[limit - 1].number)
    elif len(looked_at) > _SOUGHT_MAX:
        reply["NextMarker"] = str(looked_at[_SOUGHT_MAX - 1].number)
    return reply


@operation(access=access.list_layers)
async def list_layers(call: Call, request: shapes.ListLayersRequest) -> shapes.ListLayersResponse:
    """List layers in order of name with the newest version of each that suits, a page at a time.

    A marker is the name behind which the page begins; a layer without such a version is left out.
    """
    limit = request.get("MaxItems", quotas.LIST_PAGE)
    after = request.get("Marker", "")
    suits = layers.sought_of(request)
    reply: shapes.ListLayersResponse = {"Layers": []}
    names = await call.store.read(lambda tr: state.layers.list_layers(tr, after, limit + 1))
    for name in names[:limit]:
        version = await _newest(call, name, suits)
        if version is not None:
            named = LayerName(call.account, call.region, name)
            reply["Layers"].append(
                {
                    "LayerName": name,
                    "LayerArn": named.arn,
                    "LatestMatchingVersion": layers.listed_view(named, version),
                }
            )
    if len(names) > limit:
        reply["NextMarker"] = names[limit - 1]
    return reply


async def _newest(
    call: Call, name: str, suits: Callable[[LayerVersionRecord], bool]
) -> LayerVersionRecord | None:
    """Return the newest version of a layer that suits, or None; each look is a short transaction."""
    before = 0
    while True:

        async def body(tr: Transaction, before: int = before) -> list[LayerVersionRecord]:
            return await state.layers.list_versions(tr, name, before, quotas.LIST_PAGE)

        page = await call.store.read(body)
        for version in page:
            if suits(version):
                return version
        if len(page) < quotas.LIST_PAGE:
            return None
        before = page[-1].number


# Policies.


@operation(access=access.on_layer_version("AddLayerVersionPermission"), domain=layers.domain_of)
async def add_layer_version_permission(
    call: Call, request: shapes.AddLayerVersionPermissionRequest
) -> shapes.AddLayerVersionPermissionResponse:
    """Let another account, or all of them, use a version of a layer."""
    named = _version_of(call, request)
    statement = layers.statement_of(request, named)
    bound = await state.policies.bound_of(call, statement)
    revision = call.ids.uuid()

    async def body(tr: Transaction) -> None:
        before = await state.layers.policy_of(tr, named)
        layers.check_revision(before, request)
        after = policies.with_statement(layers.policy_of(before), statement, bound)
        record = LayerPolicyRecord(after.document, revision, after.bound)
        state.layers.put_policy(tr, named, record)

    await call.store.transact(body)
    return {"Statement": policies.text_of(statement), "RevisionId": revision}


@operation(access=access.on_layer_version("RemoveLayerVersionPermission"), domain=layers.domain_of)
async def remove_layer_version_permission(
    call: Call, request: shapes.RemoveLayerVersionPermissionRequest
) -> Wire:
    """Remove a statement from the policy of a version of a layer; functions keep what they use."""
    named = _version_of(call, request)
    revision = call.ids.uuid()

    async def body(tr: Transaction) -> None:
        before = await state.layers.policy_of(tr, named)
        layers.check_revision(before, request)
        after = policies.without_statement(layers.policy_of(before), request["StatementId"])
        record = None if after is None else LayerPolicyRecord(after.document, revision, after.bound)
        state.layers.put_policy(tr, named, record)

    await call.store.transact(body)
    return {}


@operation(access=access.on_layer_version("GetLayerVersionPolicy"), domain=layers.domain_of)
async def get_layer_version_policy(
    call: Call, request: shapes.GetLayerVersionPolicyRequest
) -> shapes.GetLayerVersionPolicyResponse:
    """Return the policy of a version of a layer; whom it names and who is gone goes by the id."""
    named = _version_of(call, request)
    record = await call.store.read(lambda tr: state.layers.policy_of(tr, named))
    if record is None:
        raise policies.no_policy()
    policy = BoundPolicy(record.document, record.bound)
    document = with_ids(policy.document, await gone(call.facilities.placement, policy.bound))
    return {"Policy": document, "RevisionId": record.revision}
