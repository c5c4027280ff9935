"""Commands on a data directory that no server uses: its lock, its store, and the same requests.

Rule: the lock is taken first, as a server takes it, so that a server and a command never write side
by side. Who is root becomes the directory's owner before anything is opened, so that a server that
runs as the service user finds nothing that it cannot read.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from fogbank.base.clock import SystemClock
from fogbank.base.errors import Corrupt, ServiceError, Weather
from fogbank.base.ids import Ids
from fogbank.engines.embedded.keyfile import Encryption
from fogbank.engines.embedded.lock import DirectoryInUse
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.platform.crypto.secret import KeyRefused
from fogbank.platform.identity.identity import Identity
from fogbank.platform.store.engine import Placement
from fogbank.server import accounts, datadir, keys, privilege
from fogbank.server.backups import store_settings
from fogbank.server.config import Config
from fogbank.server.control import ControlError
from fogbank.server.controls import OpenDirectory, stored
from fogbank.server.members import OwnMember
from fogbank.server.shards import Shards

IN_USE: Final = "DirectoryInUse"
"""The code of the refusal when a server holds the directory."""
OnRow = Callable[[dict[str, Any]], None]


def ask(
    data_dir: Path, config: Config, request: str, arguments: Mapping[str, Any], on_row: OnRow
) -> dict[str, Any]:
    """Run a request of operators in this process; the form of ``control.ask``.

    Raises:
        ControlError: It is refused, or a server has just started on the directory.
    """
    privilege.decide(config.service_user, data_dir)  # a fresh directory becomes the service user's
    try:
        config = _with_its_stores(data_dir, config)
        encryption = _encryption(data_dir, config)
        become_owner(data_dir)
        return asyncio.run(_ask(data_dir, config, encryption, Asked(request, arguments, on_row)))
    except ServiceError as error:
        raise ControlError(error.code, error.message) from error
    except DirectoryInUse as error:
        raise ControlError(IN_USE, str(error)) from error
    except (Weather, Corrupt, KeyRefused, accounts.AccountError, datadir.StoresError) as error:
        raise ControlError(type(error).__name__, str(error)) from error


def _with_its_stores(data_dir: Path, config: Config) -> Config:
    """Return the settings with the number of stores that the directory was made with.

    It never changes, and the file that named it to the server may not be given to a command.
    """
    stores = datadir.stores_of(data_dir) or config.processes.stores
    processes = msgspec.structs.replace(config.processes, stores=stores)
    return msgspec.structs.replace(config, processes=processes)


def _encryption(data_dir: Path, config: Config) -> Encryption:
    """Return what opens the store, while we may still read what only root can."""
    draw, prompt = Ids().random_bytes, keys.terminal_prompt()
    finder = keys.Finder(data_dir, config.encryption, draw, prompt=prompt)
    return finder.encryption(finder.find_or_make())


class Asked(NamedTuple):
    """A request, and who gets its rows."""

    request: str
    arguments: Mapping[str, Any]
    on_row: OnRow


async def _ask(
    data_dir: Path, config: Config, encryption: Encryption, asked: Asked
) -> dict[str, Any]:
    """Open the store, run the request, close the store."""
    clock, ids = SystemClock(), Ids()
    async with AsyncExitStack() as stack:
        engines, placement = await _opened(data_dir, config, encryption, stack)
        identity = Identity(placement, clock, ids)
        await identity.open()
        await accounts.ensure(data_dir, config, identity, ids)
        members = [OwnMember(engine) for engine in engines]
        system = placement.system_stores()
        opened = OpenDirectory(members, system, identity, placement, clock, ids)
        controls = stored(data_dir, opened)
        control = next(each for each in controls if each.name == asked.request)

        async def send(row: Mapping[str, Any]) -> None:
            asked.on_row(dict(row))

        converted = msgspec.convert(asked.arguments, control.arguments)
        return dict(await control.run(converted, send))


async def _opened(
    data_dir: Path, config: Config, encryption: Encryption, stack: AsyncExitStack
) -> tuple[list[EmbeddedEngine], Placement]:
    """Open all stores of the directory; the stack closes them."""
    datadir.settle_stores(data_dir, config.processes.stores)
    engines: list[EmbeddedEngine] = []
    for number, store_dir in enumerate(datadir.store_dirs(data_dir, config.processes.stores)):
        settings = store_settings(config, data_dir, number, keeps_spool=True)
        engine = await EmbeddedEngine.open(
            store_dir, clock=SystemClock(), settings=settings, encryption=encryption
        )
        stack.push_async_callback(engine.close)
        engines.append(engine)
    if len(engines) == 1:
        return engines, engines[0]
    system = [store for engine in engines for store in engine.system_stores()]
    return engines, Shards(engines, range(len(engines)), system)


def become_owner(data_dir: Path) -> None:
    """Give up root's rights for those of the data directory's owner, for good."""
    owner = data_dir.stat()
    if os.getuid() == 0 and owner.st_uid != 0:
        os.setgroups([])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)
