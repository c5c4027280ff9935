"""What is remembered of decisions: never more than what follows from the caller and the resource."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from fogbank.platform.iam import decisions as module
from fogbank.platform.iam.decisions import GENERATION_MAX, RESOURCE_CHARACTERS_MAX, Decisions
from fogbank.platform.iam.evaluate import PolicySet
from fogbank.platform.iam.policy import compile_policy

ACCOUNT = "111122223333"
OBJECT = "arn:aws:s3:::photos/a"


class Caller(NamedTuple):
    kind: str = "user"
    account: str = ACCOUNT
    arn: str = f"arn:aws:iam::{ACCOUNT}:user/alice"
    role_arn: str = ""
    provider: str = ""


class Counted(Decisions):
    """Counts how often a request is evaluated."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.evaluated = 0
        evaluate = module.evaluate

        def counting(*given: Any) -> Any:
            self.evaluated += 1
            return evaluate(*given)

        monkeypatch.setattr(module, "evaluate", counting)


@pytest.fixture
def decisions(monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(monkeypatch)


def policies(**elements: Any) -> PolicySet:
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*", **elements}
    document = {"Version": "2012-10-17", "Statement": statement}
    return PolicySet(compile_policy(document, kind="identity"))


def test_the_same_request_is_evaluated_once(decisions: Counted) -> None:
    caller, own = Caller(), policies()
    for _ in range(3):
        assert decisions.decide(caller, own, "s3:GetObject", OBJECT, {}).allowed
    assert decisions.evaluated == 1


def test_what_is_remembered_is_found_without_condition_keys(decisions: Counted) -> None:
    caller, own = Caller(), policies(Resource=OBJECT)
    asked = (caller, own, None, "s3:GetObject", OBJECT, "")
    assert decisions.find(*asked) is None
    decided = decisions.decide(caller, own, "s3:GetObject", OBJECT, {})
    assert decisions.find(*asked) is decided
    assert decisions.find(Caller(), *asked[1:]) is None
    assert decisions.find(*asked[:-1], "444455556666") is None
    assert decisions.evaluated == 1


def test_nothing_else_is_taken_for_the_same_request(decisions: Counted) -> None:
    caller, own = Caller(), policies(Resource=OBJECT)
    other_policy = compile_policy(
        {"Statement": {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}},
        kind="resource",
    )
    assert decisions.decide(caller, own, "s3:GetObject", OBJECT, {}).allowed
    assert not decisions.decide(caller, own, "s3:GetObject", OBJECT + "x", {}).allowed
    assert not decisions.decide(caller, own, "iam:GetUser", OBJECT, {}).allowed
    assert not decisions.decide(
        caller, own, "s3:GetObject", OBJECT, {}, owner="444455556666"
    ).allowed
    assert not decisions.decide(
        caller, own, "s3:GetObject", OBJECT, {}, policy=other_policy
    ).allowed
    # A change of the account makes another set of policies, and another caller.
    assert not decisions.decide(caller, PolicySet(), "s3:GetObject", OBJECT, {}).allowed
    assert not decisions.decide(
        Caller(kind="anonymous", account=""), PolicySet(), "s3:GetObject", OBJECT, {}
    ).allowed
    assert decisions.decide(caller, own, "s3:GetObject", OBJECT, {}).allowed


def test_two_callers_with_the_same_policies_are_two(decisions: Counted) -> None:
    """Two sessions of a role: their policies are the same object, their tags differ."""
    own = policies(Condition={"StringEquals": {"aws:PrincipalTag/team": "red"}})
    # Named apart: equal values are not the same caller.
    red, blue = Caller(), Caller()
    for _ in range(2):
        assert decisions.decide(
            red, own, "s3:Get", OBJECT, {"aws:PrincipalTag/team": "red"}
        ).allowed
        assert not decisions.decide(blue, own, "s3:Get", OBJECT, {}).allowed
    assert decisions.evaluated == 2


VARYING = [
    {"Condition": {"StringEquals": {"s3:prefix": "a"}}},
    {"Condition": {"StringNotEquals": {"aws:SourceIp": "a"}}},
    {"Condition": {"DateGreaterThan": {"aws:CurrentTime": "2020-01-01"}}},
    {"Condition": {"StringEquals": {"aws:PrincipalTag/a": "${s3:prefix}"}}},
    {"Condition": {"StringEquals": {"aws:ResourceTag/team": "red"}}},
    {"Resource": "arn:aws:s3:::photos/${s3:prefix}"},
]


@pytest.mark.parametrize("elements", VARYING)
def test_what_asks_for_a_varying_key_is_decided_anew(decisions: Counted, elements: Any) -> None:
    caller, own = Caller(), policies(**elements)
    context = {"aws:PrincipalTag/a": "a"}
    for _ in range(2):
        decisions.decide(caller, own, "s3:GetObject", OBJECT, context)
    assert decisions.evaluated == 2
    varying = {**context, "s3:prefix": "a", "aws:ResourceTag/team": "red"}
    varying |= {"aws:SourceIp": "b", "aws:CurrentTime": "2026-01-01T00:00:00Z"}
    assert decisions.decide(caller, own, "s3:GetObject", OBJECT, varying).allowed


STEADY = [
    {"Condition": {"StringEquals": {"aws:PrincipalTag/team": "red"}}},
    {"Condition": {"StringEquals": {"aws:username": "alice"}}},
    {"Condition": {"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}},
    {"Condition": {"StringEquals": {"aws:ResourceAccount": ACCOUNT}}},
    {"Resource": "arn:aws:s3:::photos/${aws:PrincipalTag/letter}"},
]


@pytest.mark.parametrize("elements", STEADY)
def test_what_asks_for_what_follows_from_the_caller_is_remembered(
    decisions: Counted, elements: Any
) -> None:
    caller, own = Caller(), policies(**elements)
    context = {
        "aws:PrincipalTag/team": "red",
        "aws:PrincipalTag/letter": "a",
        "aws:username": "alice",
        "aws:ResourceAccount": ACCOUNT,
    }
    for _ in range(2):
        assert decisions.decide(caller, own, "s3:GetObject", OBJECT, context).allowed
    assert decisions.evaluated == 1


def test_what_is_remembered_is_bounded_and_what_is_used_stays(decisions: Counted) -> None:
    caller, own = Caller(), policies()
    for number in range(3 * GENERATION_MAX):
        decisions.decide(caller, own, "s3:GetObject", f"{OBJECT}{number}", {})
        if number % 1_000 == 0:
            decisions.decide(caller, own, "s3:GetObject", OBJECT, {})
    assert len(decisions) <= 2 * GENERATION_MAX
    before = decisions.evaluated
    decisions.decide(caller, own, "s3:GetObject", OBJECT, {})
    assert decisions.evaluated == before
    long = OBJECT + "x" * RESOURCE_CHARACTERS_MAX
    for _ in range(2):
        decisions.decide(caller, own, "s3:GetObject", long, {})
    assert decisions.evaluated == before + 2
