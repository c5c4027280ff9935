"""The pages of a listing, one after the other, are the listing: for every paginator of the models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jmespath
import pytest
from tests.contracts.paging import NOTHING_THERE, SEEDS, Request
from tests.contracts.registry import OPERATIONS, Built

from fogbank.testing.cloud import Cloud
from fogbank.wire.model import Paginator

PAGED = [built for built in OPERATIONS if built.model.paginator is not None]
UNPAGED = Path(__file__).with_name("unpaged.txt")


def paginator_of(built: Built) -> Paginator:
    assert built.model.paginator is not None
    return built.model.paginator


@pytest.fixture(scope="module")
def requests(own: Cloud, own_clients: Any) -> Callable[[Built], list[Request]]:
    """Return the requests that list what stands, of each paginated operation."""
    made: dict[str, dict[str, list[Request]]] = {}

    def find(built: Built) -> list[Request]:
        service = built.service.model
        if service not in made:
            made[service] = SEEDS[service](own_clients, own.account.principal.account)
        return made[service].get(built.function, [])

    return find


def results_of(paginator: Paginator, page: dict[str, Any]) -> dict[str, Any]:
    """Return what a page holds, by result key."""
    return {key: jmespath.search(key, page) for key in paginator.result_keys}


def joined(pages: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the results of several pages as one page would hold them."""
    whole: dict[str, Any] = {}
    for page in pages:
        for key, found in page.items():
            if found is not None:
                whole[key] = whole[key] + found if key in whole else found
    return {key: found for key, found in whole.items() if found}


def counted(whole: dict[str, Any]) -> int:
    """Return how many results there are."""
    return sum(len(found) if isinstance(found, list) else found for found in whole.values())


@pytest.mark.parametrize("page_size", [1, 2])
@pytest.mark.parametrize("built", PAGED, ids=str)
def test_pages_concatenate_to_the_unpaged_answer(
    built: Built, page_size: int, requests: Any, own_clients: Any
) -> None:
    client, paginator = own_clients(built.service.model), paginator_of(built)
    for request in requests(built):
        whole = joined([results_of(paginator, getattr(client, built.function)(**request))])
        found = client.get_paginator(built.function).paginate(
            **request, PaginationConfig={"PageSize": page_size}
        )
        pages = [results_of(paginator, page) for page in found]
        assert joined(pages) == whole, request
        if built.key not in NOTHING_THERE:
            assert counted(whole) > 1, request
            assert counted(whole) <= page_size or len(pages) > 1, request


@pytest.mark.parametrize("page_size", [1, 2])
@pytest.mark.parametrize("built", PAGED, ids=str)
def test_no_page_holds_more_than_was_asked_for(
    built: Built, page_size: int, requests: Any, own_clients: Any
) -> None:
    client, paginator = own_clients(built.service.model), paginator_of(built)
    for request in requests(built):
        asked = {**request, str(paginator.limit_key): page_size}
        page = results_of(paginator, getattr(client, built.function)(**asked))
        lists = [found for found in page.values() if isinstance(found, list)]
        assert sum(map(len, lists)) <= page_size, request


def test_every_paginated_operation_is_paged(requests: Any) -> None:
    missing = {".".join(built.key) for built in PAGED if not requests(built)}
    lines = UNPAGED.read_text().splitlines()
    assert missing == {line for line in lines if line and not line.startswith("#")}
