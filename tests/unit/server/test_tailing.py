"""Following a log group: no event twice, and none lost that comes within the time that is promised."""

from __future__ import annotations

from typing import Any, cast

import pytest

from fogbank.server import tailing
from fogbank.server.calling import Caller
from fogbank.server.tailing import LATE_MS, Tail, search


class Group:
    """A log group, asked as FilterLogEvents is; it answers an empty page before each that is full."""

    def __init__(self) -> None:
        self.now_ms = 1_000_000_000
        self.events: list[dict[str, Any]] = []
        self.found: list[dict[str, Any]] = []
        self.shown: list[str] = []
        self.tail = Tail(self.now_ms - 600_000)

    def write(self, *messages: str, late_ms: int = 0) -> None:
        for each in messages:
            event_id = str(len(self.events))
            self.events.append(
                {"timestamp": self.now_ms - late_ms, "eventId": event_id, "message": each}
            )

    def ask(self, _service: str, target: str, asked: Any) -> Any:
        assert target == "Logs_20140328.FilterLogEvents"
        at = asked.get("nextToken", "")
        if not at:
            found = [each for each in self.events if each["timestamp"] >= asked["startTime"]]
            self.found = sorted(found, key=lambda each: (each["timestamp"], int(each["eventId"])))
            at = "0-"
        found = self.found
        if at.endswith("-"):
            return {"events": [], "nextToken": at[:-1]}
        begin, end = int(at), int(at) + 3
        more = {"nextToken": f"{end}-"} if end < len(found) else {}
        return {"events": found[begin:end], **more}

    def look(self, most: int = 1_000_000) -> None:
        """Make a round; after so many events the server is away."""
        turn = self.tail.begin(self.now_ms)
        found = search(cast("Caller", self), {"startTime": turn.begin_ms})
        for number, event in enumerate(found):
            if number == most:
                return
            if self.tail.is_new(event):
                self.shown.append(event["message"])
        self.tail.end(turn)


def test_each_event_is_shown_once_however_late_and_wherever_a_round_broke_off() -> None:
    group, expected = Group(), []

    def wrote(*messages: str, late_ms: int = 0) -> None:
        group.write(*messages, late_ms=late_ms)
        expected.extend(messages)

    wrote("old 1", "old 2", "old 3", "old 4", late_ms=500_000)
    group.look(most=2)
    assert group.shown == ["old 1", "old 2"]
    for number in range(100):
        # Several of one time, over more than a page; some late by seconds, some by all of LATE_MS.
        wrote(f"{number} a", f"{number} b", f"{number} c", f"{number} d")
        if number % 3 == 0:
            wrote(f"{number} late", late_ms=4_000)
        if number % 7 == 0:
            wrote(f"{number} very late", late_ms=LATE_MS)
        if number % 11 == 0:
            wrote(f"{number} of the future", late_ms=-60_000)
        group.look(most=5 if number % 13 == 0 else 1_000_000)
        group.now_ms += 1_300
    for _ in range(2):
        group.look()
        group.now_ms += 20_000
    assert sorted(group.shown) == sorted(expected)


def test_events_are_asked_for_again_for_some_seconds_and_only_now_and_then_for_longer() -> None:
    group = Group()
    begins = []
    for _ in range(40):
        begins.append(group.now_ms - group.tail.begin(group.now_ms).begin_ms)
        group.look()
        group.now_ms += 500
    assert begins[:3] == [600_000, 5_500, 5_500]
    assert sorted(set(begins)) == [5_500, LATE_MS + 15_000, 600_000]
    assert begins.count(LATE_MS + 15_000) == 1


def test_what_is_remembered_of_a_flood_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tailing, "SEEN_MAX", 20)
    group = Group()
    for number in range(60):
        group.write(f"{number} a", f"{number} b")
        group.look()
        assert len(group.tail._seen) <= 20
        group.now_ms += 100
    assert sorted(group.shown) == sorted(f"{n} {word}" for n in range(60) for word in "ab")
    # What cannot be seen again is forgotten by the rounds that look for what is late.
    for _ in range(2):
        group.now_ms += LATE_MS
        group.look()
    assert group.tail._seen == {}
