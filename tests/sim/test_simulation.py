"""Seeded runs of a whole cloud whose machine fails: what was acknowledged stands, nothing twice.

A run that fails names its seed; ``pytest tests/sim --seed N`` runs it again, step for step.
"""

from __future__ import annotations

import asyncio
import io
import os
import zipfile
from typing import Any

import pytest
from tests.sim.actors import (
    SERVICE,
    Actor,
    Counter,
    Gatekeeper,
    Sender,
    Timekeeper,
    Uploader,
)
from tests.sim.world import FAULTS, SimLoop, Unknown, World

from fogbank.engines.simulated import QUIET
from fogbank.testing.signing import close_signers, open_signers

SEEDS = (1, 2, 3, 5)
SEEDS_SOAK = 200
ACTS = 40
"""Of each actor."""
KINDS: tuple[type[Any], ...] = (
    Uploader,
    Uploader,
    Counter,
    Counter,
    Sender,
    Timekeeper,
    Gatekeeper,
)
DAY_MS = 86_400_000
TRUST = (
    '{"Version":"2012-10-17","Statement":{"Effect":"Allow",'
    '"Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}}'
)


async def build(world: World) -> None:
    """Make tables, buckets, and a function that is told of one of them."""
    for table in ("counts", "seen"):
        await world.client("dynamodb").call(
            "create_table",
            TableName=table,
            KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    role = await world.client("iam").call(
        "create_role", RoleName="r", AssumeRolePolicyDocument=TRUST
    )
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as file:
        file.writestr(zipfile.ZipInfo("app.py"), "simulated")
    made = await world.client("lambda").call(
        "create_function",
        FunctionName="f",
        Runtime="python3.12",
        Role=role["Role"]["Arn"],
        Handler="app.handler",
        Code={"ZipFile": code.getvalue()},
    )
    await world.client("lambda").call(
        "add_permission",
        FunctionName="f",
        StatementId="s",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
    )
    for bucket in ("told", "plain"):
        await world.client("s3").call("create_bucket", Bucket=bucket)
    await world.settle(5_000)
    told = {"LambdaFunctionArn": made["FunctionArn"], "Events": ["s3:ObjectCreated:*"]}
    await world.client("s3").call(
        "put_bucket_notification_configuration",
        Bucket="told",
        NotificationConfiguration={"LambdaFunctionConfigurations": [told]},
    )


async def checked(world: World, actors: list[Actor]) -> None:
    """Compare everything with what everybody knows, while nothing fails."""
    faults, world.engine.faults = world.engine.faults, QUIET
    for actor in actors:
        await actor.check()
    world.engine.faults = faults


class Crowd:
    """Actors at work, who stand still while the whole is looked at."""

    def __init__(self, world: World, actors: list[Actor]) -> None:
        self.world = world
        self.actors = actors
        self._may_act = asyncio.Event()
        self._may_act.set()
        self._acting = 0

    async def work(self, actor: Actor, acts: int) -> None:
        """Act, over and over, whatever becomes of it."""
        for _ in range(acts):
            await self._may_act.wait()
            self._acting += 1
            try:
                await actor.act()
            except Unknown:
                self.world.note(f"{type(actor).__name__} {actor.number} heard nothing")
            finally:
                self._acting -= 1

    async def live(self, acts: int) -> None:
        """Let everybody act at once, and check the whole after every death."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.work(actor, acts)) for actor in self.actors]
            while not all(task.done() for task in tasks):
                await self.world.pace()
                if self.world.engine.is_dead:
                    await self.world.rise()
                    await self._look()

    async def _look(self) -> None:
        """Check the whole once everybody has ended what the death left under way."""
        self._may_act.clear()
        faults, self.world.engine.faults = self.world.engine.faults, QUIET
        while self._acting:
            await self.world.pace()
        await checked(self.world, self.actors)
        self.world.engine.faults = faults
        self._may_act.set()


async def rest(world: World, actors: list[Actor]) -> None:
    """Let what is on its way arrive, and check that it did."""
    world.engine.faults = QUIET
    await world.settle(DAY_MS // 24)
    await checked(world, actors)
    for actor in actors:
        if isinstance(actor, Sender | Timekeeper):
            assert await actor.is_done()
        if isinstance(actor, Uploader):
            await check_runs(world, actor)


async def check_runs(world: World, actor: Uploader) -> None:
    """Hold what functions were told against what was uploaded: once queued, run at least once."""
    for etag in actor.told | actor.untold:
        runs = world.runs.get(etag, set())
        assert len(runs) <= 1, f"{etag} was queued as {runs}"
        assert runs or etag in actor.untold, f"nobody was told of {etag}"
        if etag in actor.told:
            got = await world.client("dynamodb").call(
                "get_item", TableName="seen", Key={"k": {"S": etag}}
            )
            assert got["Item"]["by"]["S"] in runs


async def simulate(seed: int, acts: int) -> World:
    """Return the world after one run."""
    world = World(seed, SERVICE)
    await world.begin()
    await build(world)
    actors: list[Actor] = [kind(world, number) for number, kind in enumerate(KINDS)]
    for actor in actors:
        await actor.prepare()
    world.engine.faults = FAULTS
    await Crowd(world, actors).live(acts)
    await rest(world, actors)
    await world.end()
    return world


def run(seed: int, acts: int = ACTS) -> World:
    """Return the world after one run; one that fails says how to see it again."""
    open_signers()
    try:
        with asyncio.Runner(loop_factory=SimLoop) as runner:
            return runner.run(simulate(seed, acts))
    except BaseException as error:
        error.add_note(f"seed {seed}: run it again with pytest tests/sim --seed {seed}")
        raise
    finally:
        close_signers()


def seeds_of(config: pytest.Config) -> list[int]:
    if config.getoption("--seed") is not None:
        return [config.getoption("--seed")]
    if config.getoption("--soak"):
        first = int.from_bytes(os.urandom(4))
        return list(range(first, first + SEEDS_SOAK))
    return list(SEEDS)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", seeds_of(metafunc.config))


@pytest.mark.slow
def test_what_was_acknowledged_stands_and_nothing_is_done_twice_whatever_fails(seed: int) -> None:
    world = run(seed)
    assert world.engine.deaths > 0
    assert world.engine.syncs > 0


@pytest.mark.slow
def test_a_seed_decides_the_whole_run() -> None:
    one, other = run(1, acts=12), run(1, acts=12)
    assert one.trail.digest() == other.trail.digest() != run(3, acts=12).trail.digest()
