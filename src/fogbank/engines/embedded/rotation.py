"""The keyring of an open store: its keys are listed and rotated while it serves.

Rule: a new data key is in the keyring durably before anything is sealed with it, so that whatever
a crash leaves can be opened. What is written from then on has the new key: groups of the log from
the next one on, blobs that are begun from then on, rows from the next checkpoint on. What lies
there already keeps its key until it is sealed anew (``anew.py``); then the older keys can be
dropped. With another secret the keyring is only written anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from fogbank.base.clock import Clock
from fogbank.engines.embedded.core import Core
from fogbank.engines.embedded.keyfile import Encryption
from fogbank.engines.embedded.keys import drop, list_keys, reseal, rotate
from fogbank.engines.embedded.recover import Opened
from fogbank.platform.crypto.keyring import DataKey
from fogbank.platform.crypto.secret import KeyRefused, Secret


class OpenKeyring:
    """The keyring of one open store, whose locks are held.

    Args:
        opened: The data directory.
        core: The heart of the store.
        encryption: What opens the keyring.
        clock: When a key is made.
    """

    def __init__(self, opened: Opened, core: Core, encryption: Encryption, clock: Clock) -> None:
        self._opened = opened
        self._core = core
        self._encryption = encryption
        self._clock = clock
        self._turn = asyncio.Lock()

    async def keys(self) -> list[DataKey]:
        """Return the data keys, the newest last.

        Raises:
            KeyRefused: The store was never encrypted.
        """
        return await asyncio.to_thread(list_keys, self._opened.root, self._encryption)

    async def rotate(self) -> DataKey:
        """Seal with a new data key from now on, and return it.

        Raises:
            KeyRefused: The store is not encrypted.
            Unavailable: The store is closed.
        """
        if not self._encryption.enabled:
            raise KeyRefused("encryption.enabled is false: nothing new is sealed")
        async with self._turn:
            self._core.require_open()
            made = await asyncio.to_thread(rotate, self._opened.root, self._encryption, self._clock)
            self._opened.keys.adopt(made.id, made.key)
            await self._core.turnover.renew_keys(self._opened.keys)
            return made

    async def seal(self, secret: Secret) -> int:
        """Seal the keyring with another secret and return how many keys it holds.

        Raises:
            KeyRefused: The store is not encrypted, or the secret is not good enough.
            Unavailable: The store is closed.
        """
        async with self._turn:
            self._core.require_open()
            old = self._encryption
            new = msgspec.structs.replace(old, secret=secret)
            count = await asyncio.to_thread(reseal, self._opened.root, old, new)
            self._encryption = new
            return count

    async def drop(self, still_needed: Callable[[], str]) -> list[int]:
        """Remove all data keys but the newest and return their ids.

        Args:
            still_needed: Says why one of them is needed, if one is; it blocks.

        Raises:
            KeyRefused: One of them is needed, or the store is not encrypted.
            Unavailable: The store is closed.
        """
        async with self._turn:
            self._core.require_open()
            if why := await asyncio.to_thread(still_needed):
                raise KeyRefused(why)
            dropped = await asyncio.to_thread(drop, self._opened.root, self._encryption)
            self._opened.keys.forget_older()
            await self._core.turnover.renew_keys(self._opened.keys)
            return dropped
