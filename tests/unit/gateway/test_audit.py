from __future__ import annotations

from typing import Any

import msgspec

from fogbank.gateway.audit import AuditEntry, RecentCalls, record_of
from fogbank.platform.identity.principal import ANONYMOUS
from fogbank.platform.metering.reading import Read
from fogbank.platform.metering.records import Caller, Entry

ACCOUNT = "123456789012"
USER = {
    "kind": "user",
    "account": ACCOUNT,
    "arn": f"arn:aws:iam::{ACCOUNT}:user/a",
    "unique_id": "AIDAX",
    "name": "a",
    "access_key_id": "AKIAX",
}
TIME_MS = 1_767_225_600_000


def record(
    service: str = "s3",
    operation: str = "CreateBucket",
    caller: dict[str, Any] | None = None,
    **entry: Any,
) -> dict[str, Any]:
    who = Caller(service, operation, "us-east-1", **(caller or USER))
    for name in ("parameters", "response"):
        if name in entry:
            entry[name] = msgspec.msgpack.encode(entry[name])
    return record_of(Read(ACCOUNT, who, Entry(TIME_MS, "request", 0, **entry)))


def test_a_record_has_the_shape_of_cloudtrail() -> None:
    found = record(
        caller={**USER, "source_ip": "10.0.0.1", "user_agent": "sdk", "host": "h", "secure": True},
        resources=("arn:aws:s3:::b",),
        parameters={"Bucket": "b", "CreateBucketConfiguration": {"LocationConstraint": "eu"}},
        response={"Location": "/b"},
        additional={"AuthenticationMethod": "AuthHeader"},
    )
    assert found == {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": "AIDAX",
            "arn": f"arn:aws:iam::{ACCOUNT}:user/a",
            "accountId": ACCOUNT,
            "accessKeyId": "AKIAX",
            "userName": "a",
        },
        "eventTime": "2026-01-01T00:00:00Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": "CreateBucket",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "10.0.0.1",
        "userAgent": "sdk",
        "requestParameters": {
            "bucketName": "b",
            "createBucketConfiguration": {"locationConstraint": "eu"},
        },
        "responseElements": {"location": "/b"},
        "additionalEventData": {"AuthenticationMethod": "AuthHeader"},
        "requestID": "request",
        "eventID": "request",
        "readOnly": False,
        "resources": [{"ARN": "arn:aws:s3:::b", "type": "AWS::S3::Bucket", "accountId": ACCOUNT}],
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
        "tlsDetails": {"clientProvidedHostHeader": "h"},
    }


def test_a_refusal_says_why() -> None:
    found = record(error_code="AccessDenied", error_message="no")
    assert (found["errorCode"], found["errorMessage"]) == ("AccessDenied", "no")
    assert found["responseElements"] is None


def test_data_events_are_told_from_management() -> None:
    found = record(operation="GetObject")
    assert (found["managementEvent"], found["eventCategory"], found["readOnly"]) == (
        False,
        "Data",
        True,
    )
    assert record("iam", "GetUser")["managementEvent"]
    assert not record("dynamodb", "PutItem")["readOnly"]


def test_an_assumed_role_names_its_issuer_and_its_source_identity() -> None:
    found = record(
        caller={
            "kind": "session",
            "account": ACCOUNT,
            "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/r/s",
            "unique_id": "AROAX",
            "name": "r",
            "path": "/p/",
            "session_name": "s",
            "access_key_id": "ASIAX",
            "issued_ms": TIME_MS,
            "source_identity": "mary",
        }
    )
    assert found["userIdentity"] == {
        "type": "AssumedRole",
        "principalId": "AROAX:s",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/r/s",
        "accountId": ACCOUNT,
        "accessKeyId": "ASIAX",
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": "AROAX",
                "arn": f"arn:aws:iam::{ACCOUNT}:role/p/r",
                "accountId": ACCOUNT,
                "userName": "r",
            },
            "attributes": {"creationDate": "2026-01-01T00:00:00Z", "mfaAuthenticated": "false"},
            "sourceIdentity": "mary",
        },
    }


def test_root_services_and_strangers_have_their_own_form() -> None:
    root = {"kind": "root", "account": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:root"}
    assert record(caller=root)["userIdentity"]["type"] == "Root"
    service = {"kind": "service", "arn": "s3.amazonaws.com"}
    assert record(caller=service)["userIdentity"] == {
        "type": "AWSService",
        "invokedBy": "s3.amazonaws.com",
    }
    assert record(caller=service)["sourceIPAddress"] == "s3.amazonaws.com"
    assert record(caller={"kind": "anonymous"})["userIdentity"]["accountId"] == "anonymous"


def test_names_in_maps_stay_as_they_were_given() -> None:
    found = record("dynamodb", "BatchGetItem", parameters={"RequestItems": {"Table": {}}})
    assert found["requestParameters"] == {"requestItems": {"Table": {}}}


def test_only_so_many_refusals_are_kept_in_memory() -> None:
    recent = RecentCalls(3)
    for at in range(5):
        recent(AuditEntry(TIME_MS, str(at), "s3", "GetObject", ANONYMOUS, "us-east-1"))
    assert [each.request_id for each in recent] == ["2", "3", "4"]
    assert recent.total == 5
