"""Sessions whose owner has proved a second factor.

Source: IAM User Guide, "Secure API access with MFA", "AWS global condition context keys"; STS API
Reference, "GetSessionToken" and "AssumeRole"; RFC 6238, section 5.2. Messages as in aws/aws-cli
issues 6325 and 2279, and y13i/sgviz issue 9.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.wire.codes import STEP_MS, Phone

from fogbank.testing.cloud import Cloud

UNKNOWN = (
    "AccessDenied",
    (
        "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA "
        "serial number is valid and associated with this user."
    ),
)
WRONG = ("AccessDenied", "MultiFactorAuthentication failed with invalid MFA one time pass code. ")
HALF = (
    "AccessDenied",
    "MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code.",
)
PRESENT = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
YOUNG = {"NumericLessThan": {"aws:MultiFactorAuthAge": "300"}}


@pytest.fixture
def clients(cloud: Cloud) -> Callable[[Any], Callable[[str], Any]]:
    """Return what makes clients of the credentials of a reply."""

    def made(reply: Any) -> Callable[[str], Any]:
        given = reply["Credentials"]
        keys = {
            "access_key": given["AccessKeyId"],
            "secret_key": given["SecretAccessKey"],
            "token": given["SessionToken"],
        }
        return lambda service: cloud.client(service, **keys)

    return made


@pytest.fixture
def alice(user: Any, document: Any) -> Callable[[str], Any]:
    return user("alice", document(["iam:ListUsers", "sts:*"]))


@pytest.fixture
def phone(cloud: Cloud, iam: Any, alice: Any) -> Phone:
    """Return the phone of alice, whose codes so far are spent."""
    del alice
    made = Phone(cloud, iam, "phone")
    made.enable(iam, "alice")
    return made


def test_a_session_token_with_a_code_may_call_iam_and_says_so(
    phone: Phone, alice: Any, clients: Any, refusal: Any, iam: Any, document: Any
) -> None:
    without = clients(alice("sts").get_session_token())
    assert refusal(without("iam").list_users)[0] == "AccessDenied"
    for condition in (PRESENT, YOUNG):
        policy = document("iam:ListUsers", Condition=condition)
        iam.put_user_policy(UserName="alice", PolicyName="p", PolicyDocument=policy)
        assert refusal(alice("iam").list_users)[0] == "AccessDenied"
        iam.put_user_policy(UserName="alice", PolicyName="q", PolicyDocument=document("sts:*"))
        given = {"SerialNumber": phone.serial, "TokenCode": phone.next_code()}
        proved = clients(alice("sts").get_session_token(**given))
        assert proved("iam").list_users()["Users"]
    phone.cloud.advance(300_000)
    assert refusal(proved("iam").list_users)[0] == "AccessDenied"


def test_a_code_is_taken_once(phone: Phone, alice: Any, refusal: Any) -> None:
    sts = alice("sts")
    ask = {"SerialNumber": phone.serial}
    assert refusal(sts.get_session_token, **ask, TokenCode=phone.code()) == WRONG
    code = phone.next_code()
    sts.get_session_token(**ask, TokenCode=code)
    assert refusal(sts.get_session_token, **ask, TokenCode=code) == WRONG
    phone.cloud.advance(STEP_MS)
    assert refusal(sts.get_session_token, **ask, TokenCode=code) == WRONG
    sts.get_session_token(**ask, TokenCode=phone.code())


def test_a_clock_may_be_off_by_one_code_and_no_more(phone: Phone, alice: Any, refusal: Any) -> None:
    sts = alice("sts")
    ask = {"SerialNumber": phone.serial}
    phone.cloud.advance(10 * STEP_MS)
    for steps in (-2, 2):
        assert refusal(sts.get_session_token, **ask, TokenCode=phone.code(steps)) == WRONG
    sts.get_session_token(**ask, TokenCode=phone.code(-1))
    phone.cloud.advance(10 * STEP_MS)
    # The clock was late by one code then, and is taken to be so.
    assert refusal(sts.get_session_token, **ask, TokenCode=phone.code(1)) == WRONG
    sts.get_session_token(**ask, TokenCode=phone.code(-2))


def test_who_guesses_codes_is_stopped_for_a_while(phone: Phone, alice: Any, refusal: Any) -> None:
    sts = alice("sts")
    ask = {"SerialNumber": phone.serial}
    phone.cloud.advance(10 * STEP_MS)
    right = phone.code()
    wrong = next(f"{number:06d}" for number in range(4) if f"{number:06d}" != right)
    for _ in range(5):
        assert refusal(sts.get_session_token, **ask, TokenCode=wrong) == WRONG
    assert refusal(sts.get_session_token, **ask, TokenCode=right) == WRONG
    phone.cloud.advance(10 * STEP_MS)
    sts.get_session_token(**ask, TokenCode=phone.code())


def test_codes_are_of_a_device_of_the_caller(
    phone: Phone, alice: Any, user: Any, document: Any, iam: Any, refusal: Any, account: str
) -> None:
    code = phone.next_code()
    sts = user("bob", document("sts:*"))("sts")
    ask = {"SerialNumber": phone.serial, "TokenCode": code}
    assert refusal(sts.get_session_token, **ask) == UNKNOWN
    nobody = {**ask, "SerialNumber": f"arn:aws:iam::{account}:mfa/nobody"}
    assert refusal(sts.get_session_token, **nobody) == UNKNOWN
    assert refusal(alice("sts").get_session_token, SerialNumber=phone.serial) == HALF
    assert refusal(alice("sts").get_session_token, TokenCode=code) == HALF
    iam.deactivate_mfa_device(UserName="alice", SerialNumber=phone.serial)
    assert refusal(alice("sts").get_session_token, **ask) == UNKNOWN


def test_a_role_may_ask_for_a_second_factor(
    phone: Phone, alice: Any, iam: Any, trust: Any, document: Any, account: str,
    clients: Any, refusal: Any,
) -> None:  # fmt: skip
    both = {**PRESENT, **YOUNG}
    iam.create_role(
        RoleName="careful", AssumeRolePolicyDocument=trust({"AWS": account}, Condition=both)
    )
    policy = document("iam:ListUsers", Condition=both)
    iam.put_role_policy(RoleName="careful", PolicyName="p", PolicyDocument=policy)
    role = {"RoleArn": f"arn:aws:iam::{account}:role/careful", "RoleSessionName": "session"}
    sts = alice("sts")
    assert refusal(sts.assume_role, **role)[0] == "AccessDenied"
    given = {"SerialNumber": phone.serial, "TokenCode": phone.next_code()}
    session = clients(sts.assume_role(**role, **given))
    assert session("iam").list_users()["Users"]
    assert refusal(sts.assume_role, **role, **given) == WRONG
    token = {"SerialNumber": phone.serial, "TokenCode": phone.next_code()}
    proved = clients(sts.get_session_token(**token))
    assert proved("sts").assume_role(**role)
    phone.cloud.advance(300_000)
    assert refusal(session("iam").list_users)[0] == "AccessDenied"
    assert refusal(proved("sts").assume_role, **role)[0] == "AccessDenied"
