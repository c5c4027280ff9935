"""The pages of a listing, one after the other, are the listing: for every paginator of the models."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jmespath
import pytest
from botocore.exceptions import ClientError
from tests.contracts.paging import NOTHING_THERE, SEEDS, Request
from tests.contracts.registry import OPERATIONS, Built

from fogbank.testing.cloud import Cloud
from fogbank.wire.model import Paginator
from fogbank.wire.pages import token_members

PAGED = [
    built
    for built in OPERATIONS
    if built.model.paginator is not None and built.model.paginator.limit_key
]
"""Where clients say how long a page may be; where they cannot, a test of its own pages it."""
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


SEALED = [built for built in PAGED if token_members(built.model)]


def test_the_services_with_opaque_tokens_are_known() -> None:
    assert {built.service.model for built in SEALED} >= {"iam", "lambda", "logs", "s3"}


@pytest.mark.parametrize("built", SEALED, ids=str)
def test_a_token_is_opaque_and_good_for_its_account_and_operation_alone(
    built: Built, requests: Any, own: Cloud, own_clients: Any
) -> None:
    client, members = own_clients(built.service.model), token_members(built.model)
    assert members is not None
    (asked,), limit = members.asked, str(paginator_of(built).limit_key)
    for request in requests(built):
        page = getattr(client, built.function)(**request, **{limit: 1})
        given = [page[name] for name in members.told if page.get(name)]
        if not given:
            assert built.key in NOTHING_THERE
            continue
        told = str(given[0])
        raw = base64.urlsafe_b64decode(told + "=" * (-len(told) % 4))
        assert not any(text.encode() in raw for text in _texts(page) if len(text) > 3)
        for other in (
            told[:-2] + ("AA" if told[-2:] != "AA" else "BB"),
            told[1:],
            "AQ",
            f"{told}x",
        ):
            with pytest.raises(ClientError) as caught:
                getattr(client, built.function)(**request, **{asked: other})
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
        again = getattr(client, built.function)(**request, **{limit: 1})
        assert told in [again.get(name) for name in members.told]


def test_no_account_can_use_a_token_of_another_nor_of_another_operation(
    own: Cloud, own_clients: Any
) -> None:
    iam = own_clients("iam")
    for name in ("token-one", "token-two"):
        iam.create_user(UserName=name)
        iam.create_group(GroupName=name)
    token = iam.list_users(MaxItems=1)["Marker"]
    stranger = own.client("iam", credential=own.run(own.app.identity.create_account("stranger")))
    for call in (stranger.list_users, iam.list_groups):
        with pytest.raises(ClientError, match=r"ValidationError.*Invalid Marker"):
            call(Marker=token)
    assert iam.list_users(Marker=token)["Users"]


def test_no_region_can_use_a_token_of_another(own: Cloud, own_clients: Any) -> None:
    here, there = own_clients("logs"), own.client("logs", region="eu-central-1")
    for logs in (here, there):
        for name in ("token-one", "token-two"):
            logs.create_log_group(logGroupName=name)
    token = here.describe_log_groups(limit=1)["nextToken"]
    with pytest.raises(ClientError, match="InvalidParameterException"):
        there.describe_log_groups(nextToken=token)
    assert here.describe_log_groups(nextToken=token)["logGroups"]


def _texts(value: Any) -> list[str]:
    """Return every text in a page that its token might have shown."""
    if isinstance(value, dict):
        return [
            text
            for key, each in value.items()
            if key != "ResponseMetadata"
            for text in _texts(each)
        ]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [value] if isinstance(value, str) else []
