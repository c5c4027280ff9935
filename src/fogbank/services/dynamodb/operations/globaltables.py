"""The operations on global tables of 2017, of which there are none: they are no longer made.

AWS refuses to make one in every region and finds none of those that replicas have made since 2019
(``UpdateTable``), which ``DescribeTable`` tells of.

Source: Amazon DynamoDB Developer Guide, "Global tables version 2017.11.29 (Legacy)"; the order of the
checks and the words are what others measured on AWS in October 2026 (ack-api-quirks,
DDB-GLOBALTABLE-001 to 004, DDB-GLOBALTABLESETTINGS-001).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fogbank.contract.action import Access
from fogbank.contract.call import Call
from fogbank.contract.operation import ANY, operation
from fogbank.services.dynamodb.errors import GlobalTableNotFoundException, ValidationException
from fogbank.services.dynamodb.rules import access, legacytables

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes

_FOUND: Final = "Global table not found: "


@operation(
    access=access.on_global_table("CreateGlobalTable"),
    unhonoured={"GlobalTableName": ANY, "ReplicationGroup": ANY},
)
async def create_global_table(
    call: Call,
    request: shapes.CreateGlobalTableInput,  # noqa: ARG001 (none is made, whatever it is to be)
) -> shapes.CreateGlobalTableOutput:
    """Refuse a global table of 2017, before anything is asked of its tables."""
    raise legacytables.not_supported(call.region)


@operation(access=access.on_global_table("UpdateGlobalTable"), unhonoured={"ReplicaUpdates": ANY})
async def update_global_table(
    call: Call, request: shapes.UpdateGlobalTableInput
) -> shapes.UpdateGlobalTableOutput:
    """Refuse to add a replica to a global table of 2017, and find none from which to take one."""
    updates = request["ReplicaUpdates"]
    if not updates:
        raise ValidationException("One or more parameter values were invalid")
    if any("Create" in update for update in updates):
        raise legacytables.not_supported(call.region)
    raise _not_found(request["GlobalTableName"], _FOUND)


@operation(access=access.on_global_table("DescribeGlobalTable"))
async def describe_global_table(
    call: Call,  # noqa: ARG001 (there is nothing to look for)
    request: shapes.DescribeGlobalTableInput,
) -> shapes.DescribeGlobalTableOutput:
    """Find no global table of 2017."""
    raise _not_found(request["GlobalTableName"], _FOUND)


@operation(access=access.on_global_table("DescribeGlobalTableSettings"))
async def describe_global_table_settings(
    call: Call,  # noqa: ARG001 (there is nothing to look for)
    request: shapes.DescribeGlobalTableSettingsInput,
) -> shapes.DescribeGlobalTableSettingsOutput:
    """Find no settings of a global table of 2017."""
    raise _not_found(request["GlobalTableName"])


@operation(
    access=access.on_global_table("UpdateGlobalTableSettings"),
    unhonoured={
        "GlobalTableBillingMode": ANY,
        "GlobalTableProvisionedWriteCapacityUnits": ANY,
        "GlobalTableProvisionedWriteCapacityAutoScalingSettingsUpdate": ANY,
        "GlobalTableGlobalSecondaryIndexSettingsUpdate": ANY,
        "ReplicaSettingsUpdate": ANY,
    },
)
async def update_global_table_settings(
    call: Call,  # noqa: ARG001 (there is nothing to look for)
    request: shapes.UpdateGlobalTableSettingsInput,
) -> shapes.UpdateGlobalTableSettingsOutput:
    """Find no global table of 2017 whose settings could be changed, whatever they were to be."""
    raise _not_found(request["GlobalTableName"])


@operation(
    access=lambda _scope, _request: [Access("dynamodb:ListGlobalTables", "*")],
    unhonoured={"ExclusiveStartGlobalTableName": ANY, "Limit": ANY, "RegionName": ANY},
)
async def list_global_tables(
    call: Call,  # noqa: ARG001 (there is nothing to look for)
    request: shapes.ListGlobalTablesInput,  # noqa: ARG001 (no page of nothing is another)
) -> shapes.ListGlobalTablesOutput:
    """List the global tables of 2017: there are none, from wherever and however many are asked for."""
    return {"GlobalTables": []}


def _not_found(name: str, begin: str = "") -> GlobalTableNotFoundException:
    """Return the error for a global table of 2017."""
    return GlobalTableNotFoundException(f"{begin}Global table with name: '{name}' does not exist.")
