"""Refusals on their way to the trail: the first ones singly, a flood of them together."""

from __future__ import annotations

import asyncio
import logging

import pytest

from fogbank.gateway import refusals as refusals_module
from fogbank.gateway.audit import AuditEntry
from fogbank.gateway.refusals import KINDS_MAX, RECORDS_MAX, WINDOW_MS, Refusals
from fogbank.platform.identity.principal import ANONYMOUS, Principal, PrincipalKind
from fogbank.testing.clock import VirtualClock

KNOWN = Principal(kind=PrincipalKind.ROOT, account="1" * 12, arn="arn:aws:iam::1:root")


class World:
    """Refusals, the entries that they let through, and virtual time."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.entries: list[AuditEntry] = []
        self.refusals = Refusals(self.entries.append, self.clock)

    def refuse(
        self, count: int, principal: Principal = ANONYMOUS, source_ip: str = "10.0.0.1"
    ) -> None:
        for number in range(count):
            self.refusals(
                AuditEntry(
                    self.clock.now_ms(), str(number), "s3", "GetObject", principal, "us-east-1",
                    source_ip, error_code="SignatureDoesNotMatch", error_message="No.",
                )
            )  # fmt: skip

    def counts(self) -> list[str]:
        """Return how many refusals each record tells of that tells of several."""
        return [each.additional["refusals"] for each in self.entries if each.additional]


def test_a_flood_leaves_so_many_records_and_one_that_counts_the_rest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    world.refuse(RECORDS_MAX + 1_000)
    assert len(world.entries) == RECORDS_MAX
    assert world.refusals.grouped == 1_000
    world.refusals.tell()
    world.refusals.tell()
    assert len(world.entries) == RECORDS_MAX + 1
    told = world.entries[-1]
    assert told.additional == {"refusals": "1000"}
    assert (told.source_ip, told.error_code) == ("10.0.0.1", "SignatureDoesNotMatch")
    said = [each.levelno for each in caplog.records if "come faster than" in each.message]
    assert said == [logging.ERROR]


def test_strangers_take_no_record_of_an_account(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    world = World()
    world.refuse(RECORDS_MAX * 2)
    world.refuse(RECORDS_MAX, KNOWN)
    own = [each for each in world.entries if each.principal is KNOWN]
    assert len(own) == RECORDS_MAX
    world.refuse(5, KNOWN)
    world.refusals.tell()
    assert sorted(world.counts()) == ["120", "5"]


def test_kinds_that_are_told_of_are_bounded_too() -> None:
    world = World()
    world.refuse(RECORDS_MAX)
    for number in range(KINDS_MAX + 50):
        world.refuse(2, source_ip=f"10.0.1.{number}")
    world.refusals.tell()
    assert len(world.entries) == RECORDS_MAX + KINDS_MAX + 1
    assert world.counts() == ["2"] * KINDS_MAX + ["100"]
    others = world.entries[-1]
    assert (others.source_ip, others.error_code) == ("", "Refused")


def test_accounts_with_records_of_their_own_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals_module, "ACCOUNTS_MAX", 2)
    world = World()
    for number in range(5):
        account = f"{number:012d}"
        who = Principal(
            kind=PrincipalKind.ROOT, account=account, arn=f"arn:aws:iam::{account}:root"
        )
        world.refuse(RECORDS_MAX, who)
    assert len(world.entries) == 3 * RECORDS_MAX
    assert world.refusals.grouped == 2 * RECORDS_MAX


def test_the_next_window_begins_anew_and_what_was_counted_is_told_when_one_is_over() -> None:
    async def main() -> None:
        world = World()
        running = asyncio.ensure_future(world.refusals.run())
        world.refuse(RECORDS_MAX + 7)
        await asyncio.sleep(0)
        assert world.counts() == []
        now_ms = world.clock.now_ms()
        world.clock.advance_to((now_ms // WINDOW_MS + 1) * WINDOW_MS)
        for _ in range(5):
            await asyncio.sleep(0)
        assert world.counts() == ["7"]
        world.refuse(RECORDS_MAX)
        assert world.refusals.grouped == 7
        running.cancel()

    asyncio.run(main())


def test_a_refusal_of_the_next_window_has_what_was_counted_told_first() -> None:
    world = World()
    world.refuse(RECORDS_MAX + 3)
    world.clock.advance_to(world.clock.now_ms() + WINDOW_MS)
    world.refuse(1)
    assert world.entries[-2].additional == {"refusals": "3"}
    assert world.entries[-1].additional is None
