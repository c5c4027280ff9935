"""What Lambda keeps, and under which numbers.

A function lies by name, its policy beside it; its versions and aliases lie under its id, so that
another function of its name sees nothing of them. The deployment package is a blob; what is unpacked on
a machine's disk is a cache of it. An event that waits for an asynchronous invocation is an entry of
the work list ``lambda.async``; a large one lies beside it in pieces.
"""

from __future__ import annotations

from typing import ClassVar, Self

import msgspec

from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.iam.bound import BoundName
from fogbank.platform.store.records import Record, RecordDecoder, Table
from fogbank.services.lambda_.arns import LATEST


class LayerUse(msgspec.Struct, frozen=True, array_like=True):
    """A layer version as a function uses it, whatever becomes of the version."""

    arn: str
    code_sha256: str
    code_size: int
    unzipped_size: int
    blob_incarnation: int
    blob_number: int
    borrowed: bool = False
    """Whether it is another account's, and the blob a copy (``BorrowedRecord``)."""

    @property
    def blob(self) -> BlobRef:
        """Return the blob that holds the zip file."""
        return BlobRef(self.blob_incarnation, self.blob_number)


class FunctionRecord(Record, frozen=True, array_like=True, kw_only=True, tag="lambda.function/1"):
    """A function, or a version of one: its code and its configuration."""

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
    id: str = ""
    """Drawn when it was created; empty: before there were ids."""
    version: str = LATEST
    """What it is: ``$LATEST``, or the number of a published version, which never changes."""
    next_version: int = 1
    """The number of the version that is published next; only of ``$LATEST``, as the next field."""
    versions: int = 0
    """How many published versions there are."""
    reserved: int = -1
    """``ReservedConcurrentExecutions`` of all versions; -1: none; only of ``$LATEST``, as the next."""
    provisioned: int = 0
    """The provisioned concurrency of all its versions and aliases."""
    log_levels: tuple[str, str] | None = None
    """``ApplicationLogLevel`` and ``SystemLogLevel`` of a log in JSON; None: the log is text."""
    loops: bool = False
    """Whether it may invoke itself again and again (``RecursiveLoop``); only of ``$LATEST``."""
    unzipped_size: int = 0
    """Of its code; 0: nobody has noted it."""
    layers: tuple[LayerUse, ...] = ()
    """In the order in which they are laid over each other."""
    kms_key: str = ""
    """The ARN of the KMS key for its variables (``KMSKeyArn``); empty: the store's own seals them."""
    sealed: bytes = b""
    """Its variables, JSON, as that key has encrypted them; empty: it has none, or no such key."""
    grant: str = ""
    """The id of the grant by which its role has them decrypted."""
    code_kms_key: str = ""
    """The ARN of the KMS key for its zip file (``SourceKMSKeyArn``); empty: the store's own seals it."""
    code_lock: bytes = b""
    """The key that the zip file's blob is sealed with, as that key has encrypted it."""
    folder: str = ""
    """A folder of the machine whose code it runs; empty: what it was given. Only of ``$LATEST``."""
    folder_mark: str = ""
    """Of what the folder had when its code was taken."""
    traced: bool = False
    """Whether invocations are sampled for X-Ray (``TracingConfig`` ``Active``)."""

    @property
    def key(self) -> str:
        """Return what everything of a function lies under that goes with it."""
        return self.id or self.name

    @property
    def blob(self) -> BlobRef:
        """Return the blob that holds the zip file."""
        return BlobRef(self.blob_incarnation, self.blob_number)


class AliasRecord(Record, frozen=True, array_like=True, kw_only=True, tag="lambda.alias/1"):
    """An alias: a name for a version, or for two of which each gets a share of the invocations."""

    name: str
    version: str
    revision: str
    """What the wire calls RevisionId: changes with everything."""
    description: str = ""
    other: str = ""
    """A second version; empty: there is none."""
    weight: float = 0.0
    """The share of the second version: 0 to 1."""


class GoneRecord(Record, frozen=True, array_like=True, tag="lambda.gone/1"):
    """A function that was deleted, of which something may lie here still."""

    key: str


class AccountRecord(Record, frozen=True, array_like=True, tag="lambda.account/1"):
    """What the functions of an account and region have taken of what they share."""

    held: int = 0
    """Concurrency that is reserved for functions, or provisioned."""
    code_bytes: int = -1
    """Of the zip files of functions, their versions and layers; -1: nobody has counted yet."""


class ProvisionedRecord(
    Record, frozen=True, array_like=True, kw_only=True, tag="lambda.provisioned/1"
):
    """How many environments of a version or alias are to stand ready."""

    count: int
    modified_ms: int


class GrantRecord(Record, frozen=True, array_like=True, tag="lambda.grant/1"):
    """A grant of a KMS key by which the role of a function has its variables decrypted."""

    kms_key: str
    users: int
    """How many have it: the function, and versions of it."""


class RetiringRecord(Record, frozen=True, array_like=True, tag="lambda.retiring/1"):
    """A grant that nobody needs any more; the payload of a work entry."""

    kms_key: str
    grant: str


class ReadyRecord(Record, frozen=True, array_like=True, tag="lambda.ready/1"):
    """Of which version or alias a consumer keeps environments ready."""

    name: str
    """Of the function."""
    key: str
    qualifier: str


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
    trace: str = ""
    """The X-Ray trace header that it came with, with the lineage of its invocation."""


class EventConfigRecord(
    Record, frozen=True, array_like=True, kw_only=True, tag="lambda.event_config/1"
):
    """How the events of a function, version or alias are treated."""

    modified_ms: int
    retries: int = -1
    """``MaximumRetryAttempts``; -1: as the quota says."""
    age_s: int = -1
    """``MaximumEventAgeInSeconds``; likewise."""
    on_success: str = ""
    """The ARN of who hears of what went well; empty: nobody."""
    on_failure: str = ""
    """The ARN of who hears of what was given up; empty: nobody."""


class TellingRecord(Record, frozen=True, array_like=True, kw_only=True, tag="lambda.telling/1"):
    """What a destination is to hear of an event; the payload of a work entry."""

    target: str
    """The destination's ARN."""
    function_arn: str
    """Of the function that ran, without a version."""
    role: str
    """Its role, which tells."""
    trace: str = ""
    content: bytes = b""
    """JSON; empty if it lies in pieces."""
    pieces: int = 0


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
    kms_key: str = ""
    """The ARN of the KMS key for its filters (``KMSKeyArn``); empty: the store's own seals them."""
    lock: bytes = b""
    """The key of its filters, as that key has encrypted it; empty: it has none."""
    sealed: bytes = b""
    """Its filters, JSON, sealed with that; ``filters`` is empty then."""
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    counted: bool = False
    """Whether what becomes of its records is counted (``MetricsConfig`` ``EventCount``)."""


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


class CorsRecord(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Which web pages may call a function URL, and what their browsers are told."""

    credentials: bool = False
    headers: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    max_age_s: int | None = None


class UrlRecord(Record, frozen=True, array_like=True, kw_only=True, tag="lambda.url/1"):
    """The URL of a function or of an alias."""

    id: str
    """The first label of its host name."""
    function: str
    """The name of the function."""
    key: str
    """Of the function: one that came later under the same name has no URL by this."""
    qualifier: str
    """An alias; empty: ``$LATEST``."""
    auth: str
    """``AuthType``."""
    mode: str
    """``InvokeMode``."""
    created_ms: int
    modified_ms: int
    cors: CorsRecord | None = None


class LayerRecord(Record, frozen=True, array_like=True, tag="lambda.layer/1"):
    """A layer: a name for versions, whose numbers are never given twice."""

    next_version: int = 1


class LayerVersionRecord(
    Record, frozen=True, array_like=True, kw_only=True, tag="lambda.layer_version/1"
):
    """A version of a layer, which never changes."""

    number: int
    code_sha256: str
    """Hexadecimal, of the zip file."""
    code_size: int
    unzipped_size: int
    blob_incarnation: int
    blob_number: int
    created_ms: int
    description: str = ""
    license: str = ""
    runtimes: tuple[str, ...] = ()
    """What it says that it is for; nothing is refused for it."""
    architectures: tuple[str, ...] = ()

    @property
    def blob(self) -> BlobRef:
        """Return the blob that holds the zip file."""
        return BlobRef(self.blob_incarnation, self.blob_number)


class LayerPolicyRecord(Record, frozen=True, array_like=True, tag="lambda.layer_policy/1"):
    """The policy of a version of a layer: who else may use it."""

    document: str
    """JSON."""
    revision: str
    bound: tuple[BoundName, ...] = ()
    """Whom its users and roles were when their statements were added."""


class BorrowedRecord(Record, frozen=True, array_like=True, tag="lambda.borrowed/1"):
    """A layer version of another account that functions here use: a copy, and how many do."""

    use: LayerUse
    users: int


class UrlNameRecord(Record, frozen=True, array_like=True, tag="lambda.url-name/1"):
    """Which URL a function or an alias has."""

    id: str


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
VERSIONS = Table("lambda", 0x06, FunctionRecord)
"""key of the function, number"""
ALIASES = Table("lambda", 0x07, AliasRecord)
"""key of the function, name"""
QUALIFIED = Table("lambda", 0x08, PolicyRecord)
"""key of the function, version or alias whose policy it is"""
ACCOUNTS = Table("lambda", 0x09, AccountRecord)
"""one of each domain"""
PROVISIONED = Table("lambda", 0x0A, ProvisionedRecord)
"""key of the function, version or alias"""
URLS = Table("lambda", 0x20, UrlRecord)
"""id"""
URL_NAMES = Table("lambda", 0x21, UrlNameRecord)
"""key of the function, alias or empty"""
EVENT_CONFIGS = Table("lambda", 0x0B, EventConfigRecord)
"""key of the function, version or alias"""
GRANTS = Table("lambda", 0x0C, GrantRecord)
"""key of the function, id of the grant"""
LAYERS = Table("lambda", 0x30, LayerRecord)
"""name"""
LAYER_VERSIONS = Table("lambda", 0x31, LayerVersionRecord)
"""name of the layer, number"""
LAYER_POLICIES = Table("lambda", 0x32, LayerPolicyRecord)
"""name of the layer, number"""
BORROWED = Table("lambda", 0x33, BorrowedRecord)
"""ARN of the layer version"""
TABLES = (
    *(FUNCTIONS, POLICIES, PIECES, MAPPINGS, CURSORS),
    *(VERSIONS, ALIASES, QUALIFIED, ACCOUNTS, PROVISIONED),
    *(URLS, URL_NAMES, EVENT_CONFIGS, GRANTS),
    *(LAYERS, LAYER_VERSIONS, LAYER_POLICIES, BORROWED),
)

decode_lane = RecordDecoder(LaneRecord).decode
decode_event = RecordDecoder(EventRecord).decode
decode_ready = RecordDecoder(ReadyRecord).decode
decode_telling = RecordDecoder(TellingRecord).decode
decode_gone = RecordDecoder(GoneRecord).decode
decode_retiring = RecordDecoder(RetiringRecord).decode
