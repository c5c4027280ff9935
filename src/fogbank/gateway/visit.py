"""One call on its way: what is known of it so far, for its operation, its error and its entry.

Rule: a visit holds names and facts and nothing that runs, so that it can be written down whole and
sent to the process whose store has the operation's domain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from fogbank.contract.action import Access, Point, Scope
from fogbank.contract.call import HttpFacts
from fogbank.platform.blobs.port import BlobReader
from fogbank.platform.iam.decision import Decision
from fogbank.platform.identity.cache import NO_EPOCH
from fogbank.platform.identity.principal import ANONYMOUS
from fogbank.platform.metering.current import LAST
from fogbank.platform.metering.records import LookedAt

_NOWHERE: Final = Scope("", "", "")
_NO_CONTEXT: Final[Mapping[str, str]] = {}


class Reasons(NamedTuple):
    """What a refusal was decided on, beside the decision itself."""

    keys: dict[str, Any]
    looked_at: tuple[LookedAt, ...] = ()
    text: str = ""


class Visit:
    """What is known so far of a call."""

    __slots__ = (
        "accesses",
        "began",
        "context",
        "decisions",
        "ended",
        "epoch",
        "http",
        "lending",
        "logged",
        "now_ms",
        "operation",
        "performed",
        "points",
        "principal",
        "reasons",
        "region",
        "request_id",
        "scope",
        "service",
    )

    def __init__(
        self, service: str, operation: str, region: str, request_id: str, http: HttpFacts
    ) -> None:
        self.service = service
        self.operation = operation
        self.region = region
        self.request_id = request_id
        self.http = http
        self.principal = ANONYMOUS
        self.accesses: Sequence[Access] = ()
        self.decisions: list[tuple[str, str, Decision]] = []
        """Why the call was let in or not: see ``platform/iam/decision``."""
        self.reasons: Reasons | None = None
        """What the last of them was decided on, if it was a refusal that is recorded."""
        self.scope = _NOWHERE
        """The account whose resources are meant; known once the caller is."""
        self.now_ms = 0
        """When the call was let in: what its conditions compare with."""
        self.began = 0.0
        """When it began, by the monotonic clock."""
        self.ended = 0.0
        """When it ended."""
        self.performed = False
        """Whether it came to the operation, which records its end."""
        self.context = _NO_CONTEXT
        """Condition keys that say how the request was signed."""
        self.lending: BlobReader | None = None
        """What reads blobs whose bytes leave with the reply, if whoever asks reads them itself."""
        self.logged: bool | None = None
        """Whether the resource keeps a log of its requests; None: nobody has looked at it."""
        self.points: Sequence[Point] = ()
        """Access points that the request named in the place of resources."""
        self.epoch = NO_EPOCH
        """The epoch of the caller's account under which its credential was read."""

    def end(self, now: float) -> int:
        """Note when the call ended; return how many microseconds it took."""
        self.ended = now
        LAST.call = self
        return int((now - self.began) * 1_000_000)

    def admit(
        self,
        account: str,
        now_ms: int,
        context: Mapping[str, str] = _NO_CONTEXT,
        region_set: tuple[str, ...] = (),
    ) -> None:
        """Note in whose account the operation runs, and under which circumstances."""
        self.scope = Scope(account, self.region, self.request_id, region_set, now_ms)
        self.now_ms = now_ms
        self.context = context
