"""Resources as ``ResourceArn`` names them: tables, their indexes and their streams.

Source: answers of AWS to each form of an ARN, recorded by the maintainers of its controllers for
Kubernetes (``ListTagsOfResource``, ``GetResourcePolicy`` and their siblings, October 2026).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from fogbank.contract.action import Scope
from fogbank.platform.store.engine import Domain
from fogbank.services.dynamodb.arns import SERVICE
from fogbank.services.dynamodb.errors import AccessDeniedException, ValidationException

_INVALID: Final = "One or more parameter values were invalid: "
_PARTS: Final = (
    "Second colon partition not found",
    "Third colon vendor not found",
    "Fourth colon (region/namespace delimiter) not found",
    "Fifth colon (namespace/relative-id delimiter) not found",
)
_ARN_COLONS: Final = 5
_ACCOUNT: Final = re.compile("[0-9]{12}")
_RESOURCES_REMEMBERED_MAX: Final = 1_024
_RELATIVE: Final = re.compile(
    r"table/(?P<table>[a-zA-Z0-9_.-]{3,255})"
    r"(?:/index/(?P<index>[a-zA-Z0-9_.-]{3,255})|/stream/(?P<stream>[0-9T:.-]{1,64}))?"
)


class Resource(NamedTuple):
    """A resource of a region: a table, or an index or a stream of it."""

    region: str
    account: str
    table: str
    index_name: str = ""
    stream_label: str = ""

    @property
    def is_owned(self) -> bool:
        """Return whether it names an account."""
        return _ACCOUNT.fullmatch(self.account) is not None

    @property
    def within(self) -> str:
        """Return which of the resources of its domain says who may reach it.

        An index is reached by its table's policy, a stream has one of its own.
        """
        return f"{self.table}/stream/{self.stream_label}" if self.stream_label else self.table

    @property
    def domain(self) -> Domain:
        """Return where it lies."""
        return Domain(SERVICE, self.account, self.region)


@lru_cache(maxsize=_RESOURCES_REMEMBERED_MAX)
def find_resource(arn: str) -> Resource | None:
    """Return what an ARN names, or None if it can name nothing of DynamoDB's."""
    parts = arn.split(":", _ARN_COLONS)
    if len(parts) <= _ARN_COLONS or parts[0] != "arn" or parts[2] != SERVICE:
        return None
    found = _RELATIVE.fullmatch(parts[5])
    if found is None:
        return None
    return Resource(parts[3], parts[4], found["table"], found["index"] or "", found["stream"] or "")


def find_domain(arn: str) -> Domain | None:
    """Return the domain of what an ARN names, or None if it names nothing of DynamoDB's."""
    found = find_resource(arn)
    return None if found is None or not found.is_owned else found.domain


def within(arn: str) -> str:
    """Return which of the resources of its domain the ARN of one means."""
    found = find_resource(arn)
    assert found is not None, "asked only for what has a domain"
    return found.within


def require_resource(scope: Scope, arn: str, elsewhere: str) -> Resource:
    """Return the table or stream of the region that an ARN names, whichever account it is of.

    Args:
        scope: The caller's.
        arn: A ``ResourceArn``.
        elsewhere: What is said before the ARN of another region or partition.

    Raises:
        ValidationException: It names none.
        AccessDeniedException: It is another account's.
    """
    if not arn.startswith("arn:"):
        raise ValidationException(f"{_INVALID}ARNs must start with 'arn:': {arn}")
    parts = arn.split(":", _ARN_COLONS)
    if len(parts) <= _ARN_COLONS:
        raise ValidationException(f"{_INVALID}{_PARTS[len(parts) - 2]}: {arn}")
    found = find_resource(arn)
    if found is None:
        raise ValidationException(f"{_INVALID}Provided Arn is not a DynamoDB resource arn: {arn}")
    if (parts[1], found.region) != (scope.partition, scope.region):
        raise ValidationException(f"{elsewhere}{arn}")
    if not found.is_owned:
        raise AccessDeniedException("Access is denied")
    if found.index_name:
        raise ValidationException(
            f"{_INVALID}Invalid resource arn provided, only table or stream is accepted."
            f" Provided resource arn: {arn}"
        )
    return found
