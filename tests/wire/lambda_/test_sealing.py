"""Variables that a key of KMS seals: who may read them, what a role needs, what is told when it may not.

Source: Lambda Developer Guide, "Securing Lambda environment variables"; API Reference, EnvironmentError;
the messages as users quote them (terraform-provider-aws issue 6352, serverless/examples issue 279).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError

from fogbank.services.iam import SERVICE as IAM
from fogbank.services.kms import SERVICE as KMS
from fogbank.services.lambda_ import SERVICE as LAMBDA
from fogbank.services.logs import SERVICE as LOGS
from fogbank.services.s3 import SERVICE as S3
from fogbank.services.sts import SERVICE as STS
from fogbank.testing.cloud import Cloud, http_request_of
from fogbank.wire.http import HttpRequest

SECRET = "what nobody may read"
VARIABLES = {"secret": SECRET}
READS = "import os\ndef handler(event, context):\n    return os.environ.get('secret')\n"
UNABLE = "Lambda was unable to decrypt your environment variables because "
UNSET = "Lambda was unable to configure access to your environment variables because "


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    services = [IAM, KMS, LAMBDA, LOGS, S3, STS]
    with Cloud(services=services, replay=True, work_dir=tmp_path) as made:
        yield made


@pytest.fixture
def kms(cloud: Cloud) -> Any:
    return cloud.client("kms")


@pytest.fixture
def key(kms: Any) -> str:
    return kms.create_key()["KeyMetadata"]["Arn"]


@pytest.fixture
def sealed(create: Any, key: str) -> Callable[..., Any]:
    def make(**changes: Any) -> Any:
        asked = {"KMSKeyArn": key, "Environment": {"Variables": VARIABLES}, **changes}
        return create(READS, **asked)

    return make


@pytest.fixture
def change(functions: Any) -> Callable[..., Any]:
    def update(**changes: Any) -> Any:
        return functions.update_function_configuration(FunctionName="f", **changes)

    return update


@pytest.fixture
def grants(kms: Any, cloud: Cloud) -> Callable[[str], list[Any]]:
    def listed(key: str) -> list[Any]:
        cloud.settle()
        return kms.list_grants(KeyId=key)["Grants"]

    return listed


@pytest.fixture
def refused(functions: Any) -> Callable[[], tuple[str, str, int]]:
    """Return what an invocation is told that fails: code, message and status."""

    def invoke() -> tuple[str, str, int]:
        with pytest.raises(ClientError) as caught:
            functions.invoke(FunctionName="f")
        reply = caught.value.response
        status = reply["ResponseMetadata"]["HTTPStatusCode"]
        return reply["Error"]["Code"], reply["Error"]["Message"], status

    return invoke


def test_sealed_variables_are_told_to_who_may_decrypt_and_stand_nowhere(
    sealed: Any,
    functions: Any,
    key: str,
    account: str,
    grants: Any,
    kms: Any,
    user: Any,
    cloud: Any,
) -> None:
    told = sealed()
    cloud.settle()
    assert not [each for each in cloud.engine.rows.values() if SECRET.encode() in each]
    assert (told["KMSKeyArn"], told["Environment"]) == (key, {"Variables": VARIABLES})
    (grant,) = grants(key)
    assert (
        grant["GranteePrincipal"] == f"arn:aws:sts::{account}:assumed-role/runner/f@lambda_function"
    )
    assert grant["Operations"] == ["Decrypt", "RetireGrant"]
    context = {"aws:lambda:FunctionArn": told["FunctionArn"]}
    assert grant["Constraints"] == {"EncryptionContextEquals": context}
    looker = user("looker", {"Effect": "Allow", "Action": "lambda:*", "Resource": "*"})
    for client, found in ((functions, VARIABLES), (looker, None)):
        for view in (
            client.get_function_configuration(FunctionName="f"),
            client.get_function(FunctionName="f")["Configuration"],
            client.list_functions()["Functions"][0],
            client.publish_version(FunctionName="f"),
            client.list_versions_by_function(FunctionName="f")["Versions"][1],
        ):
            assert view["KMSKeyArn"] == key
            assert view["Environment"].get("Variables") == found
    error = looker.get_function_configuration(FunctionName="f")["Environment"]["Error"]
    assert error["ErrorCode"] == "AccessDeniedException"
    assert error["Message"].startswith(
        f"{UNABLE}the KMS access was denied. Please check your KMS permissions. KMS Exception:"
        " AccessDeniedException KMS Message: "
    )
    kms.disable_key(KeyId=key)
    error = functions.get_function_configuration(FunctionName="f")["Environment"]["Error"]
    assert error == {
        "ErrorCode": "DisabledException",
        "Message": f"{UNABLE}the KMS key used is disabled. Please check your KMS key settings."
        f" KMS Exception: DisabledException KMS Message: {key} is disabled.",
    }


def test_an_environment_starts_only_while_its_role_may_decrypt(
    sealed: Any, invoke: Any, change: Any, refused: Any, kms: Any, key: str, grants: Any
) -> None:
    sealed()
    assert invoke()["Payload"] == SECRET
    kms.disable_key(KeyId=key)
    assert invoke()["Payload"] == SECRET, "what runs has its variables"
    change(Description="other")
    code, message, status = refused()
    assert (code, status) == ("KMSDisabledException", 502)
    assert message == (
        "Lambda was unable to decrypt the environment variables because the KMS key used is"
        " disabled. Please check the function's KMS key settings. KMS Exception:"
        f" DisabledExceptionKMS Message: {key} is disabled."
    )
    kms.enable_key(KeyId=key)
    assert invoke()["Payload"] == SECRET
    change(Description="again")
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert refused()[::2] == ("KMSInvalidStateException", 502)
    kms.cancel_key_deletion(KeyId=key)
    kms.enable_key(KeyId=key)
    kms.revoke_grant(KeyId=key, GrantId=grants(key)[0]["GrantId"])
    code, message, status = refused()
    assert (code, status) == ("KMSAccessDeniedException", 502)
    assert "because KMS access was denied. Please check the function's KMS key settings." in message


def test_another_role_has_another_grant_and_a_key_that_goes_takes_its_grants(
    sealed: Any, change: Any, functions: Any, kms: Any, key: str, grants: Any, make_role: Any
) -> None:
    sealed()
    (first,) = grants(key)
    functions.publish_version(FunctionName="f")
    told = change(Role=make_role("other", "logs:*"))
    assert told["Environment"] == {"Variables": VARIABLES}
    principals = {each["GranteePrincipal"].split("/")[1] for each in grants(key)}
    assert principals == {"runner", "other"}, "the version has the old role"
    second = kms.create_key()["KeyMetadata"]["Arn"]
    assert change(KMSKeyArn=second)["Environment"] == {"Variables": VARIABLES}
    assert [each["GrantId"] for each in grants(key)] == [first["GrantId"]]
    assert len(grants(second)) == 1
    assert functions.get_function_configuration(FunctionName="f", Qualifier="1")["KMSKeyArn"] == key
    functions.delete_function(FunctionName="f", Qualifier="1")
    assert grants(key) == []
    plain = change(KMSKeyArn="")
    assert (plain.get("KMSKeyArn"), plain["Environment"]) == (None, {"Variables": VARIABLES})
    assert grants(second) == []
    change(KMSKeyArn=second)
    assert change(Environment={"Variables": {}})["Environment"] == {"Variables": {}}
    functions.publish_version(FunctionName="f")
    functions.delete_function(FunctionName="f")
    assert grants(second) == []


def test_who_may_not_use_the_key_configures_no_function_with_it(
    zipped: Any, role: str, key: str, user: Any, kms: Any, grants: Any, refusal: Any, sealed: Any
) -> None:
    everything = {"Effect": "Allow", "Action": ["lambda:*", "iam:PassRole"], "Resource": "*"}
    request = {
        "FunctionName": "g",
        "Runtime": "python3.11",
        "Role": role,
        "Handler": "app.handler",
        "Code": {"ZipFile": zipped(READS)},
        "Environment": {"Variables": VARIABLES},
        "KMSKeyArn": key,
    }
    via = {"StringEquals": {"kms:ViaService": "lambda.us-east-1.amazonaws.com"}}

    def allowed(*actions: str) -> dict[str, Any]:
        return {"Effect": "Allow", "Action": actions, "Resource": key, "Condition": via}

    nobody = user("nobody", everything)
    half = user("half", everything, allowed("kms:CreateGrant"))
    whole = user("whole", everything, allowed("kms:CreateGrant", "kms:Encrypt"))
    for client in (nobody, half):
        code, message = refusal(client.create_function, **request)
        assert code == "AccessDeniedException"
        assert message.startswith(f"{UNSET}the KMS access was denied. Please check your KMS")
    assert grants(key) == [], "what was not made leaves no grant"
    told = whole.create_function(**request)
    assert told["Environment"]["Error"]["ErrorCode"] == "AccessDeniedException"
    reader = user("reader", everything, allowed("kms:Decrypt", "kms:CreateGrant", "kms:Encrypt"))
    shown = reader.get_function_configuration(FunctionName="g")
    assert shown["Environment"] == {"Variables": VARIABLES}
    other = kms.create_key()["KeyMetadata"]["Arn"]
    code, message = refusal(whole.update_function_configuration, FunctionName="g", KMSKeyArn=other)
    assert code == "AccessDeniedException"
    assert message.startswith(f"{UNABLE}the KMS access was denied.")


def test_a_key_that_cannot_be_used_makes_no_function(
    sealed: Any, kms: Any, key: str, refusal: Any, functions: Any
) -> None:
    kms.create_alias(AliasName="alias/mine", TargetKeyId=key)
    alias = key.rpartition(":")[0] + ":alias/mine"
    gone = key[:-12] + "000000000000"
    for wrong, cause in ((alias, "NotFoundException"), (gone, "NotFoundException")):
        code, message = refusal(sealed, KMSKeyArn=wrong)
        assert code == "InvalidParameterValueException"
        assert message.startswith(
            f"{UNSET}the KMS key is invalid for CreateGrant. Please check your KMS key settings."
            f" KMS Exception: {cause} KMS Message: "
        )
    kms.disable_key(KeyId=key)
    assert "DisabledException KMS Message" in refusal(sealed)[1]
    assert functions.list_functions()["Functions"] == []


@pytest.fixture
def open_to_lambda(kms: Any, account: str) -> str:
    """Return the ARN of a key whose policy lets Lambda seal and open the code of functions."""
    statements = [
        {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "kms:*", "Resource": "*"},
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
            "Resource": "*",
            "Condition": {
                "StringLike": {
                    "kms:EncryptionContext:aws:lambda:FunctionArn": "arn:aws:lambda:*:function:f",
                    "aws:SourceAccount": account,
                }
            },
        },
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    return kms.create_key(Policy=policy)["KeyMetadata"]["Arn"]


def test_code_is_sealed_and_opened_by_lambda_itself(
    create: Any,
    functions: Any,
    invoke: Any,
    refused: Any,
    change: Any,
    kms: Any,
    open_to_lambda: str,
    zipped: Any,
    cloud: Any,
    user: Any,
) -> None:
    """Source: Developer Guide, "Encrypting Lambda .zip deployment packages"."""
    key, name = open_to_lambda, "a-name-that-nobody-may-read"
    package = zipped("def handler(event, context): return 1", **{name: ""})
    told = create(Code={"ZipFile": package, "SourceKMSKeyArn": key})
    assert told["CodeSize"] == len(package)
    assert invoke()["Payload"] == 1
    assert len(cloud.engine.blobs._locks) == 1, "this engine keeps what is sealed beside its key"
    code = functions.get_function(FunctionName="f")["Code"]
    assert (code["RepositoryType"], code["SourceKMSKeyArn"]) == ("S3", key)
    reply, body = cloud.handle(_get(code["Location"]))
    assert (reply.status, body) == (200, package)
    forged = code["Location"].replace("Lock=", "Lock=A")
    assert cloud.handle(_get(forged))[0].status == 403
    assert cloud.handle(_get(code["Location"].partition("&Lock=")[0]))[0].status == 403
    looker = user("looker", {"Effect": "Allow", "Action": "lambda:*", "Resource": "*"})
    code = looker.get_function(FunctionName="f")["Code"]
    assert "Location" not in code
    assert code["Error"]["ErrorCode"] == "AccessDeniedException"
    assert code["Error"]["Message"].startswith(
        "Lambda was unable to decrypt your deployment package because the KMS access was denied."
    )
    location = functions.get_function(FunctionName="f")["Code"]["Location"]
    kms.disable_key(KeyId=key)
    assert invoke()["Payload"] == 1, "what runs has its code"
    assert cloud.handle(_get(location))[0].status == 502
    change(Description="other")
    code, message, status = refused()
    assert (code, status) == ("KMSDisabledException", 502)
    assert "unable to decrypt the deployment package because" in message
    functions.update_function_code(FunctionName="f", ZipFile=package)
    assert invoke()["Payload"] == 1
    assert "SourceKMSKeyArn" not in functions.get_function(FunctionName="f")["Code"]


def _get(location: str) -> HttpRequest:
    return http_request_of(AWSRequest("GET", location).prepare())


def test_a_key_that_does_not_let_lambda_in_seals_no_code(
    create: Any, key: str, open_to_lambda: str, kms: Any, zipped: Any, refusal: Any, functions: Any
) -> None:
    code = {"ZipFile": zipped(READS), "SourceKMSKeyArn": key}
    refused, message = refusal(create, Code=code)
    assert refused == "AccessDeniedException"
    assert message.startswith(
        "Lambda was unable to configure access to your deployment package because the KMS access"
        " was denied."
    )
    code["SourceKMSKeyArn"] = open_to_lambda
    assert refusal(create, FunctionName="g", Code=code)[0] == "AccessDeniedException"
    kms.disable_key(KeyId=open_to_lambda)
    refused, message = refusal(create, Code=code)
    assert refused == "InvalidParameterValueException"
    assert "because the KMS key is invalid for GenerateDataKey." in message
    assert functions.list_functions()["Functions"] == []
