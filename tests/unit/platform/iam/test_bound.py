"""Whom the names in a stored policy mean.

Source: IAM User Guide, "AWS JSON policy elements: Principal": IAM "transforms the ARN to the user's
unique principal ID when you save the policy", for roles likewise.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from tests.unit.principals import ACCOUNT, session, user

from fogbank.platform.iam.bound import Bound, BoundName, with_ids
from fogbank.platform.iam.decisions import Decisions
from fogbank.platform.iam.evaluate import NO_POLICIES
from fogbank.platform.iam.policy import Policy, compile_policy
from fogbank.platform.identity.principal import Principal

FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"
USER, SESSION = user(), session()
NAMES = [USER.arn, SESSION.arn, SESSION.role_arn]


def policy(names: Any, bound: Bound, *, negated: bool = False) -> Policy:
    statement = {
        "Sid": "one",
        "Effect": "Allow",
        "NotPrincipal" if negated else "Principal": {"AWS": names},
        "Action": "lambda:InvokeFunction",
        "Resource": FUNCTION,
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return compile_policy(document, kind="resource", bound=bound)


def allowed(caller: Principal, compiled: Policy) -> bool:
    decided = Decisions().decide(
        caller, NO_POLICIES, "lambda:InvokeFunction", FUNCTION, {}, policy=compiled
    )
    return decided.allowed


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sid", ["", "one"])
def test_a_name_means_who_had_it_when_the_policy_was_put(name: str, sid: str) -> None:
    caller = USER if name == USER.arn else SESSION
    assert allowed(caller, policy(name, ()))
    assert allowed(caller, policy(name, (BoundName(name, caller.unique_id, sid),)))
    assert not allowed(caller, policy(name, (BoundName(name, "AXXXOLD", sid),)))
    # Who was meant is meant still, whatever the name is now.
    renamed = msgspec.structs.replace(
        caller, name="b", arn=caller.arn.replace(":user/alice", ":user/b")
    )
    assert allowed(renamed, policy(name, (BoundName(name, caller.unique_id, sid),)))


@pytest.mark.parametrize("name", NAMES)
def test_the_binding_of_another_statement_is_no_matter(name: str) -> None:
    caller = USER if name == USER.arn else SESSION
    assert allowed(caller, policy(name, (BoundName(name, "AXXXOLD", "two"),)))


@pytest.mark.parametrize("caller", [USER, SESSION])
def test_who_is_exempt_is_who_had_the_name_when_the_policy_was_put(caller: Principal) -> None:
    own = [caller.arn, *([caller.role_arn] if caller.role_arn else [])]
    names = [*own, f"arn:aws:iam::{ACCOUNT}:root"]
    everyone = {"Effect": "Allow", "Principal": "*", "Action": "lambda:*", "Resource": "*"}
    spared = {
        "Effect": "Deny",
        "NotPrincipal": {"AWS": names},
        "Action": "lambda:*",
        "Resource": "*",
    }
    document = {"Version": "2012-10-17", "Statement": [everyone, spared]}

    def compiled(unique_id: str) -> Policy:
        names = tuple(BoundName(name, unique_id) for name in own)
        return compile_policy(document, kind="resource", bound=names)

    assert allowed(caller, compiled(caller.unique_id))
    assert not allowed(caller, compiled("AXXXOLD"))
    # An allow leaves out whom it lists, and nobody else of the name.
    itself = tuple(BoundName(name, caller.unique_id) for name in own)
    assert not allowed(caller, policy(own, itself, negated=True))
    other = tuple(BoundName(name, "AXXXOLD") for name in own)
    assert allowed(caller, policy(own, other, negated=True))


def test_a_remembered_decision_is_of_one_binding() -> None:
    decisions = Decisions()
    before = policy(USER.arn, (BoundName(USER.arn, USER.unique_id),))
    after = policy(USER.arn, (BoundName(USER.arn, "AIDAOLD"),))

    def asked(compiled: Policy) -> bool:
        return decisions.decide(
            USER, NO_POLICIES, "lambda:InvokeFunction", FUNCTION, {}, policy=compiled
        ).allowed

    assert [asked(before), asked(after), asked(before)] == [True, False, True]
    assert len(decisions) == 2


def test_who_is_gone_is_shown_by_the_unique_id() -> None:
    root = f"arn:aws:iam::{ACCOUNT}:root"
    document = json.dumps(
        {
            "Statement": [
                {"Sid": "one", "Principal": {"AWS": [USER.arn, root]}},
                {"Sid": "two", "Principal": {"AWS": USER.arn}},
                {"NotPrincipal": {"AWS": SESSION.arn}},
                {"Principal": "*"},
                {"Principal": {"Service": "s3.amazonaws.com"}},
            ]
        }
    )
    gone = (BoundName(USER.arn, "AIDA1", "one"), BoundName(SESSION.arn, "AROA1"))
    assert json.loads(with_ids(document, gone))["Statement"] == [
        {"Sid": "one", "Principal": {"AWS": ["AIDA1", root]}},
        {"Sid": "two", "Principal": {"AWS": USER.arn}},
        {"NotPrincipal": {"AWS": "AROA1:one"}},
        {"Principal": "*"},
        {"Principal": {"Service": "s3.amazonaws.com"}},
    ]
    assert with_ids(document, ()) is document
    one = json.dumps({"Statement": {"Principal": {"AWS": USER.arn}}})
    assert (
        with_ids(one, (BoundName(USER.arn, "AIDA1"),))
        == '{"Statement":{"Principal":{"AWS":"AIDA1"}}}'
    )
