"""Who did what, when, from where, and how it ended: one entry per call, in CloudTrail's form.

Rule: secrets are left out before an entry is made (``redact``), and an entry is made for every call
that reached a service's door, refused ones included. Which entries the reply waits for is said in
``platform/metering/trail``.

Source: CloudTrail User Guide, "CloudTrail record contents" and "userIdentity element".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from fogbank.base.arn import global_arn
from fogbank.base.clock import Clock
from fogbank.base.errors import ServiceError
from fogbank.base.types import Wire
from fogbank.contract.action import Access
from fogbank.gateway.bound import Bound
from fogbank.gateway.kinds import is_data, is_read
from fogbank.gateway.redact import Audited, renamed, without_hidden
from fogbank.gateway.visit import Visit
from fogbank.platform.identity.principal import Principal, PrincipalKind
from fogbank.platform.metering.reading import Read
from fogbank.platform.metering.records import STRANGERS, Caller, DenialRecord, Entry
from fogbank.platform.metering.trail import Ride, Trail, packed
from fogbank.platform.store.engine import Store
from fogbank.wire.model import OperationModel, UnknownService, load

EVENT_VERSION: Final = "1.11"
UNKNOWN: Final = "Unknown"
"""The ``eventName`` of a request that names no operation."""
RECENT_MAX: Final = 1_000
CALLERS_MAX: Final = 4_096
"""Callers that are remembered, so that many entries share one."""
_TEXT_MAX: Final = 1_024
_TYPES: Final = {
    PrincipalKind.ROOT: "Root",
    PrincipalKind.USER: "IAMUser",
    PrincipalKind.SESSION: "AssumedRole",
    PrincipalKind.SERVICE: "AWSService",
    PrincipalKind.ANONYMOUS: "AWSAccount",
}
_RESOURCE_TYPES: Final = {
    "s3": ("AWS::S3::Bucket", "AWS::S3::Object"),
    "dynamodb": ("AWS::DynamoDB::Table",),
    "kms": ("AWS::KMS::Key",),
    "lambda": ("AWS::Lambda::Function",),
    "logs": ("AWS::Logs::LogGroup",),
}


class AuditEntry(NamedTuple):
    """A call that was refused before any operation saw it."""

    time_ms: int
    request_id: str
    service: str
    operation: str
    principal: Principal
    region: str
    source_ip: str = ""
    user_agent: str = ""
    resources: tuple[str, ...] = ()
    error_code: str = ""
    error_message: str = ""
    key_id: str = ""
    """The access key that a request names which proved nothing."""
    key_account: str = ""
    """Whose key that is, if there is one."""
    additional: dict[str, str] | None = None


class Sink(Protocol):
    """Where entries of refused calls go; it neither waits nor fails."""

    def __call__(self, entry: AuditEntry) -> None:
        """Take one entry."""
        ...


class RecentCalls:
    """Keeps the newest refusals in memory: where there is no trail."""

    __slots__ = ("_entries", "total")

    def __init__(self, entries_max: int = RECENT_MAX) -> None:
        self._entries: deque[AuditEntry] = deque(maxlen=entries_max)
        self.total = 0
        """How many entries there ever were."""

    def __call__(self, entry: AuditEntry) -> None:
        """Take one entry; the oldest goes when there are too many."""
        self._entries.append(entry)
        self.total += 1

    def __iter__(self) -> Iterator[AuditEntry]:
        """Yield the entries, oldest first."""
        return iter(tuple(self._entries))


class Audit:
    """Makes entries of calls and hands them to the trail.

    Args:
        trail: Where entries go.
        clock: The time of their ends.
        data_events: Which events of data are kept: ``all``, ``writes`` or ``none``; refusals of
            access always are.
    """

    def __init__(self, trail: Trail, clock: Clock, data_events: str = "all") -> None:
        self.trail = trail
        self.now_ms = clock.now_ms
        self._keeps_reads = data_events == "all"
        self._keeps_writes = data_events != "none"
        self._found: dict[tuple[int, str], tuple[Principal, Caller, object, str]] = {}
        self._callers: dict[tuple[str | int | bool, ...], Caller] = {}

    def __call__(self, entry: AuditEntry) -> None:
        """Take the entry of a call that was refused before any operation saw it."""
        principal = entry.principal
        claimed = principal
        if entry.key_id:
            claimed = msgspec.structs.replace(
                principal, access_key_id=entry.key_id, account=entry.key_account
            )
        caller = self._caller_of(
            (entry.service, entry.operation, entry.region),
            claimed,
            (entry.source_ip, entry.user_agent, "", False),
        )
        kept = Entry(
            entry.time_ms,
            entry.request_id,
            0,
            entry.resources,
            error_code=entry.error_code,
            error_message=entry.error_message[:_TEXT_MAX],
            additional=entry.additional,
        )
        self.trail.note(principal.account or STRANGERS, caller, kept)

    def begin(self, visit: Visit, bound: Bound, wire: Wire) -> Recording:
        """Return what records a call that an operation is about to see."""
        audited = bound.audited
        is_kept = not audited.is_data or (
            self._keeps_reads if audited.is_read else self._keeps_writes
        )
        parameters = packed(audited.parameters(wire)) if is_kept else b""
        return Recording(
            audit=self, visit=visit, audited=audited, parameters=parameters, is_kept=is_kept
        )

    def caller_of(self, visit: Visit) -> Caller:
        """Return who makes a call, from where."""
        http, principal = visit.http, visit.principal
        # A principal is one object while it is cached, and cheaper to tell than by its words: who
        # asked last for the operation asks mostly again, by the same client.
        key = (id(principal), visit.operation)
        seen = (http.source_ip, http.user_agent, http.host, http.secure)
        found = self._found.get(key)
        if found is not None:
            known, caller, last, region = found
            if known is principal and region == visit.region and last == seen:
                return caller
        asked = (visit.service, visit.operation, visit.region)
        caller = self._caller_of(asked, principal, seen)
        if len(self._found) >= CALLERS_MAX:
            self._found.clear()
        self._found[key] = (principal, caller, seen, visit.region)
        return caller

    def _caller_of(
        self,
        asked: tuple[str, str, str],
        principal: Principal,
        http: tuple[str, str, str, bool],
    ) -> Caller:
        key = (
            *asked,
            principal.arn,
            principal.unique_id,
            principal.access_key_id,
            principal.issued_ms,
            principal.source_arn,
            *http,
        )
        caller = self._callers.get(key)
        if caller is None:
            if len(self._callers) >= CALLERS_MAX:
                self._callers.clear()
            caller = self._callers[key] = Caller(
                *asked,
                kind=principal.kind.value,
                account=principal.account,
                arn=principal.arn,
                unique_id=principal.unique_id,
                name=principal.name,
                path=principal.path,
                session_name=principal.session_name,
                access_key_id=principal.access_key_id,
                issued_ms=principal.issued_ms,
                source_identity=principal.source_identity,
                source_arn=principal.source_arn,
                source_account=principal.source_account,
                source_ip=http[0],
                user_agent=http[1][:_TEXT_MAX],
                host=http[2][:_TEXT_MAX],
                secure=http[3],
                mfa_ms=principal.mfa_ms,
            )
        return caller


class Recording(Ride, kw_only=True, eq=False):
    """One call that an operation sees, until its end is recorded."""

    audit: Audit
    visit: Visit
    audited: Audited
    parameters: bytes
    """What is kept of the request."""
    is_kept: bool
    """Whether anything is kept of the call if it is let in."""
    rides: bool = True
    """Whether the entry goes with what the call writes; what runs in another domain writes there."""

    @property
    def caller(self) -> Caller:
        """Return who makes the call."""
        return self.audit.caller_of(self.visit)

    def store_of(self, store: Store) -> Store:
        """Return the store that the operation gets: one that carries the entry, if it may.

        Only calls that change data do: the others are few, or change nothing.
        """
        audited = self.audited
        if audited.is_read or not audited.is_data or not self.is_kept:
            return store
        return self.audit.trail.riding(store, self)

    def entry(
        self, error_code: str = "", error_message: str = "", response: bytes = b""
    ) -> tuple[str, Caller, Entry]:
        """Return the account, the caller and the entry of the call, as of now."""
        visit, audit = self.visit, self.audit
        accesses = visit.accesses
        entry = Entry(
            audit.now_ms(),
            visit.request_id,
            0,
            (accesses[0].resource,) if len(accesses) == 1 else _decided_on(visit),
            self.parameters,
            response,
            error_code,
            error_message[:_TEXT_MAX],
            _additional(visit.context) if visit.context else None,
        )
        account = visit.scope.account or visit.principal.account or STRANGERS
        return account, audit.caller_of(visit), entry

    def ended(self, answer: Wire) -> Awaitable[object] | None:
        """Record that the call succeeded; return what its reply waits for, or None: nothing."""
        audited = self.audited
        if not audited.is_data:
            response = packed(audited.response(answer)) if audited.answers else b""
            return self.audit.trail.settle(*self.entry(response=response))
        if self.rode:
            return self.arriving()
        if self.is_kept and not self.rides and not audited.is_read:
            return self.audit.trail.settle(*self.entry())
        if self.is_kept:
            self.audit.trail.note(*self.entry())
        return None

    async def failed(self, error: ServiceError, denial: DenialRecord | None, wire: Wire) -> None:
        """Record that the call was refused; return when its reply may leave.

        What the message quotes of the request is kept as the request itself is.

        What nobody could be held to account for does not wait for a sync: strangers may not make
        the disk work for each of their requests.
        """
        await self.arrived()
        if not self.is_kept and denial is None:
            return
        kept = self.audited.parameters(wire)
        noted = self.entry(error.code, without_hidden(error.message, wire, kept))
        is_stranger = self.visit.principal.kind is PrincipalKind.ANONYMOUS
        if is_stranger or (self.audited.is_data and denial is None):
            self.audit.trail.note(*noted, denial)
        else:
            await self.audit.trail.settle(*noted, denial)

    def broke(self, code: str) -> None:
        """Record that the call ended without an answer of its operation."""
        if self.is_kept:
            self.audit.trail.note(*self.entry(code))


def _resources_of(accesses: Sequence[Access]) -> tuple[str, ...]:
    """Return what a call needs access to."""
    return tuple([access.resource for access in accesses])


def _decided_on(visit: Visit) -> tuple[str, ...]:
    """Return what a call needs access to, where its operation finds that out itself too."""
    if visit.accesses:
        return _resources_of(visit.accesses)
    return tuple(dict.fromkeys(resource for _, resource, _ in visit.decisions))


def _additional(context: Mapping[str, str]) -> dict[str, str] | None:
    """Return how a request was signed, where it is known."""
    form = context.get("s3:authType")
    if form is None:
        return None
    by_query = form == "REST-QUERY-STRING"
    return {
        "SignatureVersion": "SigV4",
        "AuthenticationMethod": "QueryString" if by_query else "AuthHeader",
    }


# Records, when somebody reads them.


def record_of(read: Read) -> dict[str, Any]:
    """Return an entry in the shape of a CloudTrail record."""
    account, caller, entry = read
    model = _model_of(caller)
    record: dict[str, Any] = {
        "eventVersion": EVENT_VERSION,
        "userIdentity": _identity_of(caller),
        "eventTime": _time(entry.time_ms),
        "eventSource": f"{_source_of(caller.service)}.amazonaws.com",
        "eventName": caller.operation or UNKNOWN,
        "awsRegion": caller.region,
        "sourceIPAddress": caller.source_ip or caller.arn,
        "userAgent": caller.user_agent or caller.arn,
        "requestParameters": _fields(entry.parameters, model.input_ref if model else None),
        "responseElements": _fields(entry.response, model.output_ref if model else None),
        "requestID": entry.request_id,
        # The request's id is unique; a second id of our own would say nothing more.
        "eventID": entry.request_id,
        "readOnly": is_read(caller.service, caller.operation),
        "eventType": "AwsApiCall",
        "managementEvent": not is_data(caller.service, caller.operation),
        "recipientAccountId": account,
        "eventCategory": "Data" if is_data(caller.service, caller.operation) else "Management",
    }
    if entry.additional:
        record["additionalEventData"] = entry.additional
    if resources := _resources(caller.service, entry.resources, account):
        record["resources"] = resources
    if entry.error_code:
        record["errorCode"] = entry.error_code
        record["errorMessage"] = entry.error_message
    if caller.secure:
        record["tlsDetails"] = {"clientProvidedHostHeader": caller.host}
    return record


def _time(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _model_of(caller: Caller) -> OperationModel | None:
    """Return the operation that was asked for, if a model has it."""
    try:
        return load(caller.service).operations.get(caller.operation)
    except UnknownService:
        return None


def _source_of(service: str) -> str:
    """Return the service's name in ``eventSource``."""
    try:
        return load(service).endpoint_prefix.rpartition(".")[2]
    except UnknownService:
        return service


def _fields(raw: bytes, ref: Any) -> Any:
    """Return what was asked or answered, under CloudTrail's names; None if nothing."""
    return renamed(ref, msgspec.msgpack.decode(raw)) or None if raw else None


def _resources(service: str, arns: Sequence[str], account: str) -> list[dict[str, str]]:
    """Return the ``resources`` element; ``*`` is none."""
    types = _RESOURCE_TYPES.get(service, ())
    found: list[dict[str, str]] = []
    for arn in dict.fromkeys(arns):
        if not arn.startswith("arn:"):
            continue
        resource = {"ARN": arn}
        if types:
            resource["type"] = types[-1] if "/" in arn.rpartition(":")[2] else types[0]
            resource["accountId"] = account
        found.append(resource)
    return found


def _identity_of(caller: Caller) -> dict[str, Any]:
    """Return the ``userIdentity`` element."""
    kind = PrincipalKind(caller.kind)
    if kind is PrincipalKind.SERVICE:
        return {"type": "AWSService", "invokedBy": caller.arn}
    if kind is PrincipalKind.ANONYMOUS and caller.access_key_id:
        # Nobody proved to hold the key: CloudTrail's word for that is Unknown.
        return {
            "type": "Unknown",
            "principalId": "",
            "accountId": caller.account,
            "accessKeyId": caller.access_key_id,
        }
    if kind is PrincipalKind.ANONYMOUS:
        return {"type": "AWSAccount", "principalId": "", "accountId": "anonymous"}
    is_session = kind is PrincipalKind.SESSION
    identity: dict[str, Any] = {
        "type": _TYPES[kind],
        "principalId": f"{caller.unique_id}:{caller.session_name}"
        if is_session
        else caller.unique_id,
        "arn": caller.arn,
        "accountId": caller.account,
        "accessKeyId": caller.access_key_id,
    }
    if kind is PrincipalKind.USER:
        identity["userName"] = caller.name
    if caller.issued_ms:
        identity["sessionContext"] = _session_of(caller, is_role=is_session)
    return identity


def _session_of(caller: Caller, *, is_role: bool) -> dict[str, Any]:
    """Return the ``sessionContext`` of a caller with temporary credentials."""
    session: dict[str, Any] = {}
    if is_role:
        session["sessionIssuer"] = {
            "type": "Role",
            "principalId": caller.unique_id,
            "arn": global_arn(
                caller.arn.split(":")[1],
                "iam",
                caller.account,
                f"role{caller.path}{caller.name}",
            ),
            "accountId": caller.account,
            "userName": caller.name,
        }
    session["attributes"] = {
        "creationDate": _time(caller.issued_ms),
        "mfaAuthenticated": "true" if caller.mfa_ms else "false",
    }
    if caller.source_identity:
        session["sourceIdentity"] = caller.source_identity
    return session
