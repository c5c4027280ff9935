"""The limits of Lambda, with AWS's values.

Those that a setting may raise or lower are a ``Quota``; the others are part of the language.
Source: AWS Lambda Developer Guide, "Lambda quotas" and "How Lambda handles errors and retries with
asynchronous invocation".
"""

from __future__ import annotations

from typing import Final

from fogbank.contract.quota import Quota

ZIPPED_BYTES: Final = Quota("lambda.zipped_bytes_max", 52_428_800, "Quotas: 50 MB, direct upload")
CODE_STORAGE_BYTES: Final = Quota(
    "lambda.code_storage_bytes_max",
    80_530_636_800,
    "Quotas: storage for uploaded functions and layers, 75 GB of an account and region",
)
SYNC_PAYLOAD_BYTES: Final = Quota(
    "lambda.sync_payload_bytes_max", 6_291_456, "Quotas: invocation payload, 6 MB synchronous"
)
SYNC_RESPONSE_BYTES: Final = Quota(
    "lambda.sync_response_bytes_max", 6_291_556, "recorded: Function.ResponseSizeTooLarge"
)
STREAMED_RESPONSE_BYTES: Final = Quota(
    "lambda.streamed_response_bytes_max", 209_715_200, "Quotas: 200 MB for streamed responses"
)
ASYNC_PAYLOAD_BYTES: Final = Quota(
    "lambda.async_payload_bytes_max", 1 << 20, "Quotas: invocation payload, 1 MB asynchronous"
)
ASYNC_RETRIES: Final = Quota("lambda.async_retries_max", 2, "retried two more times")
ASYNC_RETRY_1_MS: Final = Quota("lambda.async_retry_1_ms", 60_000, "one minute before the second")
ASYNC_RETRY_2_MS: Final = Quota("lambda.async_retry_2_ms", 120_000, "two minutes before the third")
ASYNC_AGE_MS: Final = Quota("lambda.async_age_ms_max", 6 * 3_600_000, "kept for up to 6 hours")
ASYNC_QUEUED: Final = Quota(
    "lambda.async_queued_max", 100_000, "ours: events of a function that wait, which lie on disk"
)
ACCOUNT_ASYNC_QUEUED: Final = Quota(
    "lambda.account_async_queued_max", 500_000, "ours: those of an account and region together"
)
LOOPS: Final = Quota(
    "lambda.recursive_invocations_max", 16, "Lambda recursive loop detection: about 16 times"
)
TELLINGS: Final = Quota(
    "lambda.destination_attempts_max", 10, "ours: how often a destination is tried to be told"
)
STREAM_POLL_MS: Final = Quota(
    "lambda.stream_poll_ms", 250, "Process DynamoDB records: polls shards 4 times per second"
)
MAPPINGS: Final = Quota(
    "lambda.mappings_max", 1_000, "ours: event source mappings of an account and region"
)
CONCURRENCY: Final = Quota(
    "lambda.concurrent_executions_max", 1_000, "Quotas: concurrent executions"
)
UNRESERVED_MIN: Final = Quota(
    "lambda.unreserved_executions_min", 100, "Understanding reserved concurrency: 100 stay"
)
TIMEOUT_S: Final = Quota("lambda.timeout_s_max", 900, "Quotas: function timeout, 15 minutes")
MEMORY_MB: Final = Quota("lambda.memory_mb_max", 10_240, "Quotas: function memory, 10,240 MB")
TMP_MB: Final = Quota("lambda.tmp_mb_max", 10_240, "Quotas: ephemeral storage, 10,240 MB")
ALIASES: Final = Quota("lambda.aliases_max", 1_000, "ours: aliases of a function")
VERSIONS: Final = Quota("lambda.versions_max", 10_000, "ours: published versions of a function")
REQUEST_BYTES: Final = Quota("lambda.request_bytes_max", 1 << 20, "ours: requests without code")
CODE_REQUEST_BYTES: Final = Quota(
    "lambda.code_request_bytes_max",
    70_167_211,
    "recorded: CreateFunction; 50 MB of code in Base64 and the rest of the request",
)

UNZIPPED_BYTES_MAX: Final = 262_144_000
NAME_LENGTH_MAX: Final = 64
VARIABLES_BYTES_MAX: Final = 4_096
POLICY_BYTES_MAX: Final = 20_480
LIST_PAGE: Final = 50
LAYERS_MAX: Final = 5
"""AWS: "Quotas": five layers of a function."""
TAGS_MAX: Final = 50

MAPPINGS_PAGE: Final = 100
FILTERS_MAX: Final = 10
"""AWS: five, ten on request (Developer Guide, "Control which events Lambda sends")."""
STREAM_BATCH: Final = 100
RECORD_AGE_S_MIN: Final = 60
WINDOW_STATE_BYTES_MAX: Final = 1 << 20
STREAM_BACKOFF_MS: Final = 1_000
STREAM_BACKOFF_MS_MAX: Final = 60_000
BACKOFF_MS: Final = 1_000
BACKOFF_MS_MAX: Final = 300_000
"""How long a throttled event waits: from one second up to five minutes."""
INLINE_PAYLOAD_BYTES: Final = 16 << 10
"""A larger event lies beside its entry in the queue, in pieces."""
PAYLOAD_PIECE_BYTES: Final = 256 << 10
