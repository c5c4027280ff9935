"""The audit trail of a store process: its bounds, the job that keeps it small, its readers.

The same requests answer ``fogbank audit`` and ``fogbank why-denied`` over the control socket of a
running server and in a command's own process on a directory that no server uses.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from fogbank.base.clock import Clock
from fogbank.contract.call import Facilities
from fogbank.contract.job import Progress, Reconciler
from fogbank.gateway.audit import record_of
from fogbank.platform.identity.identity import Identity
from fogbank.platform.metering import reading
from fogbank.platform.metering.reading import Read
from fogbank.platform.metering.records import STRANGERS, DenialRecord
from fogbank.platform.metering.trail import TrailSettings
from fogbank.platform.store.engine import Store
from fogbank.server.config import Config
from fogbank.server.control import Control, ControlError, Send

TRIM_PERIOD_MS: Final = 60_000
FOLLOW_MS: Final = 500
_DAY_MS: Final = 86_400_000
_END_MS: Final = 1 << 62


def trail_settings(config: Config) -> TrailSettings:
    """Return what the settings say of the trail."""
    audit = config.audit
    return TrailSettings(
        flush_ms=audit.flush_ms,
        age_ms_max=audit.retention_days * _DAY_MS,
        account_bytes_max=audit.account_mb_max << 20,
        denials_age_ms_max=audit.denials_days * _DAY_MS,
    )


def trimming(settings: TrailSettings) -> Reconciler:
    """Return the job that removes what is too old or too much of the trail."""

    async def trim_audit(facilities: Facilities) -> Progress:
        busy = False
        for store in facilities.placement.system_stores():
            busy |= await reading.trim(store, facilities.clock.now_ms(), settings)
        return Progress.BUSY if busy else Progress.IDLE

    return Reconciler("platform.audit.trim", trim_audit, TRIM_PERIOD_MS)


class AuditArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which records are wanted; what is empty does not matter."""

    account: str = ""
    """A name or twelve digits; ``anonymous`` for calls by nobody that we know."""
    since_ms: int = 0
    until_ms: int = _END_MS
    event: str = ""
    user: str = ""
    request: str = ""
    follow: bool = False


class WhyArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which refusal is wanted."""

    request: str


class Audits:
    """Answers operators' questions about the trail.

    Args:
        stores: The system subspaces of every store: the trail is in all of them.
        identity: The names of accounts.
        clock: The time, for readers that follow.
        flush: Writes what is on its way to the stores; None where no server runs.
    """

    def __init__(
        self,
        stores: Sequence[Store],
        identity: Identity,
        clock: Clock,
        flush: Callable[[], Awaitable[None]] | None,
    ) -> None:
        self._stores = stores
        self._identity = identity
        self._clock = clock
        self._write_waiting = flush

    def controls(self) -> list[Control]:
        """Return the requests, for the control socket."""
        return [
            Control("audit", AuditArguments, self._audit),
            Control("why-denied", WhyArguments, self._why_denied),
        ]

    async def _flush(self) -> None:
        """Write what waits, so that readers see every call that was answered."""
        if self._write_waiting is not None:
            await self._write_waiting()

    async def _audit(self, wanted: AuditArguments, send: Send) -> Mapping[str, Any]:
        """Send the records that are wanted, in order of time; count them."""
        await self._flush()
        account = await self._account_id(wanted.account)
        sent = 0
        seen: set[str] = set()
        since_ms = wanted.since_ms
        while True:
            now_ms = self._clock.now_ms()
            async for read in self._entries(account, since_ms, wanted.until_ms):
                if read.entry.request_id not in seen and _is_wanted(read, wanted):
                    await send(record_of(read))
                    sent += 1
                if wanted.follow and read.entry.time_ms > now_ms - reading.LATE_MS:
                    seen.add(read.entry.request_id)
            if not wanted.follow or now_ms >= wanted.until_ms:
                return {"records": sent}
            since_ms = max(wanted.since_ms, now_ms - reading.LATE_MS)
            await self._clock.sleep_until(now_ms + FOLLOW_MS)
            await self._flush()

    async def _account_id(self, name: str) -> str:
        """Return the id of an account that is given by name or id; '' for all."""
        if name in ("", STRANGERS):
            return name
        account = await self._identity.find_account(name)
        if account is None:
            raise ControlError("NoSuchAccount", f"there is no account {name}")
        return account.account_id

    async def _entries(self, account: str, since_ms: int, until_ms: int) -> AsyncIterator[Read]:
        """Yield the entries of one account or all, of all stores, in order of time."""
        streams: list[AsyncIterator[Read]] = []
        for store in self._stores:
            names = [account] if account else await reading.accounts(store)
            streams += [reading.entries(store, name, since_ms, until_ms) for name in names]
        async for read in _merged(streams):
            yield read

    async def _why_denied(self, wanted: WhyArguments, send: Send) -> Mapping[str, Any]:
        """Send why a request was refused.

        Raises:
            ControlError: No refusal of that request is known.
        """
        await self._flush()
        for store in self._stores:
            for denial in await reading.find_denials(store, wanted.request):
                await send(denial_row(denial))
                return {"found": "denial"}
        async for read in self._entries("", 0, _END_MS):
            if read.entry.request_id == wanted.request:
                await send(record_of(read))
                return {"found": "call"}
        raise ControlError("NoSuchRequest", f"nothing is known of a request {wanted.request}")


async def _merged(streams: Sequence[AsyncIterator[Read]]) -> AsyncIterator[Read]:
    """Yield what several streams yield in order of time, in order of time."""
    heads: list[tuple[Read, AsyncIterator[Read]]] = []
    for stream in streams:
        head = await anext(stream, None)
        if head is not None:
            heads.append((head, stream))
    while heads:
        at = min(range(len(heads)), key=lambda at: heads[at][0].entry.time_ms)
        read, stream = heads[at]
        yield read
        following = await anext(stream, None)
        if following is None:
            del heads[at]
        else:
            heads[at] = (following, stream)


def _is_wanted(read: Read, wanted: AuditArguments) -> bool:
    """Return whether a record is one of those that are asked for."""
    return (
        (not wanted.event or read.caller.operation == wanted.event)
        and (not wanted.user or read.caller.arn == wanted.user)
        and (not wanted.request or read.entry.request_id == wanted.request)
    )


def denial_row(denial: DenialRecord) -> Mapping[str, Any]:
    """Return a refusal as commands read it."""
    caller = denial.caller
    return {
        "requestID": denial.request_id,
        "time_ms": denial.time_ms,
        "principal": caller.arn or caller.kind,
        "accessKeyId": caller.access_key_id,
        "operation": f"{caller.service}:{caller.operation}",
        "region": caller.region,
        "sourceIPAddress": caller.source_ip,
        "action": denial.action,
        "resource": denial.resource,
        "reason": denial.reason,
        "explanation": denial.explanation,
        "policy": {
            "kind": denial.policy_kind,
            "policy": denial.policy,
            "holder": denial.holder,
            "sid": denial.sid,
            "statement": denial.statement,
            "text": denial.text,
        }
        if denial.statement >= 0
        else None,
        "context": denial.keys,
        "lookedAt": [
            {"kind": each.kind, "policy": each.policy, "holder": each.holder}
            for each in denial.looked_at
        ],
    }
