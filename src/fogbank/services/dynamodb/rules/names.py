"""Names of tables as requests give them: plain, or as an ARN.

Source: Amazon DynamoDB API Reference, ``TableName``; Developer Guide, "Naming rules".
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from fogbank.base.arn import find_arn
from fogbank.base.types import Request
from fogbank.contract.action import Scope
from fogbank.platform.store.engine import Domain
from fogbank.services.dynamodb import arns
from fogbank.services.dynamodb.errors import ResourceNotFoundException, ValidationException
from fogbank.services.dynamodb.quotas import TABLE_NAME_LENGTH_MAX, TABLE_NAME_LENGTH_MIN

_PATTERN: Final = "[a-zA-Z0-9_.-]+"
_NAME: Final = re.compile(_PATTERN)
_TABLE: Final = "table/"
_NAMES_REMEMBERED_MAX: Final = 1_024
NOT_THE_OWNER: Final = (
    "This action is only supported by accounts that match the resource owner\u2019s account."
)
"""AWS: in these words, apostrophe and all (ack-api-quirks, DDB-TABLE-212)."""
_SEVERAL_OWNERS: Final = "All tables of a request must be of one account"


def table_name_of(scope: Scope, request: Request) -> str:
    """Return the name of the table of the caller's account and region that a request means.

    Raises:
        ValidationException: It can be the name of no table, or is the ARN of another account's.
        ResourceNotFoundException: It is the ARN of a table elsewhere.
    """
    return own_name(scope, request["TableName"])


def own_name(scope: Scope, given: str) -> str:
    """Return the plain name for a name or an ARN of a table of this account and region."""
    return _name_in(scope, scope.account, given, NOT_THE_OWNER)


def shared_name_of(scope: Scope, domain: Domain, request: Request) -> str:
    """Return the name of the table that a request means, whichever account it is of.

    Args:
        scope: The caller's.
        domain: The call's own, which ``rules/owners`` has found by the same member.
        request: With ``TableName``.

    Raises:
        ValidationException: It can be the name of no table.
        ResourceNotFoundException: It is the ARN of a table elsewhere.
    """
    return shared_name(scope, domain, request["TableName"])


def shared_name(scope: Scope, domain: Domain, given: str) -> str:
    """Return the plain name for a name or an ARN of a table in the domain of a call.

    Raises:
        ValidationException: It is of another account than the domain is.
    """
    return _name_in(scope, domain.name[1], given, _SEVERAL_OWNERS)


def _name_in(scope: Scope, owner: str, given: str, elsewhere: str) -> str:
    """Return the plain name of a table of an account in the region of a request."""
    arn = find_arn(given) if ":" in given else None
    if arn is None:
        require_name(given)
        if scope.account != owner:
            raise ValidationException(elsewhere)
        return given
    name = arn.resource.removeprefix(_TABLE)
    if given != arns.table_arn(scope.region, arn.account, name):
        # Tables of other regions are not served at this endpoint.
        raise ResourceNotFoundException(f"Requested resource not found: Table: {given} not found")
    require_name(name)
    if arn.account != owner:
        raise ValidationException(elsewhere)
    return name


def is_name(raw: bytes) -> bool:
    """Return whether some bytes can be the name of a table."""
    return re.fullmatch(_PATTERN.encode(), raw) is not None


@lru_cache(maxsize=_NAMES_REMEMBERED_MAX)
def require_name(name: str) -> None:
    """Refuse what can be the name of no table, in the words of AWS's own model checks."""
    faults: list[str] = []
    if _NAME.fullmatch(name) is None:
        faults.append(f"Member must satisfy regular expression pattern: {_PATTERN}")
    if len(name) < TABLE_NAME_LENGTH_MIN:
        faults.append(f"Member must have length greater than or equal to {TABLE_NAME_LENGTH_MIN}")
    if len(name) > TABLE_NAME_LENGTH_MAX:
        faults.append(f"Member must have length less than or equal to {TABLE_NAME_LENGTH_MAX}")
    if faults:
        found = "; ".join(
            f"Value '{name}' at 'tableName' failed to satisfy constraint: {fault}"
            for fault in faults
        )
        plural = "s" if len(faults) > 1 else ""
        raise ValidationException(f"{len(faults)} validation error{plural} detected: {found}")
