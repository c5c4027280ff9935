"""Operations on published versions: what a function was, under a number, for as long as it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.lambda_ import quotas, state
from fogbank.services.lambda_.arns import LATEST
from fogbank.services.lambda_.rules import access, configuration, names, views
from fogbank.services.lambda_.schema import FunctionRecord
from fogbank.services.lambda_.state.versions import Limits

if TYPE_CHECKING:
    from fogbank.wire.shapes import lambda_ as shapes


@operation(
    access=access.on_function("PublishVersion"),
    domain=names.function_domain,
    unhonoured={"PublishTo": None},
)
async def publish_version(
    call: Call, request: shapes.PublishVersionRequest
) -> shapes.FunctionConfiguration:
    """Keep a function's code and configuration as they are now, under the next number.

    AWS: what has not changed since the last version is answered with that, and the description of
    the request is of no account.
    """
    named = names.function_name_of(call.scope, request)._replace(qualifier="")
    revision = call.ids.uuid()
    limits = Limits(call.limit(quotas.VERSIONS), call.limit(quotas.CODE_STORAGE_BYTES))

    async def body(tr: Transaction) -> FunctionRecord:
        function = await state.require_function(tr, named)
        configuration.check_revision(function, request)
        configuration.check_code_sha256(function, request)
        description = request.get("Description", function.description)
        version, _ = await state.versions.publish(tr, function, revision, description, limits)
        return version

    version = await call.store.transact(body)
    view = views.configuration_view(
        named._replace(qualifier=version.version), version, views.ACTIVE
    )
    return await state.sealing.told(call, named.account, version, view)


@operation(access=access.on_function("ListVersionsByFunction"), domain=names.function_domain)
async def list_versions_by_function(
    call: Call, request: shapes.ListVersionsByFunctionRequest
) -> shapes.ListVersionsByFunctionResponse:
    """List a function and its published versions in order of number, a page at a time.

    A marker is the number behind which the page begins; ``$LATEST`` counts as 0.
    """
    named = names.function_name_of(call.scope, request)._replace(qualifier="")
    limit: int = min(request.get("MaxItems", quotas.LIST_PAGE), quotas.LIST_PAGE)
    marker: str = request.get("Marker", "")
    after = int(marker) if marker else None

    async def body(tr: Transaction) -> list[FunctionRecord]:
        function = await state.require_function(tr, named)
        first = [function] if after is None else []
        return first + await state.versions.list_versions(tr, function, after or 0, limit + 1)

    found = await call.store.read(body)
    reply: shapes.ListVersionsByFunctionResponse = {
        "Versions": [
            await state.sealing.told(
                call,
                named.account,
                each,
                views.listed_view(call.scope, each, each.version, named.account),
            )
            for each in found[:limit]
        ]
    }
    if len(found) > limit:
        last = found[limit - 1].version
        reply["NextMarker"] = "0" if last == LATEST else last
    return reply
