"""Types of condition values: how a value of a request is held against those of a policy.

Rule: each function takes the policy's values once and returns a ``Hit``, which tells whether one
value of a request matches any of them. A request's value that is not of the type never matches; a
policy's value that is not of the type is refused.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import operator
import re
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from fogbank.platform.iam.malformed import MalformedPolicy
from fogbank.platform.iam.request import AccessRequest
from fogbank.platform.iam.variables import Template, template_of
from fogbank.platform.iam.wildcards import Matcher, Part, Wild, matcher_of

Hit = Callable[[str, AccessRequest], bool]
HitOf = Callable[[list[str], bool], Hit]
"""From the policy's values, and whether its version knows variables, to the test of a value."""
Said = Callable[[Template, AccessRequest, str], bool]
"""Whether a value is what a template says in a request."""

_COMPARISONS: Final[dict[str, Callable[..., bool]]] = {
    "==": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NUMBER: Final = re.compile(r"[+-]?\d{1,100}(\.\d{1,100})?", re.ASCII)
_EPOCH: Final = re.compile(r"-?\d{5,20}(\.\d{1,9})?", re.ASCII)
_YEAR: Final = re.compile(r"\d{4}(-\d\d)?", re.ASCII)
_INT64_MAX: Final = (1 << 63) - 1
_ARN_COLONS: Final = 5
_IPV4_BITS: Final = 32
_IPV4_MAPPED: Final = 0xFFFF
_TRUTHS: Final = frozenset({"true", "false"})
_LEGACY: Final = "The policy failed legacy parsing"


def _templates(
    wanted: list[str], *, variables: bool, wildcards: bool
) -> tuple[list[list[Part]], list[Template]]:
    """Return the values without variables, as parts, and those with."""
    templates = [template_of(text, variables=variables, wildcards=wildcards) for text in wanted]
    plain = [template.bind(None) for template in templates if not template.variables]
    return [parts for parts in plain if parts is not None], [
        template for template in templates if template.variables
    ]


def _text(parts: list[Part]) -> str:
    """Return the text of parts that are all literal."""
    return "".join(str(part) for part in parts)


def _hit_of(matches: Matcher, templates: list[Template], said: Said) -> Hit:
    """Return whether a value matches, or is what one of the templates says in a request."""

    def plain(value: str, request: AccessRequest) -> bool:
        del request
        return matches(value)

    def bound(value: str, request: AccessRequest) -> bool:
        return matches(value) or any(said(each, request, value) for each in templates)

    return bound if templates else plain


def _says(template: Template, request: AccessRequest, value: str) -> bool:
    """Tell whether a value is one that a template stands for."""
    return template.matches(request, value)


def _says_ignoring_case(template: Template, request: AccessRequest, value: str) -> bool:
    """Tell whether a value is the text that a template says, but for case."""
    parts = template.bind(request)
    return parts is not None and _text(parts).lower() == value.lower()


def text_equals(wanted: list[str], variables: bool) -> Hit:  # noqa: FBT001 (one signature)
    """Compare texts exactly."""
    plain, templates = _templates(wanted, variables=variables, wildcards=False)
    return _hit_of(frozenset(_text(parts) for parts in plain).__contains__, templates, _says)


def text_equals_ignoring_case(wanted: list[str], variables: bool) -> Hit:  # noqa: FBT001 (one of a table of functions, called by place)
    """Compare texts without regard to case."""
    plain, templates = _templates(wanted, variables=variables, wildcards=False)
    literals = frozenset(_text(parts).lower() for parts in plain)
    return _hit_of(lambda value: value.lower() in literals, templates, _says_ignoring_case)


def text_like(wanted: list[str], variables: bool) -> Hit:  # noqa: FBT001 (one of a table of functions, called by place)
    """Compare texts with patterns."""
    plain, templates = _templates(wanted, variables=variables, wildcards=True)
    return _hit_of(_one_of([matcher_of(parts) for parts in plain]), templates, _says)


def _one_of(matchers: list[Matcher]) -> Matcher:
    """Return whether a text matches one of several patterns."""
    return matchers[0] if len(matchers) == 1 else lambda text: any(each(text) for each in matchers)


def arn_like(wanted: list[str], variables: bool) -> Hit:  # noqa: FBT001 (one of a table of functions, called by place)
    """Compare ARNs part by part: a wildcard does not reach over the first five colons."""
    plain, templates = _templates(wanted, variables=variables, wildcards=True)
    matchers = [_arn_matcher(parts) for parts in plain]
    if None in matchers:
        raise MalformedPolicy(_LEGACY)
    known = [matcher for matcher in matchers if matcher is not None]
    return _hit_of(_one_of(known), templates, _says_arn)


def _says_arn(template: Template, request: AccessRequest, value: str) -> bool:
    """Tell whether a value is an ARN that a template stands for."""
    parts = template.bind(request)
    matches = None if parts is None else _arn_matcher(parts)
    return matches is not None and matches(value)


def _arn_matcher(parts: list[Part]) -> Matcher | None:
    """Return the matcher of an ARN pattern, or None if it is none."""
    if parts == [Wild.ANY]:
        return matcher_of(parts)
    sections: list[list[Part]] = [[]]
    for part in parts:
        if not isinstance(part, str):
            sections[-1].append(part)
            continue
        first, *rest = part.split(":", _ARN_COLONS + 1 - len(sections))
        sections[-1].append(first)
        sections.extend([section] for section in rest)
    if len(sections) != _ARN_COLONS + 1:
        return None
    matchers = [matcher_of([part for part in section if part != ""]) for section in sections]

    def matches(value: str) -> bool:
        split = value.split(":", _ARN_COLONS)
        return len(split) == len(matchers) and all(
            matcher(section) for matcher, section in zip(matchers, split, strict=True)
        )

    return matches


def _refuse_variables(wanted: list[str], *, variables: bool) -> None:
    """Refuse variables where AWS knows none."""
    # AWS: variables stand in Resource and in string, ARN and Boolean conditions only ("Condition
    # operators"); elsewhere a policy that holds one could never match what it seems to say.
    if variables and any("${" in value for value in wanted):
        raise MalformedPolicy("Syntax errors in policy.")


def number_is(comparison: str) -> HitOf:
    """Return the comparison of numbers."""
    compare = _COMPARISONS[comparison]

    def hit_of(wanted: list[str], variables: bool) -> Hit:  # noqa: FBT001 (one of a table of functions, called by place)
        _refuse_variables(wanted, variables=variables)
        numbers = [_number(text) for text in wanted]
        if None in numbers:
            raise MalformedPolicy(_LEGACY)

        def hit(value: str, request: AccessRequest) -> bool:
            del request
            given = _number(value)
            return given is not None and any(compare(given, number) for number in numbers)

        return hit

    return hit_of


def _number(text: str) -> Decimal | None:
    """Return the number a text says, or None."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def instant_is(comparison: str) -> HitOf:
    """Return the comparison of dates."""
    compare = _COMPARISONS[comparison]

    def hit_of(wanted: list[str], variables: bool) -> Hit:  # noqa: FBT001 (one of a table of functions, called by place)
        _refuse_variables(wanted, variables=variables)
        instants = [_instant(text) for text in wanted]
        if None in instants:
            raise MalformedPolicy(_LEGACY)

        def hit(value: str, request: AccessRequest) -> bool:
            del request
            given = _instant(value)
            return given is not None and any(compare(given, instant) for instant in instants)

        return hit

    return hit_of


def _instant(text: str) -> Decimal | None:
    """Return seconds since the epoch of a date (W3C's ISO 8601 forms, or epoch seconds)."""
    if _EPOCH.fullmatch(text):
        seconds = Decimal(text)
        return seconds if abs(seconds) <= _INT64_MAX else None
    if _YEAR.fullmatch(text):
        text = text + "-01-01"[len(text) - 4 :]
    try:
        parsed = datetime.fromisoformat(text)
        if parsed.tzinfo is None:
            parsed = parsed.replace(tzinfo=UTC)
        return Decimal(str(parsed.timestamp()))
    except (ValueError, OverflowError):
        return None


def truth_is(wanted: list[str], variables: bool) -> Hit:  # noqa: FBT001 (one of a table of functions, called by place)
    """Compare ``true`` and ``false``, in any case; variables may stand for them."""
    plain, templates = _templates(wanted, variables=variables, wildcards=False)
    truths = frozenset(_text(parts).lower() for parts in plain)
    if truths - _TRUTHS:
        raise MalformedPolicy("Syntax errors in policy.")

    return _hit_of(lambda value: value.lower() in truths, templates, _says_truth)


def _says_truth(template: Template, request: AccessRequest, value: str) -> bool:
    """Tell whether a value is the truth that a template says."""
    return value.lower() in _TRUTHS and _says_ignoring_case(template, request, value)


def _decoded(text: str) -> bytes | None:
    """Return the bytes of a base64 text, or None."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def binary_equals(wanted: list[str], variables: bool) -> Hit:  # noqa: FBT001 (one of a table of functions, called by place)
    """Compare bytes, written in base64."""
    _refuse_variables(wanted, variables=variables)
    decoded = [_decoded(text) for text in wanted]
    if None in decoded:
        raise MalformedPolicy(_LEGACY)

    def hit(value: str, request: AccessRequest) -> bool:
        del request
        given = _decoded(value)
        return given is not None and given in decoded

    return hit


def _address(text: str) -> tuple[int, int] | None:
    """Return version and number of an address, or None if the text is none.

    One of IPv4 in the clothes of IPv6 is one of IPv4.
    """
    try:
        if ":" not in text:
            return 4, int.from_bytes(socket.inet_pton(socket.AF_INET, text))
        number = int.from_bytes(socket.inet_pton(socket.AF_INET6, text))
    except (OSError, ValueError):
        return None
    if number >> _IPV4_BITS == _IPV4_MAPPED:
        return 4, number & ((1 << _IPV4_BITS) - 1)
    return 6, number


def _network(text: str) -> tuple[int, int, int]:
    """Return version, mask and number of a CIDR block or a single address."""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise MalformedPolicy(_LEGACY) from None
    return network.version, int(network.netmask), int(network.network_address)


def address_in(wanted: list[str], variables: bool) -> Hit:  # noqa: FBT001 (one of a table of functions, called by place)
    """Tell whether an address lies in CIDR blocks."""
    _refuse_variables(wanted, variables=variables)
    networks = [_network(text) for text in wanted]

    def hit(value: str, request: AccessRequest) -> bool:
        del request
        address = _address(value)
        if address is None:
            return False
        version, number = address
        for of, mask, network in networks:  # noqa: SIM110 (a loop is twice as fast as any() here)
            if version == of and number & mask == network:
                return True
        return False

    return hit
