"""Filters of event source mappings that a key of KMS seals.

Source: Lambda Developer Guide, "Data encryption at rest for AWS Lambda"; API Reference,
FilterCriteriaError.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fogbank.services.dynamodb import SERVICE as DYNAMODB
from fogbank.services.dynamodbstreams import SERVICE as STREAMS
from fogbank.services.iam import SERVICE as IAM
from fogbank.services.kms import SERVICE as KMS
from fogbank.services.lambda_ import SERVICE as LAMBDA
from fogbank.services.logs import SERVICE as LOGS
from fogbank.services.s3 import SERVICE as S3
from fogbank.services.sts import SERVICE as STS
from fogbank.testing.cloud import Cloud

SECRET = "what nobody may read"
EVEN = {"Filters": [{"Pattern": json.dumps({"dynamodb": {"Keys": {"c": {"N": ["2", SECRET]}}}})}]}
ODD = {"Filters": [{"Pattern": json.dumps({"dynamodb": {"Keys": {"c": {"N": ["3", SECRET]}}}})}]}


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    services = [DYNAMODB, STREAMS, IAM, KMS, LAMBDA, LOGS, S3, STS]
    with Cloud(services=services, replay=True, work_dir=tmp_path) as made:
        yield made


@pytest.fixture
def kms(cloud: Cloud) -> Any:
    return cloud.client("kms")


@pytest.fixture
def key(kms: Any, account: str) -> str:
    """Return the ARN of a key whose policy lets Lambda open what it seals."""
    own = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "kms:*", "Resource": "*"}
    opens = {"Principal": {"Service": "lambda.amazonaws.com"}, "Action": "kms:Decrypt"}
    policy = {"Version": "2012-10-17", "Statement": [own, {**own, **opens}]}
    return kms.create_key(Policy=json.dumps(policy))["KeyMetadata"]["Arn"]


def in_clear(cloud: Cloud) -> bool:
    """Return whether filters stand in rows that the trail of what was asked for does not have."""
    cloud.settle()
    engine: Any = cloud.engine
    rows = [each for each in engine.rows.values() if b"audit.batch" not in each[:16]]
    return any(SECRET.encode() in each for each in rows)


def test_sealed_filters_choose_records_and_are_told_to_who_may_decrypt(
    source: Any,
    function: Any,
    functions: Any,
    put: Any,
    cloud: Cloud,
    key: str,
    told: Any,
    user: Any,
    kms: Any,
) -> None:
    uuid = source(FilterCriteria=EVEN, KMSKeyArn=key)
    assert not in_clear(cloud)
    assert (told(uuid)["KMSKeyArn"], told(uuid)["FilterCriteria"]) == (key, EVEN)
    [listed] = functions.list_event_source_mappings()["EventSourceMappings"]
    assert "FilterCriteria" not in listed
    put(1, 2, 3)
    cloud.advance(10_000)
    assert function.batches == [["2"]]
    looker = user("looker", {"Effect": "Allow", "Action": "lambda:*", "Resource": "*"})
    shown = looker.get_event_source_mapping(UUID=uuid)
    assert "FilterCriteria" not in shown
    assert shown["FilterCriteriaError"]["ErrorCode"] == "AccessDeniedException"
    kms.disable_key(KeyId=key)
    put(2, other={"S": "new"})
    cloud.advance(20_000)
    assert function.batches == [["2"]], "without its filters nothing is chosen"
    assert told(uuid)["LastProcessingResult"] == (
        f"PROBLEM: filter criteria: DisabledException: {key} is disabled."
    )
    assert told(uuid)["FilterCriteriaError"]["ErrorCode"] == "DisabledException"
    kms.enable_key(KeyId=key)
    cloud.advance(20_000)
    assert function.batches == [["2"], ["2"]]
    assert functions.delete_event_source_mapping(UUID=uuid)["FilterCriteria"] == EVEN


def test_filters_are_sealed_anew_where_the_key_or_the_function_is_another(
    source: Any,
    function: Any,
    functions: Any,
    create: Any,
    put: Any,
    cloud: Cloud,
    key: str,
    kms: Any,
    told: Any,
    user: Any,
    refusal: Any,
) -> None:
    uuid = source(FilterCriteria=EVEN)
    assert in_clear(cloud)

    def change(**changes: Any) -> Any:
        return functions.update_event_source_mapping(UUID=uuid, **changes)

    assert change(KMSKeyArn=key)["FilterCriteria"] == EVEN
    assert not in_clear(cloud)
    assert change(FilterCriteria=ODD)["FilterCriteria"] == ODD
    assert change(BatchSize=7)["FilterCriteria"] == ODD
    create(FunctionName="g", Role=functions.get_function(FunctionName="f")["Configuration"]["Role"])
    assert change(FunctionName="g")["FilterCriteria"] == ODD
    put(1, 2, 3)
    cloud.advance(10_000)
    assert function.batches == [["3"]]
    limited = user("limited", {"Effect": "Allow", "Action": "lambda:*", "Resource": "*"})
    code, message = refusal(limited.update_event_source_mapping, UUID=uuid, KMSKeyArn="")
    assert code == "AccessDeniedException"
    assert message.startswith("Lambda was unable to decrypt your filter criteria because")
    code, message = refusal(limited.update_event_source_mapping, UUID=uuid, FilterCriteria=EVEN)
    assert code == "AccessDeniedException"
    assert message.startswith("Lambda was unable to configure access to your filter criteria")
    assert "KMSKeyArn" not in change(KMSKeyArn="")
    assert told(uuid)["FilterCriteria"] == ODD
    change(KMSKeyArn=key)
    assert "FilterCriteria" not in change(FilterCriteria={"Filters": []})
    assert told(uuid)["KMSKeyArn"] == key
