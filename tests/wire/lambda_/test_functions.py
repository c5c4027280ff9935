from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import stat
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

INVALID = "InvalidParameterValueException"


def allow(action: str, resource: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def test_a_created_function_is_told_as_pending_once_and_then_as_active(
    create: Any, functions: Any, zipped: Any, role: str, account: str
) -> None:
    made = create()
    arn = f"arn:aws:lambda:us-east-1:{account}:function:f"
    code = zipped()
    expected = {
        "FunctionName": "f",
        "FunctionArn": arn,
        "Runtime": "python3.11",
        "Role": role,
        "Handler": "app.handler",
        "CodeSize": len(code),
        "CodeSha256": base64.b64encode(hashlib.sha256(code).digest()).decode(),
        "Description": "",
        "Timeout": 3,
        "MemorySize": 128,
        "LastModified": "2026-01-01T00:00:00.000+0000",
        "Version": "$LATEST",
        "PackageType": "Zip",
        "Architectures": ["x86_64"],
        "EphemeralStorage": {"Size": 512},
        "TracingConfig": {"Mode": "PassThrough"},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/f"},
        "RevisionId": made["RevisionId"],
    }
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert {key: made[key] for key in expected} == expected
    assert (made["State"], made["StateReasonCode"]) == ("Pending", "Creating")
    functions.get_waiter("function_active_v2").wait(FunctionName="f")
    functions.get_waiter("function_active").wait(FunctionName="f")
    functions.get_waiter("function_exists").wait(FunctionName="f")
    functions.get_waiter("function_updated").wait(FunctionName="f")
    found = functions.get_function(FunctionName=arn)["Configuration"]
    assert found == {**expected, "State": "Active", "LastUpdateStatus": "Successful"}
    for name in (f"{account}:function:f", "function:f", "f", "f:$LATEST"):
        assert functions.get_function_configuration(FunctionName=name)["FunctionName"] == "f"
    qualified = functions.get_function_configuration(FunctionName="f", Qualifier="$LATEST")
    assert qualified["FunctionArn"] == f"{arn}:$LATEST"


def test_tags_variables_and_sizes_are_kept(create: Any, functions: Any) -> None:
    create(
        Tags={"team": "fog"},
        Environment={"Variables": {"COLOUR": "grey"}},
        Timeout=900,
        MemorySize=10_240,
        EphemeralStorage={"Size": 1_024},
        Description="d",
        LoggingConfig={"LogGroup": "/elsewhere"},
    )
    found = functions.get_function(FunctionName="f")
    assert found["Tags"] == {"team": "fog"}
    configuration = found["Configuration"]
    assert configuration["Environment"] == {"Variables": {"COLOUR": "grey"}}
    assert (configuration["Timeout"], configuration["MemorySize"]) == (900, 10_240)
    assert configuration["EphemeralStorage"] == {"Size": 1_024}
    assert configuration["LoggingConfig"]["LogGroup"] == "/elsewhere"


def test_a_name_is_given_once(create: Any, refusal: Any) -> None:
    create()
    assert refusal(create) == ("ResourceConflictException", "Function already exist: f")


class Overtaken:
    """Lets another request finish while a package is being unpacked."""

    def __init__(self, cloud: Any) -> None:
        self._unpack = cloud.app.parts.functions.prepare
        self.entered, self._go_on = threading.Event(), asyncio.Event()
        self._loop = cloud._loop
        cloud.app.parts.functions.prepare = self.prepare

    async def prepare(self, *given: Any) -> Any:
        first, unpacked = not self.entered.is_set(), await self._unpack(*given)
        self.entered.set()
        if first:
            await self._go_on.wait()
        return unpacked

    def go_on(self) -> None:
        self._loop.call_soon_threadsafe(self._go_on.set)


@pytest.mark.parametrize("operation", ["create_function", "update_function_code"])
def test_nothing_is_left_of_code_whose_request_is_overtaken(
    operation: str, create: Any, cloud: Any, zipped: Any, functions: Any, refusal: Any
) -> None:
    """Two requests pass the first checks side by side; the later commit is refused."""
    other = zipped("def handler(event, context): return 2")

    def change() -> Any:
        if operation == "create_function":
            return create(Code={"ZipFile": other})
        return functions.update_function_code(
            FunctionName="f", ZipFile=other, RevisionId=revision["RevisionId"]
        )

    revision = create() if operation != "create_function" else {}
    overtaken = Overtaken(cloud)
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(refusal, change)
        assert overtaken.entered.wait(10)
        change()
        overtaken.go_on()
        code, _ = late.result(10)
    assert code in {"ResourceConflictException", "PreconditionFailedException"}
    cloud.advance(60_000)  # what was replaced is deleted behind the answer
    assert len(cloud.engine.blobs._blobs) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Runtime": "nodejs20.x"}, "nodejs20.x cannot run"),
        ({"Architectures": ["arm64"]}, "runs functions on x86_64"),
        ({"Timeout": 901}, "'timeout' failed to satisfy constraint: Member must have value less"),
        ({"MemorySize": 10_241}, "'memorySize' failed to satisfy constraint"),
        ({"MemorySize": 99_999}, "Member must have value less than or equal to 10240"),
        ({"EphemeralStorage": {"Size": 10_241}}, "'ephemeralStorage.size' failed to satisfy"),
        ({"FunctionName": "x" * 65}, "Member must have length less than or equal to 64"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "reserved keys that are currently"),
        ({"Environment": {"Variables": {"AB": "x" * 4_090}}}, "exceeded the 4KB limit"),
        ({"Tags": {str(i): "x" for i in range(51)}}, "Number of tags exceeds"),
        ({"Code": {"ZipFile": b"nonsense"}}, "Could not unzip uploaded file"),
        ({"Code": {}}, "Please provide a source"),
        ({"Code": {"ZipFile": b"x", "S3Bucket": "bbb", "S3Key": "k"}}, "Please do not provide"),
    ],
)
def test_what_cannot_be_is_refused(
    create: Any, refusal: Any, changes: dict[str, Any], words: str
) -> None:
    code, message = refusal(create, **changes)
    assert code == INVALID
    assert words in message


@pytest.mark.parametrize(
    ("changes", "member"),
    [
        ({"PackageType": "Image"}, "PackageType"),
        ({"VpcConfig": {"SubnetIds": ["subnet-1"]}}, "VpcConfig"),
        ({"Code": {"ImageUri": "x"}}, "ImageUri"),
    ],
)
def test_what_is_not_built_says_so(
    create: Any, refusal: Any, changes: dict[str, Any], member: str
) -> None:
    assert refusal(create, **changes) == (
        "NotImplemented",
        f"fogbank has not built the member {member} of lambda:CreateFunction",
    )


@pytest.mark.parametrize("vpc", [{"SubnetIds": [], "SecurityGroupIds": []}, {"SubnetIds": []}, {}])
def test_neutral_values_of_what_is_not_built_are_accepted(create: Any, vpc: Any) -> None:
    """Zappa sends an empty ``VpcConfig`` where its settings have none."""
    create(
        Publish=False,
        Layers=[],
        VpcConfig=vpc,
        TracingConfig={"Mode": "PassThrough"},
        SnapStart={"ApplyOn": "None"},
        PackageType="Zip",
        Architectures=["x86_64"],
        DeadLetterConfig={},
        LoggingConfig={"LogFormat": "Text"},
    )


@pytest.mark.slow
def test_hostile_packages_are_refused_and_leave_nothing(
    create: Any, refusal: Any, cloud: Any, tmp_path: Any
) -> None:
    def archive(name: str, kind: int = stat.S_IFREG, content: bytes = b"x") -> bytes:
        info = zipfile.ZipInfo("harmless")
        info.filename = name
        info.external_attr = (kind | 0o644) << 16
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
            made.writestr(info, content, zipfile.ZIP_DEFLATED)
        return out.getvalue()

    bomb = bytes(20 << 20)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for number in range(13):
            made.writestr(str(number), bomb)
    unzip = "Could not unzip uploaded file. Please check your file, then try to upload again."
    for code, message in (
        (archive("../../escaped"), unzip),
        (archive("/etc/escaped"), unzip),
        (archive("link", stat.S_IFLNK, b"/etc/passwd"), unzip),
        (out.getvalue(), "Unzipped size must be smaller than 262144000 bytes"),
        (zipfile_of_nothing(), "Uploaded file must be a non-empty zip"),
    ):
        assert refusal(create, Code={"ZipFile": code}) == (INVALID, message)
    assert list((tmp_path / "code").iterdir()) == []
    assert cloud.engine.blobs._blobs == {}


def zipfile_of_nothing() -> bytes:
    out = io.BytesIO()
    zipfile.ZipFile(out, "w").close()
    return out.getvalue()


def test_code_can_come_from_a_bucket_that_the_caller_may_read(
    create: Any, cloud: Any, zipped: Any, invoke: Any, refusal: Any
) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="code-bucket")
    s3.put_object(Bucket="code-bucket", Key="app.zip", Body=zipped())
    large = zipped(padding=base64.b64encode(b"\x00\xff" * 3_000_000).decode())
    s3.put_object(Bucket="code-bucket", Key="large.zip", Body=large)
    create(Code={"S3Bucket": "code-bucket", "S3Key": "app.zip"})
    assert invoke({"a": 1})["Payload"]["event"] == {"a": 1}
    create(FunctionName="g", Code={"S3Bucket": "code-bucket", "S3Key": "large.zip"})
    assert invoke({}, FunctionName="g")["StatusCode"] == 200
    for bucket, key, words in (
        ("code-bucket", "none", "NoSuchKey. S3 Error Message: The specified key does not exist."),
        ("no-bucket-here", "x", "NoSuchBucket. S3 Error Message: The specified bucket does not"),
    ):
        code, message = refusal(create, FunctionName="h", Code={"S3Bucket": bucket, "S3Key": key})
        assert code == INVALID
        assert message.startswith(f"Error occurred while GetObject. S3 Error Code: {words}")


def test_a_role_must_exist_and_trust_lambda(
    create: Any, make_role: Any, refusal: Any, account: str
) -> None:
    words = "The role defined for the function cannot be assumed by Lambda."
    other = make_role("other", trusted="ec2.amazonaws.com")
    for role in (other, f"arn:aws:iam::{account}:role/none"):
        assert refusal(create, Role=role) == (INVALID, words)
    stranger = "arn:aws:iam::111122223333:role/r"
    assert refusal(create, Role=stranger)[0] == "AccessDeniedException"


def test_who_creates_a_function_must_be_allowed_to_pass_its_role(
    user: Any, role: str, zipped: Any, refusal: Any, account: str
) -> None:
    request = {
        "FunctionName": "f",
        "Runtime": "python3.11",
        "Role": role,
        "Handler": "app.handler",
        "Code": {"ZipFile": zipped()},
    }
    lambda_only = user("alice", allow("lambda:*"))
    code, message = refusal(lambda_only.create_function, **request)
    assert code == "AccessDeniedException"
    assert message == (
        f"User: arn:aws:iam::{account}:user/alice is not authorized to perform: iam:PassRole on "
        f"resource: {role} because no identity-based policy allows the iam:PassRole action"
    )
    elsewhere = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
    wrong = user("bob", allow("lambda:*"), allow("iam:PassRole", Condition=elsewhere))
    assert refusal(wrong.create_function, **request)[0] == "AccessDeniedException"
    here = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    right = user("carol", allow("lambda:*"), allow("iam:PassRole", role, Condition=here))
    right.create_function(**request)
    assert refusal(lambda_only.update_function_configuration, FunctionName="f", Role=role)[0] == (
        "AccessDeniedException"
    )
    lambda_only.update_function_configuration(FunctionName="f", Timeout=4)


def test_tags_of_roles_and_functions_are_conditions(
    cloud: Any, user: Any, role: str, zipped: Any, refusal: Any
) -> None:
    tagged = {"StringEquals": {"aws:ResourceTag/team": "red"}}
    alice = user("alice", allow("*", Condition=tagged))
    request = {
        "Runtime": "python3.11",
        "Role": role,
        "Handler": "app.handler",
        "Code": {"ZipFile": zipped()},
        "Tags": {"team": "red"},
    }
    code, message = refusal(alice.create_function, FunctionName="f", **request)
    assert (code, "iam:PassRole" in message) == ("AccessDeniedException", True)
    role_tags = [{"Key": "team", "Value": "red"}]
    cloud.client("iam").tag_role(RoleName=role.rpartition("/")[2], Tags=role_tags)
    alice.create_function(FunctionName="f", **request)
    alice.get_function(FunctionName="f")
    cloud.client("lambda").create_function(FunctionName="g", **{**request, "Tags": {}})
    assert refusal(alice.get_function, FunctionName="g")[0] == "AccessDeniedException"
    assert refusal(alice.get_function, FunctionName="none")[0] == "AccessDeniedException"


def test_new_code_replaces_the_old_and_its_environments(
    create: Any, functions: Any, invoke: Any, zipped: Any, cloud: Any, refusal: Any
) -> None:
    made = create("def handler(event, context): return 1")
    assert invoke()["Payload"] == 1
    source = zipped("def handler(event, context): return 2")
    code, _ = refusal(
        functions.update_function_code, FunctionName="f", ZipFile=source, RevisionId="another"
    )
    assert code == "PreconditionFailedException"
    cloud.advance(1_000)
    updated = functions.update_function_code(
        FunctionName="f", ZipFile=source, RevisionId=made["RevisionId"]
    )
    assert (updated["State"], updated["LastUpdateStatus"]) == ("Active", "InProgress")
    assert updated["RevisionId"] != made["RevisionId"]
    assert updated["LastModified"] == "2026-01-01T00:00:01.000+0000"
    functions.get_waiter("function_updated_v2").wait(FunctionName="f")
    assert invoke()["Payload"] == 2
    assert refusal(functions.update_function_code, FunctionName="f", ZipFile=b"x")[0] == INVALID
    assert invoke()["Payload"] == 2
    cloud.advance(2_000)
    assert len(cloud.engine.blobs._blobs) == 1


def test_a_changed_configuration_is_in_force_at_once(
    create: Any, functions: Any, invoke: Any, cloud: Any
) -> None:
    create(Environment={"Variables": {"COLOUR": "grey"}})
    assert invoke({})["Payload"]["variables"]["COLOUR"] == "grey"
    functions.update_function_configuration(
        FunctionName="f",
        Environment={"Variables": {"COLOUR": "blue"}},
        MemorySize=256,
        Timeout=7,
        Handler="app.handler",
        Description="changed",
        Runtime="python3.12",
        EphemeralStorage={"Size": 600},
    )
    found = functions.get_function_configuration(FunctionName="f")
    assert (found["MemorySize"], found["Timeout"], found["Description"]) == (256, 7, "changed")
    assert (found["Runtime"], found["EphemeralStorage"]) == ("python3.12", {"Size": 600})
    variables = invoke({})["Payload"]["variables"]
    assert (variables["COLOUR"], variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]) == ("blue", "256")
    assert len(cloud.app.parts.functions.inline.started) == 2


def test_a_deleted_function_is_gone_with_its_code_and_policy(
    create: Any, functions: Any, refusal: Any, cloud: Any, account: str
) -> None:
    create()
    functions.add_permission(
        FunctionName="f",
        StatementId="s",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
    )
    assert refusal(functions.delete_function, FunctionName="f", Qualifier="$LATEST")[0] == INVALID
    gone = functions.delete_function(FunctionName="f")
    assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
    arn = f"arn:aws:lambda:us-east-1:{account}:function:f"
    missing = ("ResourceNotFoundException", f"Function not found: {arn}")
    for call in ("get_function", "get_function_configuration", "delete_function"):
        assert refusal(getattr(functions, call), FunctionName="f") == missing
    create()
    assert refusal(functions.get_policy, FunctionName="f")[0] == "ResourceNotFoundException"
    cloud.advance(2_000)
    assert len(cloud.engine.blobs._blobs) == 1


def test_functions_are_listed_in_order_a_page_at_a_time(create: Any, functions: Any) -> None:
    for name in ("c", "a", "b"):
        create(FunctionName=name)
    pages = list(
        functions.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2})
    )
    names = [[each["FunctionName"] for each in page["Functions"]] for page in pages]
    assert names == [["a", "b"], ["c"]]
    assert "State" not in pages[0]["Functions"][0]
    every = functions.list_functions(FunctionVersion="ALL")["Functions"]
    assert every[0]["FunctionArn"].endswith(":function:a:$LATEST")


def test_names_of_other_regions_and_versions_are_not_found(
    create: Any, functions: Any, refusal: Any, account: str
) -> None:
    create()
    arn = f"arn:aws:lambda:us-east-1:{account}:function:f"
    assert refusal(functions.get_function, FunctionName=arn.replace("us-east-1", "eu-west-1")) == (
        "ResourceNotFoundException",
        "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')",
    )
    assert refusal(functions.get_function, FunctionName="f", Qualifier="7") == (
        "ResourceNotFoundException",
        f"Function not found: {arn}:7",
    )
    assert refusal(functions.get_function, FunctionName="f:7", Qualifier="8") == (
        INVALID,
        "The derived qualifier from the function name does not match the specified qualifier.",
    )


@pytest.mark.parametrize("cloud", [{"lambda.zipped_bytes_max": 300}], indirect=True)
def test_a_large_package_must_come_from_a_bucket(
    create: Any, cloud: Any, zipped: Any, refusal: Any
) -> None:
    large = zipped(padding=base64.b64encode(hashlib.sha256(b"").digest() * 9).decode())
    assert len(large) > 300
    assert refusal(create, Code={"ZipFile": large}) == (
        "RequestEntityTooLargeException",
        "Zipped size must be smaller than 300 bytes",
    )
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="code-bucket")
    s3.put_object(Bucket="code-bucket", Key="large.zip", Body=large)
    create(Code={"S3Bucket": "code-bucket", "S3Key": "large.zip"})


LARGE = {
    "lambda.timeout_s_max": 6 * 3_600,
    "lambda.memory_mb_max": 200_000,
    "lambda.tmp_mb_max": 500_000,
}


@pytest.mark.parametrize("cloud", [LARGE], indirect=True)
def test_settings_allow_functions_of_hours_and_of_any_size(
    create: Any, functions: Any, cloud: Any, role: str, refusal: Any, invoke: Any
) -> None:
    """A session of the role outlasts the invocation, and so the role must allow it."""
    hours = {"Timeout": 3 * 3_600, "MemorySize": 100_000, "EphemeralStorage": {"Size": 400_000}}
    words = "The role defined for the function cannot be assumed by Lambda."
    assert refusal(create, **hours) == (INVALID, words)
    cloud.client("iam").update_role(RoleName="runner", MaxSessionDuration=4 * 3_600)
    source = """
import os
def handler(event, context):
    return [os.environ["AWS_ACCESS_KEY_ID"][:4], context.get_remaining_time_in_millis()]
"""
    create(source, **hours)
    found = functions.get_function_configuration(FunctionName="f")
    assert {key: found[key] for key in hours} == hours
    key, left_ms = invoke()["Payload"]
    assert key == "ASIA"
    assert left_ms > 3 * 3_600_000 - 60_000
    too_long = {"FunctionName": "f", "Timeout": 6 * 3_600 + 1}
    assert refusal(functions.update_function_configuration, **too_long)[0] == INVALID


def test_a_dry_run_says_what_other_code_would_be_and_changes_nothing(
    create: Any, functions: Any, zipped: Any, cloud: Any, refusal: Any
) -> None:
    before = create()
    other = zipped("def handler(event, context): return 2")
    told = functions.update_function_code(
        FunctionName="f", ZipFile=other, DryRun=True, Publish=True
    )
    assert told["CodeSha256"] == base64.b64encode(hashlib.sha256(other).digest()).decode()
    assert (told["CodeSize"], told["Version"]) == (len(other), "$LATEST")
    found = functions.get_function_configuration(FunctionName="f")
    assert found["CodeSha256"] == before["CodeSha256"]
    assert found["RevisionId"] == before["RevisionId"] == told["RevisionId"]
    assert len(functions.list_versions_by_function(FunctionName="f")["Versions"]) == 1
    broken = {"FunctionName": "f", "ZipFile": b"nonsense", "DryRun": True}
    assert refusal(functions.update_function_code, **broken)[0] == INVALID
    cloud.advance(60_000)
    assert len(cloud.engine.blobs._blobs) == 1
