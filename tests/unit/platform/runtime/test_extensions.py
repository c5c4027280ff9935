"""The order that extensions and the platform keep: who may say what, and what is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any

import pytest

from fogbank.base.ids import Ids
from fogbank.platform.runtime.dialogue import Event, RefusedError
from fogbank.platform.runtime.extensions import Extension, Extensions, Stage
from fogbank.platform.runtime.port import ExtensionReport

STORY_SECONDS_MAX = 10.0


class World:
    """Extensions, what they were told, and what was lost."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Mapping[str, object]]] = []
        self.lost: list[tuple[str, str]] = []
        self.all = Extensions(
            Ids.seeded(1).uuid,
            lambda extension, event: self.told.append((extension.name, event)),
            lambda kind, words: self.lost.append((kind, words)),
        )

    def external(self, *events: str) -> Extension:
        self.all.launched(["outer"])
        return self.all.register("outer", events)


def lived(story: Awaitable[None]) -> None:
    """Run a story; one that waits for what never comes fails."""

    async def bounded() -> None:
        async with asyncio.timeout(STORY_SECONDS_MAX):
            await story

    asyncio.run(bounded())


def refusal(call: Any) -> tuple[int, str, str]:
    with pytest.raises(RefusedError) as caught:
        call()
    return caught.value.status, caught.value.kind.removeprefix("Extension."), caught.value.message


def event_of(request_id: str = "r", **context: str) -> Event:
    return Event(request_id, b"{}", 9_000, context)


def test_an_event_goes_to_who_asked_for_its_kind_and_waits_for_the_answer() -> None:
    async def live() -> None:
        world = World()
        outer = world.external("INVOKE", "SHUTDOWN")
        inner = world.all.register("inner", [])
        for each in (outer, inner):
            world.all.ask(each)
        await world.all.ready()
        world.all.begin(event_of(trace_id="Root=1", invoked_function_arn="arn"))
        assert world.told == [
            (
                "outer",
                {
                    "eventType": "INVOKE",
                    "deadlineMs": 9_000,
                    "requestId": "r",
                    "invokedFunctionArn": "arn",
                    "tracing": {"type": "X-Amzn-Trace-Id", "value": "Root=1"},
                },
            )
        ]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await world.all.ready()
        world.all.ask(outer)
        await world.all.ready()
        assert world.all.shut_down("spindown", 5)
        told = {"eventType": "SHUTDOWN", "shutdownReason": "spindown", "deadlineMs": 5}
        assert world.told[1:] == [("outer", told)]
        world.all.exited("outer", "exit code 0")
        await world.all.gone()
        assert not world.lost, "it was told to leave"

    lived(live())


def test_an_extension_is_dismissed_once_and_done_when_it_asks_again() -> None:
    async def live() -> None:
        world = World()
        outer = world.external("SHUTDOWN")
        world.all.ask(outer)
        assert world.all.shut_down("failure", 5)
        assert len(world.told) == 1
        world.all.ask(outer)
        await world.all.gone()
        assert len(world.told) == 1, "who asks again waits"

    lived(live())


def test_an_extension_that_was_busy_is_dismissed_when_it_asks() -> None:
    async def live() -> None:
        world = World()
        outer = world.external("INVOKE", "SHUTDOWN")
        world.all.ask(outer)
        world.all.begin(event_of())
        assert world.all.shut_down("timeout", 5)
        assert [event["eventType"] for _, event in world.told] == ["INVOKE"]
        world.all.ask(outer)
        assert [event["eventType"] for _, event in world.told] == ["INVOKE", "SHUTDOWN"]
        world.all.ask(outer)
        await world.all.gone()

    lived(live())


def test_the_runtime_waits_for_every_external_extension() -> None:
    async def live() -> None:
        world = World()
        world.all.launching()
        waiting = asyncio.ensure_future(world.all.registered())
        await asyncio.sleep(0)
        world.all.launched(["one", "two"])
        world.all.register("one", [])
        await asyncio.sleep(0)
        assert not waiting.done()
        world.all.register("two", [])
        await waiting
        world.all.close_registration()
        closed = refusal(lambda: world.all.register("three", []))
        assert closed == (403, "RegistrationClosed", "Extension registration closed already")

    lived(live())


def test_what_is_out_of_order_is_refused_in_the_words_of_aws() -> None:
    world = World()
    outer = world.external()
    moved = "State transition from {} to {} failed for extension {}. Error: State transition is not"
    again = refusal(lambda: world.all.register("outer", []))
    assert again[1] == "InvalidExtensionState"
    assert again[2].startswith(moved.format("Registered", "Registered", "outer"))
    world.all.ask(outer)
    twice = refusal(lambda: world.all.ask(outer))
    assert twice[2].startswith(moved.format("Ready", "Ready", outer.identifier))
    late = refusal(lambda: world.all.fail(outer, Stage.INIT_ERROR, "x"))
    assert late[2].startswith(moved.format("Ready", "InitError", outer.identifier))
    inner = world.all.register("inner", ["INVOKE"])
    same = refusal(lambda: world.all.register("inner", []))
    assert same[2] == "Extension with this name already registered"
    assert refusal(lambda: world.all.register("", []))[1] == "InvalidExtensionName"
    shutdown = refusal(lambda: world.all.register("other", ["SHUTDOWN"]))
    assert shutdown[2] == "SHUTDOWN: ShutdownEventNotSupportedForInternalExtension"
    assert refusal(lambda: world.all.register("other", ["X"]))[2] == "X: ErrorInvalidEventType"
    assert refusal(lambda: world.all.fail(inner, Stage.EXIT_ERROR, ""))[1] == "MissingHeader"
    assert world.all.known(inner.identifier.upper()) is inner
    for name in range(8):
        world.all.register(str(name), [])
    assert refusal(lambda: world.all.register("11", []))[2] == "Extension limit (10) reached"


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (None, "Extension.Crash"),
        (Stage.INIT_ERROR, "Extension.InitError"),
        (Stage.EXIT_ERROR, "Extension.ExitError"),
    ],
)
def test_an_end_is_a_crash_unless_it_was_told_before(told: Stage | None, kind: str) -> None:
    world = World()
    outer = world.external("INVOKE")
    if told is not None:
        world.all.fail(outer, told, "My.Reason")
        refused = refusal(lambda: world.all.ask(outer))
        assert refused[1] == "InvalidExtensionState", "no further call succeeds"
    assert not world.lost
    world.all.exited("outer", "exit status 1")
    world.all.exited("outer", "exit status 1")
    assert world.lost == [(kind, "exit status 1")]
    assert world.all.reports() == (ExtensionReport("outer", "Exited", ("INVOKE",), kind),)


def test_what_cannot_be_started_is_told_once() -> None:
    world = World()
    world.all.launch_failed("outer", "permission denied")
    world.all.launched([])
    assert world.lost == [("Extension.LaunchError", "permission denied")]
    assert world.all.reports()[0].state == "LaunchError"


def test_an_extension_that_registers_before_its_launch_is_told_is_an_external_one() -> None:
    async def live() -> None:
        world = World()
        world.all.launching()
        world.all.announced(["a", "b", "c"])
        found = world.all.register("a", ["INVOKE", "SHUTDOWN"])
        assert found.external
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await world.all.registered()
        world.all.launch_failed("b", "fork/exec /opt/extensions/b: permission denied")
        world.all.launched(["a"])
        assert [report.name for report in world.all.reports()] == ["a", "b"]
        assert [kind for kind, _ in world.lost] == ["Extension.LaunchError"]

    lived(live())
