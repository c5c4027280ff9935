"""Requests that were refused before any operation saw them, on their way to the audit trail.

Rule: a flood of them fills no disk. Of each account, and of all strangers together, ``RECORDS_MAX``
are recorded one by one in each window of a minute. Those behind are told of together: one record
for each kind (whose, from where, with which key, why) says how many there were, for ``KINDS_MAX``
kinds, and one for all others. The log says so once a window, and ``grouped`` counts them.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from fogbank.base.clock import Clock
from fogbank.base.errors import ServiceError
from fogbank.gateway.audit import AuditEntry, Sink
from fogbank.gateway.redact import HIDDEN
from fogbank.gateway.resolve import Target
from fogbank.gateway.visit import Visit
from fogbank.platform.identity.principal import ANONYMOUS, PrincipalKind
from fogbank.platform.metering.records import STRANGERS

WINDOW_MS: Final = 60_000
RECORDS_MAX: Final = 120
"""Records of one account in a window, one by one."""
ACCOUNTS_MAX: Final = 1_024
"""Accounts that have records of their own in a window; further ones share those of nobody."""
KINDS_MAX: Final = 64
TOGETHER: Final = "refusals"
"""Under what ``additionalEventData`` says how many one record tells of."""
_KEY_ID: Final = re.compile(r"A[KS]IA[A-Z0-9]{12,124}")
_log = logging.getLogger(__name__)


class _Kind(NamedTuple):
    """What refusals that are told of together have in common."""

    account: str
    source_ip: str
    key_id: str
    error_code: str


_OTHERS: Final = _Kind("", "", "", "")


def entry_of(visit: Visit, error: ServiceError | None, now_ms: int) -> AuditEntry:
    """Return the entry of a call that ended without its operation."""
    http = visit.http
    return AuditEntry(
        now_ms,
        visit.request_id,
        visit.service,
        visit.operation,
        visit.principal,
        visit.region,
        http.source_ip,
        http.user_agent,
        tuple([access.resource for access in visit.accesses]),
        "" if error is None else error.code,
        "" if error is None else error.message,
    )


def key_of(target: Target) -> str:
    """Return the access key that a request names, as its record may say it.

    What is no key of ours and does not look like one may be a secret in the wrong field: CloudTrail
    hides user names that do not exist for the same reason (User Guide, "AWS Management Console
    sign-in events").
    """
    if target.signed is None:
        return ""
    key_id = target.signed.access_key_id
    return key_id if target.key_account or _KEY_ID.fullmatch(key_id) else HIDDEN


class Refusals:
    """Hands refusals to the trail, the first ones singly, the rest together.

    Args:
        sink: Where entries go.
        clock: What windows are measured by.
    """

    def __init__(self, sink: Sink, clock: Clock) -> None:
        self.grouped = 0
        """How many refusals so far had no record of their own."""
        self._sink = sink
        self._clock = clock
        self._window = 0
        self._recorded: Counter[str] = Counter()
        self._kinds: dict[_Kind, tuple[AuditEntry, int]] = {}
        self._some = asyncio.Event()

    def has_room(self, account: str) -> bool:
        """Return whether the next refusal of an account (or of a stranger) gets its own record."""
        window = self._clock.now_ms() // WINDOW_MS
        if window != self._window:
            self.tell()
            self._window = window
            self._recorded.clear()
        name = self._name_of(account)
        return self._recorded[name] < RECORDS_MAX

    def _name_of(self, account: str) -> str:
        """Return whose records an account's count against."""
        name = account or STRANGERS
        known = name in self._recorded or len(self._recorded) < ACCOUNTS_MAX
        return name if known else STRANGERS

    def __call__(self, entry: AuditEntry) -> None:
        """Take a refusal."""
        account = entry.principal.account
        if self.has_room(account):
            self._recorded[self._name_of(account)] += 1
            self._sink(entry)
            return
        if not self._kinds:
            self._some.set()
            _log.error(
                "refusals come faster than %d a minute of one account: the audit trail tells of "
                "the rest together",
                RECORDS_MAX,
            )
        self.grouped += 1
        kind = _Kind(account, entry.source_ip, entry.key_id, entry.error_code)
        if kind not in self._kinds and len(self._kinds) >= KINDS_MAX:
            kind = _OTHERS
        first, count = self._kinds.get(kind, (entry, 0))
        self._kinds[kind] = (first, count + 1)

    def claimed(self, entry: AuditEntry, target: Target, guess: Callable[[], str]) -> None:
        """Take a refusal with what its request says of itself, without having proved it.

        Args:
            entry: The refusal.
            target: What was asked for, as far as it is known.
            guess: Returns the operation that seems to be meant; only asked for a record of its own.
        """
        if entry.principal.kind is PrincipalKind.ANONYMOUS:
            entry = entry._replace(key_id=key_of(target), key_account=target.key_account)
        if not entry.operation and self.has_room(entry.principal.account):
            entry = entry._replace(operation=guess())
        self(entry)

    def tell(self) -> None:
        """Record what was counted and not told yet."""
        kinds, self._kinds = self._kinds, {}
        for kind, (first, count) in kinds.items():
            entry = first._replace(additional={TOGETHER: str(count)})
            self._sink(entry if kind != _OTHERS else _of_others(entry))

    async def run(self) -> None:
        """Tell of each window that had too many when it is over, until cancelled."""
        while True:
            await self._some.wait()
            self._some.clear()
            now_ms = self._clock.now_ms()
            await self._clock.sleep_until((now_ms // WINDOW_MS + 1) * WINDOW_MS)
            self.tell()


def _of_others(entry: AuditEntry) -> AuditEntry:
    """Return an entry that tells of refusals of many kinds: nothing in it is one's own."""
    return AuditEntry(
        entry.time_ms,
        entry.request_id,
        entry.service,
        "",
        ANONYMOUS,
        entry.region,
        error_code="Refused",
        error_message="Requests of many kinds were refused.",
        additional=entry.additional,
    )
