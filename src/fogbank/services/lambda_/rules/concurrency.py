"""Concurrency: what may be reserved and provisioned, and what is told of it.

What is reserved for a function is taken from what all functions of the account and region share, and
what is provisioned likewise, unless the function has a reservation that holds it.

Source: Developer Guide, "Understanding Lambda function scaling"; words recorded by LocalStack's
validated ``TestLambdaReservedConcurrency`` and ``TestLambdaProvisionedConcurrency``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from fogbank.platform.runtime.functions import Provisioned
from fogbank.services.lambda_.arns import LATEST
from fogbank.services.lambda_.errors import (
    InvalidParameterValueException,
    ProvisionedConcurrencyConfigNotFoundException,
    ResourceConflictException,
)
from fogbank.services.lambda_.rules.names import FunctionName
from fogbank.services.lambda_.schema import FunctionRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import lambda_ as shapes


class Room(NamedTuple):
    """What may run of a function at a time."""

    reserved: int = -1
    """-1: it shares with the others."""
    shared_max: int = -1
    """What all share; -1: as placement has it."""


class Limits(NamedTuple):
    """What an account and region may have."""

    concurrency_max: int
    unreserved_min: int
    """What must be left for functions without a reservation."""


NO_ROOM: Final = Room()
NO_CONFIG: Final = "No Provisioned Concurrency Config found for this function"


def check_unqualified(named: FunctionName) -> None:
    """Refuse a version or alias where only functions can be meant."""
    if named.qualifier:
        raise InvalidParameterValueException(
            "This operation is permitted on Lambda functions only. Aliases and versions do not "
            "support this operation. Please specify either a function name or an unqualified "
            "function ARN."
        )


def held_by(function: FunctionRecord) -> int:
    """Return what a function takes of what all share, whether or not it runs."""
    return function.provisioned if function.reserved < 0 else function.reserved


def reserved_function(
    function: FunctionRecord, reserved: int, held: int, limits: Limits
) -> FunctionRecord:
    """Return a function with another reservation.

    Args:
        function: The function.
        reserved: What is to be reserved.
        held: What all functions together hold, this one as it was.
        limits: What the account may have.

    Raises:
        InvalidParameterValueException: The others would have too little left, or what is
            provisioned would have no room.
    """
    left = limits.concurrency_max - held + held_by(function) - reserved
    if left < limits.unreserved_min:
        raise _too_little("ReservedConcurrentExecutions", limits)
    if function.provisioned > reserved:
        # AWS: with these blanks.
        raise InvalidParameterValueException(
            f" ReservedConcurrentExecutions  {reserved} should not be lower than function's total "
            f"provisioned concurrency [{function.provisioned}]."
        )
    return msgspec.structs.replace(function, reserved=reserved)


def provisioned_function(
    function: FunctionRecord, change: int, held: int, limits: Limits
) -> FunctionRecord:
    """Return a function of which more is provisioned, or less.

    Raises:
        InvalidParameterValueException: It is more than there is room for.
    """
    provisioned = function.provisioned + change
    if 0 <= function.reserved < provisioned:
        raise InvalidParameterValueException(
            "Requested Provisioned Concurrency should not be greater than the "
            "reservedConcurrentExecution for function"
        )
    if function.reserved < 0 and change > 0:
        left = limits.concurrency_max - held
        if change > left:
            raise InvalidParameterValueException(
                "Specified ConcurrentExecutions for function is greater than account's unreserved "
                f"concurrency [{left}]."
            )
        if left - change < limits.unreserved_min:
            raise _too_little("ConcurrentExecutions", limits)
    return msgspec.structs.replace(function, provisioned=provisioned)


def _too_little(what: str, limits: Limits) -> InvalidParameterValueException:
    """Return the error that too little would be left for the others."""
    return InvalidParameterValueException(
        f"Specified {what} for function decreases account's UnreservedConcurrentExecution below its "
        f"minimum value of [{limits.unreserved_min}]."
    )


def check_published(version: str) -> None:
    """Refuse to provision what can still change."""
    if version == LATEST:
        raise InvalidParameterValueException(
            "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
        )


def check_qualified(named: FunctionName) -> None:
    """Refuse to look for what can be provisioned of nothing."""
    if named.qualifier in {"", LATEST}:
        raise InvalidParameterValueException(
            "The function resource provided must be an alias or a published version."
        )


def conflict_of(*, alias: bool) -> ResourceConflictException:
    """Return the error that a version would be provisioned twice."""
    if alias:
        return ResourceConflictException(
            "Alias can't be used for Provisioned Concurrency configuration on an already "
            "Provisioned version"
        )
    return ResourceConflictException("Version is pointed by a Provisioned Concurrency alias")


def no_config() -> ProvisionedConcurrencyConfigNotFoundException:
    """Return the error that nothing is provisioned."""
    return ProvisionedConcurrencyConfigNotFoundException(NO_CONFIG)


def view_of(stands: Provisioned, modified: str) -> shapes.GetProvisionedConcurrencyConfigResponse:
    """Return a configuration as the wire has it, with what stands ready."""
    view: shapes.GetProvisionedConcurrencyConfigResponse = {
        "RequestedProvisionedConcurrentExecutions": stands.wanted,
        "AvailableProvisionedConcurrentExecutions": stands.ready,
        "AllocatedProvisionedConcurrentExecutions": stands.ready,
        "Status": "READY" if stands.ready >= stands.wanted else "IN_PROGRESS",
        "LastModified": modified,
    }
    if stands.trouble and stands.ready < stands.wanted:
        view["Status"] = "FAILED"
        view["StatusReason"] = stands.trouble
    return view
