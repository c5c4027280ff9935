"""Whatever a client sends is answered in words: never as an internal failure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config
from tests.contracts.made_up import smallest
from tests.contracts.observation import Observations, attempt
from tests.contracts.registry import OPERATIONS, Built
from tests.contracts.seeds import seed

from fogbank.wire.model import Shape

NUMBERS = {"integer", "long", "float", "double"}
every_operation = pytest.mark.parametrize("built", OPERATIONS, ids=str)


@every_operation
def test_no_made_up_request_ends_in_an_internal_failure(
    built: Built, observed: Observations
) -> None:
    answers = observed.by_operation[built.key].answers
    broken = {answer for answer in answers if answer[0] >= 500}
    assert broken <= {(501, "NotImplemented"), (501, "501")}


def ill_typed(shape: Shape, protocol: str) -> Iterator[Any]:
    """Yield values that are none of the shape's, as far as botocore and the protocol carry them."""
    if shape.type in NUMBERS:
        yield "no number"
    elif protocol == "json" and shape.type == "boolean":
        yield "no truth"
    elif protocol == "json" and shape.type == "string":
        yield {"an": "object"}
        yield 7
    elif protocol == "json" and shape.type in {"map", "structure"} and not shape.is_document:
        yield ["a list"]


@every_operation
def test_ill_typed_members_are_refused(built: Built, clients: Any, ill: Any, shared: Any) -> None:
    service, model = built.service.model, built.model
    account = shared.account.principal.account
    accepted = []
    for name, ref in model.input.members.items() if model.input else ():
        for value in ill_typed(ref.shape, model.service.protocol):
            seed(service, clients, account)
            request = {**smallest(service, model.name, account), name: value}
            status, code = ill(service, built.function, request)
            if not 400 <= status < 500 and code != "unsendable":
                accepted.append((name, value, status, code))
    assert accepted == []


@pytest.fixture(scope="module")
def ill(shared: Any) -> Any:
    """Return a way to send what botocore would refuse to."""
    made: dict[str, Any] = {}

    def send(service: str, function: str, request: dict[str, Any]) -> tuple[int, str]:
        if service not in made:
            made[service] = shared.client(service, config=Config(parameter_validation=False))
        try:
            return attempt(made[service], function, request)
        except (AttributeError, TypeError, ValueError):
            return 0, "unsendable"

    return send
