"""The tables are the IAM User Guide's: "Policy evaluation logic" and its pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import pytest

from fogbank.platform.iam.decision import Decision, PolicySource, Reason
from fogbank.platform.iam.evaluate import PolicySet, evaluate, index_of
from fogbank.platform.iam.index import ACTIONS_REMEMBERED_MAX, StatementIndex
from fogbank.platform.iam.policy import compile_policy
from fogbank.platform.iam.request import AccessRequest

ACCOUNT = "111122223333"
OTHER = "444455556666"
OBJECT = "arn:aws:s3:::photos/a.jpg"


class Caller(NamedTuple):
    kind: str
    account: str
    arn: str
    role_arn: str = ""
    provider: str = ""


ROOT = Caller("root", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root")
ALICE = Caller("user", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/alice")
STRANGER = Caller("user", OTHER, f"arn:aws:iam::{OTHER}:user/stranger")
OTHER_ROOT = Caller("root", OTHER, f"arn:aws:iam::{OTHER}:root")
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/jobs/worker"
SESSION = Caller("session", ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/one", ROLE_ARN)
SERVICE = Caller("service", "", "s3.amazonaws.com")
ANONYMOUS = Caller("anonymous", "", "")


def compiled(kind: Any, *statements: dict[str, Any]) -> Any:
    plain = {"Action": "s3:GetObject"} if kind != "trust" else {"Action": "sts:AssumeRole"}
    if kind != "trust":
        plain["Resource"] = "*"
    whole = [{"Effect": "Allow", **plain, **one} for one in statements]
    return compile_policy({"Version": "2012-10-17", "Statement": whole}, kind=kind)


def identity(*statements: dict[str, Any]) -> Any:
    return compiled("identity", *statements)


def resource(principal: Any, effect: str = "Allow", **elements: Any) -> Any:
    return compiled("resource", {"Effect": effect, "Principal": principal, **elements})


def decide(
    caller: Caller,
    policies: PolicySet,
    action: str = "s3:GetObject",
    arn: str = OBJECT,
    context: Mapping[str, Any] | None = None,
) -> Decision:
    owner = "" if arn.startswith("arn:aws:iam") else ACCOUNT
    return evaluate(AccessRequest(caller, action, arn, context, owner), policies)


ALLOW = identity({})
DENY = identity({"Effect": "Deny"})
OTHER_ACTION = identity({"Action": "s3:PutObject"})

# Who asks, identity policy, resource policy: what decides.
CASES = [
    (ALICE, None, None, Reason.NO_IDENTITY),
    (ALICE, OTHER_ACTION, None, Reason.NO_IDENTITY),
    (ALICE, ALLOW, None, Reason.ALLOWED_BY_IDENTITY),
    (ALICE, DENY, None, Reason.DENIED_BY_IDENTITY),
    (ALICE, DENY, resource("*"), Reason.DENIED_BY_IDENTITY),
    (ALICE, ALLOW, resource("*", "Deny"), Reason.DENIED_BY_RESOURCE),
    # Inside an account either side suffices, but naming the account only delegates.
    (ALICE, None, resource("*"), Reason.ALLOWED_BY_RESOURCE),
    (ALICE, None, resource({"AWS": "*"}), Reason.ALLOWED_BY_RESOURCE),
    (ALICE, None, resource({"AWS": ALICE.arn}), Reason.ALLOWED_BY_RESOURCE),
    (ALICE, None, resource({"AWS": ALICE.arn + "x"}), Reason.NO_IDENTITY),
    (ALICE, None, resource({"AWS": ACCOUNT}), Reason.NO_IDENTITY),
    (ALICE, ALLOW, resource({"AWS": STRANGER.arn}), Reason.ALLOWED_BY_IDENTITY),
    (SESSION, None, resource({"AWS": ROLE_ARN}), Reason.ALLOWED_BY_RESOURCE),
    (SESSION, None, resource({"AWS": SESSION.arn}), Reason.ALLOWED_BY_RESOURCE),
    (SESSION, None, resource({"AWS": ROLE_ARN.replace("/jobs", "")}), Reason.NO_IDENTITY),
    # The root user of the account.
    (ROOT, None, None, Reason.ALLOWED_TO_ROOT),
    (ROOT, None, resource("*", "Deny"), Reason.DENIED_BY_RESOURCE),
    (ROOT, None, resource({"AWS": ACCOUNT}, "Deny"), Reason.DENIED_BY_RESOURCE),
    # Across accounts both sides must allow.
    (STRANGER, ALLOW, None, Reason.NO_RESOURCE),
    (STRANGER, None, resource({"AWS": STRANGER.arn}), Reason.NO_IDENTITY),
    (STRANGER, None, resource("*"), Reason.NO_IDENTITY),
    (STRANGER, ALLOW, resource({"AWS": STRANGER.arn}), Reason.ALLOWED_BY_IDENTITY),
    (STRANGER, ALLOW, resource({"AWS": OTHER}), Reason.ALLOWED_BY_IDENTITY),
    (STRANGER, ALLOW, resource({"AWS": OTHER_ROOT.arn}), Reason.ALLOWED_BY_IDENTITY),
    (STRANGER, ALLOW, resource({"AWS": ACCOUNT}), Reason.NO_RESOURCE),
    (STRANGER, ALLOW, resource({"AWS": OTHER}, "Deny"), Reason.DENIED_BY_RESOURCE),
    (OTHER_ROOT, None, None, Reason.NO_RESOURCE),
    (OTHER_ROOT, None, resource({"AWS": OTHER}), Reason.ALLOWED_TO_ROOT),
    # Services and nobody have the resource's policy only.
    (SERVICE, None, None, Reason.NO_RESOURCE),
    (SERVICE, None, resource({"Service": "s3.amazonaws.com"}), Reason.ALLOWED_BY_RESOURCE),
    (SERVICE, None, resource({"Service": "sns.amazonaws.com"}), Reason.NO_RESOURCE),
    (SERVICE, None, resource({"AWS": ACCOUNT}), Reason.NO_RESOURCE),
    (ANONYMOUS, None, None, Reason.NO_RESOURCE),
    (ANONYMOUS, None, resource("*"), Reason.ALLOWED_BY_RESOURCE),
    (ANONYMOUS, None, resource({"AWS": ACCOUNT}), Reason.NO_RESOURCE),
    (ANONYMOUS, None, resource("*", "Deny"), Reason.DENIED_BY_RESOURCE),
]


@pytest.mark.parametrize(("caller", "own", "on_resource", "reason"), CASES)
def test_a_request_is_decided_as_documented(
    caller: Caller, own: Any, on_resource: Any, reason: Reason
) -> None:
    decision = decide(caller, PolicySet(identity=own, resource=on_resource))
    assert decision.reason is reason
    assert decision.allowed is reason.value.startswith("allowed")


# Session policy and boundary against what the resource's policy grants (the page's table).
CUT = [
    (SESSION, ALLOW, None, ALLOW, None, Reason.ALLOWED_BY_IDENTITY),
    (SESSION, ALLOW, None, OTHER_ACTION, None, Reason.NO_SESSION),
    (SESSION, ALLOW, None, DENY, None, Reason.DENIED_BY_SESSION),
    (SESSION, OTHER_ACTION, None, ALLOW, None, Reason.NO_IDENTITY),
    (SESSION, None, ROLE_ARN, OTHER_ACTION, None, Reason.NO_SESSION),
    (SESSION, None, ROLE_ARN, ALLOW, None, Reason.ALLOWED_BY_RESOURCE),
    (SESSION, None, SESSION.arn, OTHER_ACTION, None, Reason.ALLOWED_BY_RESOURCE),
    (SESSION, None, SESSION.arn, DENY, None, Reason.DENIED_BY_SESSION),
    (SESSION, None, ROLE_ARN, None, OTHER_ACTION, Reason.NO_BOUNDARY),
    (SESSION, None, SESSION.arn, None, OTHER_ACTION, Reason.ALLOWED_BY_RESOURCE),
    (ALICE, ALLOW, None, None, OTHER_ACTION, Reason.NO_BOUNDARY),
    (ALICE, ALLOW, None, None, DENY, Reason.DENIED_BY_BOUNDARY),
    (ALICE, ALLOW, None, None, ALLOW, Reason.ALLOWED_BY_IDENTITY),
    (ALICE, None, ALICE.arn, None, OTHER_ACTION, Reason.ALLOWED_BY_RESOURCE),
]


@pytest.mark.parametrize(("caller", "own", "named", "session", "boundary", "reason"), CUT)
def test_session_policies_and_boundaries_cut_down(
    caller: Caller, own: Any, named: Any, session: Any, boundary: Any, reason: Reason
) -> None:
    on_resource = None if named is None else resource({"AWS": named})
    assert decide(caller, PolicySet(own, session, boundary, on_resource)).reason is reason


ASSUME = identity({"Action": "sts:AssumeRole"})
TRUSTS = [
    (ALICE, None, {"AWS": ALICE.arn}, Reason.ALLOWED_BY_RESOURCE),
    (ALICE, None, {"AWS": ACCOUNT}, Reason.NO_IDENTITY),
    (ALICE, ASSUME, {"AWS": ACCOUNT}, Reason.ALLOWED_BY_IDENTITY),
    (ALICE, ASSUME, {"AWS": STRANGER.arn}, Reason.NO_TRUST),
    (ALICE, ASSUME, {"Service": "lambda.amazonaws.com"}, Reason.NO_TRUST),
    (STRANGER, None, {"AWS": STRANGER.arn}, Reason.NO_IDENTITY),
    (STRANGER, ASSUME, {"AWS": STRANGER.arn}, Reason.ALLOWED_BY_IDENTITY),
    (STRANGER, ASSUME, {"AWS": OTHER}, Reason.ALLOWED_BY_IDENTITY),
    (SERVICE, None, {"Service": "s3.amazonaws.com"}, Reason.ALLOWED_BY_RESOURCE),
    (SERVICE, None, {"AWS": ACCOUNT}, Reason.NO_TRUST),
]


@pytest.mark.parametrize(("caller", "own", "principal", "reason"), TRUSTS)
def test_a_role_is_assumed_only_if_its_trust_policy_allows(
    caller: Caller, own: Any, principal: Any, reason: Reason
) -> None:
    trust = compiled("trust", {"Principal": principal})
    policies = PolicySet(identity=own).with_resource(trust, required=True)
    assert decide(caller, policies, "sts:AssumeRole", ROLE_ARN).reason is reason


def deny_but(*arns: str) -> Any:
    return compiled("resource", {"Effect": "Deny", "NotPrincipal": {"AWS": list(arns)}})


@pytest.mark.parametrize(
    ("caller", "spared", "denied"),
    [
        (ALICE, [ALICE.arn, ROOT.arn], False),
        (ALICE, [ALICE.arn], True),
        (ALICE, [ROOT.arn], True),
        (SESSION, [SESSION.arn, ROLE_ARN, ACCOUNT], False),
        (SESSION, [ROLE_ARN, ACCOUNT], True),
        (ROOT, [ROOT.arn], False),
        (ANONYMOUS, [ALICE.arn, ROOT.arn], True),
    ],
)
def test_not_principal_spares_those_who_are_listed_whole(
    caller: Caller, spared: list[str], denied: object
) -> None:
    decision = decide(caller, PolicySet(identity=ALLOW, resource=deny_but(*spared)))
    assert (decision.reason is Reason.DENIED_BY_RESOURCE) is denied


@pytest.mark.parametrize(
    ("elements", "action", "arn", "allowed"),
    [
        ({"Action": "S3:getobject"}, "s3:GetObject", OBJECT, True),
        ({"Action": "s3:Get*"}, "s3:GetObject", OBJECT, True),
        ({"Action": "s3:Get?bject"}, "s3:GetObject", OBJECT, True),
        ({"Action": "*"}, "s3:GetObject", OBJECT, True),
        ({"Action": "s3:*"}, "s3express:GetObject", OBJECT, False),
        ({"Resource": "arn:aws:s3:::photos/*"}, "s3:GetObject", OBJECT, True),
        ({"Resource": "arn:aws:s3:::photos"}, "s3:GetObject", OBJECT, False),
        ({"Resource": "arn:aws:s3:::photos/?.jpg"}, "s3:GetObject", OBJECT, True),
        ({"Resource": "arn:aws:s3:::PHOTOS/*"}, "s3:GetObject", OBJECT, False),
        ({"Resource": "arn:aws:s3"}, "s3:GetObject", OBJECT, True),
        ({"Resource": "arn:aws:s3:::photos/*"}, "s3:GetObject", "*", False),
        ({"Resource": "*"}, "s3:GetObject", "*", True),
    ],
)
def test_actions_and_resources_match_by_pattern(
    elements: dict[str, Any], action: str, arn: str, allowed: object
) -> None:
    assert decide(ALICE, PolicySet(identity=identity(elements)), action, arn).allowed is allowed


def test_not_action_and_not_resource_turn_the_match_around() -> None:
    document = {"Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:aws:s3:::secret/*"}
    policy = compile_policy({"Version": "2012-10-17", "Statement": document}, kind="identity")
    policies = PolicySet(identity=policy)
    assert decide(ALICE, policies).allowed
    assert not decide(ALICE, policies, "iam:GetUser").allowed
    assert not decide(ALICE, policies, arn="arn:aws:s3:::secret/x").allowed


def test_a_pattern_is_held_against_an_action_once_however_many_statements_say_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, str]] = []

    def noted(pattern: str) -> Callable[[str], bool]:
        def matches(action: str) -> bool:
            asked.append((pattern, action))
            return fnmatchcase(action, pattern)

        return matches

    monkeypatch.setattr("fogbank.platform.iam.index.pattern_matcher", noted)
    said: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": ["s3:Get*Object", "s3:Get*", "s3:PutObject"]},
        {"Effect": "Deny", "Action": "s3:get*object"},
        {"Effect": "Allow", "Action": "lambda:*"},
        {"Effect": "Allow", "NotAction": "s3:Get*"},
    ]
    document = {"Version": "2012-10-17", "Statement": [{**one, "Resource": "*"} for one in said]}
    index = index_of(compile_policy(document, kind="identity") for _ in range(20))
    found = index.find("s3:GetObject")
    assert ([each.index for each in found.denying.statements]) == [1] * 20
    assert ([each.index for each in found.allowing.statements]) == [0] * 20
    # A pattern that is a text with anything behind it is looked up, and tried by nobody.
    assert asked == [("s3:get*object", "s3:getobject")]
    # Actions of which the same statements speak share what was found.
    assert index.find("s3:GetAnObject") is found
    assert index.find("s3:GetObjectAcl").denying.statements == ()
    put = index.find("s3:PutObject")
    assert (put.denying.statements, {each.index for each in put.allowing.statements}) == (
        (),
        {0, 3},
    )
    none = index.find("sqs:SendMessage")
    assert (none.denying.statements, {each.index for each in none.allowing.statements}) == (
        (),
        {3},
    )


def test_only_statements_on_what_begins_as_the_resource_are_asked_and_in_their_order() -> None:
    resources = [
        "*",
        "arn:aws:s3:::a/*",
        "arn:aws:s3:::b/*",
        "arn:aws:s3:::ab",
        "arn:aws:s3:::a*/x",
    ]
    said = [{"Effect": "Allow", "Action": "s3:*", "Resource": one} for one in resources]
    said.append({"Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::b/*"})
    said.append(
        {"Effect": "Allow", "Action": "s3:*", "Resource": [resources[2], "arn:aws:s3:::a/y/*"]}
    )
    document = {"Version": "2012-10-17", "Statement": said}
    index = index_of([compile_policy(document, kind="identity")])
    shelf = index.find("s3:GetObject").allowing

    def at(arn: str) -> list[int]:
        return [each.index for each in shelf.at(arn)]

    assert at("arn:aws:s3:::a/y/z") == [0, 1, 4, 5, 6]
    assert at("arn:aws:s3:::b/x") == [0, 2, 5, 6]
    assert at("arn:aws:s3:::ab") == [0, 3, 4, 5]
    assert at("*") == [0, 5]
    # Resources of which the same statements may speak share what was found.
    assert shelf.at("arn:aws:s3:::b/x") is shelf.at("arn:aws:s3:::b/y")


def test_the_statements_that_are_remembered_by_resource_are_bounded() -> None:
    said = [
        {"Effect": "Allow", "Action": "s3:*", "Resource": f"arn:aws:s3:::{'a' * length}*"}
        for length in range(2 * ACTIONS_REMEMBERED_MAX)
    ]
    document = {"Version": "2012-10-17", "Statement": said}
    shelf = index_of([compile_policy(document, kind="identity")]).find("s3:GetObject").allowing
    for length in range(2 * ACTIONS_REMEMBERED_MAX):
        assert len(shelf.at(f"arn:aws:s3:::{'a' * length}")) == length + 1
        assert len(shelf._found) <= ACTIONS_REMEMBERED_MAX


# "Troubleshoot access denied error messages", and messages that callers of AWS have published.
NO_IDENTITY = "because no identity-based policy allows the s3:GetObject action"
NO_RESOURCE = "because no resource-based policy allows the s3:GetObject action"
MESSAGES = [
    (ALICE, PolicySet(), ALICE.arn, NO_IDENTITY),
    (SESSION, PolicySet(identity=DENY), SESSION.arn, Reason.DENIED_BY_IDENTITY.value),
    (STRANGER, PolicySet(identity=ALLOW), STRANGER.arn, NO_RESOURCE),
    (ANONYMOUS, PolicySet(), "anonymous", NO_RESOURCE),
]


@pytest.mark.parametrize(("caller", "policies", "user", "why"), MESSAGES)
def test_a_denial_says_what_aws_says(
    caller: Caller, policies: PolicySet, user: str, why: str
) -> None:
    request = AccessRequest(caller, "s3:GetObject", OBJECT, {}, ACCOUNT)
    assert evaluate(request, policies).message(request) == (
        f'User: {user} is not authorized to perform: s3:GetObject on resource: "{OBJECT}" {why}'
    )


def test_messages_name_resources_as_their_service_does() -> None:
    table = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/t"
    request = AccessRequest(ALICE, "dynamodb:GetItem", table)
    assert f"on resource: {table} because" in evaluate(request, PolicySet()).message(request)
    request = AccessRequest(ALICE, "iam:GetRole", ROLE_ARN)
    assert "on resource: role worker because" in evaluate(request, PolicySet()).message(request)
    for action, arn, shown in (
        ("iam:PassRole", ROLE_ARN, ROLE_ARN),
        ("iam:CreateRole", ROLE_ARN, ROLE_ARN),
        ("iam:ListRoles", f"arn:aws:iam::{ACCOUNT}:role/", f"arn:aws:iam::{ACCOUNT}:role/"),
        ("iam:ListUsers", f"arn:aws:iam::{ACCOUNT}:user/a/", f"arn:aws:iam::{ACCOUNT}:user/a/"),
        ("iam:GetPolicy", f"arn:aws:iam::{ACCOUNT}:policy/p", f"arn:aws:iam::{ACCOUNT}:policy/p"),
        ("iam:DeleteUser", ALICE.arn, "user alice"),
    ):
        request = AccessRequest(ALICE, action, arn)
        said = evaluate(request, PolicySet()).message(request)
        assert f"perform: {action} on resource: {shown} because" in said
    request = AccessRequest(ALICE, "s3:ListAllMyBuckets", "arn:aws:s3:::*")
    assert "s3:ListAllMyBuckets because" in evaluate(request, PolicySet()).message(request)
    request = AccessRequest(ALICE, "lambda:ListFunctions", "*")
    assert "on resource: * because" in evaluate(request, PolicySet()).message(request)
    trust = PolicySet(identity=ASSUME).with_resource(
        compiled("trust", {"Principal": {"AWS": STRANGER.arn}}), required=True
    )
    request = AccessRequest(ALICE, "sts:AssumeRole", ROLE_ARN)
    assert evaluate(request, trust).message(request) == (
        f"User: {ALICE.arn} is not authorized to perform: sts:AssumeRole "
        "because no role trust policy allows the sts:AssumeRole action"
    )


def test_the_context_is_read_only_if_a_condition_asks() -> None:
    class Unread(dict[str, str]):
        def items(self) -> Any:
            raise AssertionError("read")

    assert decide(ALICE, PolicySet(identity=ALLOW), context=Unread()).allowed
    conditional = identity({"Condition": {"Bool": {"aws:SecureTransport": "true"}}})
    with pytest.raises(AssertionError):
        decide(ALICE, PolicySet(identity=conditional), context=Unread())


def test_what_an_index_remembers_is_bounded() -> None:
    index = index_of([ALLOW])
    for number in range(3 * ACTIONS_REMEMBERED_MAX):
        index.find(f"s3:Action{number}")
    assert len(index._remembered) <= ACTIONS_REMEMBERED_MAX
    assert index.find("s3:GetObject")[1]


def test_a_decision_names_the_statement_that_made_it() -> None:
    deny = identity({}, {"Effect": "Deny", "Sid": "NoPhotos", "Resource": OBJECT})
    managed = PolicySource("managed", f"arn:aws:iam::{ACCOUNT}:policy/p", ALICE.arn)
    index = StatementIndex([(ALLOW, PolicySource("inline", "own", ALICE.arn)), (deny, managed)])
    decided = decide(ALICE, PolicySet(index)).decided("s3:GetObject", OBJECT)
    assert decided == (
        *("s3:GetObject", OBJECT, False, "DENIED_BY_IDENTITY", "managed"),
        *(managed.policy, ALICE.arn, "NoPhotos", 1),
    )
    assert decided.explanation == (
        f"s3:GetObject on {OBJECT}: denied, with an explicit deny in an identity-based policy: "
        f'statement 2 (Sid "NoPhotos") of the managed policy {managed.policy} of {ALICE.arn}'
    )
    other = "arn:aws:s3:::photos/b.jpg"
    assert decide(ALICE, PolicySet(index), arn=other).source == ("inline", "own", ALICE.arn)
    on_resource = decide(ANONYMOUS, PolicySet(resource=resource("*"))).decided("a:b", OBJECT)
    assert (on_resource.policy_kind, on_resource.holder) == ("resource", OBJECT)


def test_an_implicit_deny_names_no_statement() -> None:
    decided = decide(ALICE, PolicySet(identity=OTHER_ACTION)).decided("s3:GetObject", OBJECT)
    assert (decided.reason, decided.policy_kind, decided.statement) == ("NO_IDENTITY", "", -1)
    assert decided.explanation == f"s3:GetObject on {OBJECT}: denied, {NO_IDENTITY}"


MANAGED = f"arn:aws:iam::{ACCOUNT}:policy/p"


@pytest.mark.parametrize(
    ("policies", "why"),
    [
        (("identity", DENY, "inline", "p"), "with an explicit deny in an identity-based policy"),
        (("identity", DENY, "managed", MANAGED), f"with an explicit deny in an identity-based policy: {MANAGED}"),
        (("boundary", DENY, "boundary", MANAGED), f"with an explicit deny in a permissions boundary: {MANAGED}"),
        (("session", DENY, "session", MANAGED), f"with an explicit deny in a session policy: {MANAGED}"),
        (("session", DENY, "session", ""), "with an explicit deny in a session policy"),
        (("boundary", OTHER_ACTION, "boundary", MANAGED), "because no permissions boundary allows the s3:GetObject action"),
        (("session", OTHER_ACTION, "session", ""), "because no session policy allows the s3:GetObject action"),
        (("resource", resource("*", "Deny"), "", ""), "with an explicit deny in a resource-based policy"),
    ],
)  # fmt: skip
def test_a_denial_names_the_kind_of_policy_and_the_managed_policy(
    policies: tuple[str, Any, str, str], why: str
) -> None:
    kind, policy, source, name = policies
    finder = (
        policy if kind == "resource" else StatementIndex([(policy, PolicySource(source, name))])
    )
    given = PolicySet(identity=ALLOW)._replace(**{kind: finder})
    request = AccessRequest(ALICE, "s3:GetObject", OBJECT, {}, ACCOUNT)
    said = evaluate(request, given).message(request)
    assert said.endswith(f'on resource: "{OBJECT}" {why}')
    # Across accounts the policy is not named.
    elsewhere = AccessRequest(ALICE, "s3:GetObject", OBJECT, {}, OTHER)
    assert MANAGED not in evaluate(elsewhere, given).message(elsewhere)
