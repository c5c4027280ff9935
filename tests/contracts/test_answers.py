"""Whatever a client sends is answered in words: never as an internal failure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.config import Config
from tests.contracts.made_up import smallest
from tests.contracts.observation import Observations, attempt
from tests.contracts.registry import OPERATIONS, Built
from tests.contracts.seeds import seed

from fogbank.wire.model import OperationModel, Ref, Shape

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
    in_json = protocol == "json"
    if shape.type in NUMBERS:
        yield "no number"
    elif in_json and shape.type == "boolean":
        yield "no truth"
    elif in_json and shape.type == "string":
        yield {"an": "object"}
        yield 7
    elif in_json and shape.type in {"map", "structure"} and not shape.is_document:
        yield ["a list"]


def out_of_bounds(ref: Ref) -> Iterator[Any]:
    """Yield values of the shape's type that its constraints forbid."""
    shape, low, high = ref.shape, ref.shape.raw.get("min"), ref.shape.raw.get("max")
    if shape.type in {"integer", "long"}:
        if low is not None:
            yield low - 1
        if high is not None:
            yield high + 1
    elif shape.type == "string":
        if shape.enum and not ref.location:
            yield "no-such-word"
        elif high is not None:
            yield "x" * (high + 1)
    elif shape.type == "list" and shape.member.shape.type == "string" and low:
        yield []


def sent(model: OperationModel) -> Iterator[tuple[str, Any]]:
    """Yield the members of an operation, each with a value that it must not take."""
    for name, ref in model.input.members.items() if model.input else ():
        for value in (*ill_typed(ref.shape, model.service.protocol), *out_of_bounds(ref)):
            yield name, value


@every_operation
def test_wrong_members_are_refused(built: Built, clients: Any, ill: Any, shared: Any) -> None:
    service, model = built.service.model, built.model
    account = shared.account.principal.account
    least = smallest(service, model.name, account)
    accepted, disturbed = [], True
    for name, value in sent(model):
        if disturbed:
            seed(service, clients, account)
        status, code = ill(service, built.function, {**least, name: value})
        # What was refused has changed nothing.
        disturbed = status < 400
        if not 400 <= status < 500 and code not in {"unsendable", "NotImplemented"}:
            accepted.append((name, str(value)[:40], status, code))
    assert accepted == []


class Bodies:
    """Puts bodies of its own under boto3's requests, for what botocore would not write."""

    def __init__(self, shared: Any) -> None:
        self._shared = shared
        self._clients: dict[str, Any] = {}
        self._change: Any = None

    def client(self, service: str) -> Any:
        if service not in self._clients:
            client = self._clients[service] = self._shared.client(service)
            client.meta.events.register("before-call", self._before_call)
        return self._clients[service]

    def _before_call(self, params: dict[str, Any], **_: Any) -> None:
        params["body"] = self._change(params["body"])

    def send(
        self, built: Built, request: dict[str, Any], change: Callable[[Any], Any]
    ) -> tuple[int, str]:
        self._change = change
        return attempt(self.client(built.service.model), built.function, request)


@pytest.fixture(scope="module")
def bodies(shared: Any) -> Bodies:
    return Bodies(shared)


def in_body(built: Built) -> bool:
    """Return whether an operation's members go into a body of JSON."""
    model = built.model
    written = model.input is not None and not model.input.payload
    return (
        written and model.service.protocol in {"json", "rest-json"} and model.http_method != "GET"
    )


JSON_OPERATIONS = [built for built in OPERATIONS if in_body(built)]
OPEN_OPERATIONS = [
    built for built in OPERATIONS if in_body(built) or built.model.service.protocol == "query"
]


@pytest.mark.parametrize("built", JSON_OPERATIONS, ids=str)
def test_json_of_another_type_is_refused(
    built: Built, clients: Any, bodies: Bodies, shared: Any
) -> None:
    service, account = built.service.model, shared.account.principal.account
    least = smallest(service, built.model.name, account)
    seed(service, clients, account)
    accepted = []
    for name, ref in built.model.input.members.items() if built.model.input else ():
        if ref.location or ref.shape.is_document:
            continue
        wrong: list[Any] = [["a list"], 7] if ref.shape.type != "list" else [{"an": "object"}, "x"]
        for value in wrong:
            if value == 7 and ref.shape.type in {*NUMBERS, "timestamp"}:
                continue
            key = ref.wire_name

            def change(body: bytes, key: str = key, value: Any = value) -> bytes:
                return json.dumps({**json.loads(body or "{}"), key: value}).encode()

            status, code = bodies.send(built, least, change)
            if not 400 <= status < 500 and code != "NotImplemented":
                accepted.append((name, value, status, code))
    assert accepted == []


@pytest.mark.parametrize("built", OPEN_OPERATIONS, ids=str)
def test_members_that_no_model_knows_are_passed_over(
    built: Built, clients: Any, bodies: Bodies, shared: Any
) -> None:
    # AWS: clients of a newer model are answered, in JSON and in query alike.
    service, account = built.service.model, shared.account.principal.account
    least = smallest(service, built.model.name, account)

    def change(body: Any) -> Any:
        if isinstance(body, dict):
            return {**body, "NoModelKnows": "x"}
        return json.dumps({**json.loads(body or "{}"), "NoModelKnows": {"x": [1]}}).encode()

    def same(body: Any) -> Any:
        return body

    # Between two that are as the model has them: some succeed but once, or so many times.
    seed(service, clients, account)
    before, between, after = [bodies.send(built, least, each) for each in (same, change, same)]
    assert between in {before, after}


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
