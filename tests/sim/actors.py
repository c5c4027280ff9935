"""Who uses the simulated cloud, and what each knows that must be so.

Rule: an actor keeps a model of what it has done, with every state that an unanswered call leaves
possible. What it reads must be one of them, and from then on is the only one. Each has keys of its
own, so that its model is exact while all work at once.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import ClientError
from tests.sim.world import Unknown, World

from fogbank.base.errors import Unavailable, Weather
from fogbank.contract.event import Arrival, Receiver
from fogbank.contract.job import schedule
from fogbank.contract.service import Service
from fogbank.platform.bus.entry import Delivery
from fogbank.platform.bus.reader import OutboxWriter
from fogbank.platform.scheduler import schedules
from fogbank.platform.scheduler.schedules import Occurrence, Schedule
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.platform.store.tuples import after_prefix

SIM: Final = Domain("sim", "log")
SOURCE: Final = Domain("sim", "source")
TAKEN: Final = SIM.prefix + b"taken"
RUNG: Final = SOURCE.prefix + b"rung"
ROWS_MAX: Final = 10_000
SIZES: Final = (20, 5_000, 70_000)
"""Of objects: two lie in their record, one is a blob."""
MINUTE_MS: Final = 60_000


async def receive(tr: Transaction, delivery: Delivery, _arrival: Arrival) -> None:
    """Take a delivery; a third of them not at the first attempt, a few not at the second."""
    digest = hashlib.blake2b(delivery.payload, digest_size=1).digest()[0]
    if digest % 3 == 0 and delivery.attempt < 1 + (digest % 5 == 0):
        raise Unavailable("not yet")
    tr.append(TAKEN, delivery.payload)


@schedule("sim.ring")
async def ring(tr: Transaction, occurrence: Occurrence, _facilities: Any) -> None:
    """Note an occurrence."""
    row = [occurrence.schedule.id, occurrence.scheduled_ms, await tr.now_ms()]
    tr.append(RUNG, json.dumps(row).encode())


SERVICE: Final = Service(
    model="events",
    operations=[],
    jobs=[ring],
    receivers=[Receiver(lambda target: target == "arn:sim", lambda _: SIM, receive)],
)
"""A service of the simulation's own: it takes ordered deliveries and rings schedules."""


class Actor:
    """Someone with a model.

    Args:
        world: Where they act.
        number: Which of their kind.
    """

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.number = number
        self.random = world.random

    async def prepare(self) -> None:
        """Make what is needed, on a machine that does not fail."""

    async def act(self) -> None:
        """Do one thing."""
        raise NotImplementedError

    async def check(self) -> None:
        """Compare everything with the model, on a machine that does not fail."""
        raise NotImplementedError


class Uploader(Actor):
    """Puts, copies, reads and deletes objects; a function is told of those in one bucket."""

    def __init__(self, world: World, number: int) -> None:
        super().__init__(world, number)
        self.objects: dict[tuple[str, str], set[bytes | None]] = {}
        self.told: set[str] = set()
        """Entity tags of which a function must hear."""
        self.untold: set[str] = set()
        """Those of which it may hear."""
        self._count = 0

    def _body(self) -> bytes:
        self._count += 1
        mark = b"%d:%d;" % (self.number, self._count)
        return mark + bytes(self.random.choice(SIZES) - len(mark))

    async def act(self) -> None:
        bucket = self.random.choice(("told", "plain"))
        key = f"{self.number}/{self.random.randint(0, 2)}"
        possible = self.objects.setdefault((bucket, key), {None})
        kind = self.random.choice(("put", "put", "get", "delete", "copy"))
        if kind == "get":
            await self._look(bucket, key, possible)
        elif kind == "delete":
            possible.add(None)
            await self.world.client("s3").call("delete_object", Bucket=bucket, Key=key)
            possible.intersection_update({None})
        elif kind == "put":
            await self._put(bucket, key, possible, self._body())
        elif bucket == "plain":
            await self._copy(key, possible)

    async def _put(self, bucket: str, key: str, possible: set[bytes | None], body: bytes) -> None:
        etag = hashlib.md5(body).hexdigest()
        if bucket == "told":
            self.untold.add(etag)
        possible.add(body)
        reply = await self.world.client("s3").call("put_object", Bucket=bucket, Key=key, Body=body)
        assert reply["ETag"] == f'"{etag}"'
        possible.intersection_update({body})
        if bucket == "told":
            self.untold.remove(etag)
            self.told.add(etag)

    async def _copy(self, key: str, possible: set[bytes | None]) -> None:
        source = self.objects.get(("told", key), {None})
        if None in source:
            return
        possible |= source
        given = {"Bucket": "plain", "Key": key, "CopySource": f"told/{key}"}
        await self.world.client("s3").call("copy_object", **given)
        possible.intersection_update(source)

    async def _look(self, bucket: str, key: str, possible: set[bytes | None]) -> None:
        try:
            got = await self.world.client("s3").call("get_object", Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
            found = None
        else:
            found = got["Body"].read()
        assert found in possible, f"{bucket}/{key} is {found and found[:20]!r}"
        possible.intersection_update({found})

    async def check(self) -> None:
        for (bucket, key), possible in self.objects.items():
            await self._look(bucket, key, possible)
        for bucket in ("told", "plain"):
            page = await self.world.client("s3").call(
                "list_objects_v2", Bucket=bucket, Prefix=f"{self.number}/"
            )
            listed = {row["Key"] for row in page.get("Contents", ())}
            there = {k for (b, k), v in self.objects.items() if b == bucket and v != {None}}
            assert listed == there


class Counter(Actor):
    """Adds one to a number, over and over: nothing is lost, nothing is done twice."""

    def __init__(self, world: World, number: int) -> None:
        super().__init__(world, number)
        self.least = self.most = 0

    async def act(self) -> None:
        if self.random.random() < 0.2:
            await self.check()
            return
        self.most += 1
        await self.world.client("dynamodb").call(
            "update_item",
            TableName="counts",
            Key={"k": {"S": str(self.number)}},
            UpdateExpression="ADD n :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )
        self.least += 1

    async def check(self) -> None:
        got = await self.world.client("dynamodb").call(
            "get_item",
            TableName="counts",
            Key={"k": {"S": str(self.number)}},
            ConsistentRead=True,
        )
        found = int(got["Item"]["n"]["N"]) if "Item" in got else 0
        assert self.least <= found <= self.most, f"{self.least} <= {found} <= {self.most}"
        self.least = self.most = found


class Sender(Actor):
    """Tells facts that must arrive once each, in the order of their key."""

    def __init__(self, world: World, number: int) -> None:
        super().__init__(world, number)
        self.sent: dict[str, list[int]] = {}
        self.lost: set[int] = set()
        self._count = 0

    async def act(self) -> None:
        key = f"{self.number}/{self.random.randint(0, 1)}"
        self._count += 1
        number = self._count
        fact = Delivery(
            target="arn:sim",
            payload=json.dumps([key, number]).encode(),
            source="sim",
            source_arn=f"arn:sim:{self.number}",
            source_account="1" * 12,
            created_ms=self.world.clock.now_ms(),
            order_key=key,
        )

        async def body(tr: Transaction) -> None:
            await OutboxWriter().put(tr, fact)

        self.lost.add(number)
        self.sent.setdefault(key, []).append(number)
        await transact(self.world, SOURCE, body)
        self.lost.remove(number)

    async def arrived(self) -> dict[str, list[int]]:
        """Return what arrived, by key."""
        found: dict[str, list[int]] = {}
        for raw in await entries(self.world, SIM, TAKEN):
            key, number = json.loads(raw)
            found.setdefault(key, []).append(number)
        return {key: numbers for key, numbers in found.items() if key in self.sent}

    async def check(self) -> None:
        for key, numbers in (await self.arrived()).items():
            assert numbers == sorted(set(numbers)), f"{key} arrived as {numbers}"
            assert set(numbers) <= set(self.sent[key])

    async def is_done(self) -> bool:
        """Return whether all that was told has arrived."""
        found = {number for numbers in (await self.arrived()).values() for number in numbers}
        return {n for numbers in self.sent.values() for n in numbers} - self.lost <= found


class Timekeeper(Actor):
    """Sets schedules: one that repeats, and many for one time."""

    def __init__(self, world: World, number: int) -> None:
        super().__init__(world, number)
        self.due: dict[str, int] = {}
        self.lost: set[str] = set()

    def _schedule(self, name: str, expression: str) -> Schedule:
        now_ms = self.world.clock.now_ms()
        return Schedule(id=name, kind="sim.ring", expression=expression, created_ms=now_ms)

    async def _set(self, made: Schedule) -> None:
        timers = self.world.app.facilities.timers
        now_ms = self.world.clock.now_ms()

        async def body(tr: Transaction) -> None:
            await schedules.replace(tr, timers, made, now_ms)

        await transact(self.world, SOURCE, body)

    async def prepare(self) -> None:
        await self._set(self._schedule(f"{self.number}/minutely", "rate(1 minute)"))

    async def act(self) -> None:
        name = f"{self.number}/{len(self.due)}"
        due_ms = (self.world.clock.now_ms() // 1_000 + self.random.randint(1, 120)) * 1_000
        at = datetime.fromtimestamp(due_ms / 1_000, UTC)
        self.due[name] = due_ms
        self.lost.add(name)
        await self._set(self._schedule(name, f"at({at:%Y-%m-%dT%H:%M:%S})"))
        self.lost.remove(name)

    async def rung(self) -> dict[str, list[tuple[int, int]]]:
        """Return the occurrences of each schedule: when it was due, and when it rang."""
        found: dict[str, list[tuple[int, int]]] = {}
        for raw in await entries(self.world, SOURCE, RUNG):
            name, scheduled_ms, now_ms = json.loads(raw)
            found.setdefault(name, []).append((scheduled_ms, now_ms))
        return {k: v for k, v in found.items() if k.startswith(f"{self.number}/")}

    async def check(self) -> None:
        for name, times in (await self.rung()).items():
            scheduled = [scheduled_ms for scheduled_ms, _ in times]
            assert scheduled == sorted(set(scheduled)), f"{name} rang at {times}"
            assert all(scheduled_ms <= now_ms for scheduled_ms, now_ms in times)
            if name in self.due:
                assert scheduled == [self.due[name]]

    async def is_done(self) -> bool:
        """Return whether every schedule that was set has rung, and the rate has at all."""
        return {f"{self.number}/minutely", *self.due} - self.lost <= set(await self.rung())


class Gatekeeper(Actor):
    """Gives a user rights and keys and takes them away: what was acknowledged is in force."""

    def __init__(self, world: World, number: int) -> None:
        super().__init__(world, number)
        self.name = f"user-{number}"
        self.allowed: set[bool] = {False}
        self.key: dict[str, str] = {}
        self.key_stands: set[bool] = {True}

    async def prepare(self) -> None:
        await self.world.client("iam").call("create_user", UserName=self.name)
        await self._new_key()

    async def _new_key(self) -> None:
        made = await self.world.client("iam").call("create_access_key", UserName=self.name)
        self.key = made["AccessKey"]
        self.key_stands = {True}

    async def act(self) -> None:
        kind = self.random.choice(("let in", "keep out", "try", "try", "new key"))
        if kind == "try":
            await self.check()
        elif kind == "new key":
            await self._renew()
        else:
            effect = "Allow" if kind == "let in" else "Deny"
            statement = {"Effect": effect, "Action": "dynamodb:*", "Resource": "*"}
            self.allowed.add(kind == "let in")
            await self.world.client("iam").call(
                "put_user_policy",
                UserName=self.name,
                PolicyName="p",
                PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statement}),
            )
            self.allowed = {kind == "let in"}

    async def _renew(self) -> None:
        if self.key_stands == {True}:
            self.key_stands = {True, False}
            given = {"UserName": self.name, "AccessKeyId": self.key["AccessKeyId"]}
            await self.world.client("iam").call("delete_access_key", **given)
            self.key_stands = {False}
        await self.check()
        if self.key_stands == {False}:
            await self._drop_strangers()
            await self._new_key()

    async def _drop_strangers(self) -> None:
        """Delete keys whose making nobody answered."""
        iam = self.world.client("iam")
        listed = await iam.call("list_access_keys", UserName=self.name)
        for row in listed["AccessKeyMetadata"]:
            given = {"UserName": self.name, "AccessKeyId": row["AccessKeyId"]}
            await iam.call("delete_access_key", **given)

    async def check(self) -> None:
        user = self.world.client("dynamodb", self.key["AccessKeyId"], self.key["SecretAccessKey"])
        try:
            await user.call("list_tables")
        except ClientError as error:
            code = error.response["Error"]["Code"]
        else:
            code = ""
        stands = code != "UnrecognizedClientException"
        assert stands in self.key_stands, f"the key stands: {stands}"
        self.key_stands = {stands}
        if stands:
            assert code in {"", "AccessDeniedException"}
            assert (not code) in self.allowed, f"let in: {not code}"
            self.allowed = {not code}


async def transact(world: World, domain: Domain, body: Any) -> Any:
    """Run a transaction in the process, as a service would.

    Raises:
        Unknown: The process died over it, or the store refused for the moment.
    """
    try:
        return await world.lived(world.app.parts.placement.store_of(domain).transact(body))
    except Weather:
        raise Unknown from None


async def entries(world: World, domain: Domain, prefix: bytes) -> list[bytes]:
    """Return what was appended under a prefix, in order."""

    async def body(tr: Transaction) -> list[bytes]:
        rows = await tr.range(prefix, after_prefix(prefix), limit=ROWS_MAX)
        return [value for _, value in rows]

    return await transact(world, domain, body)
