"""Operations that turn out to be about what another domain keeps: decided here, run anew there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.gateway.stub import ACCOUNT, REGION, Gate
from tests.unit.gateway.test_forward import FakePeer

from fogbank.contract.call import Call, Elsewhere, Scattered
from fogbank.gateway.dispatch import Dispatcher
from fogbank.platform.identity.records import ACCESS_KEYS
from fogbank.platform.store.engine import Domain

HOME = Domain("dynamodb", ACCOUNT, "eu-west-1")


class Moving(Gate):
    """A gate whose operations find that they are about what lies at home."""

    def __init__(self) -> None:
        super().__init__()

        def note(call: Call, request: dict[str, Any]) -> None:
            self.stub.calls.append((call, request))
            if not call.moved:
                raise Elsewhere(HOME)

        self.stub.note = note  # type: ignore[method-assign]


class Apart(Moving):
    """One where another process has the home."""

    def __init__(self) -> None:
        super().__init__()
        self.home = self.dispatcher
        self.peer = FakePeer(self.home.arrivals(self.identity.epoch_of).handlers())
        self.dispatcher = Dispatcher(
            self.stub.services(),
            self.facilities,
            owner_of=lambda domain: self.peer if domain == HOME else None,  # type: ignore[arg-type,return-value]
        )


@pytest.mark.parametrize("kind", [Moving, Apart])
def test_an_operation_runs_anew_whole_in_the_domain_that_it_names(kind: type[Moving]) -> None:
    gate = kind()
    assert gate.handle(gate.request("dynamodb"))[0].status == 200
    (first, _), (moved, _) = gate.stub.calls
    assert first.domain == Domain("dynamodb", ACCOUNT, REGION)
    assert (moved.domain, moved.moved) == (HOME, True)
    assert moved.region == REGION
    assert moved.principal == first.principal


def test_it_is_recorded_once_where_it_was_asked_for() -> None:
    gate = Apart()
    gate.handle(gate.request("dynamodb"))
    entries = [(each.operation, each.error_code) for each in gate.dispatcher.recent]
    assert entries == [("ListTables", "")]
    assert gate.peer.calls == 1


def test_a_caller_whose_account_changed_meanwhile_is_proved_and_decided_on_again() -> None:
    gate = Apart()
    epochs = iter([-5])
    arrivals = gate.home.arrivals(lambda _: next(epochs, gate.identity.epoch_of(ACCOUNT)))
    gate.peer._handlers = arrivals.handlers()
    assert gate.handle(gate.request("dynamodb"))[0].status == 200
    assert [call.moved for call, _ in gate.stub.calls] == [False, False, True]


def test_a_key_that_was_revoked_on_the_way_does_nothing_at_home() -> None:
    gate = Apart()
    perform = gate.peer._handlers["gateway.perform"]

    async def remove_key(tr: Any) -> None:
        ACCESS_KEYS.delete(tr, gate.root.access_key_id)

    async def late(asked: Any) -> Any:
        await gate.identity.change(ACCOUNT, remove_key)
        return await perform(asked)

    gate.peer._handlers = {"gateway.perform": late}
    assert gate.refusal(gate.request("dynamodb"))[1] == "UnrecognizedClientException"
    assert [call.moved for call, _ in gate.stub.calls] == [False]


def test_an_error_at_home_is_told_as_if_it_had_been_raised_here() -> None:
    gate = Apart()

    def note(call: Call, request: dict[str, Any]) -> None:
        gate.stub.calls.append((call, request))
        if call.moved:
            raise KeyError("bug")
        raise Elsewhere(HOME)

    gate.stub.note = note  # type: ignore[method-assign]
    assert gate.refusal(gate.request("dynamodb"))[:2] == (500, "InternalServerError")


def test_the_parts_of_a_request_run_one_after_the_other_each_in_its_domain() -> None:
    gate = Moving()
    own = Domain("dynamodb", ACCOUNT, REGION)
    parts = [(HOME, {"Limit": 1}), (own, {"Limit": 2})]

    def merge(answers: Any) -> dict[str, Any]:
        return {"TableNames": [str(len(answers))]}

    def note(call: Call, request: dict[str, Any]) -> None:
        gate.stub.calls.append((call, request))
        if not call.moved:
            raise Scattered(parts, merge)

    gate.stub.note = note  # type: ignore[method-assign]
    reply = gate.handle(gate.request("dynamodb"))[0]
    assert json.loads(reply.body) == {"TableNames": ["2"]}
    assert [(call.domain, request) for call, request in gate.stub.calls[1:]] == parts
    assert all(call.moved for call, _ in gate.stub.calls[1:])
    entries = [(each.operation, each.error_code) for each in gate.dispatcher.recent]
    assert entries == [("ListTables", "")]
