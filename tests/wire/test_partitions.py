"""The partitions of AWS: an account is of one, and everything that it names is of the same.

Source: AWS General Reference, "Amazon Resource Names (ARNs)", on partitions; AWS Whitepapers, "AWS
Fault Isolation Boundaries", "Partitions": "IAM credentials are not valid across partitions".
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fogbank.server.roster import services
from fogbank.testing.cloud import Cloud

ELSEWHERE = [("aws-cn", "cn-north-1"), ("aws-us-gov", "us-gov-west-1")]
every_partition = pytest.mark.parametrize(
    ("partition", "region"), [("aws", "eu-west-1"), *ELSEWHERE]
)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with Cloud(services=services(), replay=True, work_dir=tmp_path) as made:
        yield made


@pytest.fixture
def clients(cloud: Cloud, partition: str, region: str) -> Any:
    """Return what makes clients of an account of the partition, in its region."""
    root = cloud.create_account("there", "111122223333", partition=partition)

    def made(service: str, **more: Any) -> Any:
        return cloud.client(service, **{"credential": root, "region": region, **more})

    return made


def statement(action: str, resource: str, **more: Any) -> str:
    said = {"Effect": "Allow", "Action": action, "Resource": resource, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [said]})


def keys_of(given: Any) -> dict[str, Any]:
    token = {"token": given["SessionToken"]} if "SessionToken" in given else {}
    return {"access_key": given["AccessKeyId"], "secret_key": given["SecretAccessKey"], **token}


@every_partition
def test_what_an_account_names_is_of_its_partition(
    clients: Any, partition: str, region: str
) -> None:
    iam, own = clients("iam"), f"arn:{partition}:iam::111122223333"
    assert clients("sts").get_caller_identity()["Arn"] == f"{own}:root"
    assert iam.get_user()["User"]["Arn"] == f"{own}:root"
    assert iam.create_user(UserName="u", Path="/p/")["User"]["Arn"] == f"{own}:user/p/u"
    assert iam.create_group(GroupName="g")["Group"]["Arn"] == f"{own}:group/g"
    made = iam.create_policy(PolicyName="p", PolicyDocument=statement("s3:*", "*"))["Policy"]
    assert made["Arn"] == f"{own}:policy/p"
    managed = f"arn:{partition}:iam::aws:policy/AdministratorAccess"
    assert iam.get_policy(PolicyArn=managed)["Policy"]["Arn"] == managed
    listed = {each["Arn"].split(":")[1] for each in iam.list_policies()["Policies"]}
    assert listed == {partition}
    s3, where = clients("s3"), {"LocationConstraint": region}
    made = s3.create_bucket(Bucket="photos", CreateBucketConfiguration=where)
    assert made["BucketArn"] == f"arn:{partition}:s3:::photos"
    assert s3.head_bucket(Bucket="photos")["BucketArn"] == made["BucketArn"]
    assert s3.list_buckets()["Buckets"][0]["BucketArn"] == made["BucketArn"]
    key = {"AttributeName": "id"}
    table = clients("dynamodb").create_table(
        TableName="table",
        KeySchema=[{**key, "KeyType": "HASH"}],
        AttributeDefinitions=[{**key, "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )["TableDescription"]["TableArn"]
    assert table == f"arn:{partition}:dynamodb:{region}:111122223333:table/table"
    assert clients("dynamodb").describe_table(TableName=table)["Table"]["TableArn"] == table
    logs = clients("logs")
    logs.create_log_group(logGroupName="l")
    found = logs.describe_log_groups()["logGroups"][0]["arn"]
    assert found == f"arn:{partition}:logs:{region}:111122223333:log-group:l:*"


@every_partition
def test_policies_speak_of_their_partition(
    clients: Any, partition: str, region: str, refusal: Any
) -> None:
    iam = clients("iam")
    key = iam.create_access_key(UserName=iam.create_user(UserName="u")["User"]["UserName"])
    own = keys_of(key["AccessKey"])
    clients("s3").create_bucket(
        Bucket="photos", CreateBucketConfiguration={"LocationConstraint": region}
    )
    as_user = clients("s3", **own)
    code, message = refusal(as_user.list_objects_v2, Bucket="photos")
    assert code == "AccessDenied"
    assert f"User: arn:{partition}:iam::111122223333:user/u is not authorized" in message
    assert f'on resource: "arn:{partition}:s3:::photos"' in message
    document = statement("s3:ListBucket", f"arn:{partition}:s3:::photos")
    iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=document)
    assert as_user.list_objects_v2(Bucket="photos")["KeyCount"] == 0
    other = "aws" if partition != "aws" else "aws-cn"
    put = {"UserName": "u", "PolicyName": "p"}
    elsewhere = statement("s3:ListBucket", f"arn:{other}:s3:::photos")
    assert refusal(iam.put_user_policy, **put, PolicyDocument=elsewhere) == (
        "MalformedPolicyDocument",
        f'Partition "{other}" is not valid for resource "arn:{other}:s3:::photos".',
    )
    assert (
        refusal(
            iam.attach_user_policy,
            UserName="u",
            PolicyArn=f"arn:{other}:iam::aws:policy/AdministratorAccess",
        )[0]
        == "NoSuchEntity"
    )
    trust = statement(
        "sts:AssumeRole", "*", Principal={"AWS": f"arn:{other}:iam::111122223333:user/u"}
    )
    trust = trust.replace('"Resource": "*", ', "")
    refused = refusal(iam.create_role, RoleName="r", AssumeRolePolicyDocument=trust)
    assert refused[0] == "MalformedPolicyDocument"
    assert refused[1].startswith("Invalid principal in policy")


@every_partition
def test_roles_are_assumed_and_functions_run_in_their_partition(
    clients: Any, partition: str, region: str, refusal: Any
) -> None:
    iam, own = clients("iam"), f"arn:{partition}:iam::111122223333"
    key = iam.create_access_key(UserName=iam.create_user(UserName="u")["User"]["UserName"])
    principal = {"AWS": f"{own}:user/u", "Service": "lambda.amazonaws.com"}
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}
    role = iam.create_role(
        RoleName="r",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]["Arn"]
    assert role == f"{own}:role/r"
    iam.attach_role_policy(
        RoleName="r", PolicyArn=f"arn:{partition}:iam::aws:policy/AWSLambdaExecute"
    )
    sts = clients("sts", **keys_of(key["AccessKey"]))
    assumed = sts.assume_role(RoleArn=role, RoleSessionName="one")
    arn = f"arn:{partition}:sts::111122223333:assumed-role/r/one"
    assert assumed["AssumedRoleUser"]["Arn"] == arn
    session = keys_of(assumed["Credentials"])
    assert clients("sts", **session).get_caller_identity()["Arn"] == arn
    other = role.replace(f"arn:{partition}:", "arn:aws-iso:")
    assert refusal(sts.assume_role, RoleArn=other, RoleSessionName="one")[0] == "AccessDenied"
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("a.py", "def h(event, context): return context.invoked_function_arn")
    functions = clients("lambda")
    function = functions.create_function(
        FunctionName="f",
        Runtime="python3.11",
        Role=role,
        Handler="a.h",
        Code={"ZipFile": package.getvalue()},
    )["FunctionArn"]
    assert function == f"arn:{partition}:lambda:{region}:111122223333:function:f"
    ran = functions.invoke(FunctionName=function)
    assert json.loads(ran["Payload"].read()) == function
    denied = clients("lambda", **session)
    assert refusal(denied.invoke, FunctionName="f")[0] == "AccessDeniedException"
    add = {"FunctionName": "f", "Action": "lambda:InvokeFunction"}
    functions.add_permission(**add, StatementId="role", Principal=role)
    assert json.loads(denied.invoke(FunctionName="f")["Payload"].read()) == function
    given = functions.add_permission(**add, StatementId="account", Principal="111122223333")
    assert json.loads(given["Statement"])["Principal"] == {"AWS": f"{own}:root"}


@pytest.mark.parametrize(("partition", "region"), ELSEWHERE)
def test_credentials_are_good_in_their_partition_alone(
    cloud: Cloud, clients: Any, region: str, refusal: Any
) -> None:
    codes = {
        "sts": ("get_caller_identity", "InvalidClientTokenId"),
        "iam": ("list_users", "InvalidClientTokenId"),
        "dynamodb": ("list_tables", "UnrecognizedClientException"),
        "lambda": ("list_functions", "UnrecognizedClientException"),
        "logs": ("describe_log_groups", "UnrecognizedClientException"),
        "s3": ("list_buckets", "InvalidAccessKeyId"),
    }
    for service, (call, code) in codes.items():
        assert getattr(clients(service), call)()["ResponseMetadata"]["HTTPStatusCode"] == 200
        abroad = cloud.client(service, region=region)
        assert refusal(getattr(abroad, call))[0] == code
        here = clients(service, region="us-east-1")
        assert refusal(getattr(here, call))[0] == code
    token = clients("sts").get_session_token()["Credentials"]
    session = clients("sts", region="us-east-1", **keys_of(token))
    assert refusal(session.get_caller_identity)[0] == "InvalidClientTokenId"


def test_no_role_is_assumed_across_partitions(cloud: Cloud, refusal: Any) -> None:
    there = cloud.create_account("there", "111122223333", partition="aws-cn")
    trusted = {"AWS": cloud.account.principal.account}
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": trusted}
    role = cloud.client("iam", credential=there, region="cn-north-1").create_role(
        RoleName="r",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]["Arn"]
    allow = {"Effect": "Allow", "Action": "sts:*", "Resource": "*"}
    keys = cloud.create_user("u", {"Version": "2012-10-17", "Statement": [allow]})
    sts = cloud.client("sts", access_key=keys.access_key_id, secret_key=keys.secret_access_key)
    for arn in (role, role.replace("aws-cn", "aws")):
        refused = refusal(sts.assume_role, RoleArn=arn, RoleSessionName="one")
        assert refused[0] == "AccessDenied"
