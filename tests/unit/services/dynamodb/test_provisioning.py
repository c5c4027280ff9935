"""What may be set of throughput, and in which words AWS refuses the rest.

The words were measured on AWS by others (ack-api-quirks, DDB-TABLE-051, -059, -179 and -326).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from fogbank.contract.quota import Quotas
from fogbank.services.dynamodb import quotas
from fogbank.services.dynamodb.errors import LimitExceededException, ValidationException
from fogbank.services.dynamodb.rules import provisioning, tables
from fogbank.services.dynamodb.schema import TableRecord, ThroughputRecord

HOUR_MS = 3_600_000
MIDNIGHT_MS = 1_791_504_000_000
KEYS: dict[str, Any] = {
    "TableName": "tab",
    "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
    "AttributeDefinitions": [
        {"AttributeName": "p", "AttributeType": "S"},
        {"AttributeName": "g", "AttributeType": "S"},
    ],
}


def units(reads: int, writes: int) -> dict[str, Any]:
    return {"ProvisionedThroughput": {"ReadCapacityUnits": reads, "WriteCapacityUnits": writes}}


def index(**members: Any) -> dict[str, Any]:
    key = [{"AttributeName": "g", "KeyType": "HASH"}]
    return {
        "IndexName": "by-g",
        "KeySchema": key,
        "Projection": {"ProjectionType": "ALL"},
    } | members


def made(request: dict[str, Any], **of_index: Any) -> TableRecord:
    return tables.created_table(
        {**KEYS, **request, "GlobalSecondaryIndexes": [index(**of_index)]},
        name="tab",
        table_id="00000000-0000-0000-0000-000000000001",
        digest_key=bytes(16),
        now_ms=MIDNIGHT_MS,
        limit=Quotas().value,
    )


def changed(table: TableRecord, at_ms: int = MIDNIGHT_MS, **request: Any) -> TableRecord:
    return tables.changed_table(table, request, at_ms, Quotas().value)[0]


def on_demand() -> TableRecord:
    return made({"BillingMode": "PAY_PER_REQUEST"})


def with_units(reads: int, writes: int) -> TableRecord:
    return made(units(reads, writes), **units(reads, writes))


def of_index(**members: Any) -> dict[str, Any]:
    return {"GlobalSecondaryIndexUpdates": [{"Update": {"IndexName": "by-g", **members}}]}


def test_the_day_of_these_tests_begins_at_midnight() -> None:
    assert datetime.fromtimestamp(MIDNIGHT_MS / 1000, UTC) == datetime(2026, 10, 9, tzinfo=UTC)


def test_units_are_lowered_four_times_a_day_and_then_once_an_hour() -> None:
    table = with_units(10, 10)
    for number, reads in enumerate((9, 8, 7, 6)):
        table = changed(table, MIDNIGHT_MS + number, **units(reads, 10))
    assert table.units_changed_ms == 0
    last_ms = table.throughput.decreased_ms
    assert provisioning.decreases_today(table.throughput, last_ms) == 4
    with pytest.raises(LimitExceededException) as caught:
        changed(table, last_ms + HOUR_MS - 1, **units(5, 10))
    assert caught.value.message == (
        "Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC"
        " day. After the first 4 decreases, each subsequent decrease in the same UTC day can be"
        " performed at most once every 3600 seconds. Number of decreases today: 4. Last decrease at"
        " Friday, October 9, 2026 at 12:00:00 AM Coordinated Universal Time. Next decrease can be"
        " made at Friday, October 9, 2026 at 1:00:00 AM Coordinated Universal Time"
    )
    table = changed(table, last_ms + HOUR_MS, **units(5, 10))
    assert provisioning.decreases_today(table.throughput, last_ms + HOUR_MS) == 5
    with pytest.raises(LimitExceededException):
        changed(table, last_ms + HOUR_MS + 1, **units(4, 10))
    # An index has decreases of its own, and units are raised at any time.
    changed(table, last_ms + HOUR_MS + 1, **of_index(**units(1, 1)))
    raised = changed(table, last_ms + HOUR_MS + 1, **units(20, 20))
    assert raised.units_changed_ms == last_ms + HOUR_MS + 1
    assert changed(table, MIDNIGHT_MS + 24 * HOUR_MS, **units(4, 10)).throughput.decreases == 1


def test_maxima_are_merged_and_removed_one_by_one() -> None:
    table = on_demand()
    assert not table.is_bounded
    table = changed(table, OnDemandThroughput={"MaxReadRequestUnits": 5})
    table = changed(table, OnDemandThroughput={"MaxWriteRequestUnits": 7})
    assert (table.throughput.read_max, table.throughput.write_max) == (5, 7)
    assert table.is_bounded
    table = changed(table, OnDemandThroughput={"MaxReadRequestUnits": -1})
    assert provisioning.described_maxima(table.throughput) == {"MaxWriteRequestUnits": 7}
    gone = changed(table, OnDemandThroughput={"MaxWriteRequestUnits": -1})
    assert provisioning.described_maxima(gone.throughput) is None
    assert not gone.is_bounded
    indexed = changed(gone, **of_index(OnDemandThroughput={"MaxWriteRequestUnits": 3}))
    assert indexed.is_bounded
    assert indexed.indexes[0].throughput.write_max == 3
    assert not changed(
        table, BillingMode="PROVISIONED", **units(1, 1), **of_index(**units(1, 1))
    ).is_bounded


def test_warm_throughput_is_what_stands_and_never_gets_less() -> None:
    assert provisioning.described_warm(on_demand(), "PAY_PER_REQUEST", "ACTIVE") == {
        "ReadUnitsPerSecond": 12_000,
        "WriteUnitsPerSecond": 4_000,
        "Status": "ACTIVE",
    }

    def warm(table: TableRecord) -> tuple[int, int]:
        told: Any = provisioning.described_warm(table, table.billing_mode, "ACTIVE")
        return told["ReadUnitsPerSecond"], told["WriteUnitsPerSecond"]

    table = with_units(3, 3)
    assert warm(table) == (3, 3)
    table = changed(table, **units(2, 1))
    assert warm(table) == (3, 3)
    table = changed(table, WarmThroughput={"ReadUnitsPerSecond": 50})
    assert warm(table) == (50, 3)
    table = changed(table, **units(60, 1))
    assert warm(table) == (60, 3)
    table = changed(table, BillingMode="PAY_PER_REQUEST")
    assert warm(table) == (12_000, 4_000)
    table = changed(table, BillingMode="PROVISIONED", **units(1, 1), **of_index(**units(1, 1)))
    assert warm(table) == (12_000, 4_000)
    warmer = changed(table, **of_index(WarmThroughput={"WriteUnitsPerSecond": 4_500}))
    assert provisioning.described_warm(warmer.indexes[0], "PROVISIONED", "ACTIVE") == {
        "ReadUnitsPerSecond": 12_000,
        "WriteUnitsPerSecond": 4_500,
        "Status": "ACTIVE",
    }


MAXIMUM = {"OnDemandThroughput": {"MaxReadRequestUnits": 100}}
COLD = {"WarmThroughput": {"WriteUnitsPerSecond": 2}}


@pytest.mark.parametrize(
    ("table", "request_", "fault"),
    [
        (
            with_units(3, 3),
            MAXIMUM,
            "MaxReadRequestUnits for OnDemandThroughput cannot be specified",
        ),
        (with_units(3, 3), of_index(**MAXIMUM), "for index : by-g cannot be specified"),
        (with_units(3, 3), COLD, "for table is lower than current WarmThroughput, decreasing"),
        (with_units(3, 3), of_index(**COLD), "for index by-g is lower than current WarmThroughput"),
        (
            on_demand(),
            {"OnDemandThroughput": {"MaxWriteRequestUnits": 0}},
            "Requested MaxWriteRequestUnits for OnDemandThroughput for table is outside of valid",
        ),
        (
            on_demand(),
            {"OnDemandThroughput": {"MaxReadRequestUnits": -2}},
            "outside of valid range",
        ),
        (on_demand(), of_index(), "can be to OnDemandThroughput, WarmThroughput"),
        (on_demand(), of_index(**units(1, 1)), "can be specified for index: by-g when"),
    ],
)
def test_what_cannot_be_set_is_refused(table: TableRecord, request_: Any, fault: str) -> None:
    with pytest.raises(ValidationException) as caught:
        changed(table, **request_)
    assert fault in caught.value.message


@pytest.mark.parametrize(
    ("request_", "given", "fault"),
    [
        (units(3, 3) | MAXIMUM, units(3, 3), "when the table BillingMode is PROVISIONED"),
        (units(3, 3) | COLD, units(3, 3), "is lower than WriteCapacityUnits of Provisioned"),
        (
            {"BillingMode": "PAY_PER_REQUEST"} | COLD,
            {},
            "lower than initial throughput for OnDemand",
        ),
        ({"BillingMode": "PAY_PER_REQUEST"}, COLD, "for index by-g is lower than initial"),
        (
            {
                "BillingMode": "PAY_PER_REQUEST",
                "OnDemandThroughput": {"MaxReadRequestUnits": -1},
            },
            {},
            "outside of valid range",
        ),
    ],
)
def test_what_cannot_be_made_is_refused(request_: Any, given: Any, fault: str) -> None:
    with pytest.raises(ValidationException) as caught:
        made(request_, **given)
    assert fault in caught.value.message


@pytest.mark.parametrize(
    ("request_", "given", "fault"),
    [
        (
            units(40_001, 1),
            units(1, 1),
            (
                "The requested ReadCapacityUnits, 40001, is above the per table maximum for the account"
                " in us-east-1. Per table maximum: 40000."
            ),
        ),
        (
            units(1, 1),
            units(1, 40_001),
            "WriteCapacityUnits for index by-g, 40001, is above the per",
        ),
        (
            {
                "BillingMode": "PAY_PER_REQUEST",
                "OnDemandThroughput": {"MaxReadRequestUnits": 40_001},
            },
            {},
            (
                "Requested MaxReadRequestUnits for OnDemandThroughput for table exceeds"
                " TableMaxReadCapacityUnits of the account in region us-east-1"
            ),
        ),
        (
            {"BillingMode": "PAY_PER_REQUEST"},
            {"WarmThroughput": {"WriteUnitsPerSecond": 40_001}},
            "WriteUnitsPerSecond for WarmThroughput for index by-g exceeds",
        ),
    ],
)
def test_a_table_has_a_most(request_: Any, given: Any, fault: str) -> None:
    table = made(request_, **given)
    with pytest.raises(LimitExceededException) as caught:
        provisioning.require_table_limits(table, None, "us-east-1", Quotas().value)
    assert fault in caught.value.message
    # What it had before the limit was lowered it keeps.
    provisioning.require_table_limits(table, table, "us-east-1", Quotas().value)


def test_an_account_has_a_most() -> None:
    limit = Quotas({quotas.ACCOUNT_READ_UNITS.name: 10}).value
    provisioning.require_account_limits((4, 1), (1, 1), (6, 1), "us-east-1", limit)
    with pytest.raises(LimitExceededException) as caught:
        provisioning.require_account_limits((5, 1), (1, 1), (6, 1), "us-east-1", limit)
    assert caught.value.message.startswith(
        "This request would have caused the ReadCapacityUnits limit to be exceeded for the account"
        " in us-east-1. Current ReadCapacityUnits reserved by the account: 7. Limit: 10. Requested:"
        " 4."
    )
    assert provisioning.units_of_all([with_units(1, 2), with_units(3, 4)]) == (8, 12)


def test_records_of_before_have_nothing_of_it() -> None:
    old = msgspec.msgpack.decode(msgspec.msgpack.encode(ThroughputRecord()), type=ThroughputRecord)
    assert not old.has_maxima
