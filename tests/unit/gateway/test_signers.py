"""Who was proved once is told shortly from then on, and not a bit sooner than the long way would."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.gateway.stub import ACCOUNT, KEY_ID, Gate, root_session_of

from fogbank.gateway import signers
from fogbank.gateway.authenticate import Authenticator
from fogbank.gateway.claim import claim_of
from fogbank.gateway.scope import basic
from fogbank.platform.identity.records import ACCESS_KEYS
from fogbank.platform.store.engine import Transaction
from fogbank.wire import sigv4
from fogbank.wire.http import HttpRequest

DAY_MS = 86_400_000


@pytest.fixture
def gate() -> Gate:
    """Return a gate that has proved its root once."""
    gate = Gate()
    assert gate.handle(gate.request("dynamodb"))[0].status == 200
    return gate


@pytest.fixture
def long_ways(monkeypatch: pytest.MonkeyPatch) -> list[HttpRequest]:
    """Return the requests that went the long way since."""
    seen: list[HttpRequest] = []
    usual = Authenticator._check_now

    def noted(self: Authenticator, request: HttpRequest, *rest: Any) -> None:
        seen.append(request)
        usual(self, request, *rest)

    monkeypatch.setattr(Authenticator, "_check_now", noted)
    return seen


def test_a_second_request_is_proved_the_short_way(gate: Gate, long_ways: list[HttpRequest]) -> None:
    gate.clock._now_ms += 1_000
    assert gate.handle(gate.request("dynamodb"))[0].status == 200
    assert not long_ways
    assert gate.stub.calls[-1][0].principal.access_key_id == KEY_ID


def session_of(gate: Gate) -> dict[str, str]:
    """Return the options of a client with a session of the root, of an hour."""
    made = root_session_of(gate)
    return {
        "key_id": made.access_key_id,
        "secret": made.secret_access_key,
        "token": made.session_token,
    }


def test_a_session_is_proved_the_short_way_until_it_ends(long_ways: list[HttpRequest]) -> None:
    gate = Gate()
    session = session_of(gate)
    assert gate.handle(gate.request("dynamodb", **session))[0].status == 200
    long_ways.clear()
    assert gate.handle(gate.request("dynamodb", **session))[0].status == 200
    assert not long_ways
    gate.clock._now_ms += 3_600_001
    assert gate.refusal(gate.request("dynamodb", **session))[1] == "ExpiredTokenException"


def test_the_token_of_another_session_does_not_pass_for_ones_own(gate: Gate) -> None:
    one, other = session_of(gate), session_of(gate)
    assert gate.handle(gate.request("dynamodb", **one))[0].status == 200
    mixed = gate.request("dynamodb", **{**one, "token": other["token"]})
    assert gate.refusal(mixed)[1] == "UnrecognizedClientException"


def body(request: HttpRequest) -> None:
    request.body += b" "


def header(request: HttpRequest) -> None:
    request.headers["x-amz-target"] = "DynamoDB_20120810.DescribeLimits"


def signature(request: HttpRequest) -> None:
    said = request.headers["authorization"]
    request.headers["authorization"] = said[:-1] + ("0" if said[-1] != "0" else "1")


def time(request: HttpRequest) -> None:
    date = request.headers["x-amz-date"]
    request.headers["x-amz-date"] = date[:-3] + ("00Z" if date[-3:] != "00Z" else "01Z")


def method(request: HttpRequest) -> None:
    request.method = "PUT"


def query(request: HttpRequest) -> None:
    request.query = "a=b"


def path(request: HttpRequest) -> None:
    request.path = "/x"


@pytest.mark.parametrize("change", [body, header, signature, time, method, query, path])
def test_what_is_not_as_it_was_signed_is_refused(
    gate: Gate, change: Callable[[HttpRequest], None]
) -> None:
    request = gate.request("dynamodb")
    change(request)
    assert gate.refusal(request)[1] == "InvalidSignatureException"
    assert len(gate.stub.calls) == 1


@pytest.mark.parametrize("by_ms", [-16 * 60_000, 16 * 60_000, -DAY_MS, DAY_MS])
def test_an_old_signature_is_refused(gate: Gate, by_ms: int) -> None:
    request = gate.request("dynamodb")
    gate.clock._now_ms += DAY_MS * 2
    gate.handle(gate.request("dynamodb"))
    gate.clock._now_ms += -2 * DAY_MS + by_ms
    assert gate.refusal(request)[1] == "InvalidSignatureException"


def test_the_key_of_yesterday_is_none_of_today(gate: Gate) -> None:
    [known] = gate.dispatcher._authenticator._signers._known.values()
    midnight_ms = gate.clock.now_ms() // DAY_MS * DAY_MS + DAY_MS
    day, next_day = basic(midnight_ms - 1_000), basic(midnight_ms + 1_000)
    assert known.is_timely(day, midnight_ms, 900_000)
    assert not known.is_timely(next_day, midnight_ms, 900_000)


async def revoked(tr: Transaction) -> None:
    ACCESS_KEYS.delete(tr, KEY_ID)


def test_a_revoked_key_is_refused_at_once(gate: Gate) -> None:
    request = gate.request("dynamodb")
    claim = claim_of(request)
    assert claim is not None
    target = gate.dispatcher._resolver.begin(request, claim.signed)
    assert gate.dispatcher._authenticator.find(request, target, claim) is not None
    asyncio.run(gate.identity.change(ACCOUNT, revoked))
    assert gate.dispatcher._authenticator.find(request, target, claim) is None
    assert gate.refusal(request)[1] == "UnrecognizedClientException"


def test_an_operation_that_was_not_signed_is_refused(gate: Gate) -> None:
    # AWS: the header that names the operation must be signed.
    request = gate.request("dynamodb")
    operation = request.headers.pop("x-amz-target")
    sigv4.sign(
        request,
        access_key_id=KEY_ID,
        secret=gate.root.secret_access_key,
        region="us-east-1",
        service="dynamodb",
        timestamp=request.headers["x-amz-date"],
    )
    gate.handle(request)
    assert len(gate.dispatcher._authenticator._signers._known) == 2
    request.headers["x-amz-target"] = operation
    assert "x-amz-target" in gate.refusal(request)[2]


def test_another_service_is_not_asked_with_the_same_signature(gate: Gate) -> None:
    request = gate.request("dynamodb")
    request.headers["authorization"] = request.headers["authorization"].replace(
        "/dynamodb/", "/logs/"
    )
    assert gate.refusal(request)[1] == "InvalidSignatureException"


def test_failed_proofs_slow_a_known_signer_down_too(gate: Gate) -> None:
    for _ in range(200):
        bad = gate.request("dynamodb", secret="x" * 40)
        if gate.refusal(bad)[1] == "ThrottlingException":
            break
    assert gate.refusal(gate.request("dynamodb"))[1] == "ThrottlingException"


def test_signers_are_forgotten_when_there_are_too_many(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signers, "SIGNERS_MAX", 2)
    for service in ("logs", "iam", "sts", "lambda", "dynamodb"):
        assert gate.handle(gate.request(service))[0].status == 200
    assert len(gate.dispatcher._authenticator._signers._known) <= 2
