"""Layers: published, shared and used."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from fogbank.testing.cloud import Cloud
from fogbank.wire.http import HttpRequest

ARN = "arn:aws:lambda:us-east-1:{}:layer:{}"
INVALID, ABSENT = "InvalidParameterValueException", "ResourceNotFoundException"
USES = "import ours\ndef handler(event, context): return ours.NAME"


def fetched(cloud: Cloud, url: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    parts = urlsplit(url)
    asked = HttpRequest(method, parts.path, parts.query, {"host": parts.netloc}, b"")
    reply, body = cloud.handle(asked)
    return reply.status, dict(reply.headers), body


@pytest.fixture
def publish(functions: Any, zipped: Any) -> Any:
    def make(name: str = "lay", text: str = "NAME = 'layer'", **changes: Any) -> Any:
        content = {"ZipFile": zipped("", **{"python/ours.py": text})}
        return functions.publish_layer_version(**{"LayerName": name, "Content": content, **changes})

    return make


@pytest.fixture
def blobs(cloud: Cloud) -> Any:
    """Return how many zip files are kept, once what was released is gone."""

    def count() -> int:
        cloud.advance(60_000)
        return len(cloud.engine.blobs._blobs)

    return count


def test_versions_are_numbered_told_and_deleted(
    publish: Any, functions: Any, cloud: Cloud, account: str, zipped: Any, refusal: Any, blobs: Any
) -> None:
    raw = zipped("", **{"python/ours.py": "NAME = 'layer'"})
    made = publish(
        Description="d",
        LicenseInfo="MIT",
        CompatibleRuntimes=["python3.11", "python3.12"],
        CompatibleArchitectures=["x86_64"],
    )
    arn = ARN.format(account, "lay")
    item = {
        "LayerVersionArn": f"{arn}:1",
        "Version": 1,
        "Description": "d",
        "CreatedDate": "2026-01-01T00:00:00.000+0000",
        "CompatibleRuntimes": ["python3.11", "python3.12"],
        "CompatibleArchitectures": ["x86_64"],
        "LicenseInfo": "MIT",
    }
    assert made.pop("ResponseMetadata")["HTTPStatusCode"] == 201
    digest = base64.b64encode(hashlib.sha256(raw).digest()).decode()
    location = made["Content"].pop("Location")
    content = {"CodeSha256": digest, "CodeSize": len(raw)}
    assert made == {**item, "LayerArn": arn, "Content": content}
    for found in (
        functions.get_layer_version(LayerName="lay", VersionNumber=1),
        functions.get_layer_version(LayerName=arn, VersionNumber=1),
        functions.get_layer_version_by_arn(Arn=f"{arn}:1"),
    ):
        found.pop("ResponseMetadata")
        assert fetched(cloud, found["Content"].pop("Location"))[2] == raw
        assert found == made
    assert fetched(cloud, location)[::2] == (200, raw)

    assert publish(text="NAME = 2", CompatibleRuntimes=["nodejs22.x"])["Version"] == 2
    listed = functions.list_layer_versions(LayerName=arn)["LayerVersions"]
    assert [each["Version"] for each in listed] == [2, 1]
    assert listed[1] == item
    page = functions.list_layer_versions(LayerName="lay", MaxItems=1)
    behind = functions.list_layer_versions(LayerName="lay", Marker=page["NextMarker"])
    assert [each["Version"] for each in behind["LayerVersions"]] == [1]
    assert "NextMarker" not in behind

    assert blobs() == 2
    functions.delete_layer_version(LayerName="lay", VersionNumber=2)
    functions.delete_layer_version(LayerName="lay", VersionNumber=2)
    assert blobs() == 1
    gone = {"LayerName": "lay", "VersionNumber": 2}
    words = (ABSENT, "The resource you requested does not exist.")
    assert refusal(functions.get_layer_version, **gone) == words
    assert refusal(functions.get_layer_version_by_arn, Arn=f"{arn}:2") == words
    zero = refusal(functions.get_layer_version, LayerName="lay", VersionNumber=0)
    assert zero == (INVALID, "Layer Version Cannot be less than 1")
    assert publish()["Version"] == 3


def test_layers_are_listed_with_the_newest_version_that_suits(publish: Any, functions: Any) -> None:
    publish("b", CompatibleRuntimes=["python3.11"], CompatibleArchitectures=["x86_64"])
    publish("b", CompatibleRuntimes=["nodejs22.x"])
    publish("a")
    publish("gone")
    functions.delete_layer_version(LayerName="gone", VersionNumber=1)

    def listed(**asked: Any) -> dict[str, int]:
        pages = functions.get_paginator("list_layers").paginate(**asked)
        found = [layer for page in pages for layer in page["Layers"]]
        return {each["LayerName"]: each["LatestMatchingVersion"]["Version"] for each in found}

    assert listed() == {"a": 1, "b": 2}
    assert listed(PaginationConfig={"PageSize": 1}) == {"a": 1, "b": 2}
    assert listed(CompatibleRuntime="python3.11") == {"b": 1}
    assert listed(CompatibleRuntime="nodejs22.x", CompatibleArchitecture="x86_64") == {}
    assert listed(CompatibleArchitecture="x86_64") == {"b": 1}
    versions = functions.list_layer_versions(LayerName="b", CompatibleRuntime="python3.11")
    assert [each["Version"] for each in versions["LayerVersions"]] == [1]


def test_content_comes_from_a_bucket_and_what_is_no_zip_file_is_refused(
    publish: Any, functions: Any, cloud: Cloud, zipped: Any, refusal: Any, blobs: Any
) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="code")
    s3.put_object(Bucket="code", Key="k", Body=zipped("", **{"python/ours.py": "NAME = 's3'"}))
    made = publish(Content={"S3Bucket": "code", "S3Key": "k"})
    assert made["Version"] == 1
    before = blobs()
    assert "NoSuchKey" in refusal(publish, Content={"S3Bucket": "code", "S3Key": "x"})[1]
    assert refusal(publish, Content={"ZipFile": b"no"})[0] == INVALID
    assert blobs() == before
    assert refusal(functions.get_layer_version, LayerName="lay", VersionNumber=2)[0] == ABSENT


def test_a_url_of_a_package_is_good_for_ten_minutes_and_for_nothing_else(
    create: Any, functions: Any, cloud: Cloud, zipped: Any
) -> None:
    create()
    code = functions.get_function(FunctionName="f")["Code"]
    assert code["RepositoryType"] == "S3"
    url = code["Location"]
    status, headers, body = fetched(cloud, url)
    assert (status, body) == (200, zipped())
    assert headers["Content-Type"] == "application/zip"
    assert fetched(cloud, url, "HEAD")[::2] == (200, b"")
    assert fetched(cloud, url, "POST")[0] == 403
    for before, after in (("Package=", "Package=1"), ("Expires=", "Expires=9"), ("Sig", "S")):
        assert fetched(cloud, url.replace(before, after))[0] == 403
    functions.delete_function(FunctionName="f")
    assert fetched(cloud, url)[0] == 404
    cloud.advance(600_001)
    assert fetched(cloud, url)[0] == 403


def test_a_function_finds_its_layers_in_their_order_and_keeps_those_that_are_deleted(
    publish: Any, create: Any, functions: Any, invoke: Any, blobs: Any
) -> None:
    below = publish("below", "NAME = 'below'")
    above = publish("above", "NAME = 'above'")
    arns = [each["LayerVersionArn"] for each in (below, above)]
    made = create(USES, Layers=arns, Publish=True)
    sizes = [each["Content"]["CodeSize"] for each in (below, above)]
    told = [{"Arn": a, "CodeSize": s} for a, s in zip(arns, sizes, strict=True)]
    assert made["Layers"] == told
    assert functions.get_function_configuration(FunctionName="f")["Layers"] == told
    assert invoke()["Payload"] == "above"
    functions.update_function_configuration(FunctionName="f", Layers=arns[::-1])
    assert invoke()["Payload"] == "below"
    for name in ("below", "above"):
        functions.delete_layer_version(LayerName=name, VersionNumber=1)
    assert blobs() == 3
    functions.update_function_configuration(FunctionName="f", Layers=[])
    assert "Layers" not in functions.get_function_configuration(FunctionName="f")
    assert invoke()["FunctionError"] == "Unhandled"
    assert invoke(Qualifier="1")["Payload"] == "above"
    assert blobs() == 3
    functions.delete_function(FunctionName="f", Qualifier="1")
    assert blobs() == 1


def test_layers_that_a_function_cannot_have_are_refused(
    publish: Any, create: Any, functions: Any, refusal: Any, account: str, blobs: Any
) -> None:
    publish()
    publish()
    arn = ARN.format(account, "lay")
    nowhere = ARN.format(account, "x") + ":1"
    elsewhere = f"arn:aws:lambda:eu-west-1:{account}:layer:lay:1"
    for wanted, words in (
        ([nowhere], f"Layer version {nowhere} does not exist."),
        ([f"{arn}:9"], f"Layer version {arn}:9 does not exist."),
        (
            [f"{arn}:1", f"{arn}:2"],
            "Two different versions of the same layer are not allowed to be referenced in",
        ),
        ([ARN.format(account, f"l{n}") + ":1" for n in range(6)], "Cannot reference more than 5"),
        ([elsewhere], "Layers are not in the same region as the function. Layers are expected"),
    ):
        code, said = refusal(create, Layers=wanted)
        assert (code, said[: len(words)]) == (INVALID, words)
    assert blobs() == 2
    create()
    code, _ = refusal(functions.update_function_configuration, FunctionName="f", Layers=[nowhere])
    assert code == INVALID


def test_code_and_layers_together_are_bounded(
    publish: Any, create: Any, functions: Any, refusal: Any, zipped: Any, monkeypatch: Any
) -> None:
    arn = publish(text="#" * 5_000)["LayerVersionArn"]
    monkeypatch.setattr("fogbank.services.lambda_.quotas.UNZIPPED_BYTES_MAX", 6_000)
    large = zipped("#" * 1_001)
    words = (
        "Function code combined with layers exceeds the maximum allowed size of 6000 bytes. The "
        "actual size is 6001 bytes."
    )
    assert refusal(create, Layers=[arn], Code={"ZipFile": large}) == (INVALID, words)
    create(Layers=[arn], Code={"ZipFile": zipped("#" * 1_000)})
    said = refusal(functions.update_function_code, FunctionName="f", ZipFile=large)
    assert said == (INVALID, words)
    functions.update_function_configuration(FunctionName="f", Layers=[])
    functions.update_function_code(FunctionName="f", ZipFile=large)
    said = refusal(functions.update_function_configuration, FunctionName="f", Layers=[arn])
    assert said == (INVALID, words)


def test_a_layer_of_an_organization_is_nobodys_where_there_is_none(
    publish: Any, functions: Any, refusal: Any, cloud: Any, account: str
) -> None:
    """API Reference, AddLayerVersionPermission: ``OrganizationId`` with the principal ``*``."""
    publish()
    arn = ARN.format(account, "lay") + ":1"
    stranger = cloud.run(cloud.app.identity.create_account("stranger"))
    theirs = cloud.client("lambda", credential=stranger)
    grant = {"LayerName": "lay", "VersionNumber": 1, "Action": "lambda:GetLayerVersion"}
    grant["Principal"] = "*"
    added = functions.add_layer_version_permission(
        **grant, StatementId="some", OrganizationId="o-a1b2c3d4e5f"
    )
    condition = {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5f"}}
    assert json.loads(added["Statement"])["Condition"] == condition
    assert refusal(theirs.get_layer_version_by_arn, Arn=arn)[0] == "AccessDeniedException"
    functions.add_layer_version_permission(**grant, StatementId="all")
    assert theirs.get_layer_version_by_arn(Arn=arn)["Version"] == 1


def test_a_policy_shares_a_version_with_other_accounts(
    publish: Any, functions: Any, refusal: Any, account: str
) -> None:
    publish()
    arn = ARN.format(account, "lay") + ":1"
    version = {"LayerName": "lay", "VersionNumber": 1}
    grant = {**version, "StatementId": "s", "Action": "lambda:GetLayerVersion"}
    none = (ABSENT, "No policy is associated with the given resource.")
    assert refusal(functions.get_layer_version_policy, **version) == none
    added = functions.add_layer_version_permission(**grant, Principal="111122223333")
    statement = {
        "Sid": "s",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
        "Action": "lambda:GetLayerVersion",
        "Resource": arn,
    }
    assert json.loads(added["Statement"]) == statement
    found = functions.get_layer_version_policy(**version)
    assert found["RevisionId"] == added["RevisionId"]
    policy = json.loads(found["Policy"])
    assert policy == {"Version": "2012-10-17", "Id": "default", "Statement": [statement]}
    twice = refusal(functions.add_layer_version_permission, **grant, Principal="*")
    assert twice[0] == "ResourceConflictException"
    stale = {"RevisionId": "0" * 36}
    other = {**grant, "StatementId": "t", "Principal": "*"}
    code, words = refusal(functions.add_layer_version_permission, **other, **stale)
    assert (code, "GetLayerPolicy" in words) == ("PreconditionFailedException", True)
    functions.add_layer_version_permission(**other, RevisionId=found["RevisionId"])
    remove = functions.remove_layer_version_permission
    assert refusal(remove, **version, StatementId="t", **stale)[0] == "PreconditionFailedException"
    assert refusal(remove, **version, StatementId="u")[0] == ABSENT
    remove(**version, StatementId="s")
    remove(**version, StatementId="t")
    assert refusal(functions.get_layer_version_policy, **version) == none
    missing = {**version, "VersionNumber": 7}
    words = f"Layer version {arn[:-1]}7 does not exist."
    assert refusal(functions.get_layer_version_policy, **missing) == (ABSENT, words)
    lost = {**grant, "VersionNumber": 7, "Principal": "*"}
    assert refusal(functions.add_layer_version_permission, **lost) == (ABSENT, words)


def test_a_layer_of_another_account_is_used_by_leave_and_kept_once(
    publish: Any, functions: Any, cloud: Cloud, refusal: Any, zipped: Any, blobs: Any, other: Any
) -> None:
    keys = {"access_key": other.access_key_id, "secret_key": other.secret_access_key}
    theirs, iam = cloud.client("lambda", **keys), cloud.client("iam", **keys)
    trust = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": {
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"Service": "lambda.amazonaws.com"},
            },
        }
    )
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    arn = publish()["LayerVersionArn"]
    layer = {"LayerName": "lay", "VersionNumber": 1}

    def make(name: str) -> Any:
        return theirs.create_function(
            FunctionName=name,
            Runtime="python3.11",
            Role=role,
            Handler="app.handler",
            Code={"ZipFile": zipped(USES)},
            Layers=[arn],
        )

    code, words = refusal(make, name="f")
    assert code == "AccessDeniedException"
    assert f"lambda:GetLayerVersion on resource: {arn}" in words
    assert refusal(theirs.get_layer_version_by_arn, Arn=arn)[0] == "AccessDeniedException"
    publishing = {"LayerName": arn[:-2], "Content": {"ZipFile": zipped()}}
    assert refusal(theirs.publish_layer_version, **publishing)[0] == "AccessDeniedException"
    functions.add_layer_version_permission(
        **layer, StatementId="s", Action="lambda:GetLayerVersion", Principal="*"
    )
    assert theirs.get_layer_version_by_arn(Arn=arn)["LayerVersionArn"] == arn
    make("f")
    make("g")
    assert blobs() == 1 + 1 + 2  # the layer here, the layer there, two packages
    functions.remove_layer_version_permission(**layer, StatementId="s")
    functions.delete_layer_version(**layer)
    theirs.update_function_configuration(FunctionName="f", Description="changed")
    for name in ("f", "g"):
        assert json.loads(theirs.invoke(FunctionName=name)["Payload"].read()) == "layer"
    assert blobs() == 3
    assert refusal(make, name="h")[0] == "AccessDeniedException"
    theirs.delete_function(FunctionName="f")
    theirs.update_function_configuration(FunctionName="g", Layers=[])
    assert blobs() == 1


def test_whoever_configures_a_function_must_be_allowed_its_layers(
    publish: Any, create: Any, user: Any, refusal: Any, role: str, zipped: Any, functions: Any
) -> None:
    arn, forbidden = publish()["LayerVersionArn"], publish("no")["LayerVersionArn"]
    able = {"Effect": "Allow", "Action": ["lambda:*", "iam:PassRole"], "Resource": "*"}
    no_layer = {"Effect": "Deny", "Action": "lambda:GetLayerVersion", "Resource": forbidden}
    only = {
        "Effect": "Deny",
        "Action": ["lambda:CreateFunction", "lambda:UpdateFunctionConfiguration"],
        "Resource": "*",
        "Condition": {"ForAnyValue:StringLike": {"lambda:Layer": "*:layer:secret:*"}},
    }
    secret = publish("secret")["LayerVersionArn"]
    caller = user("u", able, no_layer, only)
    create()
    change = caller.update_function_configuration
    change(FunctionName="f", Layers=[arn])
    for layer in (forbidden, secret):
        said = refusal(change, FunctionName="f", Layers=[arn, layer])
        assert said[0] == "AccessDeniedException"
        function = {
            "FunctionName": "g",
            "Runtime": "python3.11",
            "Role": role,
            "Handler": "app.handler",
            "Code": {"ZipFile": zipped()},
            "Layers": [layer],
        }
        assert refusal(caller.create_function, **function)[0] == "AccessDeniedException"
    kept = functions.get_function_configuration(FunctionName="f")["Layers"]
    assert [each["Arn"] for each in kept] == [arn]
