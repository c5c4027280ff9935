"""The limits of DynamoDB, with AWS's values.

Those that a setting may raise or lower are a ``Quota``; the others are part of the language.
Source: Amazon DynamoDB Developer Guide, "Quotas in Amazon DynamoDB" and "Constraints in Amazon
DynamoDB".
"""

from __future__ import annotations

from typing import Final

from fogbank.contract.quota import Quota

TABLES: Final = Quota("dynamodb.tables_max", 2_500, "Quotas: tables per account and Region")
ITEM_BYTES: Final = Quota("dynamodb.item_bytes_max", 400 << 10, "Constraints: item size")
PAGE_BYTES: Final = Quota("dynamodb.page_bytes_max", 1 << 20, "Query: 1 MB of data at most")
BATCH_GET_BYTES: Final = Quota(
    "dynamodb.batch_get_bytes_max", 16 << 20, "BatchGetItem: 16 MB of data at most"
)
TRANSACTION_BYTES: Final = Quota(
    "dynamodb.transaction_bytes_max", 4 << 20, "Constraints: 4 MB of data in a transaction"
)
TAGS: Final = Quota("dynamodb.tags_max", 50, "Quotas: tags per resource")
COLLECTION_BYTES: Final = Quota(
    "dynamodb.item_collection_bytes_max", 10 << 30, "Constraints: 10 GB in an item collection"
)
TTL_PERIOD_MS: Final = Quota(
    "dynamodb.ttl_period_ms",
    1_000,
    "TTL: within a few days; how often expired items are looked for",
)
REQUEST_BYTES: Final = Quota(
    "dynamodb.request_bytes_max", 16 << 20, "BatchWriteItem: 16 MB; for one request of any kind"
)

STREAM_RETENTION_MS: Final = Quota(
    "dynamodb.stream_retention_ms", 86_400_000, "Change data capture: streams keep 24 hours"
)
STREAM_SHARD_MS: Final = Quota(
    "dynamodb.stream_shard_ms", 14_400_000, "ours: AWS's shards roll over every four hours or so"
)
STREAM_PAGE_BYTES: Final = Quota(
    "dynamodb.stream_page_bytes_max", 1 << 20, "GetRecords: 1 MB of data at most"
)

POLICY_BYTES_MAX: Final = 20 << 10
"""Of a policy of a resource, blanks included ("Resource-based policy considerations")."""

TABLE_READ_UNITS: Final = Quota(
    "dynamodb.table_read_units_max",
    40_000,
    "Quotas: read capacity units of a table",
)
TABLE_WRITE_UNITS: Final = Quota(
    "dynamodb.table_write_units_max", 40_000, "Quotas: write capacity units of a table"
)
ACCOUNT_READ_UNITS: Final = Quota(
    "dynamodb.account_read_units_max",
    80_000,
    "Quotas: provisioned read capacity units of an account in a Region",
)
ACCOUNT_WRITE_UNITS: Final = Quota(
    "dynamodb.account_write_units_max",
    80_000,
    "Quotas: provisioned write capacity units of an account in a Region",
)
PARTITION_READ_UNITS: Final = Quota(
    "dynamodb.partition_read_units_max",
    3_000,
    "Burst and adaptive capacity: a partition's read units; 0: as many as its table has",
)
PARTITION_WRITE_UNITS: Final = Quota(
    "dynamodb.partition_write_units_max",
    1_000,
    "Burst and adaptive capacity: a partition's write units; 0: as many as its table has",
)
ON_DEMAND_READ_UNITS: Final = Quota(
    "dynamodb.on_demand_read_units_max",
    0,
    "ours: read units a second of an on-demand table without a maximum; 0: what the machine"
    " gives. Quotas: 40,000",
)
ON_DEMAND_WRITE_UNITS: Final = Quota(
    "dynamodb.on_demand_write_units_max",
    0,
    "ours: write units a second of an on-demand table without a maximum; 0: what the machine"
    " gives. Quotas: 40,000",
)
BURST_S: Final = Quota(
    "dynamodb.burst_s", 300, "Burst and adaptive capacity: five minutes of unused capacity"
)
DECREASES: Final = Quota(
    "dynamodb.decreases_per_day_max",
    4,
    "Quotas: decreases of provisioned units in a day, before only one an hour is left",
)

RESTORES: Final = Quota(
    "dynamodb.restores_max", 50, "RestoreTableFromBackup: 50 concurrent restores in an account"
)
RECOVERY_DAYS: Final = 35
"""``RecoveryPeriodInDays`` where none is given."""
SYSTEM_BACKUP_DAYS: Final = 35
LIST_BACKUPS_PAGE: Final = 100
CLIENT_CUTS_MAX: Final = 500
"""Backups that are being made of a table at once; AWS does not say how many it takes."""

TABLE_NAME_LENGTH_MIN: Final = 3
TABLE_NAME_LENGTH_MAX: Final = 255
KEY_ATTRIBUTE_NAME_BYTES_MAX: Final = 255
ATTRIBUTE_NAME_BYTES_MAX: Final = 65_535
PARTITION_KEY_BYTES_MAX: Final = 2_048
SORT_KEY_BYTES_MAX: Final = 1_024
LEVELS_MAX: Final = 32
"""Levels of a document: a top-level attribute stands at level 1."""

LOCAL_INDEXES_MAX: Final = 5
GLOBAL_INDEXES: Final = Quota(
    "dynamodb.global_indexes_max", 20, "Quotas: global secondary indexes of a table"
)
VECTOR_INDEXES: Final = Quota("dynamodb.vector_indexes_max", 5, "Quotas: vector indexes of a table")
SEARCH_BYTES: Final = Quota(
    "dynamodb.search_bytes_max", 16 << 20, "SearchVectors: 16 MB of items at most"
)
SQL_TABLES_MAX: Final = 16
SQL_ROWS: Final = Quota("dynamodb.sql_rows_max", 10_000, "ours: rows of an answer of QuerySql")
SQL_BYTES: Final = Quota("dynamodb.sql_bytes_max", 1 << 20, "ours: bytes of an answer of QuerySql")
SQL_MEMORY_BYTES: Final = Quota(
    "dynamodb.sql_memory_bytes_max", 512 << 20, "ours: memory of DuckDB for a statement of QuerySql"
)
SQL_COMPUTE_MS: Final = Quota(
    "dynamodb.sql_compute_ms_max", 20_000, "ours: how long a statement of QuerySql may compute"
)
SQL_MS: Final = Quota(
    "dynamodb.sql_ms_max", 30_000, "ours: how long the tables of a statement may be read"
)
SQL_AT_ONCE: Final = Quota(
    "dynamodb.sql_statements_max", 2, "ours: statements of QuerySql at once in a store process"
)
VECTOR_DIMENSIONS_MAX: Final = 4_096
VECTOR_PARTITION_ATTRIBUTES_MAX: Final = 1
VECTOR_FILTERS_MAX: Final = 18
VECTOR_WRITE_BYTES_MIN: Final = 1_024
TOP_K_MAX: Final = 100
SEARCH_STEP_BYTES: Final = 256 << 10
"""Vectors that are read and compared in one step, with what lies beside them."""
INCLUDED_ATTRIBUTES_TOTAL_MAX: Final = 100
"""``NonKeyAttributes`` of all indexes of a table together; the model bounds those of one."""
INDEX_KEY_ATTRIBUTES_MAX: Final = 4
"""Attributes of the partition key of a global index, and of its sort key."""

NUMBER_DIGITS_MAX: Final = 38
EXPRESSION_BYTES_MAX: Final = 4_096
OPERATORS_MAX: Final = 300
IN_OPERANDS_MAX: Final = 100
PLACEHOLDER_BYTES_MAX: Final = 255
LIST_INDEX_MAX: Final = 2_147_483_647

CAPACITY_UNITS_MAX: Final = 1_000_000_000_000
LIST_TABLES_PAGE: Final = 100
LIST_INSIGHTS_PAGE: Final = 100
TAGS_PAGE: Final = 50
"""AWS does not say how many a page has; it answers as many as a resource may have at once."""
LIST_STREAMS_PAGE: Final = 100
DESCRIBE_STREAM_PAGE: Final = 100
GET_RECORDS_PAGE: Final = 1_000
STREAM_ITERATOR_MS: Final = 900_000
BATCH_GET_KEYS_MAX: Final = 100
BATCH_WRITE_REQUESTS_MAX: Final = 25
STEP_BYTES: Final = 32 << 10
"""Items that are checked, decoded or filtered in one step: 16,000 values at most, the smallest
having two bytes. A larger item is a step of its own."""

READ_UNIT_BYTES: Final = 4_096
WRITE_UNIT_BYTES: Final = 1_024

IMPORTS: Final = Quota(
    "dynamodb.imports_max", 50, "Import format quotas: 50 concurrent import jobs of an account"
)
IMPORT_OBJECTS: Final = Quota(
    "dynamodb.import_objects_max", 50_000, "Import format quotas: 50,000 S3 objects of a job"
)
IMPORT_BYTES: Final = Quota(
    "dynamodb.import_object_bytes_max", 1 << 40, "Import format quotas: 1 TB in most Regions"
)
EXPORTS: Final = Quota(
    "dynamodb.exports_max", 300, "Quotas: table exports to Amazon S3, 300 concurrent ones"
)
EXPORT_SPAN_MIN_MS: Final = Quota(
    "dynamodb.export_span_ms_min", 15 * 60_000, "Incremental exports: 15 minutes at least"
)
EXPORT_SPAN_MAX_MS: Final = Quota(
    "dynamodb.export_span_ms_max", 24 * 3_600_000, "Incremental exports: 24 hours at most"
)
EXPORT_FILE_BYTES: Final = Quota(
    "dynamodb.export_file_bytes_max", 8 << 20, "ours: what a file has before it is compressed"
)
BULKS: Final = Quota(
    "dynamodb.bulk_operations_max",
    50,
    "ours: bulk puts of an account at once, as many as imports; AWS has a limit that we do not know",
)
TABLE_BULKS: Final = Quota(
    "dynamodb.bulk_operations_per_table_max",
    1,
    "ours: bulk puts of a table at once; AWS has a limit that we do not know",
)
BULK_OBJECTS: Final = Quota(
    "dynamodb.bulk_objects_max", 50_000, "Best practices for bulk put items: 50,000 S3 objects"
)
BULK_OBJECT_BYTES: Final = Quota(
    "dynamodb.bulk_object_bytes_max", 5 << 30, "Best practices for bulk put items: 5 GB an object"
)
BULK_BYTES: Final = Quota(
    "dynamodb.bulk_bytes_max",
    1 << 40,
    "ours: what the objects of a bulk put have together; AWS has a limit for each tier",
)
BULK_STANDARD_UNITS: Final = Quota(
    "dynamodb.bulk_standard_units_max",
    8_192,
    "ours: write units a second of a bulk put of the tier STANDARD; 0: what the machine gives",
)
BULK_ACCELERATED_UNITS: Final = Quota(
    "dynamodb.bulk_accelerated_units_max",
    0,
    "ours: write units a second of a bulk put of the tier ACCELERATED; 0: what the machine gives",
)
BULKS_PAGE: Final = 10
TRANSFERS_PAGE: Final = 25
TRANSFER_TOKEN_MS: Final = 8 * 3_600_000
"""A client token is valid for 8 hours (API Reference, ImportTable and ExportTableToPointInTime)."""
TRANSFER_KEPT_MS: Final = 90 * 86_400_000
"""Imports, exports and bulk puts are told for 90 days (API Reference, ListImports and the like)."""
CSV_HEADER_BYTES_MAX: Final = 64 << 10
"""Ours: AWS does not say; 255 names (``CsvHeaderList``) of 255 characters have as many."""
REPLICATION_POLL_MS: Final = Quota(
    "dynamodb.replication_poll_ms", 250, "Global tables: replicated within a second"
)
REPLICATION_BACKLOG_MS: Final = Quota(
    "dynamodb.replication_backlog_ms",
    86_400_000,
    "ours: a replica that was out of reach for longer is copied anew; AWS gives it up after 20 hours",
)
KEY_TRIAL_MS: Final = Quota(
    "dynamodb.key_trial_ms",
    300_000,
    "ours: how often it is tried whether a table's KMS key can be used; AWS finds out after 13 to 75"
    " minutes",
)
REPLICATION_PAUSE_MS: Final = 500
"""How long a pair of replicas rests when one cannot be reached; each further time longer."""
