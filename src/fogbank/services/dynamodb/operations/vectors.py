"""Search of vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.services.dynamodb import quotas, state
from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules import (
    access,
    names,
    owners,
    requests,
    searches,
    sizes,
    vectors,
)
from fogbank.services.dynamodb.rules.requests import expressions_of

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes


@operation(access=access.on_vectors, domain=owners.of_table, reply=quotas.SEARCH_BYTES)
async def search_vectors(
    call: Call, request: shapes.SearchVectorsInput
) -> shapes.SearchVectorsOutput:
    """Return the items whose vectors are nearest to one, the nearest first."""
    name = names.shared_name_of(call.scope, call.domain, request)
    top_k = searches.require_top_k(request)
    wanted = vectors.search_vector_of(request["SearchVector"])
    expressions = expressions_of(request, requests.SEARCH)
    table = await state.pages.read_table(call, name)
    search = searches.search_of(table, request["IndexName"], wanted, expressions.search, top_k)
    nearest = await state.searches.find_nearest(call, search)
    results: list[shapes.SearchResultItem] = []
    size, size_max = 0, call.limit(quotas.SEARCH_BYTES)
    for hit in nearest.hits:
        base = await state.searches.find_base(call, search, hit)
        if hit.record.place and base is None:
            continue
        item = searches.shown_item(search, hit.record, base, expressions.projection)
        size += sizes.item_size(item)
        if size > size_max:
            raise ValidationException(
                f"The results of the search exceed the maximum of {size_max} bytes"
            )
        shown = cast("dict[str, shapes.AttributeValue]", item)
        results.append({"Item": shown, "Score": hit.score})
        await call.give_way()
    reply: shapes.SearchVectorsOutput = {"SearchResults": results}
    if request.get("ReturnConsumedCapacity", "NONE") != "NONE":
        # AWS: bytes alone, the same for TOTAL and INDEXES (measured, nubo-db/dynamodb-conformance,
        # tests/tier2/vectorSearch/consumedCapacity.test.ts).
        reply["ConsumedCapacity"] = {"VectorSearchRequestBytes": float(nearest.size + size)}
    return reply
