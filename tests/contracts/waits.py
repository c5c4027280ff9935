"""How the condition of each waiter comes about: what stands before, and what then happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tests.contracts.made_up import BUCKET, KEY, NAME, TRUST, package
from tests.contracts.seeds import ALLOW_ALL, Clients

Do = Callable[[Clients, str], Any]


def nothing(_clients: Clients, _account: str) -> None:
    """Change nothing."""


class Wait(NamedTuple):
    """One waiter's story."""

    request: Callable[[Clients, str], dict[str, Any]]
    """What it asks, once what stands before stands."""
    happens: Do = nothing
    """What happens while it sleeps."""
    before: Do = nothing
    """What stands when it begins."""
    at_once: bool = False
    """The condition holds at once: our resources are usable, and small work is done, by then."""


def _create_table(clients: Clients, _account: str) -> None:
    clients("dynamodb").create_table(
        TableName=NAME,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )


def _count_keys(clients: Clients, _account: str) -> None:
    clients("dynamodb").update_contributor_insights(
        TableName=NAME, ContributorInsightsAction="ENABLE"
    )


def _export_table(clients: Clients, account: str) -> None:
    _create_table(clients, account)
    _create_bucket(clients, account)
    clients("dynamodb").update_continuous_backups(
        TableName=NAME, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    table = clients("dynamodb").describe_table(TableName=NAME)["Table"]
    clients("dynamodb").export_table_to_point_in_time(TableArn=table["TableArn"], S3Bucket=BUCKET)


def _import_table(clients: Clients, account: str) -> None:
    _create_bucket(clients, account)
    clients("s3").put_object(Bucket=BUCKET, Key=KEY, Body=b'{"Item": {"id": {"S": "a"}}}')
    clients("dynamodb").import_table(
        S3BucketSource={"S3Bucket": BUCKET},
        InputFormat="DYNAMODB_JSON",
        TableCreationParameters={
            "TableName": NAME,
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
        },
    )


def _put_in_bulk(clients: Clients, account: str) -> None:
    _create_table(clients, account)
    _create_bucket(clients, account)
    clients("s3").put_object(Bucket=BUCKET, Key=KEY, Body=b'{"Item": {"id": {"S": "a"}}}')
    clients("dynamodb").start_bulk_put_items(
        TableName=NAME,
        InputS3Configuration={"S3Bucket": BUCKET, "InputFormat": "DYNAMODB_JSON"},
        OutputS3Configuration={"S3Bucket": BUCKET, "S3KeyPrefix": "told", "OutputType": ["ERROR"]},
    )


def _bulk_arn(clients: Clients, _account: str) -> dict[str, Any]:
    [found] = clients("dynamodb").list_bulk_operations()["BulkOperationsSummaryList"]
    return {"BulkOperationArn": found["BulkOperationArn"]}


def _export_arn(clients: Clients, _account: str) -> dict[str, Any]:
    [export] = clients("dynamodb").list_exports()["ExportSummaries"]
    return {"ExportArn": export["ExportArn"]}


def _import_arn(clients: Clients, _account: str) -> dict[str, Any]:
    [found] = clients("dynamodb").list_imports()["ImportSummaryList"]
    return {"ImportArn": found["ImportArn"]}


def _create_role(clients: Clients, _account: str) -> None:
    clients("iam").create_role(RoleName=NAME, AssumeRolePolicyDocument=TRUST)


def _create_function(clients: Clients, account: str) -> None:
    _create_role(clients, account)
    clients("lambda").create_function(
        FunctionName=NAME,
        Role=f"arn:aws:iam::{account}:role/{NAME}",
        Runtime="python3.12",
        Handler="index.handler",
        Code={"ZipFile": package()},
    )


def _update_function(clients: Clients, account: str) -> None:
    _create_function(clients, account)
    clients("lambda").update_function_configuration(FunctionName=NAME, Timeout=7)


def _put_object(clients: Clients, _account: str) -> None:
    clients("s3").put_object(Bucket=BUCKET, Key=KEY, Body=b"x")


def _create_bucket(clients: Clients, _account: str) -> None:
    clients("s3").create_bucket(Bucket=BUCKET)


def _create_object(clients: Clients, account: str) -> None:
    _create_bucket(clients, account)
    _put_object(clients, account)


_TABLE = {"TableName": NAME}
_FUNCTION = {"FunctionName": NAME}
_OBJECT = {"Bucket": BUCKET, "Key": KEY}

WAITS: dict[tuple[str, str], Wait] = {
    ("dynamodb", "BulkOperationCompleted"): Wait(_bulk_arn, before=_put_in_bulk, at_once=True),
    ("dynamodb", "ContributorInsightsEnabled"): Wait(
        lambda *_: _TABLE, _count_keys, before=_create_table
    ),
    ("dynamodb", "ExportCompleted"): Wait(_export_arn, before=_export_table, at_once=True),
    ("dynamodb", "ImportCompleted"): Wait(_import_arn, before=_import_table, at_once=True),
    ("dynamodb", "TableExists"): Wait(lambda *_: _TABLE, _create_table),
    ("dynamodb", "TableNotExists"): Wait(
        lambda *_: _TABLE,
        lambda clients, _: clients("dynamodb").delete_table(TableName=NAME),
        _create_table,
    ),
    ("iam", "PolicyExists"): Wait(
        lambda _, account: {"PolicyArn": f"arn:aws:iam::{account}:policy/{NAME}"},
        lambda clients, _: clients("iam").create_policy(PolicyName=NAME, PolicyDocument=ALLOW_ALL),
    ),
    ("iam", "RoleExists"): Wait(lambda *_: {"RoleName": NAME}, _create_role),
    ("iam", "UserExists"): Wait(
        lambda *_: {"UserName": NAME}, lambda clients, _: clients("iam").create_user(UserName=NAME)
    ),
    ("lambda", "FunctionActive"): Wait(lambda *_: _FUNCTION, before=_create_function, at_once=True),
    ("lambda", "FunctionActiveV2"): Wait(
        lambda *_: _FUNCTION, before=_create_function, at_once=True
    ),
    ("lambda", "FunctionExists"): Wait(lambda *_: _FUNCTION, _create_function),
    ("lambda", "FunctionUpdated"): Wait(
        lambda *_: _FUNCTION, before=_update_function, at_once=True
    ),
    ("lambda", "FunctionUpdatedV2"): Wait(
        lambda *_: _FUNCTION, before=_update_function, at_once=True
    ),
    ("lambda", "PublishedVersionActive"): Wait(
        lambda *_: {**_FUNCTION, "Qualifier": "1"},
        before=lambda clients, account: (
            _create_function(clients, account),
            clients("lambda").publish_version(FunctionName=NAME),
        ),
        at_once=True,
    ),
    ("s3", "BucketExists"): Wait(lambda *_: {"Bucket": BUCKET}, _create_bucket),
    ("s3", "BucketNotExists"): Wait(
        lambda *_: {"Bucket": BUCKET},
        lambda clients, _: clients("s3").delete_bucket(Bucket=BUCKET),
        _create_bucket,
    ),
    ("s3", "ObjectExists"): Wait(lambda *_: _OBJECT, _put_object, _create_bucket),
    ("s3", "ObjectNotExists"): Wait(
        lambda *_: _OBJECT,
        lambda clients, _: clients("s3").delete_object(**_OBJECT),
        _create_object,
    ),
}
