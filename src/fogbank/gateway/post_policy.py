"""The policy of a browser's upload: what a form may say, and until when.

Rule: every field of a form must be named by a condition, but for those that prove it and those that
begin with ``x-ignore-``; names of fields are the same in any case, the document's own names are not.
Checksums need no condition: they can only have bytes refused.

Source: Amazon S3 API Reference, "Browser-Based Uploads Using POST (AWS Signature Version 4)", "POST
Policy"; messages as AWS sends them.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from calendar import timegm
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, cast

import msgspec

from fogbank.base.errors import ServiceError
from fogbank.gateway.render import error_of

_EXPIRATION: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.\d{1,9})?Z")
_UNCONDITIONED: Final = frozenset(
    ("file", "policy", "x-amz-signature", "signature", "awsaccesskeyid", "bucket")
)
_CHECKSUM: Final = "x-amz-checksum-"
_IGNORED: Final = "x-ignore-"
_LENGTH: Final = "content-length-range"
_OPERANDS: Final = 3
_CONTENT_TYPE: Final = "content-type"


class Condition(NamedTuple):
    """What a field must be."""

    operator: str
    """``eq`` or ``starts-with``."""
    field: str
    """In lower case."""
    value: str

    def holds(self, fields: Mapping[str, str]) -> bool:
        """Return whether a form keeps it."""
        # A field that is not there is empty: so "starts-with nothing" lets it be left out.
        given = fields.get(self.field, "")
        if self.operator == "eq":
            return given == self.value
        if self.field == _CONTENT_TYPE:
            # AWS: each type of a list is held against the condition.
            return all(each.strip().startswith(self.value) for each in given.split(","))
        return given.startswith(self.value)


class PostPolicy(NamedTuple):
    """A policy document."""

    expires_ms: int
    conditions: tuple[Condition, ...]
    length: tuple[int, int] | None
    """The least and the greatest number of bytes of the file, if that was said."""

    def check(self, fields: Mapping[str, str], now_ms: int) -> None:
        """Refuse a form that its policy does not allow.

        Args:
            fields: By lower-case name, with ``bucket``; variables are expanded.
            now_ms: The time.

        Raises:
            ServiceError: AccessDenied, with the condition.
        """
        if self.expires_ms <= now_ms:
            raise _denied("Policy expired.")
        for condition in self.conditions:
            if not condition.holds(fields):
                told = json.dumps([condition.operator, f"${condition.field}", condition.value])
                raise _denied(f"Policy Condition failed: {told}")
        named = {condition.field for condition in self.conditions} | _UNCONDITIONED
        extra = [
            name
            for name in fields
            if name not in named and not name.startswith((_IGNORED, _CHECKSUM))
        ]
        if extra:
            raise _denied(f"Extra input fields: {', '.join(extra)}")


def _denied(why: str) -> ServiceError:
    return error_of("AccessDenied", 403, f"Invalid according to Policy: {why}")


def _invalid(why: str) -> ServiceError:
    return error_of("InvalidPolicyDocument", 400, f"Invalid Policy: {why}")


def policy_of(text: str) -> PostPolicy:
    """Return the policy of a form's field.

    Raises:
        ServiceError: InvalidPolicyDocument: it is none.
    """
    try:
        document = msgspec.json.decode(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, RecursionError):  # the last: nested beyond any use
        raise _invalid("Invalid JSON.") from None
    if not isinstance(document, dict):
        raise _invalid("Invalid JSON.")
    entries = cast("dict[str, Any]", document)
    if unknown := [name for name in entries if name not in ("expiration", "conditions")]:
        raise _invalid(f"Unexpected: '{unknown[0][:64]}'.")
    if "expiration" not in entries:
        raise _invalid("Policy missing expiration.")
    if "conditions" not in entries:
        raise _invalid("Policy missing conditions.")
    expires_ms = _expiration_of(entries["expiration"])
    conditions: list[Condition] = []
    length: tuple[int, int] | None = None
    if not isinstance(entries["conditions"], list):
        raise _invalid("Invalid conditions.")
    for entry in cast("list[Any]", entries["conditions"]):
        operands = cast("list[Any]", entry) if isinstance(entry, list) else []
        if operands and str(operands[0]).lower() == _LENGTH:
            length = _length_of(operands)
        else:
            conditions.append(_condition_of(entry))
    return PostPolicy(expires_ms, tuple(conditions), length)


def _expiration_of(value: Any) -> int:
    """Return the end of a policy's life."""
    found = _EXPIRATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise _invalid(f"Invalid 'expiration' value: '{str(value)[:64]}'")
    try:
        moment = datetime(*(int(each) for each in found.groups()), tzinfo=UTC)  # type: ignore[misc,arg-type]
    except ValueError:
        raise _invalid(f"Invalid 'expiration' value: '{value}'") from None
    return timegm(moment.timetuple()) * 1000


def _length_of(entry: list[Any]) -> tuple[int, int]:
    """Return the bounds of a file's length."""
    if len(entry) != _OPERANDS:
        raise _invalid("Invalid content-length-range: wrong number of arguments.")
    try:
        least, most = (int(each) for each in entry[1:])
    except (TypeError, ValueError):
        raise _invalid("Invalid content-length-range: arguments must be integers.") from None
    return least, most


def _condition_of(entry: Any) -> Condition:
    """Return a condition: a pair of an object, or a list of operator, field and value."""
    if isinstance(entry, dict):
        pairs = list(cast("dict[str, Any]", entry).items())
        if len(pairs) != 1:
            raise _invalid(
                "Invalid Simple-Condition: Simple-Conditions must have exactly one property "
                "specified."
            )
        name, value = pairs[0]
        if not isinstance(value, str):
            raise _invalid("Invalid Simple-Condition: value must be a string.")
        return Condition("eq", name.lower(), value)
    if not isinstance(entry, list):
        raise _invalid("Invalid Condition.")
    operands = cast("list[Any]", entry)
    if len(operands) != _OPERANDS or not all(isinstance(each, str) for each in operands):
        raise _invalid("Invalid Condition: wrong number or kind of arguments.")
    operator, field, value = (str(each) for each in operands)
    if operator.lower() not in ("eq", "starts-with"):
        raise _invalid(f"Invalid Condition: unknown operation '{operator[:64]}'.")
    if not field.startswith("$"):
        raise _invalid(f"Invalid Condition: '{field[:64]}' is no field.")
    return Condition(operator.lower(), field[1:].lower(), value)
