"""What Lambda keeps, and under which numbers.

A function lies by name, its policy beside it. The deployment package is a blob; what is unpacked on
a machine's disk is a cache of it. An event that waits for an asynchronous invocation is an entry of
the work list ``lambda.async``; a large one lies beside it in pieces.
"""

from __future__ import annotations

from typing import ClassVar, Self

import msgspec

from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.iam.bound import BoundName
from fogbank.platform.store.records import Record, RecordDecoder, Table


class FunctionRecord(Record, frozen=True, array_like=True, kw_only=True, tag="lambda.function/1"):
    """A function: its code and its configuration."""

    name: str
    revision: str
    """What the wire calls RevisionId: changes with everything."""
    deployment: str
    """Changes with code and configuration only: environments of another one end."""
    runtime: str
    handler: str
    role: str
    code_sha256: str
    """Hexadecimal, of the zip file."""
    code_size: int
    blob_incarnation: int
    blob_number: int
    architecture: str
    modified_ms: int
    description: str = ""
    timeout_s: int = 3
    memory_mb: int = 128
    tmp_mb: int = 512
    variables: dict[str, str] | None = None
    """None: never given."""
    log_group: str = ""
    """Empty: the group of the function's name."""
    tags: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def blob(self) -> BlobRef:
        """Return the blob that holds the zip file."""
        return BlobRef(self.blob_incarnation, self.blob_number)


class PolicyRecordOne(Record, frozen=True, array_like=True, tag="lambda.policy/1"):
    """The policy of a function that binds nobody: whoever has an ARN now is who it names."""

    document: str
    """JSON."""


class PolicyRecord(Record, frozen=True, array_like=True, tag="lambda.policy/2"):
    """The policy of a function: who else may invoke it."""

    PREVIOUS: ClassVar[type[Record] | None] = PolicyRecordOne

    document: str
    """JSON."""
    bound: tuple[BoundName, ...] = ()
    """Whom its users and roles were when their statements were added."""

    @classmethod
    def migrate(cls, old: PolicyRecordOne) -> Self:
        """Return a policy that binds nobody, because nothing says who was meant."""
        return cls(old.document)


class EventRecord(Record, frozen=True, array_like=True, kw_only=True, tag="lambda.event/1"):
    """An event that waits for its invocation; the payload of a work entry."""

    function_name: str
    invoked_arn: str
    payload: bytes
    """JSON; empty if it lies in pieces."""
    pieces: int = 0
    client_context: str = ""
    source: str = ""
    """The service that sent it; empty for a caller of Invoke."""


class PieceRecord(Record, frozen=True, array_like=True, tag="lambda.piece/1"):
    """A piece of a large event."""

    content: bytes


class MappingRecord(Record, frozen=True, array_like=True, kw_only=True, tag="lambda.mapping/1"):
    """An event source mapping: what a function is invoked with, and how."""

    id: str
    """A UUID."""
    function: str
    """The name of the function."""
    qualifier: str
    """As the client named the function; empty, or the version."""
    source_arn: str
    enabled: bool
    modified_ms: int
    position: str
    """``StartingPosition``."""
    batch_size: int
    window_s: int = 0
    """``MaximumBatchingWindowInSeconds``."""
    factor: int = 1
    """``ParallelizationFactor``: how many lanes a shard has, each with keys of its own."""
    bisects: bool = False
    retries: int = -1
    """``MaximumRetryAttempts``; -1: as long as the record is kept."""
    age_s: int = -1
    """``MaximumRecordAgeInSeconds``; -1: likewise."""
    tumbling_s: int = 0
    """``TumblingWindowInSeconds``; 0: none."""
    partial: bool = False
    """Whether the function says which records failed (``ReportBatchItemFailures``)."""
    filters: tuple[str, ...] = ()
    """Event patterns, of which one must match; none: every record is wanted."""
    on_failure: str = ""
    """The ARN of who hears of records that were given up; empty: nobody."""
    result: str = "No records processed"
    """``LastProcessingResult``."""


class CursorRecord(Record, frozen=True, array_like=True, kw_only=True, tag="lambda.cursor/1"):
    """How far one lane of one shard has been read for a mapping."""

    begin: str
    """Where to begin while there is no position: ``TRIM_HORIZON`` or ``LATEST``."""
    position: str = ""
    """The sequence number of the last record that is done; empty: none is."""
    iterator: str = ""
    """The place that was the latest when the mapping was made, as long as it is good."""
    since_ms: int = 0
    """When that was."""
    fences: tuple[str, ...] = ()
    """Where the batches end that are being retried, each within the one before."""
    attempts: int = 0
    """How often the batch that comes next has failed."""
    retry_at_ms: int = 0
    done: bool = False
    """The shard has ended and all of it is done."""
    window_ms: int = 0
    """When the tumbling window began that is open; 0: none is."""
    state_pieces: int = 0
    """In how many pieces the state of that window lies; 0: it is empty."""
    is_cut_short: bool = False
    """The state of the window has become too large: it ends now."""


class LaneRecord(Record, frozen=True, array_like=True, tag="lambda.lane/1"):
    """Which lane a consumer reads."""

    mapping: str
    shard: str
    lane: int


FUNCTIONS = Table("lambda", 0x01, FunctionRecord)
"""name"""
POLICIES = Table("lambda", 0x02, PolicyRecord)
"""name of the function"""
PIECES = Table("lambda", 0x03, PieceRecord)
"""id of the event, number"""
MAPPINGS = Table("lambda", 0x04, MappingRecord)
"""id"""
CURSORS = Table("lambda", 0x05, CursorRecord)
"""id of the mapping, id of the shard, number of the lane"""
TABLES = (FUNCTIONS, POLICIES, PIECES, MAPPINGS, CURSORS)

decode_lane = RecordDecoder(LaneRecord).decode
decode_event = RecordDecoder(EventRecord).decode
