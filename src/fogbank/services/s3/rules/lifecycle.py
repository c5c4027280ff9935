"""Lifecycle rules: which may be, what they say of a version, and when its time is over.

Theory: ages count in days. A version's time is over at the first midnight behind it that is at
least so many days after it was written (or, of one that is not current, after it was replaced), so
that rules need applying once a day.

Source: Amazon S3 User Guide, "Managing the lifecycle of objects", "Lifecycle configuration
elements", "How lifecycle rules are evaluated"; API Reference, PutBucketLifecycleConfiguration;
messages from answers recorded by LocalStack (tests/aws/services/s3/test_s3.snapshot.json,
TestS3BucketLifecycle) and quoted by users of the service.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from fogbank.base.errors import NotBuilt
from fogbank.base.types import Request
from fogbank.services.s3.errors import (
    InvalidArgument,
    InvalidBucketState,
    InvalidRequest,
    MalformedXML,
)
from fogbank.services.s3.quotas import (
    LIFECYCLE_RULES_MAX,
    NONCURRENT_KEPT_MAX,
    RULE_ID_CHARACTERS_MAX,
)
from fogbank.services.s3.rules.tags import tag_set
from fogbank.services.s3.schema import BucketRecord, LifecycleRule, ObjectRecord, Tag
from fogbank.wire.timestamps import http_date, iso_seconds

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes

MINIMUM_SIZE: Final = "all_storage_classes_128K"
_MINIMUM_SIZES: Final = (MINIMUM_SIZE, "varies_by_storage_class")
_ENABLED: Final = "Enabled"
CALENDAR_DAY_MS: Final = 24 * 3_600_000


# What may be.


def minimum_size_of(request: Request) -> str:
    """Return the least size of objects that change their class by themselves.

    Raises:
        InvalidRequest: It is none that there is.
    """
    given: str = request.get("TransitionDefaultMinimumObjectSize") or MINIMUM_SIZE
    if given not in _MINIMUM_SIZES:
        raise InvalidRequest(f"Invalid TransitionDefaultMinimumObjectSize found: {given}")
    return given


def rules_of(configuration: Request | None, ids: Iterable[str]) -> tuple[LifecycleRule, ...]:
    """Return the rules of a configuration, checked.

    Args:
        configuration: ``BucketLifecycleConfiguration`` as decoded.
        ids: Fresh ids for rules that give none.

    Raises:
        MalformedXML: A rule lacks what it must have, or says two things where one may be said.
        InvalidArgument: A number, a date or an id cannot be.
        InvalidRequest: What it says does not go together.
        NotBuilt: It moves objects to another storage class.
    """
    given: Sequence[Request] = (configuration or {}).get("Rules") or ()
    if not 1 <= len(given) <= LIFECYCLE_RULES_MAX:
        raise MalformedXML
    fresh = iter(ids)
    rules = tuple(_rule_of(each, fresh) for each in given)
    if len({rule.id for rule in rules}) < len(rules):
        raise InvalidArgument("Rule ID must be unique. Found same ID for more than one rule")
    if len({rule.form == "prefix" for rule in rules}) > 1:
        raise InvalidRequest(
            "Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the "
            "Filter."
        )
    for each in given:
        _check_transitions(each)
    return rules


def _rule_of(given: Request, ids: Iterable[str]) -> LifecycleRule:
    """Return one rule, checked by itself."""
    rule_id: str = given.get("ID") or next(iter(ids))
    if len(rule_id) > RULE_ID_CHARACTERS_MAX:
        raise InvalidArgument(
            f"ID length should not exceed allowed limit of {RULE_ID_CHARACTERS_MAX}",
            ArgumentName="ID",
            ArgumentValue=rule_id,
        )
    rule = LifecycleRule(
        id=rule_id,
        enabled=given["Status"] == _ENABLED,
        **_filter_of(given),
        **_expiration_of(given),
        **_noncurrent_of(given),
        upload_days=_upload_days_of(given),
    )
    acts = (rule.days, rule.date_ms, rule.lone_markers, rule.noncurrent_days, rule.upload_days)
    moves = given.get("Transitions") or given.get("NoncurrentVersionTransitions")
    if not moves and all(each is None for each in acts):
        raise InvalidRequest("At least one action needs to be specified in a rule")
    _check_together(rule)
    return rule


def _filter_of(given: Request) -> dict[str, Any]:
    """Return the fields of a rule that say which objects it is about."""
    if ("Filter" in given) is ("Prefix" in given):
        raise MalformedXML
    if "Prefix" in given:
        return {"form": "prefix", "prefix": given["Prefix"]}
    written: Request = given["Filter"]
    if len(written) > 1:
        raise MalformedXML
    both: Request | None = written.get("And")
    conditions: Request = written if both is None else both
    if both is not None and not both:
        raise MalformedXML
    tags: list[Request] = [conditions["Tag"]] if "Tag" in conditions else []
    tags += conditions.get("Tags") or ()
    if len({tag["Key"] for tag in tags}) < len(tags):
        raise InvalidRequest("Duplicate Tag Keys are not allowed.")
    larger, smaller = conditions.get("ObjectSizeGreaterThan"), conditions.get("ObjectSizeLessThan")
    if larger is not None and smaller is not None and smaller <= larger:
        raise InvalidRequest(
            "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'."
        )
    return {
        "form": "filter" if both is None else "and",
        "prefix": conditions.get("Prefix"),
        "tags": tuple(Tag(tag["Key"], tag["Value"]) for tag in tags),
        "larger_than": larger,
        "smaller_than": smaller,
    }


def _expiration_of(given: Request) -> dict[str, Any]:
    """Return the fields of a rule that say when current versions expire."""
    if "Expiration" not in given:
        return {}
    expiration: Request = given["Expiration"]
    if len(expiration) != 1:
        raise MalformedXML
    days, date_ms = expiration.get("Days"), expiration.get("Date")
    if days is not None:
        _check_days("Days", "Expiration", days)
    if date_ms is not None:
        _check_midnight(date_ms)
    marker = expiration.get("ExpiredObjectDeleteMarker")
    return {"days": days, "date_ms": date_ms, "lone_markers": marker}


def _noncurrent_of(given: Request) -> dict[str, Any]:
    """Return the fields of a rule that say when other versions expire."""
    if "NoncurrentVersionExpiration" not in given:
        return {}
    noncurrent: Request = given["NoncurrentVersionExpiration"]
    if "NoncurrentDays" not in noncurrent:
        raise MalformedXML
    _check_days("NoncurrentDays", "NoncurrentVersionExpiration", noncurrent["NoncurrentDays"])
    kept: int | None = noncurrent.get("NewerNoncurrentVersions")
    if kept is not None and not 1 <= kept <= NONCURRENT_KEPT_MAX:
        raise InvalidArgument(
            "'NewerNoncurrentVersions' for NoncurrentVersionExpiration action must be a positive "
            f"integer not greater than {NONCURRENT_KEPT_MAX}",
            ArgumentName="NewerNoncurrentVersions",
            ArgumentValue=kept,
        )
    return {"noncurrent_days": noncurrent["NoncurrentDays"], "noncurrent_kept": kept}


def _upload_days_of(given: Request) -> int | None:
    """Return after how many days uploads are aborted that were not completed."""
    if "AbortIncompleteMultipartUpload" not in given:
        return None
    days: int | None = given["AbortIncompleteMultipartUpload"].get("DaysAfterInitiation")
    if days is None:
        raise MalformedXML
    _check_days("DaysAfterInitiation", "AbortIncompleteMultipartUpload", days)
    return days


def _check_days(member: str, action: str, days: int) -> None:
    """Refuse an age of no days."""
    if days < 1:
        raise InvalidArgument(
            f"'{member}' for {action} action must be a positive integer",
            ArgumentName=member,
            ArgumentValue=days,
        )


def _check_midnight(date_ms: int) -> None:
    """Refuse a date that has a time of day."""
    if date_ms % CALENDAR_DAY_MS:
        raise InvalidArgument(
            "'Date' must be at midnight GMT",
            ArgumentName="Date",
            ArgumentValue=iso_seconds(date_ms),
        )


def _check_together(rule: LifecycleRule) -> None:
    """Refuse actions that do not go with the filter of their rule."""
    for there, action in (
        (rule.lone_markers is not None, "ExpiredObjectDeleteMarker"),
        (rule.upload_days is not None, "AbortIncompleteMultipartUpload"),
    ):
        if there and rule.tags:
            raise InvalidRequest(f"{action} cannot be specified with Tags.")
        if there and not (rule.larger_than is None and rule.smaller_than is None):
            raise InvalidRequest(f"{action} cannot be specified with Object Size.")


def _check_transitions(given: Request) -> None:
    """Refuse transitions: those that cannot be as AWS does, the others because there are no tiers."""
    transitions: Sequence[Request] = given.get("Transitions") or ()
    for each in transitions:
        if ("Days" in each) is ("Date" in each) or "StorageClass" not in each:
            raise MalformedXML
        if each.get("Days", 0) < 0:
            raise InvalidArgument("'Days' for Transition action must be nonnegative")
        _check_midnight(each.get("Date", 0))
    others: Sequence[Request] = given.get("NoncurrentVersionTransitions") or ()
    for each in others:
        if "NoncurrentDays" not in each or "StorageClass" not in each:
            raise MalformedXML
        if each["NoncurrentDays"] < 0 or each.get("NewerNoncurrentVersions", 1) < 1:
            raise InvalidArgument("'NoncurrentDays' for Transition action must be nonnegative")
    for member in ("Transitions", "NoncurrentVersionTransitions"):
        if given.get(member):
            raise NotBuilt.member("s3", "PutBucketLifecycleConfiguration", member)


def check_unruled(bucket: BucketRecord) -> None:
    """Refuse removals by a second factor only where lifecycle rules remove versions.

    AWS: "You cannot use MFA delete with lifecycle configurations" (User Guide, "Configuring MFA
    delete").

    Raises:
        InvalidBucketState: There are rules.
    """
    if bucket.expires:
        raise InvalidBucketState("MFA delete cannot be used with lifecycle configurations.")


def check_single_factor(bucket: BucketRecord) -> None:
    """Refuse lifecycle rules to a bucket whose versions go by a second factor only.

    AWS: "Lifecycle configuration on multi-factor authentication (MFA)-enabled buckets isn't
    supported" (User Guide, "Managing the lifecycle of objects").

    Raises:
        InvalidBucketState: It is one.
    """
    if bucket.mfa_delete == _ENABLED:
        raise InvalidBucketState("Lifecycle configuration is not supported on MFA-enabled buckets.")


def rules_view(rules: Sequence[LifecycleRule]) -> list[shapes.LifecycleRule]:
    """Return rules as they are answered: as they were put."""
    return [_rule_view(rule) for rule in rules]


def _rule_view(rule: LifecycleRule) -> shapes.LifecycleRule:
    """Return one rule as it is answered."""
    view: shapes.LifecycleRule = {
        "ID": rule.id,
        "Status": _ENABLED if rule.enabled else "Disabled",
    }
    if rule.form == "prefix":
        view["Prefix"] = rule.prefix or ""
    else:
        view["Filter"] = _filter_view(rule)
    if expiration := _expiration_view(rule):
        view["Expiration"] = expiration
    if rule.noncurrent_days is not None:
        noncurrent: shapes.NoncurrentVersionExpiration = {"NoncurrentDays": rule.noncurrent_days}
        if rule.noncurrent_kept is not None:
            noncurrent["NewerNoncurrentVersions"] = rule.noncurrent_kept
        view["NoncurrentVersionExpiration"] = noncurrent
    if rule.upload_days is not None:
        abort: shapes.AbortIncompleteMultipartUpload = {"DaysAfterInitiation": rule.upload_days}
        view["AbortIncompleteMultipartUpload"] = abort
    return view


def _expiration_view(rule: LifecycleRule) -> shapes.LifecycleExpiration:
    """Return when current versions expire as it is answered; empty if the rule does not say."""
    view: shapes.LifecycleExpiration = {}
    if rule.days is not None:
        view["Days"] = rule.days
    if rule.date_ms is not None:
        view["Date"] = rule.date_ms
    if rule.lone_markers is not None:
        view["ExpiredObjectDeleteMarker"] = rule.lone_markers
    return view


def _filter_view(rule: LifecycleRule) -> shapes.LifecycleRuleFilter:
    """Return the filter of a rule as it is answered."""
    sizes: shapes.LifecycleRuleAndOperator = {}
    if rule.prefix is not None:
        sizes["Prefix"] = rule.prefix
    if rule.larger_than is not None:
        sizes["ObjectSizeGreaterThan"] = rule.larger_than
    if rule.smaller_than is not None:
        sizes["ObjectSizeLessThan"] = rule.smaller_than
    if rule.form == "and":
        return {"And": {**sizes, "Tags": tag_set(rule.tags)} if rule.tags else sizes}
    if rule.tags:
        return {"Tag": tag_set(rule.tags)[0]}
    return {**sizes}


# When a time is over.


def next_run_ms(now_ms: int, day_ms: int) -> int:
    """Return the first midnight behind a time: when rules are applied next."""
    return (now_ms // day_ms + 1) * day_ms


def _over_ms(since_ms: int, days: int, day_ms: int) -> int:
    """Return the midnight at which something is over that lasts some days from a time on.

    AWS: "adding the number of days ... and rounding the resulting time to the next day midnight
    UTC" (User Guide, "Lifecycle rules based on an object's age").
    """
    return next_run_ms(since_ms + days * day_ms, day_ms)


def _covers(rule: LifecycleRule, key: str, record: ObjectRecord) -> bool:
    """Return whether an enabled rule is about a version."""
    return (
        rule.enabled
        and key.startswith(rule.prefix or "")
        and (rule.larger_than is None or record.size > rule.larger_than)
        and (rule.smaller_than is None or record.size < rule.smaller_than)
        and all(tag in record.tags for tag in rule.tags)
    )


def expires_at(
    rules: Sequence[LifecycleRule], key: str, record: ObjectRecord, day_ms: int
) -> tuple[int, str] | None:
    """Return when a current version expires and by which rule; None: never.

    Of several rules the one that comes first counts (User Guide, "How lifecycle rules are
    evaluated").
    """
    found: list[tuple[int, str]] = []
    for rule in rules:
        if rule.days is None and rule.date_ms is None:
            continue
        if _covers(rule, key, record):
            by_age = _over_ms(record.modified_ms, rule.days or 0, day_ms)
            found.append((by_age if rule.date_ms is None else rule.date_ms, rule.id))
    return min(found, default=None)


def expiration_header(rules: Sequence[LifecycleRule], key: str, record: ObjectRecord) -> str:
    """Return ``x-amz-expiration`` of a current version, by the calendar; nothing: it never expires."""
    found = expires_at(rules, key, record, CALENDAR_DAY_MS)
    if found is None:
        return ""
    return f'expiry-date="{http_date(found[0])}", rule-id="{quote(found[1])}"'


def is_over(
    rules: Sequence[LifecycleRule], key: str, record: ObjectRecord, now_ms: int, day_ms: int
) -> bool:
    """Return whether the time of a current version is over."""
    found = expires_at(rules, key, record, day_ms)
    return found is not None and found[0] <= now_ms


class Noncurrent:
    """Judges the versions of a key that are not current, the newest first.

    Args:
        rules: Those of the bucket.
        day_ms: How long a day is.
    """

    __slots__ = ("_day_ms", "_rules")

    def __init__(self, rules: Sequence[LifecycleRule], day_ms: int) -> None:
        self._rules = [rule for rule in rules if rule.noncurrent_days is not None]
        self._day_ms = day_ms

    def is_over(
        self, key: str, record: ObjectRecord, replaced: tuple[int, int], now_ms: int
    ) -> bool:
        """Return whether the time of a version is over.

        Args:
            key: Its key.
            record: The version.
            replaced: When, and how many versions that are not current have come since.
            now_ms: Now.
        """
        since_ms, newer = replaced
        return any(
            newer >= (rule.noncurrent_kept or 0)
            and _over_ms(since_ms, rule.noncurrent_days or 0, self._day_ms) <= now_ms
            and _covers(rule, key, record)
            for rule in self._rules
        )


def takes_lone_marker(
    rules: Sequence[LifecycleRule], key: str, marker: ObjectRecord, now_ms: int, day_ms: int
) -> bool:
    """Return whether a delete marker goes that is all there is of its key.

    AWS: rules that say so take it at once, rules with an age when it has reached that (User Guide,
    "Removing expired object delete markers").
    """
    return any(
        rule.enabled
        and not rule.tags
        and key.startswith(rule.prefix or "")
        and (
            rule.lone_markers
            or (rule.days is not None and _over_ms(marker.modified_ms, rule.days, day_ms) <= now_ms)
            or (rule.date_ms is not None and rule.date_ms <= now_ms)
        )
        for rule in rules
    )


def is_abandoned(
    rules: Sequence[LifecycleRule], key: str, began_ms: int, now_ms: int, day_ms: int
) -> bool:
    """Return whether an upload is aborted that began at a time."""
    return any(
        rule.enabled
        and rule.upload_days is not None
        and key.startswith(rule.prefix or "")
        and _over_ms(began_ms, rule.upload_days, day_ms) <= now_ms
        for rule in rules
    )
