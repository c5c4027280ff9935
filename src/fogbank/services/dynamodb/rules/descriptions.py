"""How a table and its indexes are described.

Source: Amazon DynamoDB API Reference, TableDescription, GlobalSecondaryIndexDescription,
LocalSecondaryIndexDescription and VectorIndexDescription.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fogbank.contract.action import Scope
from fogbank.services.dynamodb import arns
from fogbank.services.dynamodb.rules import encryption, provisioning, replicas, streams, strong
from fogbank.services.dynamodb.schema import (
    CREATING,
    IndexRecord,
    KeyAttribute,
    MeasureRecord,
    TableRecord,
    VectorShape,
)

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes


def description_of(
    scope: Scope,
    table: TableRecord,
    status: str,
    measure: MeasureRecord,
    percent: int | None = None,
) -> shapes.TableDescription:
    """Return a table's ``TableDescription`` in a status.

    Args:
        scope: Where it is.
        table: The table.
        status: As it is told.
        measure: What it held when it was last counted.
        percent: How much has been copied to a replica that is being made, if one is.
    """
    key = ((table.partition,), table.key_attributes[1:])
    types = {each.name: each.type for each in table.key_attributes}
    for index in table.indexes:
        types |= {each.name: each.type for each in index.defined_attributes}
    described: shapes.TableDescription = {
        **deletion_of(scope, table, measure),
        "TableStatus": status,
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": types[name]} for name in sorted(types)
        ],
        "KeySchema": key_schema(*key),
        "CreationDateTime": table.created_ms,
        **replicas.members_of(scope, table, percent),
        **strong.members_of(scope, table),
    }
    arn = arns.table_arn(scope.region, scope.account, table.name)
    local = [_local(arn, each, measure) for each in table.indexes if each.is_local]
    overall = [_global(scope, table, each, measure) for each in table.indexes if each.is_global]
    if maxima := provisioning.described_maxima(table.throughput):
        described["OnDemandThroughput"] = maxima
    described["WarmThroughput"] = provisioning.described_warm(table, table.billing_mode, status)
    vectors = [
        _vector(arn, each, each.vector, measure)
        for each in table.indexes
        if each.vector is not None
    ]
    if table.table_class:
        summary: shapes.TableClassSummary = {"TableClass": table.table_class}
        if table.class_changed_ms:
            summary["LastUpdateDateTime"] = table.class_changed_ms
        described["TableClassSummary"] = summary
    if (sse := encryption.description_of(table.sse)) is not None:
        described["SSEDescription"] = sse
    if local:
        described["LocalSecondaryIndexes"] = local
    if overall:
        described["GlobalSecondaryIndexes"] = overall
    if vectors:
        described["VectorIndexes"] = vectors
    return described


def key_schema(
    partition: Sequence[KeyAttribute], sort: Sequence[KeyAttribute]
) -> list[shapes.KeySchemaElement]:
    """Return a ``KeySchema``."""
    return [
        {"AttributeName": each.name, "KeyType": role}
        for attributes, role in ((partition, "HASH"), (sort, "RANGE"))
        for each in attributes
    ]


def _local(
    arn: str, index: IndexRecord, measure: MeasureRecord
) -> shapes.LocalSecondaryIndexDescription:
    """Return the description of a local index."""
    count, size = measure.indexes.get(index.number, (0, 0))
    return {
        "IndexName": index.name,
        "KeySchema": key_schema(index.partition, index.sort),
        "Projection": projection(index),
        "IndexSizeBytes": size,
        "ItemCount": count,
        "IndexArn": arns.index_arn(arn, index.name),
    }


def _global(
    scope: Scope, table: TableRecord, index: IndexRecord, measure: MeasureRecord
) -> shapes.GlobalSecondaryIndexDescription:
    """Return the description of a global index."""
    arn = arns.table_arn(scope.region, scope.account, table.name)
    count, size = measure.indexes.get(index.number, (0, 0))
    described: shapes.GlobalSecondaryIndexDescription = {
        "IndexName": index.name,
        "KeySchema": key_schema(index.partition, index.sort),
        "Projection": projection(index),
        "IndexStatus": index.status,
        "ProvisionedThroughput": provisioning.described_units(index, scope.now_ms),
        "WarmThroughput": provisioning.described_warm(index, table.billing_mode, index.status),
        "IndexSizeBytes": size,
        "ItemCount": count,
        "IndexArn": arns.index_arn(arn, index.name),
    }
    if maxima := provisioning.described_maxima(index.throughput):
        described["OnDemandThroughput"] = maxima
    if index.status == CREATING:
        # AWS: the member goes with the backfill, it does not turn false (GSI.OnlineOps).
        described["Backfilling"] = True
    return described


def _vector(
    arn: str, index: IndexRecord, shape: VectorShape, measure: MeasureRecord
) -> shapes.VectorIndexDescription:
    """Return the description of a vector index."""
    count, size = measure.indexes.get(index.number, (0, 0))
    info = vector_info(index, shape)
    described: shapes.VectorIndexDescription = {
        **info,
        "IndexStatus": index.status,
        "IndexSizeBytes": size,
        "ItemCount": count,
        "IndexArn": arns.index_arn(arn, index.name),
    }
    if index.status == CREATING:
        described["Backfilling"] = True
    return described


def vector_info(index: IndexRecord, shape: VectorShape) -> shapes.VectorIndexInfo:
    """Return what a vector index is, as backups know it."""
    info: shapes.VectorIndexInfo = {
        "IndexName": index.name,
        "VectorAttribute": {"AttributeName": shape.attribute},
        "Dimensions": shape.dimensions,
        "DistanceFunction": shape.distance,
        "Projection": projection(index),
    }
    if shape.schema:
        info["SearchSchema"] = [
            {
                "AttributeName": each.name,
                "SearchSchemaElementType": "HASH" if each in index.partition else "INLINE_FILTER",
            }
            for each in shape.schema
        ]
    return info


def projection(index: IndexRecord) -> shapes.Projection:
    """Return a ``Projection``."""
    shown: shapes.Projection = {"ProjectionType": index.projection}
    if index.included:
        shown["NonKeyAttributes"] = [*index.included]
    return shown


def deletion_of(
    scope: Scope, table: TableRecord, measure: MeasureRecord
) -> shapes.TableDescription:
    """Return what DeleteTable says of a table: less than a description.

    AWS: neither the schema nor the time of creation (scylladb test/alternator,
    test_delete_table_description).
    """
    description: shapes.TableDescription = {
        "TableName": table.name,
        "TableId": table.id,
        "TableArn": arns.table_arn(scope.region, scope.account, table.name),
        "TableStatus": "DELETING",
        "TableSizeBytes": measure.size,
        "ItemCount": measure.items,
        "ProvisionedThroughput": provisioning.described_units(table, scope.now_ms),
        "DeletionProtectionEnabled": table.deletion_protected,
        **streams.members_of(scope, table),
    }
    if table.on_demand_since_ms:
        description["BillingModeSummary"] = {
            "BillingMode": table.billing_mode,
            "LastUpdateToPayPerRequestDateTime": table.on_demand_since_ms,
        }
    return description
