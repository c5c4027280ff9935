from __future__ import annotations

import asyncio
import hashlib
from types import SimpleNamespace
from typing import Any

import pytest

from fogbank.base.errors import Throttled, Unavailable
from fogbank.base.ids import Ids
from fogbank.contract.job import Verdict
from fogbank.contract.quota import Quotas
from fogbank.engines.memory import MemoryEngine
from fogbank.platform.metering.metrics import Metrics
from fogbank.platform.metering.report import Report
from fogbank.platform.runtime.functions import RoleNotAssumableError, Run
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Domain
from fogbank.platform.store.records import encode
from fogbank.services.lambda_ import state
from fogbank.services.lambda_.jobs import events as jobs
from fogbank.services.lambda_.schema import EventRecord, FunctionRecord
from fogbank.testing.clock import VirtualClock

DOMAIN = Domain("lambda", "111122223333", "us-east-1")
FUNCTION = FunctionRecord(
    name="f",
    revision="r",
    deployment="d",
    runtime="python3.11",
    handler="app.handler",
    role="arn:aws:iam::111122223333:role/r",
    code_sha256=hashlib.sha256(b"").hexdigest(),
    code_size=0,
    blob_incarnation=1,
    blob_number=1,
    architecture="x86_64",
    modified_ms=0,
)


class Functions:
    """Answers every run with what it was told."""

    def __init__(self, outcome: Any) -> None:
        self.outcome = outcome
        self.asked: list[Any] = []

    async def run(self, target: Any, invocation: Any, around: Any, **options: Any) -> Run:
        self.asked.append((target.function_name, invocation, options))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return Run(b"{}", self.outcome, Report("i", 1.0, 1, 128, 1), b"")


def attempt(
    outcome: Any, *, attempts: int = 0, age_ms: int = 0, exists: bool = True, payload: bytes = b"{}"
) -> tuple[Verdict, int, Functions]:
    clock, engine, functions = VirtualClock(), MemoryEngine(), Functions(outcome)
    facilities: Any = SimpleNamespace(
        clock=clock,
        ids=Ids.seeded(1),
        quotas=Quotas(),
        placement=engine,
        functions=functions,
        metrics=Metrics(clock),
    )
    arn = "arn:aws:lambda:us-east-1:111122223333:function:f"
    event = EventRecord(function_name="f", invoked_arn=arn, payload=payload, client_context="{}")
    entry = WorkEntry(
        list=state.ASYNC,
        id="i",
        domain=DOMAIN.name,
        payload=encode(event),
        created_ms=clock.now_ms() - age_ms,
        visible_ms=0,
        attempt=attempts,
    )

    async def story() -> Verdict:
        async def body(tr: Any) -> None:
            if exists:
                await state.create_function(tr, FUNCTION, 1 << 40)

        await engine.store_of(DOMAIN).transact(body)
        return await jobs.invoke_waiting.attempt(entry, facilities)

    return asyncio.run(story()), clock.now_ms(), functions


def test_an_event_that_succeeds_is_done_and_its_log_was_waited_for() -> None:
    verdict, _, functions = attempt(False)
    assert verdict.retry_at_ms is None
    ((name, invocation, options),) = functions.asked
    assert (name, invocation.request_id, invocation.payload) == ("f", "i", b"{}")
    assert invocation.context["client_context"] == "{}"
    assert invocation.context["trace_id"].startswith("Root=1-")
    assert options == {"patience_ms": 30_000, "logged": True}


@pytest.mark.parametrize(("attempts", "wait_ms"), [(0, 60_000), (1, 120_000), (2, None)])
def test_a_failed_event_waits_one_minute_then_two_then_is_dropped(
    attempts: int, wait_ms: int | None
) -> None:
    verdict, now_ms, _ = attempt(True, attempts=attempts)
    assert verdict.retry_at_ms == (None if wait_ms is None else now_ms + wait_ms)
    assert not verdict.uncounted


@pytest.mark.parametrize("error", [Throttled("full"), RoleNotAssumableError("gone")])
@pytest.mark.parametrize(("age_ms", "wait_ms"), [(0, 1_000), (10_000, 5_000), (3_600_000, 300_000)])
def test_an_event_without_room_waits_longer_each_time_and_that_is_no_attempt(
    error: Exception, age_ms: int, wait_ms: int
) -> None:
    verdict, now_ms, _ = attempt(error, age_ms=age_ms)
    assert verdict.retry_at_ms == now_ms + wait_ms
    assert verdict.uncounted


def test_bad_weather_is_left_to_the_driver() -> None:
    with pytest.raises(Unavailable):
        attempt(Unavailable("gone"))


def test_an_event_without_function_or_past_its_age_is_dropped_unrun() -> None:
    for options in ({"exists": False}, {"age_ms": 6 * 3_600_000 + 1}):
        verdict, _, functions = attempt(False, **options)
        assert verdict.retry_at_ms is None
        assert functions.asked == []


def test_the_claim_outlasts_everything_an_attempt_may_take() -> None:
    longest_ms = jobs.PATIENCE_MS + 10_000 + 900_000 + 60_000
    assert longest_ms < jobs.HOLD_MS
