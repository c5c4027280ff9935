"""What reads a stream for a function: as a session of the function's role, through operations.

Rule: the role needs the permissions that a client needs, whenever it reads; a session is renewed
before it ends.

Source: Lambda Developer Guide, "Using AWS Lambda with Amazon DynamoDB: Execution role permissions".
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from fogbank.base.clock import Clock
from fogbank.base.errors import ServiceError
from fogbank.base.types import Wire
from fogbank.platform.runtime.cloud import RoleSession, assume_role
from fogbank.platform.runtime.functions import Surroundings, Target

RENEWED_MS: Final = 300_000
SHARDS_PAGE: Final = 100
_SERVICE: Final = "dynamodbstreams"


class TimedSurroundings(Surroundings, Protocol):
    """The cloud around a reader, which knows the time."""

    @property
    def clock(self) -> Clock:
        """Return the clock."""
        ...


class SourceReader:
    """Reads one stream.

    Args:
        target: The function, whose role reads.
        stream_arn: The stream.
        around: The way to it.
    """

    def __init__(self, target: Target, stream_arn: str, around: TimedSurroundings) -> None:
        self._target = target
        self._arn = stream_arn
        self._around = around
        self._session: RoleSession | None = None
        self._kept: tuple[str, str] | None = None

    def keep(self, position: str, iterator: str) -> None:
        """Remember where to read on behind a place of which nothing more has come yet."""
        self._kept = position, iterator

    def kept_at(self, position: str) -> str | None:
        """Return where to read on behind a place, if that is what was remembered last."""
        return self._kept[1] if self._kept is not None and self._kept[0] == position else None

    @property
    def role_arn(self) -> str:
        """Return the role that reads."""
        return self._target.role_arn

    async def call(self, service: str, operation: str, request: Wire) -> Wire:
        """Run an operation of any service as the role.

        Raises:
            RoleNotAssumableError: Lambda may not assume the role any more.
            ServiceError: As the operation raises it.
        """
        session = self._session
        ends_ms = self._around.clock.now_ms() + RENEWED_MS
        if session is None or session.credentials.expires_ms <= ends_ms:
            session = self._session = await assume_role(self._target, self._around)
        return await self._around.calls.call(
            service, operation, request, principal=session.principal, region=self._target.region
        )

    async def check(self) -> None:
        """Return if the role may do all that reading takes.

        Raises:
            RoleNotAssumableError: Lambda may not assume it.
            ServiceError: It may not, or there is no such stream.
        """
        await self.call(_SERVICE, "ListStreams", {"Limit": 1})
        shard = (await self.shards())[-1]["ShardId"]
        iterator = await self.iterator(shard, "LATEST")
        await self.call(_SERVICE, "GetRecords", {"ShardIterator": iterator, "Limit": 1})

    async def shards(self, **asked: Any) -> list[Wire]:
        """Return the shards of the stream, in order."""
        found: list[Wire] = []
        request: Wire = {"StreamArn": self._arn, "Limit": SHARDS_PAGE, **asked}
        while True:
            page = await self.call(_SERVICE, "DescribeStream", request)
            description = page["StreamDescription"]
            found += description["Shards"]
            last = description.get("LastEvaluatedShardId")
            if last is None:
                return found
            request = {**request, "ExclusiveStartShardId": last}

    async def children(self, shard_id: str) -> list[str]:
        """Return the ids of the shards that follow one; none if it or the stream is gone."""
        wanted = {"Type": "CHILD_SHARDS", "ShardId": shard_id}
        try:
            return [each["ShardId"] for each in await self.shards(ShardFilter=wanted)]
        except ServiceError as error:
            if error.code == "ResourceNotFoundException":
                return []
            raise

    async def iterator(self, shard_id: str, kind: str, **asked: Any) -> str:
        """Return where in a shard to begin."""
        request: Wire = {"StreamArn": self._arn, "ShardId": shard_id, "ShardIteratorType": kind}
        reply = await self.call(_SERVICE, "GetShardIterator", {**request, **asked})
        return reply["ShardIterator"]

    async def records(self, iterator: str, limit: int) -> Wire:
        """Return the next page of a shard, as GetRecords answers it."""
        return await self.call(_SERVICE, "GetRecords", {"ShardIterator": iterator, "Limit": limit})
