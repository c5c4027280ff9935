"""CORS configurations of buckets: what is legal, and how they are kept and answered.

Source: Amazon S3 User Guide, "Elements of a CORS configuration"; API Reference, PutBucketCors;
messages from answers recorded by LocalStack (tests/aws/services/s3/test_s3_cors.snapshot.json) and
quoted by users of the service.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from fogbank.contract.facet import OriginRule
from fogbank.services.s3.errors import InvalidArgument, InvalidRequest, MalformedXML
from fogbank.services.s3.quotas import CORS_RULES_MAX, RULE_ID_CHARACTERS_MAX

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes

_METHODS: Final = frozenset({"GET", "PUT", "POST", "DELETE", "HEAD"})


def rules_of(configuration: shapes.CORSConfiguration) -> tuple[OriginRule, ...]:
    """Return the rules of a configuration, checked.

    Raises:
        MalformedXML: There is none, or more than a bucket may have.
        InvalidRequest: A method is none that rules are about, or a pattern has several wildcards.
        InvalidArgument: An id is too long.
    """
    given = configuration["CORSRules"]
    if not 1 <= len(given) <= CORS_RULES_MAX:
        raise MalformedXML
    return tuple(_rule_of(each) for each in given)


def _rule_of(given: shapes.CORSRule) -> OriginRule:
    """Return one rule, checked."""
    rule = OriginRule(
        id=given.get("ID") or "",
        origins=tuple(given["AllowedOrigins"]),
        methods=tuple(given["AllowedMethods"]),
        headers=tuple(given.get("AllowedHeaders") or ()),
        exposed=tuple(given.get("ExposeHeaders") or ()),
        max_age_s=given.get("MaxAgeSeconds"),
    )
    if not rule.origins or not rule.methods:
        raise MalformedXML
    if len(rule.id) > RULE_ID_CHARACTERS_MAX:
        raise InvalidArgument(
            f"ID length should not exceed allowed limit of {RULE_ID_CHARACTERS_MAX}"
        )
    for method in rule.methods:
        if method not in _METHODS:
            raise InvalidRequest(
                f"Found unsupported HTTP method in CORS config. Unsupported method is {method}"
            )
    _check_patterns("AllowedOrigin", rule.origins)
    _check_patterns("AllowedHeader", rule.headers)
    for name in rule.exposed:
        if "*" in name:
            raise InvalidRequest(
                f'ExposeHeader "{name}" contains wildcard. We currently do not support wildcard '
                "for ExposeHeader"
            )
    return rule


def _check_patterns(element: str, patterns: Iterable[str]) -> None:
    """Refuse patterns with several wildcards."""
    for pattern in patterns:
        if pattern.count("*") > 1:
            raise InvalidRequest(f'{element} "{pattern}" can not have more than one wildcard.')


def configuration_of(rules: Iterable[OriginRule]) -> shapes.GetBucketCorsOutput:
    """Return rules as GetBucketCors answers them."""
    return {"CORSRules": [_view_of(rule) for rule in rules]}


def _view_of(rule: OriginRule) -> shapes.CORSRule:
    """Return one rule as it is answered."""
    view: shapes.CORSRule = {
        "AllowedMethods": list(rule.methods),
        "AllowedOrigins": list(rule.origins),
    }
    if rule.id:
        view["ID"] = rule.id
    if rule.headers:
        view["AllowedHeaders"] = list(rule.headers)
    if rule.exposed:
        view["ExposeHeaders"] = list(rule.exposed)
    if rule.max_age_s is not None:
        view["MaxAgeSeconds"] = rule.max_age_s
    return view
