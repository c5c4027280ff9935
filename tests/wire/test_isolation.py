"""One name in two regions and in two accounts is four things that know nothing of each other."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

TRUST = (
    '{"Version":"2012-10-17","Statement":{"Effect":"Allow",'
    '"Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}}'
)
REGIONS = ("us-east-1", "eu-west-1")
NAME = "same-name"


class Place:
    """An account in a region, and the clients of its root."""

    def __init__(self, cloud: Any, credential: Any, region: str) -> None:
        self.account: str = credential.principal.account
        self.region = region
        self._client = lambda service: cloud.client(service, credential=credential, region=region)
        self._made: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        if service not in self._made:
            self._made[service] = self._client(service)
        return self._made[service]


@pytest.fixture
def places(cloud: Any) -> list[Place]:
    other = cloud.run(cloud.app.identity.create_account("other"))
    return [Place(cloud, each, region) for each in (cloud.account, other) for region in REGIONS]


def each_alone(
    places: list[Place], make: Callable[[Place], Any], names: Callable[[Place], list[str]]
) -> None:
    """Make one thing after the other: each place lists its own and nothing before it is made."""
    for at, place in enumerate(places):
        assert [names(each) for each in places] == [[NAME]] * at + [[]] * (len(places) - at)
        make(place)
    assert [names(each) for each in places] == [[NAME]] * len(places)


def test_tables_are_apart_by_account_and_region(places: list[Place]) -> None:
    def make(place: Place) -> None:
        client = place.client("dynamodb")
        made = client.create_table(
            TableName=NAME,
            KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )["TableDescription"]
        assert made["TableArn"] == (f"arn:aws:dynamodb:{place.region}:{place.account}:table/{NAME}")
        item = {"k": {"S": "k"}, "of": {"S": made["TableArn"]}}
        client.put_item(TableName=NAME, Item=item)

    each_alone(places, make, lambda place: place.client("dynamodb").list_tables()["TableNames"])
    for place in places:
        item = place.client("dynamodb").get_item(TableName=NAME, Key={"k": {"S": "k"}})["Item"]
        assert f":{place.region}:{place.account}:" in item["of"]["S"]
    places[0].client("dynamodb").delete_table(TableName=NAME)
    for place in places[1:]:
        assert place.client("dynamodb").scan(TableName=NAME)["Count"] == 1


def test_log_groups_are_apart_by_account_and_region(places: list[Place]) -> None:
    each_alone(
        places,
        lambda place: place.client("logs").create_log_group(logGroupName=NAME),
        lambda place: [
            each["logGroupName"] for each in place.client("logs").describe_log_groups()["logGroups"]
        ],
    )
    places[0].client("logs").delete_log_group(logGroupName=NAME)
    for place in places[1:]:
        assert place.client("logs").describe_log_groups()["logGroups"]


def test_functions_are_apart_by_account_and_region(places: list[Place]) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr(
            "app.py", "def handler(event, context):\n    return context.invoked_function_arn\n"
        )
    for place in places[::2]:
        place.client("iam").create_role(RoleName="runs", AssumeRolePolicyDocument=TRUST)

    def make(place: Place) -> None:
        place.client("lambda").create_function(
            FunctionName=NAME,
            Role=f"arn:aws:iam::{place.account}:role/runs",
            Runtime="python3.12",
            Handler="app.handler",
            Code={"ZipFile": packed.getvalue()},
        )

    each_alone(
        places,
        make,
        lambda place: [
            each["FunctionName"] for each in place.client("lambda").list_functions()["Functions"]
        ],
    )
    for place in places:
        said = place.client("lambda").get_function(FunctionName=NAME)["Configuration"]
        assert said["FunctionArn"] == (
            f"arn:aws:lambda:{place.region}:{place.account}:function:{NAME}"
        )
    # A function's name may be an ARN: it never leads to another account or region unallowed.
    foreign = f"arn:aws:lambda:{REGIONS[0]}:{places[2].account}:function:{NAME}"
    with pytest.raises(ClientError) as error:
        places[0].client("lambda").get_function(FunctionName=foreign)
    assert error.value.response["Error"]["Code"] == "AccessDeniedException"


def test_users_and_roles_are_the_accounts_in_every_region(places: list[Place]) -> None:
    for place in places[::2]:
        client = place.client("iam")
        client.create_user(UserName=NAME)
        client.create_role(RoleName=NAME, AssumeRolePolicyDocument=TRUST)
    for place in places:
        client = place.client("iam")
        (user,), (role,) = client.list_users()["Users"], client.list_roles()["Roles"]
        assert user["Arn"] == f"arn:aws:iam::{place.account}:user/{NAME}"
        assert role["Arn"] == f"arn:aws:iam::{place.account}:role/{NAME}"


def test_sessions_hold_in_every_region_and_in_their_account_alone(
    places: list[Place], cloud: Any
) -> None:
    for place in places:
        said = place.client("sts").get_session_token()["Credentials"]
        for region in REGIONS:
            caller = cloud.client(
                "sts",
                access_key=said["AccessKeyId"],
                secret_key=said["SecretAccessKey"],
                token=said["SessionToken"],
                region=region,
            ).get_caller_identity()
            assert caller["Account"] == place.account


def test_bucket_names_are_one_for_all_accounts_and_regions(places: list[Place]) -> None:
    first, *others = places
    first.client("s3").create_bucket(Bucket=NAME)
    for place in others:
        where = (
            {}
            if place.region == "us-east-1"
            else {"CreateBucketConfiguration": {"LocationConstraint": place.region}}
        )
        with pytest.raises(ClientError) as error:
            place.client("s3").create_bucket(Bucket=NAME, **where)
        mine = place.account == first.account
        assert error.value.response["Error"]["Code"] == (
            "BucketAlreadyOwnedByYou" if mine else "BucketAlreadyExists"
        )
        listed = [each["Name"] for each in place.client("s3").list_buckets()["Buckets"]]
        assert listed == ([NAME] if mine else [])


@pytest.fixture
def unknown(cloud: Any) -> Iterator[Callable[[str], Any]]:
    return lambda service: cloud.client(service, region="us-east-9")


@pytest.mark.parametrize(
    ("service", "call", "code", "status"),
    [
        ("dynamodb", "list_tables", "InvalidSignatureException", 400),
        ("logs", "describe_log_groups", "InvalidSignatureException", 400),
        ("lambda", "list_functions", "InvalidSignatureException", 403),
        ("sts", "get_caller_identity", "SignatureDoesNotMatch", 403),
        ("iam", "list_users", "SignatureDoesNotMatch", 403),
        ("s3", "list_buckets", "AuthorizationHeaderMalformed", 400),
    ],
)
def test_there_is_nothing_in_a_region_that_there_is_not(
    unknown: Callable[[str], Any], service: str, call: str, code: str, status: int
) -> None:
    with pytest.raises(ClientError) as error:
        getattr(unknown(service), call)()
    said = error.value.response
    assert said["Error"]["Code"] == code
    assert said["ResponseMetadata"]["HTTPStatusCode"] == status
    assert "us-east-9" in said["Error"]["Message"]
