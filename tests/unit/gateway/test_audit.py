from __future__ import annotations

from fogbank.gateway.audit import AuditEntry, RecentCalls
from fogbank.platform.identity.principal import (
    ANONYMOUS,
    Principal,
    PrincipalKind,
    service_principal,
)

USER = Principal(
    kind=PrincipalKind.USER,
    account="123456789012",
    arn="arn:aws:iam::123456789012:user/a",
    unique_id="AIDAX",
    name="a",
    access_key_id="AKIAX",
)


def entry(**changes: object) -> AuditEntry:
    base = AuditEntry(
        time_ms=1_767_225_600_000,
        request_id="r",
        service="s3",
        operation="CreateBucket",
        principal=USER,
        region="us-east-1",
    )
    return base._replace(**changes)


def test_a_record_has_the_shape_of_cloudtrail() -> None:
    record = entry(source_ip="10.0.0.1", resources=("arn:aws:s3:::b",)).record()
    assert record["eventTime"] == "2026-01-01T00:00:00Z"
    assert record["eventSource"] == "s3.amazonaws.com"
    assert record["userIdentity"] == {
        "type": "IAMUser",
        "principalId": "AIDAX",
        "arn": "arn:aws:iam::123456789012:user/a",
        "accountId": "123456789012",
        "accessKeyId": "AKIAX",
        "userName": "a",
    }
    assert record["resources"] == [{"ARN": "arn:aws:s3:::b"}]
    assert record["recipientAccountId"] == "123456789012"
    assert "errorCode" not in record
    assert (record["readOnly"], record["managementEvent"]) == (False, True)


def test_a_refusal_says_why() -> None:
    record = entry(error_code="AccessDenied", error_message="x" * 5_000).record()
    assert record["errorCode"] == "AccessDenied"
    assert len(record["errorMessage"]) == 1_024


def test_data_events_are_told_from_management() -> None:
    assert not entry(operation="GetObject").record()["managementEvent"]
    assert entry(operation="GetObject").record()["readOnly"]
    assert entry(service="iam", operation="GetUser").record()["managementEvent"]


def test_services_and_anonymous_callers_are_named_as_such() -> None:
    assert entry(principal=service_principal("s3.amazonaws.com")).record()["userIdentity"] == {
        "type": "AWSService",
        "invokedBy": "s3.amazonaws.com",
    }
    assert entry(principal=ANONYMOUS).record()["userIdentity"]["accountId"] == "anonymous"


def test_only_the_newest_calls_are_kept() -> None:
    recent = RecentCalls(3)
    for at in range(5):
        recent(entry(request_id=str(at)))
    assert [each.request_id for each in recent] == ["2", "3", "4"]
    assert recent.total == 5
