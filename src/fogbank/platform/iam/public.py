"""Whether a policy of a resource lets the public in: unless each grant is to somebody fixed.

Source: Amazon S3 User Guide, "Blocking public access to your Amazon S3 storage" (The meaning of
"public"); Amazon DynamoDB Developer Guide, "Blocking public access with resource-based policies".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_network
from typing import Final, NamedTuple

from fogbank.platform.iam.document import RawPolicy, RawStatement

_FIXING_OPERATORS: Final = frozenset(
    {
        *("stringequals", "stringequalsignorecase", "stringlike"),
        *("arnequals", "arnlike", "numericequals", "binaryequals"),
    }
)
_SOURCE_IP: Final = "aws:sourceip"
_WIDEST: Final[Mapping[int, int]] = {4: 8, 6: 32}
"""AWS: wider ranges of addresses than /8, and /32 of version 6, are public."""
_ARN_PARTS: Final = 6
_BY_SERVICE: Final = "aws:principalisawsservice"


class _Fixing(NamedTuple):
    """What fixes whom a statement trusts."""

    keys: frozenset[str]
    by_account: frozenset[str]
    by_address: bool


def is_public(
    raw: RawPolicy,
    keys: frozenset[str],
    *,
    by_account: frozenset[str] = frozenset(),
    by_address: bool = False,
) -> bool:
    """Return whether a policy lets the public in.

    Args:
        raw: The policy.
        keys: The condition keys, in lower case, by which a statement may name whom it trusts.
        by_account: Such keys of ARNs of which the account only has to be fixed.
        by_address: Whether a narrow range of addresses is somebody fixed.
    """
    fixing = _Fixing(keys, by_account, by_address)
    return any(
        statement.effect == "Allow" and not _is_fixed(statement, fixing)
        for statement in raw.statements
    )


def _is_fixed(statement: RawStatement, fixing: _Fixing) -> bool:
    """Return whether a statement grants to fixed principals, or under a condition that fixes them."""
    principal = statement.principal
    if isinstance(principal, dict) and not statement.principal_negated:
        names = [name for listed in principal.values() for name in listed]
        if not any("*" in name for name in names):
            return True
    return any(
        _fixes(operator.lower(), key.lower(), values, fixing)
        for operator, conditions in statement.conditions.items()
        for key, values in conditions.items()
    )


def _fixes(operator: str, key: str, values: Iterable[str], fixing: _Fixing) -> bool:
    """Return whether a condition holds for fixed values of a key that names whom one trusts."""
    if key == _SOURCE_IP and fixing.by_address:
        return operator == "ipaddress" and all(_is_narrow(value) for value in values)
    if key == _BY_SERVICE and key in fixing.keys:
        return operator == "bool" and all(value.lower() == "true" for value in values)
    if operator.removeprefix("foranyvalue:") not in _FIXING_OPERATORS:
        return False
    if key in fixing.by_account:
        return all(_is_fixed_account(value) for value in values)
    if key not in fixing.keys:
        return False
    return not any({"*", "?"} & set(value) or "${" in value for value in values)


def _is_fixed_account(value: str) -> bool:
    """Return whether the account of an ARN has no wildcard, and the ARN no variable."""
    parts = value.split(":")
    return "${" not in value and len(parts) == _ARN_PARTS and not {"*", "?"} & set(parts[4])


def _is_narrow(value: str) -> bool:
    """Return whether a range of addresses is no wider than AWS trusts."""
    try:
        network = ip_network(value, strict=False)
    except ValueError:
        return False
    return network.is_private or network.prefixlen >= _WIDEST[network.version]
