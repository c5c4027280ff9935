"""One call on its way: what is known of it so far, for its operation, its error and its entry.

Rule: a visit holds names and facts and nothing that runs, so that it can be written down whole and
sent to the process whose store has the operation's domain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from fogbank.contract.action import Access, Point, Scope
from fogbank.contract.call import HttpFacts
from fogbank.platform.blobs.port import BlobReader
from fogbank.platform.iam.decision import Decision
from fogbank.platform.identity.cache import NO_EPOCH, Epoch
from fogbank.platform.identity.principal import ANONYMOUS, Principal
from fogbank.platform.metering.current import LAST
from fogbank.platform.metering.records import LookedAt
from fogbank.platform.store.engine import Domain

_NOWHERE: Final = Scope("", "", "")
_NO_CONTEXT: Final[Mapping[str, str]] = {}


class Reasons(NamedTuple):
    """What a refusal was decided on, beside the decision itself."""

    keys: dict[str, Any]
    looked_at: tuple[LookedAt, ...] = ()
    text: str = ""


class Visit(msgspec.Struct, eq=False):
    """What is known so far of a call."""

    service: str
    operation: str
    region: str
    request_id: str
    http: HttpFacts
    began: float = 0.0
    """When it began, by the monotonic clock."""
    ended: float = 0.0
    """When it ended."""
    principal: Principal = ANONYMOUS
    accesses: Sequence[Access] = ()
    decisions: list[tuple[str, str, Decision]] = []
    """Why the call was let in or not: see ``platform/iam/decision``."""
    reasons: Reasons | None = None
    """What the last of them was decided on, if it was a refusal that is recorded."""
    scope: Scope = _NOWHERE
    """The account whose resources are meant; known once the caller is."""
    now_ms: int = 0
    """When the call was let in: what its conditions compare with."""
    performed: bool = False
    """Whether it came to the operation, which records its end."""
    context: Mapping[str, str] = _NO_CONTEXT
    """Condition keys that say how the request was signed."""
    lending: BlobReader | None = None
    """What reads blobs whose bytes leave with the reply, if whoever asks reads them itself."""
    logged: bool | None = None
    """Whether the resource keeps a log of its requests; None: nobody has looked at it."""
    points: Sequence[Point] = ()
    """Access points that the request named in the place of resources."""
    epoch: Epoch = NO_EPOCH
    """The epoch of the caller's account under which its credential was read."""
    domain: Domain | None = None
    """Where the operation runs, if not where its request says (``Elsewhere``)."""

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
