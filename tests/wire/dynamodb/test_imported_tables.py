"""Imports into tables whose key KMS has.

Source: Amazon DynamoDB API Reference, ImportTable, TableCreationParameters.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.wire.dynamodb import test_imports as imports
from tests.wire.dynamodb.test_imports import BUCKET, Import, asked, found, lines

from fogbank.platform.store.engine import Domain
from fogbank.services.dynamodb import SERVICE as DYNAMODB
from fogbank.services.iam import SERVICE as IAM
from fogbank.services.kms import SERVICE as KMS
from fogbank.services.logs import SERVICE as LOGS
from fogbank.services.s3 import SERVICE as S3
from fogbank.testing.cloud import Cloud

put, run_import = imports.put, imports.run_import


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with Cloud(services=[DYNAMODB, IAM, KMS, LOGS, S3], replay=True) as made:
        made.client("s3").create_bucket(Bucket=BUCKET)
        yield made


def test_an_import_into_a_table_with_a_key_of_kms_is_sealed(
    put: Any, run_import: Import, dynamodb: Any, cloud: Cloud
) -> None:
    secret = "what nobody may read"
    put("in/1", lines({"p": {"S": "a"}, "s": {"S": secret}}))
    key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    sse = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
    given = asked()["TableCreationParameters"] | {"SSESpecification": sse}
    again = asked(TableCreationParameters=given, ClientToken="once")
    run_import(TableCreationParameters=given, ClientToken="once")
    dynamodb.import_table(**again)
    assert found(dynamodb)["a"]["s"] == {"S": secret}
    told = dynamodb.describe_table(TableName="tab")["Table"]["SSEDescription"]
    assert told["KMSMasterKeyArn"] == key
    assert len(cloud.client("kms").list_grants(KeyId=key)["Grants"]) == 1
    prefix = Domain("dynamodb", key.split(":")[4], "us-east-1").prefix
    rows: Any = cloud.engine.rows
    assert not [
        raw for place, raw in rows.items() if place.startswith(prefix) and secret.encode() in raw
    ]
