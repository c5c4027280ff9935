from __future__ import annotations

from typing import Any

import pytest
from tests.unit.gateway.stub import KEY_ID, Gate

from fogbank.gateway.proofs import ADDRESSES_MAX, PAIRS_MAX, FailedProofs
from fogbank.gateway.settings import GatewaySettings
from fogbank.server.bounds import gateway_settings
from fogbank.server.config import Config, LimitSettings, ProcessSettings
from fogbank.testing.clock import VirtualClock
from fogbank.wire.http import HttpRequest

FEW = GatewaySettings(
    failed_proofs_burst=3,
    failed_proofs_per_second=1,
    address_failed_proofs_burst=5,
    address_failed_proofs_per_second=1,
)


def fail(
    gate: Gate, service: str = "dynamodb", peer: str = "192.0.2.1", **options: Any
) -> tuple[int, str]:
    options.setdefault("secret", "wrong")
    request = gate.request(service, **options)
    request.peer = peer
    return gate.refusal(request)[:2]


def succeed(gate: Gate, peer: str = "192.0.2.1", **options: Any) -> int:
    request = gate.request("dynamodb", **options)
    request.peer = peer
    return gate.handle(request)[0].status


@pytest.mark.parametrize(
    ("service", "failed", "throttled"),
    [
        ("s3", (403, "SignatureDoesNotMatch"), (503, "SlowDown")),
        ("dynamodb", (400, "InvalidSignatureException"), (400, "ThrottlingException")),
        ("logs", (400, "InvalidSignatureException"), (400, "ThrottlingException")),
        ("lambda", (403, "InvalidSignatureException"), (429, "TooManyRequestsException")),
        ("sts", (403, "SignatureDoesNotMatch"), (400, "Throttling")),
        ("iam", (403, "SignatureDoesNotMatch"), (400, "Throttling")),
    ],
)
def test_who_fails_too_often_is_told_to_slow_down_in_the_services_words(
    service: str, failed: tuple[int, str], throttled: tuple[int, str]
) -> None:
    gate = Gate(FEW)
    assert [fail(gate, service) for _ in range(5)] == [failed] * 3 + [throttled] * 2
    proofs = gate.dispatcher._authenticator.proofs
    assert (proofs.failed, proofs.throttled) == (3, 2)


def test_time_forgives_failed_proofs() -> None:
    gate = Gate(FEW)
    for _ in range(3):
        fail(gate)
    assert succeed(gate) == 400
    gate.clock.advance_to(gate.clock.now_ms() + 999)
    assert succeed(gate) == 400
    gate.clock.advance_to(gate.clock.now_ms() + 1)
    assert succeed(gate) == 200
    assert fail(gate) == (400, "InvalidSignatureException")
    assert fail(gate) == (400, "ThrottlingException")


def test_proofs_that_hold_cost_nothing() -> None:
    gate = Gate(FEW)
    fail(gate)
    assert [succeed(gate) for _ in range(10)] == [200] * 10
    assert [fail(gate)[1] for _ in range(2)] == ["InvalidSignatureException"] * 2


def test_another_key_and_another_address_are_not_affected() -> None:
    gate = Gate(FEW)
    for _ in range(3):
        fail(gate)
    assert succeed(gate, "192.0.2.1") == 400
    assert succeed(gate, "192.0.2.2") == 200
    assert succeed(gate, "2001:db8::1") == 200
    other = {"key_id": "AKIDEXAMPLEOTHER0001"}
    assert fail(gate, **other) == (400, "UnrecognizedClientException")


def test_an_address_that_tries_many_keys_hears_no_more_which_there_are() -> None:
    gate = Gate(FEW)
    said = [fail(gate, key_id=f"AKIDEXAMPLEOTHER{at:04}")[1] for at in range(7)]
    assert said == ["UnrecognizedClientException"] * 5 + ["ThrottlingException"] * 2
    # The wrong secret of a key that there is sounds the same, and a proof that holds is let in.
    assert fail(gate)[1] == "ThrottlingException"
    assert succeed(gate) == 200


def test_a_network_of_ipv6_is_one_address() -> None:
    gate = Gate(FEW)
    for at in range(3):
        fail(gate, peer=f"2001:db8::{at}")
    assert succeed(gate, "2001:db8::ffff") == 400
    assert succeed(gate, "2001:db8:0:1::1") == 200


def test_a_bad_token_is_a_failed_proof() -> None:
    gate = Gate(FEW)
    said = [fail(gate, token="none", key_id="ASIAEXAMPLEOTHER0001")[1] for _ in range(4)]
    assert said == ["UnrecognizedClientException"] * 3 + ["ThrottlingException"]


def test_no_failure_of_an_unread_or_late_claim_is_counted() -> None:
    gate = Gate(FEW)
    for _ in range(5):
        request = gate.request("dynamodb")
        request.headers["authorization"] = "AWS4-HMAC-SHA256 nothing"
        assert gate.refusal(request)[1] == "IncompleteSignatureException"
    late = gate.request("dynamodb")
    gate.clock.advance_to(gate.clock.now_ms() + 3_600_000)
    for _ in range(5):
        assert gate.refusal(late)[1] == "InvalidSignatureException"
    assert gate.dispatcher._authenticator.proofs.failed == 0


def test_what_is_remembered_is_bounded() -> None:
    proofs = FailedProofs(GatewaySettings(), VirtualClock())
    for at in range(3 * PAIRS_MAX):
        request = HttpRequest(
            "GET", "/", "", {}, b"", peer=f"10.{at >> 16}.{at >> 8 & 255}.{at & 255}"
        )
        proofs.fail(request, KEY_ID * 200)
    assert len(proofs._pairs) == PAIRS_MAX
    assert len(proofs._addresses) == ADDRESSES_MAX
    assert max(len(key) for key, _ in proofs._pairs._buckets._entries) == 128


def told_of(all_proofs: list[FailedProofs], requests: int) -> int:
    """Let requests come to listening processes by turns; return how many heard what was wrong."""
    turns = [all_proofs[number % len(all_proofs)] for number in range(requests)]
    request = HttpRequest("GET", "/", "", {}, peer="192.0.2.1")
    return sum(proofs.fail(request, KEY_ID) for proofs in turns)


@pytest.mark.parametrize("fronts", [1, 2, 3, 8])
def test_processes_that_listen_share_the_bounds_of_the_server(fronts: int) -> None:
    config = Config(
        limits=LimitSettings(
            failed_proofs_burst=24,
            failed_proofs_per_second=6,
            address_failed_proofs_burst=100_000,
        ),
        processes=ProcessSettings(fronts=fronts),
    )
    clock = VirtualClock()
    all_proofs = [FailedProofs(gateway_settings(config), clock) for _ in range(fronts)]
    assert told_of(all_proofs, 100) == 24
    # What is forgiven is forgiven once, however often somebody asks meanwhile.
    told = 0
    for _ in range(4_000):
        clock.advance_to(clock.now_ms() + 1)
        told += told_of(all_proofs, fronts)
    assert told == 4 * 6
