"""Watchers of prefixes: hints that something was committed, shared by the engines.

Rule: a hint is only a hint. It is coalesced (a watcher that has not looked since the last one
gets no second), it may be late or lost, and it never leaves before the commit is durable.

Theory: watched prefixes are grouped by their length, so a commit looks each of its keys up once
per distinct length instead of comparing it with every watcher.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final, Self
from weakref import WeakKeyDictionary

from fogbank.base.errors import Throttled

WATCHERS_MAX: Final = 4_096


class Watcher(AsyncIterator[None]):
    """Yields after commits under its prefix; registered from its birth until it is dropped."""

    __slots__ = ("__weakref__", "_hinted", "_waiter", "prefix")

    def __init__(self, prefix: bytes) -> None:
        self.prefix = prefix
        self._hinted = False
        self._waiter: asyncio.Future[None] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> None:
        """Return at the next hint; at once if there was one since the last return."""
        assert self._waiter is None, "a watcher has one reader"
        if not self._hinted:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._hinted = False

    def hint(self) -> None:
        """Wake the reader; a second hint before it looked changes nothing."""
        self._hinted = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Watchers:
    """The watchers of one engine, at most ``WATCHERS_MAX``; dropped ones leave by themselves."""

    __slots__ = ("_by_length", "_count")

    def __init__(self) -> None:
        self._by_length: dict[int, dict[bytes, WeakKeyDictionary[Watcher, None]]] = {}
        self._count = 0

    def add(self, prefix: bytes) -> Watcher:
        """Return a new watcher of a prefix.

        Raises:
            Throttled: There are ``WATCHERS_MAX`` already.
        """
        if self._count >= WATCHERS_MAX:
            self._prune()
            if self._count >= WATCHERS_MAX:
                raise Throttled(f"the store has {WATCHERS_MAX} watchers already")
        watcher = Watcher(prefix)
        by_prefix = self._by_length.setdefault(len(prefix), {})
        by_prefix.setdefault(prefix, WeakKeyDictionary())[watcher] = None
        self._count += 1
        return watcher

    def _prune(self) -> None:
        """Forget prefixes that nobody watches any more, and count again."""
        self._count = 0
        for length, by_prefix in list(self._by_length.items()):
            for prefix, watchers in list(by_prefix.items()):
                if not watchers:
                    del by_prefix[prefix]
                self._count += len(watchers)
            if not by_prefix:
                del self._by_length[length]

    def __bool__(self) -> bool:
        return bool(self._by_length)

    def committed(self, keys: Iterable[bytes]) -> None:
        """Hint everybody who watches a prefix of one of the keys."""
        for length, by_prefix in self._by_length.items():
            for key in keys:
                watchers = by_prefix.get(key[:length])
                if watchers:
                    for watcher in tuple(watchers):
                        watcher.hint()
