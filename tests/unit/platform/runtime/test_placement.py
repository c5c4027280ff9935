from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from fogbank.base.errors import Conflict, Throttled, Unavailable
from fogbank.platform.metering.report import find_report
from fogbank.platform.runtime.functions import RoleNotAssumableError, Tree
from fogbank.platform.runtime.pace import LOOK_MS, Pace, ProcessorTimes
from fogbank.platform.runtime.port import Ending, InitReport, Outcome, UndeliveredError

from .fakes import (  # noqa: TID252 (fakes of this folder)
    RETURNED,
    FakeSandbox,
    World,
    event,
    payload_of,
    target,
)


def test_an_environment_is_used_again_and_its_start_is_reported_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path) as world:
            cold = await world.run()
            warm = await world.run()
            assert (payload_of(cold), cold.failed) == ("ok", False)
            assert cold.report.init_ms == 7.0
            assert cold.report.billed_ms == 20
            assert warm.report.init_ms is None
            assert warm.report.billed_ms == 13
            assert len(world.runtime.sandboxes) == 1

    asyncio.run(story())


def test_an_event_that_was_not_delivered_runs_in_another_environment(tmp_path: Path) -> None:
    """A runtime that ended itself after its last answer is found dead by the next event."""

    async def story() -> None:
        async with World(tmp_path) as world:
            await world.run()

            async def leave(sandbox: FakeSandbox, _: str, __: bytes) -> Outcome:
                if sandbox is world.runtime.sandboxes[0]:
                    sandbox.closed = True
                    raise UndeliveredError("it had left")
                return RETURNED

            world.runtime.behaviour = leave
            run = await world.run()
            assert (payload_of(run), run.failed) == ("ok", False)
            assert run.report.init_ms == 7.0, "a start of its own"
            assert len(world.runtime.sandboxes) == 2
            assert payload_of(await world.run()) == "ok", "and that is used again"
            assert len(world.runtime.sandboxes) == 2

    asyncio.run(story())


def test_every_start_line_says_what_stands_in(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path) as world:
            world.runtime.nearest = "nodejs20.x"
            for _ in range(2):
                first = (await world.run()).tail.decode().splitlines()[0]
                assert first.startswith("START RequestId: ")
                assert first.endswith(" Version: $LATEST Runtime: nodejs20.x stands in")

    asyncio.run(story())


def test_the_environment_used_last_is_used_first(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path) as world:
            world.runtime.gate = asyncio.Event()
            first, second = world.begin(), world.begin()
            await world.started(2)
            world.runtime.gate.set()
            await asyncio.gather(first, second)
            for _ in range(3):
                await world.run()
            counts = sorted(len(sandbox.events) for sandbox in world.runtime.sandboxes)
            assert counts == [1, 4]

    asyncio.run(story())


def test_what_does_not_fit_into_memory_is_throttled(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path, budget_mb=256) as world:
            world.runtime.gate = asyncio.Event()
            running = [world.begin(), world.begin()]
            await world.started(2)
            with pytest.raises(Throttled):
                await world.run()
            world.runtime.gate.set()
            await asyncio.gather(*running)
            assert (await world.run()).failed is False

    asyncio.run(story())


def test_an_account_runs_only_so_much_at_a_time(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path, concurrency_max=1) as world:
            world.runtime.gate = asyncio.Event()
            running = world.begin()
            await world.started(1)
            with pytest.raises(Throttled):
                await world.run(target("other"))
            world.runtime.gate.set()
            await running
            await world.run(target("other"))
            busy = world.begin()
            await world.settle()
            arn = "arn:aws:lambda:us-east-1:444455556666:function:f"
            await world.run(target(account="444455556666", function_arn=arn))
            await busy

    asyncio.run(story())


def test_only_so_many_environments_start_at_the_same_time(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path, starts_max=2) as world:
            start, starting, most = world.runtime.start, 0, 0

            async def slowly(*given: Any) -> FakeSandbox:
                nonlocal starting, most
                starting += 1
                most = max(most, starting)
                await world.settle()
                starting -= 1
                return await start(*given)

            world.runtime.start = slowly  # type: ignore[method-assign]
            await asyncio.gather(*(world.run() for _ in range(5)))
            assert most == 2

    asyncio.run(story())


def test_a_function_larger_than_the_budget_runs_alone(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path, budget_mb=256) as world:
            await world.run()
            await world.run(target("big", memory_mb=10_240))
            assert world.placement.environments == 1

    asyncio.run(story())


def test_idle_environments_make_room_the_longest_idle_first(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path, budget_mb=384) as world:
            for name in ("a", "b", "c", "a", "d"):
                await world.run(target(name))
            gone = [box.spec.function_name for box in world.runtime.sandboxes if box.closed]
            await world.settle()
            gone = [box.spec.function_name for box in world.runtime.sandboxes if box.closed]
            assert gone == ["b"]

    asyncio.run(story())


def test_idle_environments_end_by_age(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path, idle_ms=300_000) as world:
            await world.run()
            await world.advance(299_000)
            assert world.placement.environments == 1
            await world.run()
            await world.advance(299_000)
            assert world.placement.environments == 1
            await world.advance(1_000)
            assert world.placement.environments == 0
            assert world.runtime.sandboxes[0].closed

    asyncio.run(story())


def test_an_environment_takes_no_work_that_could_outlive_its_credentials(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path, idle_ms=10_000_000) as world:
            await world.run()
            await world.advance(3_600_000 - 5 * 60_000 - 4_000)
            await world.run()
            assert world.cloud.sessions == 1
            await world.advance(2_000)
            await world.run()
            assert world.cloud.sessions == 2

    asyncio.run(story())


def test_an_environment_that_died_is_replaced(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path) as world:
            await world.run()
            world.runtime.sandboxes[0].closed = True
            assert (await world.run()).report.init_ms is not None
            assert world.placement.environments == 1

    asyncio.run(story())


def test_an_environment_whose_start_failed_is_not_used_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path) as world:
            error = {
                "errorMessage": "no x",
                "errorType": "Runtime.ImportModuleError",
                "stackTrace": [],
            }
            world.runtime.init = InitReport(5.0, error)
            run = await world.run(logged=True)
            assert run.failed
            assert payload_of(run) == error
            assert world.placement.environments == 0
            lines = world.cloud.lines()
            assert lines[1] == (
                "INIT_REPORT Init Duration: 5.00 ms\tPhase: init\tStatus: error\t"
                "Error Type: Runtime.ImportModuleError\t\n"
            )
            assert lines[-1].endswith("Status: error\tError Type: Runtime.ImportModuleError\t\n")
            world.runtime.init = InitReport(5.0, None)
            assert not (await world.run()).failed

    asyncio.run(story())


def test_changed_functions_end_their_old_environments(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path) as world:
            await world.run()
            world.runtime.gate = asyncio.Event()
            busy = [world.begin(), world.begin()]
            await world.started(3)
            await world.placement.retire(target().function_arn, "2")
            new = world.begin(target(revision="2"))
            await world.started(4)
            assert world.placement.environments == 3
            world.runtime.gate.set()
            await asyncio.gather(*busy, new)
            await world.settle()
            assert [box.closed for box in world.runtime.sandboxes] == [True, True, False]

    asyncio.run(story())


def test_the_patient_wait_in_line_and_lose_patience(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path, budget_mb=128) as world:
            world.runtime.gate = asyncio.Event()
            order: list[str] = []

            async def wait(name: str) -> None:
                await world.run(target(name), patience_ms=10_000)
                order.append(name)

            tasks = [asyncio.create_task(wait(name)) for name in ("a", "b", "c")]
            await world.started(1)
            late = world.begin(target("late"), patience_ms=1_000)
            await world.advance(1_000)
            with pytest.raises(Throttled):
                await late
            world.runtime.gate.set()
            await asyncio.gather(*tasks)
            assert order == ["a", "b", "c"]

    asyncio.run(story())


def test_functions_take_turns_however_many_of_one_wait(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path, budget_mb=128) as world:
            world.runtime.gate = asyncio.Event()
            order: list[str] = []

            async def wait(name: str) -> None:
                await world.run(target(name), patience_ms=10_000)
                order.append(name)

            names = ("first", "many", "many", "many", "few", "many")
            tasks = [asyncio.create_task(wait(name)) for name in names]
            await world.started(1)
            await world.settle()
            world.runtime.gate.set()
            await asyncio.gather(*tasks)
            assert order == ["first", "many", "few", "many", "many", "many"]

    asyncio.run(story())


def test_who_can_wait_runs_as_the_processors_have_time_and_who_cannot_runs_at_once(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        times = [ProcessorTimes(0, 0)]
        async with World(tmp_path, pace=Pace(lambda: times[-1], 2)) as world:
            world.runtime.gate = asyncio.Event()
            queued = [world.begin(patience_ms=60_000) for _ in range(5)]
            await world.started(2)
            await world.settle()
            assert world.placement.environments == 2
            times.append(ProcessorTimes(0, 100))
            await world.advance(LOOK_MS)
            assert world.placement.environments == 2
            at_once = world.begin()
            await world.started(3)
            times.append(ProcessorTimes(50, 200))
            await world.advance(LOOK_MS)
            await world.started(4)
            assert world.placement.environments == 4
            world.runtime.gate.set()
            await asyncio.gather(*queued, at_once)
            assert world.placement.environments == 4

    asyncio.run(story())


def test_a_cancelled_caller_neither_stops_its_invocation_nor_leaks_its_room(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path, budget_mb=128) as world:
            world.runtime.gate = asyncio.Event()
            running = world.begin()
            await world.started(1)
            waiting = world.begin(target("g"), patience_ms=10_000)
            await world.settle()
            for task in (running, waiting):
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            world.runtime.gate.set()
            await world.settle()
            await world.advance(200)
            assert any(line.startswith("REPORT") for line in world.cloud.lines())
            assert (await world.run(target("g"))).failed is False

    asyncio.run(story())


def test_a_caller_cancelled_at_the_moment_of_its_turn_gives_it_back(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path, budget_mb=128) as world:
            world.runtime.gate = asyncio.Event()
            running = world.begin()
            await world.started(1)
            waiting = world.begin(target("g"), patience_ms=10_000)
            await world.settle()
            pool: Any = world.placement._pool
            running.add_done_callback(lambda _: waiting.cancel())
            world.runtime.gate.set()
            await running
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await world.settle()
            assert not pool._busy

    asyncio.run(story())


def test_a_role_that_lambda_may_not_assume_fails_the_run_and_frees_the_room(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path, budget_mb=128) as world:
            world.cloud.assumable = False
            with pytest.raises(RoleNotAssumableError):
                await world.placement.check_role(target(), world.cloud)
            with pytest.raises(RoleNotAssumableError):
                await world.run()
            world.cloud.assumable = True
            await world.run()

    asyncio.run(story())


def test_a_lost_daemon_fails_the_run_and_frees_the_room(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path, budget_mb=128) as world:

            async def fail(_sandbox: FakeSandbox, _id: str, _payload: bytes) -> Outcome:
                raise Unavailable("gone")

            world.runtime.behaviour = fail
            with pytest.raises(Unavailable):
                await world.run()
            world.runtime.behaviour = None
            assert (await world.run()).report.init_ms is not None

    asyncio.run(story())


def test_the_log_stands_in_one_stream_per_environment_in_aws_form(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path) as world:

            async def talk(sandbox: FakeSandbox, request_id: str, _payload: bytes) -> Outcome:
                sandbox.log(request_id, b"one\ntw")
                sandbox.log(request_id, b"o\nthree")
                return Outcome(Ending.RETURNED, b"1", 1.234, 34)

            world.runtime.behaviour = talk
            run = await world.run()
            await world.advance(100)
            ((group, streams),) = world.cloud.groups.items()
            ((stream, events),) = streams.items()
            assert group == "/aws/lambda/f"
            assert stream.startswith("2026/01/01/[$LATEST]")
            assert len(stream) == len("2026/01/01/[$LATEST]") + 32
            report = (
                "REPORT RequestId: r-1\tDuration: 1.23 ms\tBilled Duration: 9 ms\t"
                "Memory Size: 128 MB\tMax Memory Used: 34 MB\tInit Duration: 7.00 ms\t\n"
            )
            begun, *rest = [item["message"] for item in events]
            assert begun.startswith("INIT_START Runtime Version: python:3.11.fogbank\t")
            assert rest == [
                "START RequestId: r-1 Version: $LATEST\n",
                "one\n",
                "two\n",
                "three",
                "END RequestId: r-1\n",
                report,
            ]
            assert run.tail.decode() == "".join(rest)
            assert find_report(report) == run.report._replace(duration_ms=1.23)
            spec = world.runtime.sandboxes[0].spec
            assert spec.environment["AWS_LAMBDA_LOG_STREAM_NAME"] == stream == spec.log_stream
            assert spec.environment["A"] == "1"
            assert spec.environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
            assert set(world.cloud.principals) == {
                "arn:aws:sts::111122223333:assumed-role/r/f@lambda_function"
            }

    asyncio.run(story())


@pytest.mark.parametrize(
    ("outcome", "answer", "status", "line"),
    [
        (
            Outcome(Ending.TIMED_OUT, b"", 3_001.5, 40),
            {
                "errorType": "Sandbox.Timedout",
                "errorMessage": "RequestId: r-1 Error: Task timed out after 3.00 seconds",
            },
            "Status: timeout\t\n",
            "2026-01-01T00:00:00.000Z r-1 Task timed out after 3.00 seconds\n\n",
        ),
        (
            Outcome(Ending.OUT_OF_MEMORY, b"", 5.0, 900),
            {
                "errorType": "Runtime.OutOfMemory",
                "errorMessage": "RequestId: r-1 Error: Runtime exited with error: signal: killed",
            },
            "Status: error\tError Type: Runtime.OutOfMemory\t\n",
            "RequestId: r-1 Error: Runtime exited with error: signal: killed\nRuntime.OutOfMemory\n",
        ),
        (
            Outcome(Ending.EXITED, b"", 5.0, 40),
            {
                "errorType": "Runtime.ExitError",
                "errorMessage": "RequestId: r-1 Error: Runtime exited without providing a reason",
            },
            "Status: error\tError Type: Runtime.ExitError\t\n",
            "RequestId: r-1 Error: Runtime exited without providing a reason\nRuntime.ExitError\n",
        ),
    ],
)
def test_an_ending_by_the_platform_is_told_in_aws_words(
    tmp_path: Path, outcome: Outcome, answer: dict[str, str], status: str, line: str
) -> None:
    async def story() -> None:
        async with World(tmp_path) as world:

            async def end(_sandbox: FakeSandbox, _id: str, _payload: bytes) -> Outcome:
                return outcome

            world.runtime.behaviour = end
            run = await world.run(logged=True)
            assert run.failed
            assert payload_of(run) == answer
            lines = world.cloud.lines()
            assert lines[2] == line
            assert lines[-1].endswith(status)
            assert "Max Memory Used: 40 MB" in lines[-1] or "Max Memory Used: 128 MB" in lines[-1]
            assert run.report.duration_ms <= 3_000
            assert world.placement.environments == 0

    asyncio.run(story())


def test_a_run_that_must_be_logged_returns_when_its_lines_are_durable(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path) as world:
            await world.run()
            world.cloud.fail = [Conflict("busy")]
            task = world.begin(logged=True)
            await world.settle()
            assert not task.done()
            await world.advance(250)
            await task
            assert sum(line.startswith("REPORT") for line in world.cloud.lines()) == 2

    asyncio.run(story())


def test_a_role_that_may_not_log_leaves_no_logs_and_no_error(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path) as world:
            world.cloud.may_log = False
            run = await world.run(logged=True)
            assert not run.failed
            assert b"REPORT" in run.tail
            assert world.cloud.groups == {}

    asyncio.run(story())


def test_a_deleted_stream_is_made_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path) as world:
            await world.run(logged=True)
            world.cloud.groups.clear()
            await world.run(logged=True)
            assert [line.split()[0] for line in world.cloud.lines()] == ["START", "END", "REPORT"]

    asyncio.run(story())


def test_closing_kills_what_runs_and_brings_the_lines_home(tmp_path: Path) -> None:
    async def story() -> None:
        world = World(tmp_path)
        async with world:
            await world.run()

            async def until_closed(sandbox: FakeSandbox, _id: str, _payload: bytes) -> Outcome:
                while not sandbox.closed:  # noqa: ASYNC110 (a fake has no event)
                    await asyncio.sleep(0)
                return Outcome(Ending.EXITED, b"", 1.0, 1)

            world.runtime.behaviour = until_closed
            running = world.begin()
            await world.started(2)
        assert (await running).failed
        assert all(box.closed for box in world.runtime.sandboxes)
        assert sum(line.startswith("REPORT") for line in world.cloud.lines()) == 2
        with pytest.raises(Throttled):
            await world.run()

    asyncio.run(story())


def test_many_invocations_at_once_stay_within_the_books(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path, budget_mb=1024) as world:

            async def nap(sandbox: FakeSandbox, request_id: str, _payload: bytes) -> Outcome:
                for _ in range(len(sandbox.events) % 5):
                    await asyncio.sleep(0)
                assert world.placement._pool.used_mb <= 1024
                return Outcome(Ending.RETURNED, json.dumps(request_id).encode(), 1.0, 1)

            world.runtime.behaviour = nap
            names = ["a", "b", "c", "d"]
            runs = [
                world.placement.run(
                    target(names[i % 4], memory_mb=128 * (1 + i % 4)),
                    event(f"r-{i}"),
                    world.cloud,
                    patience_ms=60_000,
                )
                for i in range(300)
            ]
            done = await asyncio.gather(*runs)
            assert [payload_of(run) for run in done] == [f"r-{i}" for i in range(300)]

    asyncio.run(story())


def test_who_configures_a_function_is_expected_to_start_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path) as world:
            tree = Tree((target().package,), "python3.11")
            await world.placement.prepare(tree, world.cloud)  # type: ignore[arg-type]
            assert world.runtime.expected == [tree.runtime]

    asyncio.run(story())
