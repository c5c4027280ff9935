"""Following a log group: which events to ask for again and again, and which of them are new.

Rule: no event is shown twice, and none is lost that can be read within ``LATE_MS`` of its own time.

Theory: FilterLogEvents tells events in order of their own times, and an event may become readable after
later ones: streams are written side by side, each some time after what it tells of has happened. So a
cursor that only goes forward loses events, and so does "newer than the newest seen". Instead each round
asks anew for all from some time before the *round before it began*: a few seconds, and now and then
``LATE_MS``. What was shown is known by the events' ids, which are kept for as long as a round can see
them again. Times are those at which rounds began, not those of events: an event may lie in the future.

Source: Amazon CloudWatch Logs API Reference, FilterLogEvents: a page may be empty and still have a
``nextToken``; only where there is none is the search at its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from fogbank.server.calling import Caller

TARGET: Final = "Logs_20140328.FilterLogEvents"
PAUSE_S: Final = 0.5
"""Between two rounds."""
NEAR_MS: Final = 5_000
"""How late an event may be to be seen in the next round."""
LATE_MS: Final = 120_000
"""How late it may be to be seen at all."""
DEEP_MS: Final = 15_000
"""How often is looked for those."""
SEEN_MAX: Final = 200_000
"""Events that are known to have been shown; where more come, late ones among the oldest are lost."""


def search(caller: Caller, asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the events that a search finds, page by page to its end.

    Raises:
        CallError: There is no server, or it refuses.
    """
    token: dict[str, str] = {}
    while True:
        reply = caller.ask("logs", TARGET, {**asked, **token})
        yield from reply.get("events", ())
        if not reply.get("nextToken"):
            return
        token = {"nextToken": reply["nextToken"]}


class Round(NamedTuple):
    """One search."""

    at_ms: int
    """When it began."""
    begin_ms: int
    """The time of the first event that it asks for."""
    deep: bool
    """Whether it looks for what is late."""


class Tail:
    """Knows what was shown of a group.

    Args:
        begin_ms: The time of the first event that is wanted.
    """

    pause_s = PAUSE_S

    def __init__(self, begin_ms: int) -> None:
        self._begin_ms = begin_ms
        """What lies before is not asked for any more."""
        self._last_ms = self._last_deep_ms = -1
        """When the last rounds began that came to their end; -1: none has."""
        self._seen: dict[str, int] = {}
        """Times of the events that were shown."""

    def begin(self, now_ms: int) -> Round:
        """Return what to ask for now."""
        if self._last_ms < 0:
            return Round(now_ms, self._begin_ms, deep=True)
        deep = now_ms - self._last_deep_ms >= DEEP_MS
        before_ms = self._last_deep_ms - LATE_MS if deep else self._last_ms - NEAR_MS
        return Round(now_ms, max(self._begin_ms, before_ms), deep)

    def is_new(self, event: Mapping[str, Any]) -> bool:
        """Return whether an event was not shown yet; it is shown then."""
        event_id, at_ms = event["eventId"], event["timestamp"]
        if event_id in self._seen or at_ms < self._begin_ms:
            return False
        self._seen[event_id] = at_ms
        if len(self._seen) > SEEN_MAX:
            self._forget_oldest()
        return True

    def end(self, done: Round) -> None:
        """Note that a round came to its end: what no later one can see again is forgotten."""
        self._last_ms = done.at_ms
        if not done.deep:
            return
        self._last_deep_ms = done.at_ms
        oldest_ms = done.at_ms - LATE_MS
        self._begin_ms = max(self._begin_ms, oldest_ms)
        self._seen = {key: at_ms for key, at_ms in self._seen.items() if at_ms >= self._begin_ms}

    def _forget_oldest(self) -> None:
        """Forget the older half of what was shown, and never ask for its time again."""
        times = sorted(self._seen.values())
        self._begin_ms = times[len(times) // 2] + 1
        self._seen = {key: at_ms for key, at_ms in self._seen.items() if at_ms >= self._begin_ms}
