"""The stores of a cloud as whoever tends all of them sees them: here, or in another process.

Rule: every store is held before the first is cut, and what is held goes on by itself soon
(``engines/embedded/hold.py``). A process that hears no more of a backup lets its store go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, cast

import msgspec

from fogbank.base.clock import Clock
from fogbank.base.errors import Corrupt, Unavailable
from fogbank.engines.embedded.anew import AnewState
from fogbank.engines.embedded.backup import Done
from fogbank.engines.embedded.cut import BackupRequest, HeldCut, ReaderFailed
from fogbank.engines.embedded.hold import HOLD_S_MAX
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.platform.crypto.secret import KeyRefused, Secret
from fogbank.platform.link.port import Answer, Asked, Handlers, Peer

HOLD: Final = "backup.hold"
"""() -> nothing, once the store is held"""
WRITE: Final = "backup.write"
"""(request) -> (why not, what was written): cut where the store is held, and write"""
LET_GO: Final = "backup.let_go"
"""() -> nothing, once the store goes on"""
KEYS: Final = "keys.list"
"""() -> (why not, [(id, milliseconds)]): the data keys, the newest last"""
SEAL: Final = "keys.seal"
"""(kind, secret) -> (why not, number of keys): another secret for the keyring"""
DROP: Final = "keys.drop"
"""() -> (why not, ids): every data key but the newest goes, if nothing needs it"""
ANEW: Final = "keys.anew"
"""() -> how far everything is under the newest data key"""
ROTATE: Final = "keys.rotate"
"""() -> (why not, id): a new data key for what is written from now on"""
_FORGET_MS: Final = int(2 * HOLD_S_MAX * 1_000)


class KeyLine(NamedTuple):
    """A data key, as operators see it."""

    id: int
    made_ms: int


class Member(Protocol):
    """One store."""

    async def hold(self) -> None:
        """Hold it where it can be cut.

        Raises:
            Conflict: A backup is being written.
            Unavailable: It cannot be held in time, or reached.
        """
        ...

    async def back_up(self, request: BackupRequest) -> Done:
        """Cut it where it is held, let it go on, write the backup.

        Raises:
            ReaderFailed: It cannot be written.
            Unavailable: It was held for too long, or cannot be reached.
        """
        ...

    async def let_go(self) -> None:
        """Cut nothing; harmless when it is not held."""
        ...

    async def keys(self) -> list[KeyLine]:
        """Return its data keys, the newest last; raises ``KeyRefused`` if it is not encrypted."""
        ...

    async def rotate(self) -> int:
        """Make a new data key for new writes; raises ``KeyRefused`` if it is not encrypted."""
        ...

    async def seal(self, secret: Secret) -> int:
        """Seal the keyring with another secret; return how many keys it holds.

        Raises:
            KeyRefused: It is not encrypted, or the secret is not good enough.
        """
        ...

    async def drop_keys(self) -> list[int]:
        """Remove the data keys that nothing needs; raises ``KeyRefused`` if one is needed."""
        ...

    async def anew(self) -> AnewState:
        """Return how far everything is under the newest data key."""
        ...


class OwnMember:
    """The store of an engine in this process.

    Args:
        engine: The engine.
        wake: Wakes the jobs, for there is a key under which all shall come.
    """

    def __init__(self, engine: EmbeddedEngine, wake: Callable[[], object] = lambda: None) -> None:
        self._engine = engine
        self._wake = wake
        self._held: HeldCut | None = None

    async def hold(self) -> None:
        """Hold it; see ``Member``."""
        self._held = await self._engine.hold()

    async def back_up(self, request: BackupRequest) -> Done:
        """Cut and write; see ``Member``."""
        held, self._held = self._held, None
        if held is None:
            raise Unavailable("the store was held for too long before it was cut")
        return await held.back_up(request)

    async def let_go(self) -> None:
        """Cut nothing; see ``Member``."""
        held, self._held = self._held, None
        if held is not None:
            await held.let_go()

    async def keys(self) -> list[KeyLine]:
        """Return its data keys; see ``Member``."""
        return [KeyLine(each.id, each.made_ms) for each in await self._engine.keyring.keys()]

    async def rotate(self) -> int:
        """Make a new data key; see ``Member``."""
        made = (await self._engine.keyring.rotate()).id
        self._wake()
        return made

    async def seal(self, secret: Secret) -> int:
        """Seal the keyring with another secret; see ``Member``."""
        return await self._engine.keyring.seal(secret)

    async def drop_keys(self) -> list[int]:
        """Remove older data keys; see ``Member``."""
        return await self._engine.drop_keys()

    async def anew(self) -> AnewState:
        """Return how far everything is under the newest data key."""
        return self._engine.anew.state


class PeerMember:
    """The store of another process."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    async def hold(self) -> None:
        """Hold it; see ``Member``."""
        await self._peer.call(HOLD, None)

    async def back_up(self, request: BackupRequest) -> Done:
        """Cut and write; see ``Member``."""
        asked = [str(request.target), request.name, list(request.beside), request.link]
        error, done = (await self._peer.call(WRITE, asked)).value
        if error:
            raise ReaderFailed(error)
        return msgspec.convert(done, Done)

    async def let_go(self) -> None:
        """Cut nothing; see ``Member``."""
        await self._peer.call(LET_GO, None)

    async def keys(self) -> list[KeyLine]:
        """Return its data keys; see ``Member``."""
        return [KeyLine(*each) for each in await self._asked(KEYS)]

    async def rotate(self) -> int:
        """Make a new data key; see ``Member``."""
        return cast("int", await self._asked(ROTATE))

    async def seal(self, secret: Secret) -> int:
        """Seal the keyring with another secret; see ``Member``."""
        return cast("int", await self._asked(SEAL, [secret.kind, secret.value]))

    async def drop_keys(self) -> list[int]:
        """Remove older data keys; see ``Member``."""
        return cast("list[int]", await self._asked(DROP))

    async def anew(self) -> AnewState:
        """Return how far everything is under the newest data key."""
        return msgspec.convert((await self._peer.call(ANEW, None)).value, AnewState)

    async def _asked(self, method: str, asked: Any = None) -> Any:
        """Ask about keys; return what the other process says."""
        why_not, value = (await self._peer.call(method, asked)).value
        if why_not:
            raise KeyRefused(why_not)
        return value


class MemberOwner:
    """Answers for the store of this process.

    Args:
        member: The store.
        clock: What a forgotten hold ends by.
        group: Where that is waited for.
    """

    def __init__(self, member: Member, clock: Clock, group: asyncio.TaskGroup) -> None:
        self._member = member
        self._clock = clock
        self._group = group
        self._forgetting: asyncio.Task[None] | None = None

    def handlers(self) -> Handlers:
        """Return what can be asked."""
        return {
            HOLD: self.hold,
            WRITE: self.write,
            LET_GO: self.let_go,
            KEYS: self.keys,
            ROTATE: self.rotate,
            SEAL: self.seal,
            DROP: self.drop_keys,
            ANEW: self.anew,
        }

    async def seal(self, asked: Asked) -> Answer:
        """Seal the keyring with another secret."""
        kind, value = asked.value
        try:
            return Answer(("", await self._member.seal(Secret(kind, value))))
        except KeyRefused as error:
            return Answer((str(error), None))

    async def drop_keys(self, _asked: Asked) -> Answer:
        """Remove older data keys."""
        try:
            return Answer(("", await self._member.drop_keys()))
        except (KeyRefused, Corrupt) as error:
            return Answer((str(error), None))

    async def anew(self, _asked: Asked) -> Answer:
        """Return how far everything is under the newest data key."""
        state: Any = msgspec.to_builtins(await self._member.anew())
        return Answer(state)

    async def keys(self, _asked: Asked) -> Answer:
        """Return the data keys."""
        try:
            return Answer(("", await self._member.keys()))
        except KeyRefused as error:
            return Answer((str(error), None))

    async def rotate(self, _asked: Asked) -> Answer:
        """Make a new data key."""
        try:
            return Answer(("", await self._member.rotate()))
        except KeyRefused as error:
            return Answer((str(error), None))

    async def hold(self, _asked: Asked) -> Answer:
        """Hold the store, and let it go if nothing follows."""
        await self._member.hold()
        self._forgetting = self._group.create_task(self._forget(), name="hold")
        return Answer(None)

    async def _forget(self) -> None:
        """Let the store go if it is still held when nobody can use that any more."""
        await self._clock.sleep_until(self._clock.now_ms() + _FORGET_MS)
        await self._member.let_go()

    async def write(self, asked: Asked) -> Answer:
        """Cut and write."""
        self._remember()
        target, name, beside, link = asked.value
        files: tuple[tuple[str, str], ...] = tuple((str(at), str(into)) for at, into in beside)
        try:
            done = await self._member.back_up(BackupRequest(Path(target), name, files, link))
        except ReaderFailed as error:
            return Answer((str(error), None))
        built: Any = msgspec.to_builtins(done)
        return Answer(("", built))

    async def let_go(self, _asked: Asked) -> Answer:
        """Cut nothing."""
        self._remember()
        await self._member.let_go()
        return Answer(None)

    def _remember(self) -> None:
        """Stop waiting for what has come."""
        if self._forgetting is not None:
            self._forgetting.cancel()
            self._forgetting = None
