from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from fogbank.platform.identity.principal import service_principal


@pytest.fixture
def role(iam: Any, trust: Any, document: Any, account: str) -> Any:
    def made(name: str = "worker", principal: Any = None, **elements: Any) -> str:
        given = {
            key: elements.pop(key) for key in ("MaxSessionDuration", "Tags") if key in elements
        }
        iam.create_role(
            RoleName=name,
            Path="/jobs/",
            AssumeRolePolicyDocument=trust(principal or {"AWS": account}, **elements),
            **given,
        )
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document("iam:*"))
        return f"arn:aws:iam::{account}:role/jobs/{name}"

    return made


@pytest.fixture
def caller(user: Any, document: Any) -> Any:
    return user("alice", document("sts:*"))


@pytest.fixture
def session(cloud: Any) -> Any:
    def clients(reply: Any) -> Any:
        given = reply["Credentials"]

        def client(service: str) -> Any:
            return cloud.client(
                service,
                access_key=given["AccessKeyId"],
                secret_key=given["SecretAccessKey"],
                token=given["SessionToken"],
            )

        return client

    return clients


def unchecked_client(cloud: Any) -> Any:
    """Return a client that leaves all checks to the server."""
    return cloud.client("sts", config=Config(parameter_validation=False))


def test_a_role_is_assumed(role: Any, caller: Any, session: Any, account: str, iam: Any) -> None:
    arn = role()
    reply = caller("sts").assume_role(RoleArn=arn, RoleSessionName="one")
    role_id = iam.get_role(RoleName="worker")["Role"]["RoleId"]
    assert reply["AssumedRoleUser"] == {
        "AssumedRoleId": f"{role_id}:one",
        "Arn": f"arn:aws:sts::{account}:assumed-role/worker/one",
    }
    assert reply["Credentials"]["AccessKeyId"].startswith("ASIA")
    assert reply["Credentials"]["Expiration"].timestamp() == 1_767_225_600 + 3600
    worker = session(reply)
    assert worker("sts").get_caller_identity()["Arn"] == reply["AssumedRoleUser"]["Arn"]
    assert worker("sts").get_caller_identity()["UserId"] == f"{role_id}:one"
    assert len(worker("iam").list_users()["Users"]) == 1
    with pytest.raises(ClientError, match="Must specify userName when calling with non-User"):
        worker("iam").get_user()


def test_the_root_user_assumes_no_role(role: Any, sts: Any, refusal: Any) -> None:
    assert refusal(sts.assume_role, RoleArn=role(), RoleSessionName="one") == (
        "AccessDenied",
        "Roles may not be assumed by root accounts.",
    )


def test_naming_the_account_only_delegates(role: Any, user: Any, refusal: Any) -> None:
    arn = role()
    bob = user("bob")("sts")
    code, message = refusal(bob.assume_role, RoleArn=arn, RoleSessionName="one")
    assert code == "AccessDenied"
    assert message.endswith("because no identity-based policy allows the sts:AssumeRole action")


def test_naming_the_user_is_enough_inside_the_account(
    role: Any, user: Any, account: str, iam: Any, refusal: Any
) -> None:
    bob = user("bob")("sts")
    arn = role(principal={"AWS": f"arn:aws:iam::{account}:user/bob"})
    bob.assume_role(RoleArn=arn, RoleSessionName="one")
    (key,) = iam.list_access_keys(UserName="bob")["AccessKeyMetadata"]
    iam.delete_access_key(UserName="bob", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="bob")
    # Another bob is not whom the policy meant.
    again = user("bob")("sts")
    assert refusal(again.assume_role, RoleArn=arn, RoleSessionName="one")[0] == "AccessDenied"


def test_a_role_that_trusts_someone_else_is_not_assumed(
    role: Any, caller: Any, refusal: Any, account: str
) -> None:
    arn = role(principal={"Service": "lambda.amazonaws.com"})
    assert refusal(caller("sts").assume_role, RoleArn=arn, RoleSessionName="one") == (
        "AccessDenied",
        (
            f"User: arn:aws:iam::{account}:user/alice is not authorized to perform: "
            "sts:AssumeRole because no role trust policy allows the sts:AssumeRole action"
        ),
    )
    missing = f"arn:aws:iam::{account}:role/nobody"
    assert refusal(caller("sts").assume_role, RoleArn=missing, RoleSessionName="one") == (
        "AccessDenied",
        (
            f"User: arn:aws:iam::{account}:user/alice is not authorized to perform: "
            f"sts:AssumeRole on resource: {missing}"
        ),
    )
    wrong_path = arn.replace("/jobs", "")
    code, _ = refusal(caller("sts").assume_role, RoleArn=wrong_path, RoleSessionName="one")
    assert code == "AccessDenied"
    given = f"arn:aws:iam::{account}:user/alice"
    assert refusal(caller("sts").assume_role, RoleArn=given, RoleSessionName="one") == (
        "ValidationError",
        f"{given} is invalid",
    )


def test_who_is_denied_by_a_trust_policy_hears_that_it_says_so(
    iam: Any, role: Any, caller: Any, refusal: Any, account: str
) -> None:
    """IAM User Guide, "Troubleshoot access denied error messages", role trust policies: "Explicit
    denial"."""
    arn = role()
    user = f"arn:aws:iam::{account}:user/alice"
    trust = [
        {"Effect": effect, "Action": "sts:AssumeRole", "Principal": {"AWS": principal}}
        for effect, principal in (("Allow", account), ("Deny", user))
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": trust})
    iam.update_assume_role_policy(RoleName="worker", PolicyDocument=document)
    assert refusal(caller("sts").assume_role, RoleArn=arn, RoleSessionName="one") == (
        "AccessDenied",
        (
            f"User: {user} is not authorized to perform: sts:AssumeRole with an explicit deny in "
            "the role trust policy"
        ),
    )


def test_an_external_id_must_be_the_right_one(role: Any, caller: Any, refusal: Any) -> None:
    arn = role(Condition={"StringEquals": {"sts:ExternalId": "12345"}})
    given = {"RoleArn": arn, "RoleSessionName": "one"}
    assert refusal(caller("sts").assume_role, **given)[0] == "AccessDenied"
    assert refusal(caller("sts").assume_role, **given, ExternalId="54321")[0] == "AccessDenied"
    caller("sts").assume_role(**given, ExternalId="12345")


def test_across_accounts_both_sides_must_allow(
    cloud: Any, role: Any, document: Any, refusal: Any
) -> None:
    other = cloud.run(cloud.app.identity.create_account("other"))
    theirs = cloud.client("iam", credential=other)
    arn = role(principal={"AWS": other.principal.account})
    theirs.create_user(UserName="stranger")
    key = theirs.create_access_key(UserName="stranger")["AccessKey"]
    sts = cloud.client("sts", access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])
    given = {"RoleArn": arn, "RoleSessionName": "one"}
    assert refusal(sts.assume_role, **given)[0] == "AccessDenied"
    theirs.put_user_policy(
        UserName="stranger", PolicyName="p", PolicyDocument=document("sts:AssumeRole")
    )
    reply = sts.assume_role(**given)
    assert reply["AssumedRoleUser"]["Arn"].startswith("arn:aws:sts::" + arn.split(":")[4])


def test_a_session_policy_cuts_the_session_down(
    role: Any, caller: Any, session: Any, document: Any, refusal: Any
) -> None:
    given = {"RoleArn": role(), "RoleSessionName": "one"}
    reply = caller("sts").assume_role(**given, Policy=document("iam:ListUsers"))
    assert 0 < reply["PackedPolicySize"] <= 100
    worker = session(reply)("iam")
    worker.list_users()
    code, message = refusal(worker.list_roles)
    assert code == "AccessDenied"
    assert message.endswith("because no session policy allows the iam:ListRoles action")
    managed = "arn:aws:iam::aws:policy/IAMReadOnlyAccess"
    reply = caller("sts").assume_role(**given, PolicyArns=[{"arn": managed}])
    worker = session(reply)("iam")
    worker.list_roles()
    assert refusal(worker.create_user, UserName="x")[0] == "AccessDenied"
    refused = refusal(caller("sts").assume_role, **given, Policy="{}")
    assert refused == ("MalformedPolicyDocument", "Syntax errors in policy.")
    missing = managed + "Missing"
    refused = refusal(caller("sts").assume_role, **given, PolicyArns=[{"arn": missing}])
    assert refused[0] == "ValidationError"


def test_a_session_lasts_as_long_as_asked_and_no_longer_than_the_role_allows(
    cloud: Any, role: Any, caller: Any, session: Any, refusal: Any
) -> None:
    arn = role(MaxSessionDuration=7200)
    given = {"RoleArn": arn, "RoleSessionName": "one"}
    reply = caller("sts").assume_role(**given, DurationSeconds=7200)
    worker = session(reply)("sts")
    # Time jumps, so that two hours of background work need not be run through.
    cloud.clock._now_ms += 7_199_999
    worker.get_caller_identity()
    cloud.clock._now_ms += 1
    assert refusal(worker.get_caller_identity) == (
        "ExpiredToken",
        "The security token included in the request is expired",
    )
    assert refusal(caller("sts").assume_role, **given, DurationSeconds=7201) == (
        "ValidationError",
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
    )
    unchecked = unchecked_client(cloud)
    assert refusal(unchecked.assume_role, **given, DurationSeconds=899)[0] == "ValidationError"
    short = {**given, "RoleSessionName": "x"}
    assert refusal(unchecked.assume_role, **short)[0] == "ValidationError"


def test_a_session_ends_with_its_role(
    iam: Any, role: Any, caller: Any, session: Any, refusal: Any, trust: Any
) -> None:
    worker = session(caller("sts").assume_role(RoleArn=role(), RoleSessionName="one"))("sts")
    worker.get_caller_identity()
    iam.delete_role_policy(RoleName="worker", PolicyName="p")
    iam.delete_role(RoleName="worker")
    assert refusal(worker.get_caller_identity)[0] == "InvalidClientTokenId"
    iam.create_role(RoleName="worker", Path="/jobs/", AssumeRolePolicyDocument=trust())
    assert refusal(worker.get_caller_identity)[0] == "InvalidClientTokenId"


def test_roles_are_chained_for_an_hour_at_most_and_tags_go_on(
    iam: Any, role: Any, caller: Any, session: Any, document: Any, refusal: Any
) -> None:
    everything = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
    first, second = role("first", Action=everything), role("second", Action=everything)
    iam.put_role_policy(RoleName="first", PolicyName="q", PolicyDocument=document("sts:*"))
    reply = caller("sts").assume_role(
        RoleArn=first,
        RoleSessionName="one",
        Tags=[{"Key": "team", "Value": "red"}, {"Key": "own", "Value": "x"}],
        TransitiveTagKeys=["team"],
        SourceIdentity="alice",
    )
    assert reply["SourceIdentity"] == "alice"
    worker = session(reply)("sts")
    given = {"RoleArn": second, "RoleSessionName": "two"}
    # The role itself would allow two hours.
    iam.update_role(RoleName="second", MaxSessionDuration=7_200)
    code, message = refusal(worker.assume_role, **given, DurationSeconds=3601)
    assert code == "ValidationError"
    assert "1 hour session limit for roles assumed by role chaining" in message
    clash = [{"Key": "Team", "Value": "blue"}]
    assert refusal(worker.assume_role, **given, Tags=clash)[0] == "InvalidParameterValue"
    refused = refusal(worker.assume_role, **given, SourceIdentity="bob")
    assert refused[0] == "InvalidParameterValue"
    assert worker.assume_role(**given)["SourceIdentity"] == "alice"
    tagged = document(
        "iam:ListUsers",
        Condition={
            "StringEquals": {"aws:PrincipalTag/team": "red"},
            "Null": {"aws:PrincipalTag/own": "true"},
        },
    )
    iam.put_role_policy(RoleName="second", PolicyName="p", PolicyDocument=tagged)
    session(worker.assume_role(**given))("iam").list_users()


def test_tags_need_a_permission_of_their_own(role: Any, caller: Any, refusal: Any) -> None:
    given = {"RoleArn": role(), "RoleSessionName": "one"}
    tags = [{"Key": "a", "Value": "b"}]
    code, message = refusal(caller("sts").assume_role, **given, Tags=tags)
    assert code == "AccessDenied"
    assert "sts:TagSession" in message
    code, message = refusal(caller("sts").assume_role, **given, SourceIdentity="me")
    assert code == "AccessDenied"
    assert "sts:SetSourceIdentity" in message


def test_a_service_assumes_a_role_in_process(cloud: Any, role: Any, account: str) -> None:
    from fogbank.base.errors import ServiceError  # noqa: PLC0415 (only this test needs it)
    from fogbank.platform.identity.principal import service_principal  # noqa: PLC0415 (only this test needs it)

    arn = role(
        principal={"Service": "lambda.amazonaws.com"},
        Condition={"StringEquals": {"aws:SourceAccount": account}},
    )

    def assume(service: str, source_account: str) -> Any:
        return cloud.run(
            cloud.app.facilities.calls.call(
                "sts",
                "AssumeRole",
                {"RoleArn": arn, "RoleSessionName": "fn", "DurationSeconds": 3600},
                principal=service_principal(service, source_account=source_account),
                region="us-east-1",
                account=account,
            )
        )

    reply = assume("lambda.amazonaws.com", account)
    assert reply["AssumedRoleUser"]["Arn"].endswith("assumed-role/worker/fn")
    for service, source in (("s3.amazonaws.com", account), ("lambda.amazonaws.com", "1" * 12)):
        with pytest.raises(ServiceError, match="not authorized"):
            assume(service, source)


def test_a_user_gets_a_session_of_its_own(
    caller: Any, session: Any, account: str, refusal: Any, sts: Any
) -> None:
    reply = caller("sts").get_session_token(DurationSeconds=900)
    mine = session(reply)
    assert mine("sts").get_caller_identity()["Arn"] == f"arn:aws:iam::{account}:user/alice"
    assert refusal(mine("iam").list_users)[0] == "AccessDenied"
    assert refusal(mine("sts").get_session_token) == (
        "AccessDenied",
        "Cannot call GetSessionToken with session credentials",
    )
    root = sts.get_session_token(DurationSeconds=129_600)
    assert root["Credentials"]["Expiration"].timestamp() == 1_767_225_600 + 3600
    assert session(root)("sts").get_caller_identity()["Arn"].endswith(":root")
    # AWS: no session of GetSessionToken calls IAM without MFA, the root user's neither.
    assert refusal(session(root)("iam").list_users)[1].endswith(
        "with an explicit deny in a session policy"
    )


def test_a_mixed_up_session_proves_nothing(
    cloud: Any, role: Any, caller: Any, refusal: Any
) -> None:
    one, two = (
        caller("sts").assume_role(RoleArn=arn, RoleSessionName="one")["Credentials"]
        for arn in (role("a"), role("b"))
    )
    for key, secret, token, code in (
        (one, one, two, "InvalidClientTokenId"),
        (two, one, two, "SignatureDoesNotMatch"),
    ):
        mixed = cloud.client(
            "sts",
            access_key=key["AccessKeyId"],
            secret_key=secret["SecretAccessKey"],
            token=token["SessionToken"],
        )
        assert refusal(mixed.get_caller_identity)[0] == code
    bare = cloud.client("sts", access_key=one["AccessKeyId"], secret_key=one["SecretAccessKey"])
    assert refusal(bare.get_caller_identity)[0] == "InvalidClientTokenId"


def test_a_session_of_a_function_says_which(
    cloud: Any, iam: Any, role: Any, session: Any, document: Any, refusal: Any, account: str
) -> None:
    """The example of Lambda Developer Guide, "Using source function ARN to control ... access"."""
    arn = role(principal={"Service": "lambda.amazonaws.com"})
    functions = f"arn:aws:lambda:us-east-1:{account}:function"
    policy = document(
        "iam:ListUsers", Condition={"ArnEquals": {"lambda:SourceFunctionArn": f"{functions}:one"}}
    )
    iam.put_role_policy(RoleName="worker", PolicyName="p", PolicyDocument=policy)

    def made_for(service: str, source: str) -> Any:
        reply = cloud.run(
            cloud.app.dispatcher.call(
                "sts",
                "AssumeRole",
                {"RoleArn": arn, "RoleSessionName": "one"},
                principal=service_principal(service, source_arn=source, source_account=account),
                region="us-east-1",
                account=account,
            )
        )
        return session(reply)("iam")

    made_for("lambda.amazonaws.com", f"{functions}:one").list_users()
    other = made_for("lambda.amazonaws.com", f"{functions}:two")
    assert refusal(other.list_users)[0] == "AccessDenied"
