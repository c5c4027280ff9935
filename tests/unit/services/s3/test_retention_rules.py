"""What Object Lock lets be changed, and when it lets go.

Source: Amazon S3 User Guide, "Locking objects with Object Lock": retention modes; answers recorded
by LocalStack (tests/aws/services/s3/test_s3.snapshot.json, TestS3ObjectLockRetention).
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fogbank.base.errors import AccessDenied, NotBuilt, ServiceError
from fogbank.services.s3.errors import (
    InvalidArgument,
    InvalidRequest,
    InvalidRetentionPeriod,
    MalformedXML,
)
from fogbank.services.s3.rules import retention
from fogbank.services.s3.rules.retention import COMPLIANCE, GOVERNANCE
from fogbank.services.s3.schema import BucketRecord, ObjectLock, ObjectRecord, Protection

NOW = 1_800_000_000_000
DAY = 24 * 3_600_000
BARE = BucketRecord(b"bucket01", "bucket", "111111111111", "us-east-1", "", 0)


def locked(lock: ObjectLock | None) -> BucketRecord:
    return msgspec.structs.replace(BARE, object_lock=lock)


def version(*protection: Any) -> ObjectRecord:
    kept = Protection(*protection) if protection else None
    return ObjectRecord(etag="e", size=1, modified_ms=NOW, sequencer=1, protection=kept)


def asked(mode: str, until_ms: int) -> dict[str, Any]:
    return {"Mode": mode, "RetainUntilDate": until_ms} if mode else {}


@pytest.mark.parametrize(
    ("kept", "bypasses", "is_protected"),
    [
        ((), False, False),
        ((GOVERNANCE, NOW + 1), False, True),
        ((GOVERNANCE, NOW + 1), True, False),
        ((GOVERNANCE, NOW), False, False),
        ((COMPLIANCE, NOW + 1), True, True),
        ((COMPLIANCE, NOW), False, False),
        (("", 0, "ON"), True, True),
        (("", 0, "OFF"), False, False),
        ((GOVERNANCE, NOW + 1, "ON"), True, True),
        ((COMPLIANCE, NOW, "ON"), True, True),
    ],
)
def test_a_version_is_protected_until_its_retention_is_over_and_its_hold_is_off(
    kept: tuple[Any, ...], bypasses: bool, is_protected: bool
) -> None:
    record = version(*kept)
    assert retention.is_protected(record, NOW, bypasses=bypasses) is is_protected
    if is_protected:
        with pytest.raises(AccessDenied, match="protected by object lock"):
            retention.check_removal(record, NOW, bypasses=bypasses)
    else:
        retention.check_removal(record, NOW, bypasses=bypasses)


@pytest.mark.parametrize(
    ("old", "new", "needs"),
    [
        # (mode, days left) before and after, and what it takes: nothing, a bypass, or what nobody has.
        (("", 0), (GOVERNANCE, 1), "nothing"),
        (("", 0), ("", 0), "nothing"),
        ((GOVERNANCE, 2), (GOVERNANCE, 2), "nothing"),
        ((GOVERNANCE, 2), (GOVERNANCE, 3), "nothing"),
        ((GOVERNANCE, 2), (GOVERNANCE, 1), "bypass"),
        ((GOVERNANCE, 2), (COMPLIANCE, 2), "bypass"),
        ((GOVERNANCE, 2), ("", 0), "bypass"),
        ((GOVERNANCE, -1), ("", 0), "nothing"),
        ((COMPLIANCE, 2), (COMPLIANCE, 3), "nothing"),
        ((COMPLIANCE, 2), (COMPLIANCE, 1), "never"),
        ((COMPLIANCE, 2), (GOVERNANCE, 3), "never"),
        ((COMPLIANCE, 2), ("", 0), "never"),
        ((COMPLIANCE, -1), (GOVERNANCE, 1), "nothing"),
    ],
)
def test_a_retention_is_made_longer_by_anyone_and_less_by_who_may_bypass_it(
    old: tuple[str, int], new: tuple[str, int], needs: str
) -> None:
    record = version(old[0], NOW + old[1] * DAY if old[0] else 0, "OFF")
    given = asked(new[0], NOW + new[1] * DAY)
    for bypasses in (False, True):
        if needs == "nothing" or (needs == "bypass" and bypasses):
            found = retention.retained(record, given, NOW, bypasses=bypasses)
            assert found == Protection(new[0], given.get("RetainUntilDate", 0), "OFF")
        else:
            with pytest.raises(AccessDenied, match="protected by object lock"):
                retention.retained(record, given, NOW, bypasses=bypasses)


def test_a_retention_has_a_mode_and_a_date_in_the_future() -> None:
    for half in ({"Mode": GOVERNANCE}, {"RetainUntilDate": NOW + 1}):
        with pytest.raises(MalformedXML):
            retention.retained(version(), half, NOW, bypasses=False)
    with pytest.raises(InvalidArgument, match="must be in the future") as caught:
        retention.retained(version(), asked(GOVERNANCE, NOW), NOW, bypasses=True)
    assert caught.value.members["ArgumentName"] == "RetainUntilDate"


def test_a_hold_leaves_the_retention_alone() -> None:
    assert retention.held(version(), "ON") == Protection("", 0, "ON")
    assert retention.held(version(COMPLIANCE, NOW + 1, "ON"), "OFF") == Protection(
        COMPLIANCE, NOW + 1, "OFF"
    )


def test_headers_give_a_mode_and_a_date_or_neither() -> None:
    assert retention.asked_protection({}, NOW) is None
    whole = {"ObjectLockMode": GOVERNANCE, "ObjectLockRetainUntilDate": NOW + 1}
    assert retention.asked_protection(whole, NOW) == Protection(GOVERNANCE, NOW + 1)
    hold = {"ObjectLockLegalHoldStatus": "ON"}
    assert retention.asked_protection(hold, NOW) == Protection("", 0, "ON")
    for missing, name in (
        ("ObjectLockMode", "x-amz-object-lock-mode"),
        ("ObjectLockRetainUntilDate", "x-amz-object-lock-retain-until-date"),
    ):
        half = {key: value for key, value in whole.items() if key != missing}
        with pytest.raises(InvalidArgument, match="must both be supplied") as caught:
            retention.asked_protection(half, NOW)
        assert caught.value.members == {"ArgumentName": name}
    with pytest.raises(InvalidArgument, match="must be in the future"):
        retention.asked_protection({**whole, "ObjectLockRetainUntilDate": NOW}, NOW)


def test_a_new_version_has_what_was_asked_for_or_the_default_of_its_bucket() -> None:
    wanted, hold = Protection(COMPLIANCE, NOW + 5, "ON"), Protection("", 0, "ON")
    assert retention.new_protection(None, BARE, NOW) is None
    with pytest.raises(InvalidRequest, match="Bucket is missing Object Lock Configuration"):
        retention.new_protection(hold, BARE, NOW)
    plain = locked(ObjectLock())
    assert retention.new_protection(None, plain, NOW) is None
    assert retention.new_protection(wanted, plain, NOW) == wanted
    days = locked(ObjectLock(GOVERNANCE, days=2))
    assert retention.new_protection(None, days, NOW) == Protection(GOVERNANCE, NOW + 2 * DAY)
    assert retention.new_protection(wanted, days, NOW) == wanted
    assert retention.new_protection(hold, days, NOW) == Protection(GOVERNANCE, NOW + 2 * DAY, "ON")
    years = locked(ObjectLock(COMPLIANCE, years=1))
    assert retention.new_protection(None, years, NOW) == Protection(COMPLIANCE, NOW + 365 * DAY)


def test_the_bytes_of_a_protected_object_have_a_digest_of_the_clients() -> None:
    protected = Protection(GOVERNANCE, NOW)
    for headers in ({"content-md5": "x"}, {"x-amz-checksum-crc32": "x"}, {"x-amz-trailer": "x"}):
        retention.check_digest(protected, headers)
    retention.check_digest(None, {})
    with pytest.raises(InvalidRequest, match="header is required"):
        retention.check_digest(protected, {"content-length": "1"})


def rule(**default: Any) -> dict[str, Any]:
    return {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": default}}


@pytest.mark.parametrize(
    ("lock", "configuration"),
    [
        (ObjectLock(), {"ObjectLockEnabled": "Enabled"}),
        (ObjectLock(GOVERNANCE, days=36_500), rule(Mode=GOVERNANCE, Days=36_500)),
        (ObjectLock(COMPLIANCE, years=100), rule(Mode=COMPLIANCE, Years=100)),
    ],
)
def test_a_configuration_reads_back_as_it_was_put(lock: ObjectLock, configuration: Any) -> None:
    assert retention.object_lock_of(configuration) == lock
    assert retention.object_lock_view(lock) == configuration


@pytest.mark.parametrize(
    ("configuration", "error"),
    [
        ({}, MalformedXML),
        ({"ObjectLockEnabled": "Enabled", "Rule": {}}, MalformedXML),
        (rule(), MalformedXML),
        (rule(Mode=GOVERNANCE), MalformedXML),
        (rule(Days=1), MalformedXML),
        (rule(Mode=GOVERNANCE, Days=1, Years=1), MalformedXML),
        (rule(Mode=GOVERNANCE, Days=0), InvalidRetentionPeriod),
        (rule(Mode=GOVERNANCE, Days=-1), InvalidRetentionPeriod),
        (rule(Mode=GOVERNANCE, Days=36_501), InvalidRetentionPeriod),
        (rule(Mode=GOVERNANCE, Years=101), InvalidRetentionPeriod),
    ],
)
def test_a_configuration_that_says_nothing_or_too_much_is_refused(
    configuration: Any, error: type[ServiceError]
) -> None:
    with pytest.raises(error):
        retention.object_lock_of(configuration)


def test_event_holds_are_not_built() -> None:
    with pytest.raises(NotBuilt):
        retention.object_lock_of(rule(Mode=GOVERNANCE, Days=1, DefaultEventHold={"Days": 1}))
    for hold in ({"EventHold": "ON"}, {"EventHoldDuration": {"Days": 1}}):
        with pytest.raises(NotBuilt):
            retention.retained(version(), hold, NOW, bypasses=False)


def test_policies_hear_of_the_protection_that_is_asked_for() -> None:
    until = NOW + 10 * DAY - 1_000
    found = retention.condition_keys(
        {"ObjectLockMode": GOVERNANCE, "ObjectLockRetainUntilDate": until}, NOW
    )
    assert found == {
        "s3:object-lock-mode": GOVERNANCE,
        "s3:object-lock-retain-until-date": "2027-01-25T07:59:59Z",
        "s3:object-lock-remaining-retention-days": "10",
    }
    assert retention.condition_keys({"Retention": asked(GOVERNANCE, until)}, NOW) == found
    hold = {"s3:object-lock-legal-hold": "ON"}
    assert retention.condition_keys({"LegalHold": {"Status": "ON"}}, NOW) == hold
    assert retention.condition_keys({"ObjectLockLegalHoldStatus": "ON"}, NOW) == hold
    assert retention.condition_keys({}, NOW) == {}
