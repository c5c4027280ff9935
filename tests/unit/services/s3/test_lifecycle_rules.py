"""Which lifecycle rules may be, and when a version's time is over.

Source: answers of AWS recorded by LocalStack (tests/aws/services/s3/test_s3.snapshot.json,
TestS3BucketLifecycle); Amazon S3 User Guide, "Lifecycle configuration elements".
"""

from __future__ import annotations

from typing import Any

import pytest

from fogbank.base.errors import NotBuilt, ServiceError
from fogbank.services.s3.errors import InvalidArgument, InvalidRequest, MalformedXML
from fogbank.services.s3.rules import lifecycle
from fogbank.services.s3.schema import LifecycleRule, ObjectRecord, Tag

DAY = lifecycle.CALENDAR_DAY_MS
MIDNIGHT = 20_000 * DAY
HOUR = 3_600_000
LEAST: dict[str, Any] = {
    "ID": "one",
    "Status": "Enabled",
    "Filter": {},
    "Expiration": {"Days": 1},
}
BARE: dict[str, Any] = {"ID": "one", "Status": "Enabled", "Filter": {}}


def rules(*given: Any) -> tuple[LifecycleRule, ...]:
    return lifecycle.rules_of({"Rules": list(given)}, ["fresh1", "fresh2"])


def version(
    size: int = 1, modified_ms: int = MIDNIGHT, tags: dict[str, str] | None = None
) -> ObjectRecord:
    made = tuple(Tag(key, value) for key, value in (tags or {}).items())
    return ObjectRecord(etag="e", size=size, modified_ms=modified_ms, sequencer=1, tags=made)


TAG = {"Key": "k", "Value": "v"}


@pytest.mark.parametrize(
    "rule",
    [
        LEAST,
        {"ID": "one", "Status": "Disabled", "Prefix": "a/", "Expiration": {"Days": 7}},
        {**LEAST, "Filter": {"Prefix": ""}},
        {**LEAST, "Filter": {"Tag": TAG}},
        {**LEAST, "Filter": {"ObjectSizeGreaterThan": 0}},
        {**LEAST, "Filter": {"ObjectSizeLessThan": 10}},
        {**LEAST, "Filter": {"And": {"Prefix": "a", "Tags": [TAG, {"Key": "l", "Value": ""}]}}},
        {**LEAST, "Filter": {"And": {"ObjectSizeGreaterThan": 1, "ObjectSizeLessThan": 9}}},
        {**LEAST, "Expiration": {"Date": MIDNIGHT}},
        {**LEAST, "Expiration": {"ExpiredObjectDeleteMarker": True}},
        {**BARE, "NoncurrentVersionExpiration": {"NoncurrentDays": 3}},
        {
            **BARE,
            "NoncurrentVersionExpiration": {"NoncurrentDays": 3, "NewerNoncurrentVersions": 100},
        },
        {**BARE, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2}},
    ],
)
def test_a_rule_reads_back_as_it_was_put(rule: Any) -> None:
    assert lifecycle.rules_view(rules(rule)) == [rule]


def test_a_rule_without_an_id_is_given_one() -> None:
    given = {key: value for key, value in LEAST.items() if key != "ID"}
    assert [rule.id for rule in rules(given, LEAST, given)] == ["fresh1", "one", "fresh2"]


POSITIVE = "must be a positive integer"
FILTERED = {key: value for key, value in LEAST.items() if key != "Filter"}


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([], MalformedXML, "not well-formed"),
        ([{**LEAST, "ID": str(number)} for number in range(1001)], MalformedXML, "not well-formed"),
        ([FILTERED], MalformedXML, "not well-formed"),
        ([{**LEAST, "Prefix": "a"}], MalformedXML, "not well-formed"),
        ([{**LEAST, "Filter": {"Prefix": "a", "Tag": TAG}}], MalformedXML, "not well-formed"),
        ([{**LEAST, "Filter": {"And": {}}}], MalformedXML, "not well-formed"),
        ([{**LEAST, "Expiration": {}}], MalformedXML, "not well-formed"),
        ([{**LEAST, "Expiration": {"Days": 1, "Date": MIDNIGHT}}], MalformedXML, "not well-formed"),
        (
            [{**LEAST, "Expiration": {"Days": 1, "ExpiredObjectDeleteMarker": True}}],
            MalformedXML,
            "not well-formed",
        ),
        ([{**BARE, "NoncurrentVersionExpiration": {}}], MalformedXML, "not well-formed"),
        ([{**BARE, "AbortIncompleteMultipartUpload": {}}], MalformedXML, "not well-formed"),
        ([{**LEAST, "ID": "i" * 256}], InvalidArgument, "should not exceed allowed limit of 255"),
        ([LEAST, LEAST], InvalidArgument, "Rule ID must be unique"),
        ([{**LEAST, "Expiration": {"Days": 0}}], InvalidArgument, f"'Days'.* {POSITIVE}"),
        (
            [{**LEAST, "Expiration": {"Date": MIDNIGHT + 1000}}],
            InvalidArgument,
            "'Date' must be at midnight GMT",
        ),
        (
            [{**BARE, "NoncurrentVersionExpiration": {"NoncurrentDays": 0}}],
            InvalidArgument,
            f"'NoncurrentDays'.* {POSITIVE}",
        ),
        (
            [
                {
                    **BARE,
                    "NoncurrentVersionExpiration": {
                        "NoncurrentDays": 1,
                        "NewerNoncurrentVersions": 101,
                    },
                }
            ],
            InvalidArgument,
            "'NewerNoncurrentVersions'",
        ),
        (
            [{**BARE, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 0}}],
            InvalidArgument,
            f"'DaysAfterInitiation'.* {POSITIVE}",
        ),
        ([BARE], InvalidRequest, "At least one action needs to be specified in a rule"),
        (
            [{**LEAST, "Filter": {"And": {"Tags": [TAG, TAG]}}}],
            InvalidRequest,
            "Duplicate Tag Keys are not allowed.",
        ),
        (
            [
                {
                    **LEAST,
                    "Filter": {"And": {"ObjectSizeGreaterThan": 5, "ObjectSizeLessThan": 5}},
                }
            ],
            InvalidRequest,
            "has to be a value greater than",
        ),
        (
            [LEAST, {**FILTERED, "ID": "two", "Prefix": "a"}],
            InvalidRequest,
            "Base level prefix cannot be used in Lifecycle V2",
        ),
        (
            [
                {
                    **LEAST,
                    "Filter": {"Tag": TAG},
                    "Expiration": {"ExpiredObjectDeleteMarker": True},
                }
            ],
            InvalidRequest,
            "ExpiredObjectDeleteMarker cannot be specified with Tags.",
        ),
        (
            [
                {
                    **LEAST,
                    "Filter": {"ObjectSizeGreaterThan": 1},
                    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
                }
            ],
            InvalidRequest,
            "AbortIncompleteMultipartUpload cannot be specified with",
        ),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(
    given: Any, error: type[ServiceError], message: str
) -> None:
    with pytest.raises(error, match=message):
        rules(*given)


@pytest.mark.parametrize(
    "moves",
    [
        {"Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]},
        {"NoncurrentVersionTransitions": [{"NoncurrentDays": 1, "StorageClass": "GLACIER"}]},
    ],
)
def test_transitions_are_not_built_and_are_refused_as_invalid_first(moves: Any) -> None:
    with pytest.raises(NotBuilt):
        rules({**LEAST, **moves})
    with pytest.raises(NotBuilt):
        rules({**BARE, **moves})
    [(member, [move])] = moves.items()
    for wrong, error in (
        ({"Days": -1, "NoncurrentDays": -1}, InvalidArgument),
        ({"Days": None, "NoncurrentDays": None}, MalformedXML),
        ({"StorageClass": None}, MalformedXML),
    ):
        changed = {key: wrong.get(key, value) for key, value in move.items()}
        broken = {key: value for key, value in changed.items() if value is not None}
        with pytest.raises(error):
            rules({**LEAST, member: [broken]})


def test_the_minimum_size_is_one_of_two() -> None:
    name = "TransitionDefaultMinimumObjectSize"
    assert lifecycle.minimum_size_of({}) == "all_storage_classes_128K"
    assert lifecycle.minimum_size_of({name: "varies_by_storage_class"}) == "varies_by_storage_class"
    with pytest.raises(InvalidRequest, match=f"Invalid {name} found: value"):
        lifecycle.minimum_size_of({name: "value"})


def test_an_age_is_rounded_to_the_next_midnight() -> None:
    """Source: User Guide, "Lifecycle rules based on an object's age": 10:30 and 3 days is the 4th."""
    [rule] = rules({**LEAST, "Expiration": {"Days": 3}})
    made = version(modified_ms=MIDNIGHT + 10 * HOUR)
    assert lifecycle.expires_at([rule], "k", made, DAY) == (MIDNIGHT + 4 * DAY, "one")
    assert lifecycle.is_over([rule], "k", made, MIDNIGHT + 4 * DAY, DAY)
    assert not lifecycle.is_over([rule], "k", made, MIDNIGHT + 4 * DAY - 1, DAY)


def test_of_several_rules_the_one_that_comes_first_counts() -> None:
    found = rules(
        {**LEAST, "Expiration": {"Days": 3}},
        {**LEAST, "ID": "two/ä", "Expiration": {"Days": 2}, "Filter": {"Prefix": "k"}},
        {**LEAST, "ID": "off", "Status": "Disabled"},
    )
    assert lifecycle.expiration_header(found, "k", version()) == (
        'expiry-date="Mon, 07 Oct 2024 00:00:00 GMT", rule-id="two/%C3%A4"'
    )
    assert 'rule-id="one"' in lifecycle.expiration_header(found, "other", version())
    by_date = rules({**LEAST, "Expiration": {"Date": MIDNIGHT - DAY}})
    assert lifecycle.is_over(by_date, "k", version(), MIDNIGHT, DAY)
    assert lifecycle.expiration_header((), "k", version()) == ""


@pytest.mark.parametrize(
    ("which", "covers", "spares"),
    [
        ({"Prefix": "a/"}, ("a/b", version()), ("b", version())),
        ({"ObjectSizeGreaterThan": 5}, ("k", version(6)), ("k", version(5))),
        ({"ObjectSizeLessThan": 5}, ("k", version(4)), ("k", version(5))),
        ({"Tag": TAG}, ("k", version(tags={"k": "v", "l": ""})), ("k", version(tags={"k": "w"}))),
        (
            {"And": {"Prefix": "k", "Tags": [TAG], "ObjectSizeLessThan": 5}},
            ("k", version(tags={"k": "v"})),
            ("k", version()),
        ),
    ],
)
def test_a_filter_covers_what_meets_all_of_it(which: Any, covers: Any, spares: Any) -> None:
    found = rules({**LEAST, "Filter": which})
    assert lifecycle.expires_at(found, *covers, DAY) is not None
    assert lifecycle.expires_at(found, *spares, DAY) is None


def test_versions_go_some_days_after_they_were_replaced_but_the_newest() -> None:
    kept = {"NoncurrentDays": 2, "NewerNoncurrentVersions": 1}
    judge = lifecycle.Noncurrent(rules({**BARE, "NoncurrentVersionExpiration": kept}), DAY)
    old, now = version(modified_ms=0), MIDNIGHT + 3 * DAY
    assert judge.is_over("k", old, (MIDNIGHT, 1), now)
    assert not judge.is_over("k", old, (MIDNIGHT, 0), now)
    assert not judge.is_over("k", old, (MIDNIGHT + DAY, 1), now)


def test_a_marker_that_is_alone_goes_at_once_or_when_it_is_old() -> None:
    at_once = rules({**LEAST, "Expiration": {"ExpiredObjectDeleteMarker": True}})
    by_age, marker = rules(LEAST), version(modified_ms=MIDNIGHT)
    never = rules({**LEAST, "Expiration": {"ExpiredObjectDeleteMarker": False}})
    for found, now, goes in (
        (at_once, MIDNIGHT, True),
        (by_age, MIDNIGHT + DAY, False),
        (by_age, MIDNIGHT + 2 * DAY, True),
        (never, MIDNIGHT + 9 * DAY, False),
    ):
        assert lifecycle.takes_lone_marker(found, "k", marker, now, DAY) is goes


def test_an_upload_is_abandoned_some_days_after_it_began() -> None:
    abort = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}
    found = rules({**BARE, "Filter": {"Prefix": "k"}, **abort})
    assert lifecycle.is_abandoned(found, "k", MIDNIGHT, MIDNIGHT + 2 * DAY, DAY)
    assert not lifecycle.is_abandoned(found, "k", MIDNIGHT, MIDNIGHT + 2 * DAY - 1, DAY)
    assert not lifecycle.is_abandoned(found, "other", MIDNIGHT, MIDNIGHT + 2 * DAY, DAY)
