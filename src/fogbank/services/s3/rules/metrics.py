"""Metrics configurations: what is legal, how they are answered, and what they measure.

Source: Amazon S3 User Guide, "Metrics and dimensions" (Amazon S3 request metrics in CloudWatch),
"CloudWatch metrics configurations"; API Reference, PutBucketMetricsConfiguration, MetricsAndOperator; what
a live account answered to filters and ids that are not legal (floci-io/floci, pull request 2382;
aws/aws-cli, issue 4476).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final, cast

from fogbank.base.arn import find_arn
from fogbank.base.types import Wire
from fogbank.contract.request_log import RequestFacts
from fogbank.platform.metering.metrics import Board
from fogbank.services.s3 import metrics
from fogbank.services.s3.errors import InvalidArgument, MalformedXML
from fogbank.services.s3.quotas import KEY_BYTES_MAX
from fogbank.services.s3.rules.tags import OBJECT, tag_set, tags_of
from fogbank.services.s3.schema import Tag
from fogbank.services.s3.schema.metrics import MetricsRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes

_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_PREFIX: Final = "prefix"
_TAG: Final = "tag"
_POINT: Final = "point"
_AND: Final = "and"
_PREDICATES_MIN: Final = 2
_FORMS: Final = {"Prefix": _PREFIX, "Tag": _TAG, "AccessPointArn": _POINT, "And": _AND}
_KINDS: Final[Mapping[str, str]] = {
    "GET": metrics.GET,
    "PUT": metrics.PUT,
    "DELETE": metrics.DELETE,
}
"""By the method of a request for an object."""
_LISTS: Final = frozenset({"ListObjects", "ListObjectsV2", "ListObjectVersions"})
_UNCOUNTED: Final = frozenset({"ListParts", "SelectObjectContent"})
"""AWS: paginated requests are no GetRequests, and this is no PostRequest."""
_CLIENT_ERROR: Final = 400
_SERVER_ERROR: Final = 500


def record_of(request_id: str, given: shapes.MetricsConfiguration) -> MetricsRecord:
    """Return a configuration as it is kept, checked.

    Args:
        request_id: The id that the request names.
        given: The configuration.

    Raises:
        MalformedXML: The ids differ, or the filter is not one condition, or not two of them.
        InvalidArgument: The id, the prefix or the access point cannot be one.
        InvalidTag: A tag cannot be one.
    """
    if given["Id"] != request_id:
        raise MalformedXML
    if _ID.fullmatch(request_id) is None:
        raise InvalidArgument(
            "The metrics configuration id has 1 to 64 letters, numbers, periods, dashes and underscores",
            ArgumentName="Id",
            ArgumentValue=request_id,
        )
    if "Filter" not in given:
        return MetricsRecord()
    found: Wire = {**given["Filter"]}
    if len(found) != 1:
        raise MalformedXML
    ((name, value),) = found.items()
    parts: Wire = value if name == "And" else {name: value}
    prefix: str | None = parts.get("Prefix")
    tags = cast("list[shapes.Tag]", parts.get("Tags", [parts["Tag"]] if "Tag" in parts else []))
    point: str = parts.get("AccessPointArn", "")
    if name == "And" and (prefix is not None) + len(tags) + bool(point) < _PREDICATES_MIN:
        raise MalformedXML
    _check(prefix or "", point)
    pairs = tuple((tag.key, tag.value) for tag in tags_of(tags, OBJECT))
    return MetricsRecord(form=_FORMS[name], prefix=prefix, tags=pairs, point=point)


def _check(prefix: str, point: str) -> None:
    """Refuse what no key begins with, and what is no access point."""
    if len(prefix.encode()) > KEY_BYTES_MAX:
        raise InvalidArgument(
            f"The maximum size of a prefix is {KEY_BYTES_MAX}", ArgumentName="Prefix"
        )
    arn = find_arn(point) if point else None
    if point and (
        arn is None or arn.service != "s3" or not arn.resource.startswith("accesspoint/")
    ):
        raise InvalidArgument(
            "The access point ARN is invalid", ArgumentName="AccessPointArn", ArgumentValue=point
        )


def shown(config_id: str, record: MetricsRecord) -> shapes.MetricsConfiguration:
    """Return a configuration as it is answered."""
    reply: shapes.MetricsConfiguration = {"Id": config_id}
    tags = tag_set([Tag(*each) for each in record.tags])
    if record.form == _PREFIX:
        reply["Filter"] = {"Prefix": record.prefix or ""}
    elif record.form == _TAG:
        reply["Filter"] = {"Tag": tags[0]}
    elif record.form == _POINT:
        reply["Filter"] = {"AccessPointArn": record.point}
    elif record.form == _AND:
        both: shapes.MetricsAndOperator = {}
        if record.prefix is not None:
            both["Prefix"] = record.prefix
        if tags:
            both["Tags"] = tags
        if record.point:
            both["AccessPointArn"] = record.point
        reply["Filter"] = {"And": both}
    return reply


def is_about(record: MetricsRecord, key: str, point: str) -> bool:
    """Return whether a configuration is about a request, whatever tags its object has."""
    return key.startswith(record.prefix or "") and record.point in ("", point)


def bears(record: MetricsRecord, tags: Mapping[str, str]) -> bool:
    """Return whether an object has the tags that a configuration asks for."""
    return all(tags.get(key) == value for key, value in record.tags)


def note(board: Board, facts: RequestFacts) -> None:
    """Note a request that was answered."""
    board.note(metrics.ALL)
    for name in _kinds_of(facts):
        board.note(name)
    failed_here = facts.status >= _SERVER_ERROR
    # AWS: "with a value of either 0 or 1. The Average statistic shows the error rate".
    board.note(metrics.ERRORS_4XX, float(facts.status >= _CLIENT_ERROR and not failed_here))
    board.note(metrics.ERRORS_5XX, float(failed_here))
    if facts.bytes_sent:
        board.distribute(metrics.DOWNLOADED, facts.bytes_sent)
    if facts.bytes_received:
        board.distribute(metrics.UPLOADED, facts.bytes_received)
    first = facts.micros or 0
    board.distribute(metrics.FIRST_BYTE, first / 1000)
    board.distribute(metrics.TOTAL, (facts.whole_micros or first) / 1000)


def _kinds_of(facts: RequestFacts) -> Iterator[str]:
    """Yield the metrics of requests of one type that a request counts in."""
    operation, method = facts.operation, facts.method
    if operation in _LISTS:
        yield metrics.LIST
    elif operation == "DeleteObjects":
        yield metrics.DELETE
    elif method == "HEAD":
        yield metrics.HEAD
    elif operation in _UNCOUNTED:
        return
    elif method == "POST":
        yield metrics.POST
    elif facts.key and method in _KINDS:
        yield _KINDS[method]
